# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/vfio/dirty_log.c vmm/vfio/dirty_log.h \
	vmm/vfio/fsm.c vmm/vfio/fsm.h \
	vmm/vfio/kernel.h \
	vmm/vfio/kernel_call.c \
	vmm/vfio/kernel_cdev.c \
	vmm/vfio/kernel_device.c vmm/vfio/kernel_device.h \
	vmm/vfio/kernel_find.c vmm/vfio/kernel_find.h \
	vmm/vfio/kernel_group.c \
	vmm/vfio/kernel_host.c vmm/vfio/kernel_host.h \
	vmm/vfio/kernel_info.c \
	vmm/vfio/kernel_migration.c \
	vmm/vfio/kernel_space.c vmm/vfio/kernel_space.h \
	vmm/vfio/migration.c vmm/vfio/migration.h \
	vmm/vfio/uapi_log.c vmm/vfio/uapi_log.h \
	vmm/vfio/vfio_device.c vmm/vfio/vfio_device.h \
	vmm/vfio/vfio_user.c vmm/vfio/vfio_user.h \
	vmm/vfio/vfio_user_access.c \
	vmm/vfio/vfio_user_background.c \
	vmm/vfio/vfio_user_channel.c vmm/vfio/vfio_user_channel.h \
	vmm/vfio/vfio_user_client.h \
	vmm/vfio/vfio_user_dma.c vmm/vfio/vfio_user_dma.h \
	vmm/vfio/vfio_user_info.c \
	vmm/vfio/vfio_user_migration.c \
	vmm/vfio/vfio_user_version.c
EXTRA_DIST += docs/kernel-vfio.md docs/vfio-user.md
