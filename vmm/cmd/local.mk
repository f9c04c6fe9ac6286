# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/cmd/cmd.h \
	vmm/cmd/command_error.c vmm/cmd/command_error.h \
	vmm/cmd/device_facts.c vmm/cmd/device_facts.h \
	vmm/cmd/device_open.c \
	vmm/cmd/device_spec.c vmm/cmd/device_spec.h \
	vmm/cmd/probe.c \
	vmm/cmd/state.c \
	vmm/cmd/state_stream.c vmm/cmd/state_stream.h
