# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/check/check_context.h \
	vmm/check/context.c \
	vmm/check/data.c \
	vmm/check/device.c \
	vmm/check/discovery.c \
	vmm/check/fsm.c \
	vmm/check/groups.h \
	vmm/check/image.c \
	vmm/check/known.c \
	vmm/check/load.c \
	vmm/check/precopy.c \
	vmm/check/print.h \
	vmm/check/print_json.c \
	vmm/check/print_rules.c \
	vmm/check/print_text.c \
	vmm/check/reset.c \
	vmm/check/result.c \
	vmm/check/rule.h \
	vmm/check/roles.c \
	vmm/check/rules.c \
	vmm/check/runner.c vmm/check/runner.h \
	vmm/check/server.c \
	vmm/check/traffic.c vmm/check/traffic.h \
	vmm/check/log_reader.c vmm/check/log_reader.h \
	vmm/check/rules_dirty.c vmm/check/rules_guest.c vmm/check/rules_nomem.c vmm/check/rules_p2p.c \
	vmm/check/rules_race.c \
	vmm/check/rules_stop.c \
	vmm/check/bench.c vmm/check/bench.h vmm/check/bench_config.c vmm/check/bench_interrupt.c \
	vmm/check/work.c vmm/check/work.h vmm/check/work_dma.c vmm/check/work_edu.c \
	vmm/check/work_uart.c \
	vmm/check/workplace.c vmm/check/workplace.h \
	vmm/check/stop_watch.c vmm/check/stop_watch.h \
	$(GUEST_DRIVERS)
