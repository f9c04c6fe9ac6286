# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += vmm/vfio/vfio_device.h vmm/vfio/migration.h vmm/vfio/fsm.h
