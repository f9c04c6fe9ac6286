# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/board/board_layout.c vmm/board/board_layout.h \
	vmm/board/board_match.c \
	vmm/board/board_tree.h \
	vmm/board/board_tree_read.c \
	vmm/board/board_tree_write.c \
	vmm/board/bus.c vmm/board/bus.h \
	vmm/board/elf_loader.c vmm/board/elf_loader.h \
	vmm/board/event_queue.c vmm/board/event_queue.h \
	vmm/board/interrupt_drop.c vmm/board/interrupt_drop.h \
	vmm/board/intx.c vmm/board/intx.h \
	vmm/board/machine.c vmm/board/machine.h \
	vmm/board/msix.c vmm/board/msix.h \
	vmm/board/pci_bar.c vmm/board/pci_bar.h \
	vmm/board/pci_config.c vmm/board/pci_config.h \
	vmm/board/pci_device.c vmm/board/pci_device.h \
	vmm/board/pci_host.c vmm/board/pci_host.h \
	vmm/board/pci_probe.c vmm/board/pci_probe.h \
	vmm/board/peers.c vmm/board/peers.h \
	vmm/board/ram.c vmm/board/ram.h \
	vmm/board/record.c vmm/board/record.h \
	vmm/board/serial.c vmm/board/serial.h \
	vmm/board/test_control.c vmm/board/test_control.h \
	vmm/board/x86_64/boot_tables.c vmm/board/x86_64/boot_tables.h
