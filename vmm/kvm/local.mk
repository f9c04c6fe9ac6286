# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/kvm/dirty_log.c \
	vmm/kvm/irq.c \
	vmm/kvm/level.c \
	vmm/kvm/memory.c \
	vmm/kvm/state_record.c vmm/kvm/state_record.h \
	vmm/kvm/vcpu.c \
	vmm/kvm/vfio_file.c \
	vmm/kvm/warm.c \
	vmm/kvm/vm.c vmm/kvm/vm.h vmm/kvm/vm_private.h \
	vmm/kvm/x86/arch.c \
	vmm/kvm/x86/clock.c \
	vmm/kvm/x86/cpuid.c \
	vmm/kvm/x86/describe.c \
	vmm/kvm/x86/features.c \
	vmm/kvm/x86/msrs.c \
	vmm/kvm/x86/vcpu_state.c \
	vmm/kvm/x86/vm_state.c \
	vmm/kvm/x86/warm.c \
	vmm/kvm/x86/x86_private.h
