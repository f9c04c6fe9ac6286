# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += vmm/report/event_log.h vmm/report/report.h
