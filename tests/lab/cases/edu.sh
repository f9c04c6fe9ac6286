#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU's edu devices stand behind the IOMMU, and vfio-pci takes them and gives them back.
. /lab/lib.sh
check "there are two" [ "$(edu_devices | wc -l)" -eq 2 ]
groups=
for address in $(edu_devices); do
    device=/sys/bus/pci/devices/$address
    check "$address is bound to vfio-pci" bind vfio-pci "$address"
    check "$address has a group" [ -c "/dev/vfio/$(group_of "$device")" ]
    check "$address is alone in it" [ "$(ls "$device/iommu_group/devices" | wc -l)" -eq 1 ]
    check "$address has a cdev" [ -c "/dev/vfio/devices/$(cdev_of "$device")" ]
    groups="$groups $(group_of "$device")"
done
check "they have a group each" [ "$(echo $groups | tr ' ' '\n' | sort -u | wc -l)" -eq 2 ]
for address in $(edu_devices); do
    unbind "$address"
    check "$address is free again" [ ! -e "/sys/bus/pci/devices/$address/driver" ]
done
finish
