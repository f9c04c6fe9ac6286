#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the other cases stand on is in this kernel.
. /lab/lib.sh
note "$(uname -r), $(grep -c ^processor /proc/cpuinfo) CPUs, $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
check "VFIO's container is there" [ -c /dev/vfio/vfio ]
check "iommufd is there" [ -c /dev/iommu ]
check "KVM is there" [ -c /dev/kvm ]
check "KVM has nested paging" grep -qx '[1Y]' /sys/module/kvm_amd/parameters/npt /sys/module/kvm_intel/parameters/ept
check "vfio-pci is there" [ -d "$vfio_pci" ]
check "mtty makes mdevs" [ -d "$mtty/mdev_supported_types/mtty-2" ]
check "the IOMMU is on" [ -n "$(ls /sys/class/iommu)" ]
check "the kernel's log can be read" dmesg
finish
