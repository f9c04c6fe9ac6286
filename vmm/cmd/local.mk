# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/cmd/bringup.c \
	vmm/cmd/campaign_run.c vmm/cmd/campaign_run.h \
	vmm/cmd/check.c \
	vmm/cmd/cmd.h \
	vmm/cmd/command_error.c vmm/cmd/command_error.h \
	vmm/cmd/conclude.c vmm/cmd/conclude.h \
	vmm/cmd/device_facts.c vmm/cmd/device_facts.h \
	vmm/cmd/device_list.c vmm/cmd/device_list.h \
	vmm/cmd/device_open.c \
	vmm/cmd/device_spec.c vmm/cmd/device_spec.h \
	vmm/cmd/device_work.c vmm/cmd/device_work.h \
	vmm/cmd/faults.c \
	vmm/cmd/host_facts.c vmm/cmd/host_facts.h \
	vmm/cmd/image.c vmm/cmd/image.h \
	vmm/cmd/inspect.c \
	vmm/cmd/inspect_device.c vmm/cmd/inspect_device.h \
	vmm/cmd/inspect_stream.c vmm/cmd/inspect_stream.h \
	vmm/cmd/keep.c vmm/cmd/keep.h \
	vmm/cmd/migrate.c \
	vmm/cmd/options.c vmm/cmd/options.h \
	vmm/cmd/probe.c \
	vmm/cmd/probe_compare.c vmm/cmd/probe_compare.h \
	vmm/cmd/progress.c vmm/cmd/progress.h \
	vmm/cmd/replay.c \
	vmm/cmd/replay_device.c vmm/cmd/replay_device.h \
	vmm/cmd/replay_import.c vmm/cmd/replay_import.h \
	vmm/cmd/report_writer.c vmm/cmd/report_writer.h \
	vmm/cmd/run.c \
	vmm/cmd/snapshot_store.c vmm/cmd/snapshot_store.h \
	vmm/cmd/state.c \
	vmm/cmd/state_actions.c vmm/cmd/state_actions.h \
	vmm/cmd/state_stream.c vmm/cmd/state_stream.h \
	vmm/cmd/stream_security.c vmm/cmd/stream_security.h \
	vmm/cmd/step_actions.c vmm/cmd/step_actions.h \
	vmm/cmd/suite.c \
	vmm/cmd/user_command.c vmm/cmd/user_command.h \
	vmm/cmd/vmm_process.c vmm/cmd/vmm_process.h \
	vmm/cmd/vmm_sandbox.c vmm/cmd/vmm_sandbox.h

bin_PROGRAMS += stopcopy
stopcopy_SOURCES = vmm/cmd/main.c
stopcopy_LDADD = $(VMM_LIBS)
