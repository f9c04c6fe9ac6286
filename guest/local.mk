# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's image. It is freestanding, so it is built by rules of its own: none of the user's CFLAGS, no sanitizers.
GUEST_COMPILE_FLAGS = -std=gnu17 -O2 -g -ffreestanding -mgeneral-regs-only -mno-red-zone -mcmodel=small -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing \
	-fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections $(WARNING_CFLAGS)
GUEST_INCLUDE_FLAGS = -I$(top_srcdir) -I$(top_srcdir)/include
GUEST_LINK_FLAGS = -nostdlib -static -no-pie -Wl,-T,$(top_srcdir)/guest/guest.ld -Wl,--gc-sections -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack

# Drivers: the host's conformance checks link these sources too.
GUEST_DRIVERS = guest/drivers/dma_driver.c guest/drivers/edu_driver.c guest/drivers/uart_driver.c

GUEST_COMPILED = \
	guest/kernel/entry.S \
	guest/kernel/tables.S \
	guest/kernel/interrupt.S \
	guest/kernel/gate_call.S \
	guest/kernel/kernel.c \
	guest/kernel/gate.c \
	guest/kernel/paging.c \
	guest/kernel/segments.c \
	guest/kernel/apic.c \
	guest/kernel/ioapic.c \
	guest/base/console.c \
	guest/base/ram.c \
	guest/base/string.c \
	guest/base/text.c \
	guest/boot/calibrate.c \
	guest/boot/config.c \
	guest/boot/config_command_line.c \
	guest/boot/config_start_info.c \
	guest/boot/config_tree.c \
	guest/pci/pci.c \
	guest/pci/pci_access.c \
	$(GUEST_DRIVERS) \
	guest/workloads/chain.c \
	guest/workloads/clock.c \
	guest/workloads/cpu.c \
	guest/workloads/cpu_run.S \
	guest/workloads/crc32c.c \
	guest/workloads/device_work.c \
	guest/workloads/device_work_list.c \
	guest/workloads/dma.c \
	guest/workloads/dma_operation.c \
	guest/workloads/edu.c \
	guest/workloads/memory.c \
	guest/workloads/tally.c \
	guest/workloads/uart.c \
	guest/workloads/vcpu.c \
	guest/guest.c \
	guest/main.c

GUEST_INCLUDED = \
	guest/kernel/gate.h \
	guest/kernel/kernel.h \
	guest/kernel/layout.h \
	guest/kernel/registers.h \
	guest/base/console.h \
	guest/base/port.h \
	guest/base/processor.h \
	guest/base/ram.h \
	guest/base/text.h \
	guest/boot/calibrate.h \
	guest/boot/config.h \
	guest/pci/pci.h \
	guest/pci/pci_access.h \
	guest/drivers/driver.h \
	guest/drivers/dma_driver.h \
	guest/drivers/edu_driver.h \
	guest/drivers/uart_driver.h \
	guest/workloads/arithmetic.h \
	guest/workloads/chain.h \
	guest/workloads/clock.h \
	guest/workloads/cpu.h \
	guest/workloads/cpu_run.h \
	guest/workloads/crc32c.h \
	guest/workloads/device_work.h \
	guest/workloads/device_workloads.h \
	guest/workloads/dma_stream.h \
	guest/workloads/memory.h \
	guest/workloads/vcpu.h \
	guest/guest.h

GUEST_CONTRACTS = include/stopcopy/dma_device.h include/stopcopy/edu_device.h include/stopcopy/guest_abi.h \
	include/stopcopy/tally_device.h include/stopcopy/uart_device.h include/stopcopy/workload.h
GUEST_OBJECTS = $(addsuffix .guest.o,$(GUEST_COMPILED))

guestdir = $(pkgdatadir)
guest_DATA = guest/stopcopy-guest.elf
EXTRA_DIST += docs/guest.md docs/writing-a-guest-driver.md guest/guest.ld $(GUEST_COMPILED) $(GUEST_INCLUDED)
CLEANFILES += guest/stopcopy-guest.elf $(GUEST_OBJECTS)

$(GUEST_OBJECTS): %.guest.o: $(top_srcdir)/% $(addprefix $(top_srcdir)/,$(GUEST_INCLUDED) $(GUEST_CONTRACTS)) \
		$(top_srcdir)/guest/local.mk
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(CC) $(GUEST_INCLUDE_FLAGS) $(GUEST_COMPILE_FLAGS) -c -o $@ $<

guest/stopcopy-guest.elf: $(GUEST_OBJECTS) $(top_srcdir)/guest/guest.ld $(FDT_ARCHIVE)
	$(AM_V_CCLD)$(CC) $(GUEST_LINK_FLAGS) -o $@ $(GUEST_OBJECTS) $(FDT_ARCHIVE)
