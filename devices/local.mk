# SPDX-License-Identifier: GPL-2.0-or-later
# Everything of the devices but main is a library, so that the unit tests can link it.
noinst_LIBRARIES += libdevices.a
libdevices_a_SOURCES = \
	devices/fsm.c devices/fsm.h \
	devices/model.c devices/model.h \
	devices/stream.c devices/stream.h \
	devices/faults/answers.c \
	devices/faults/arcs.c \
	devices/faults/command.c devices/faults/command.h \
	devices/faults/completion_repeated.c \
	devices/faults/completions.c \
	devices/faults/fault.c devices/faults/fault.h \
	devices/faults/p2p_not_quiesced.c \
	devices/faults/interrupts.c \
	devices/faults/loads.c \
	devices/faults/logs.c \
	devices/faults/memory.c \
	devices/faults/quiesce.c \
	devices/faults/sizes.c \
	devices/faults/states.c \
	devices/faults/streams.c \
	devices/faults/timer.c devices/faults/timer.h \
	devices/models/dma.c devices/models/dma.h \
	devices/models/dma_dirtier.c \
	devices/models/dma_interrupt.c \
	devices/models/dma_load.c \
	devices/models/dma_memory.c devices/models/dma_memory.h \
	devices/models/dma_migration.c \
	devices/models/dma_operation.c \
	devices/models/dma_queue.c \
	devices/models/dma_save.c \
	devices/models/dma_window.c \
	devices/models/small.c devices/models/small.h \
	devices/models/tally.c \
	devices/models/uart.c devices/models/uart.h \
	devices/models/uart_state.c \
	devices/pci/config.c devices/pci/config.h \
	devices/server/commands.c \
	devices/server/connection.c devices/server/connection.h \
	devices/server/dirty_log.c devices/server/dirty_log.h \
	devices/server/dispatch.c \
	devices/server/dma_access.c \
	devices/server/dma_commands.c \
	devices/server/dma_table.c devices/server/dma_table.h \
	devices/server/feature.c \
	devices/server/guard.c devices/server/guard.h \
	devices/server/irqs.c devices/server/irqs.h \
	devices/server/migration.c \
	devices/server/negotiate.c \
	devices/server/server.c devices/server/server.h \
	devices/server/transport.c devices/server/transport.h
DEVICES_LIBS = libdevices.a libcommon.a $(JANSSON_LIBS) $(ISAL_LIBS) $(SECCOMP_LIBS) -lm

bin_PROGRAMS += stopcopy-device
stopcopy_device_SOURCES = devices/main.c
stopcopy_device_LDADD = $(DEVICES_LIBS)
EXTRA_DIST += docs/device.md docs/writing-a-device.md
