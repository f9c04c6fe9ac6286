# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += vmm/kvm/vm.h
