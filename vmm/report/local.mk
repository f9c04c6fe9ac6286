# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/report/baseline.c vmm/report/baseline.h \
	vmm/report/build.c vmm/report/builder.h \
	vmm/report/cases.c vmm/report/cases.h \
	vmm/report/event_form.c vmm/report/event_form.h \
	vmm/report/event_log.c vmm/report/event_log.h \
	vmm/report/events.c \
	vmm/report/guest.c \
	vmm/report/kernel_log.c vmm/report/kernel_log.h \
	vmm/report/legs.c \
	vmm/report/html.h vmm/report/html_page.c vmm/report/html_states.c vmm/report/html_timeline.c \
	vmm/report/manifest.c \
	vmm/report/print_html.c \
	vmm/report/print_junit.c \
	vmm/report/print_tap.c \
	vmm/report/print_text.c \
	vmm/report/print_trace.c \
	vmm/report/report.h \
	vmm/report/switchover.c \
	vmm/report/units.c vmm/report/units.h \
	vmm/report/verdict.c \
	vmm/report/write.c
EXTRA_DIST += docs/check.md docs/rules.md docs/report.md docs/report.schema.json
