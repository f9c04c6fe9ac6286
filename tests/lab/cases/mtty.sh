#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# LAB_MACHINE: plain
# The kernel's sample device makes two mediated devices, each with a group and a character device.
. /lab/lib.sh
[ -d "$mtty" ] || skip_all "this kernel has no mtty"
a=11111111-1111-4111-8111-111111111111 b=22222222-2222-4222-8222-222222222222
for uuid in $a $b; do
    check "$uuid is made" mtty_create $uuid
    device=/sys/bus/mdev/devices/$uuid
    check "$uuid has a group" [ -c "/dev/vfio/$(group_of "$device")" ]
    check "$uuid has a cdev" [ -c "/dev/vfio/devices/$(cdev_of "$device")" ]
done
check "they are two devices" [ "$(cdev_of /sys/bus/mdev/devices/$a)" != "$(cdev_of /sys/bus/mdev/devices/$b)" ]
mtty_remove $a
mtty_remove $b
check "both are gone" [ -z "$(ls /sys/bus/mdev/devices)" ]
finish
