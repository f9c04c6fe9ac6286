# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/check/check_context.h \
	vmm/check/rule.h \
	vmm/check/traffic.c vmm/check/traffic.h \
	vmm/check/bench.c vmm/check/bench.h vmm/check/bench_config.c vmm/check/bench_interrupt.c \
	vmm/check/work.c vmm/check/work.h vmm/check/work_dma.c vmm/check/work_uart.c \
	vmm/check/workplace.c vmm/check/workplace.h \
	vmm/check/stop_watch.c vmm/check/stop_watch.h \
	$(GUEST_DRIVERS)
