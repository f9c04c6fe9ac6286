# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/campaign/bringup_plan.c vmm/campaign/bringup_plan.h \
	vmm/campaign/campaign.c vmm/campaign/campaign.h \
	vmm/campaign/child.c vmm/campaign/child.h \
	vmm/campaign/journal.c vmm/campaign/journal.h \
	vmm/campaign/judge.c \
	vmm/campaign/print_html.c \
	vmm/campaign/print_text.c \
	vmm/campaign/report.c vmm/campaign/report.h \
	vmm/campaign/runner.c vmm/campaign/runner.h \
	vmm/campaign/suite_file.c vmm/campaign/suite_file.h \
	vmm/campaign/write.c
