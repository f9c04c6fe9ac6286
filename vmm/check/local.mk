# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/check/check_context.h \
	vmm/check/rule.h \
	vmm/check/traffic.c vmm/check/traffic.h
