# SPDX-License-Identifier: GPL-2.0-or-later
noinst_HEADERS = \
	include/stopcopy/dma_device.h \
	include/stopcopy/edu_device.h \
	include/stopcopy/guest_abi.h \
	include/stopcopy/iommufd_compat.h \
	include/stopcopy/tally_device.h \
	include/stopcopy/uart_device.h \
	include/stopcopy/vfio_compat.h \
	include/stopcopy/vfio_user.h \
	include/stopcopy/workload.h
