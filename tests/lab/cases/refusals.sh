#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What is wrong before anything begins is said in one line, with what mends it.
# LAB_MACHINE: functions
# LAB_TIMEOUT: 300
. /lab/lib.sh
edu=$(edu_devices)
other=${edu%.*}.1
mkdir -p /etc
printf 'root:x:0:0::/tmp:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' >/etc/passwd

# refused TEXT WHAT COMMAND...: status 2, and one line with the text.
refused() {
    text=$1
    shift
    expect 2 "$@" && expect_error "$text"
}

unbind "$edu"
refused "has no PCI device 0000:ff:1f.7: lspci -D" "an address that is not there" stopcopy probe vfio:ff:1f.7
refused "is none of a PCI address" "a name of no kind" stopcopy probe vfio:nonsense
refused "make it by: echo 33333333-3333-4333-8333-333333333333 > /sys/class/mdev_bus/mtty/mdev_supported_types/mtty-" \
    "an mdev that was not made" stopcopy probe vfio:33333333-3333-4333-8333-333333333333
refused "this host has no VFIO device vfio99" "a character device that is not there" \
    stopcopy probe vfio:/dev/vfio/devices/vfio99
refused "echo vfio-pci > /sys/bus/pci/devices/$edu/driver_override" "a device without a driver" stopcopy probe "vfio:$edu"
refused "$other belongs to the host's driver virtio-pci: give it to VFIO by:" "a device of the host's" \
    stopcopy probe "vfio:$other"
check "the device is bound" bind vfio-pci "$edu"
for way in group cdev; do
    refused "is not viable, because $other in it belongs to the host's driver virtio-pci" \
        "$way: a group that is not viable" stopcopy probe --vfio $way "vfio:$edu"
done
unbind "$other"
for way in group cdev; do
    expect 0 "$way: viable again" stopcopy probe --vfio $way "vfio:$edu"
    refused "run as root, or allow it by: chown" "$way: without permission" \
        su user -s /bin/sh -c "stopcopy probe --vfio $way vfio:$edu"
done

refused "would be at both ends at once" "one device for both ends" stopcopy migrate --device "vfio:$edu"

device=/sys/bus/pci/devices/$edu
chown user /dev/kvm /dev/iommu /dev/vfio/vfio "/dev/vfio/$(group_of "$device")" "/dev/vfio/devices/$(cdev_of "$device")"
for way in group cdev; do
    refused "the limit of locked memory is 8192 KiB" "$way: too little memory may be locked" \
        su user -s /bin/sh -c "ulimit -l 8192; stopcopy run --vfio $way --memory 64M --vcpus 1 --device vfio:$edu \
            --workload edu --ops 3"
done
unbind "$edu"
bind virtio-pci "$other"
finish
