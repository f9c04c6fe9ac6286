#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# LAB_TIMEOUT: 400
# QEMU's edu by plain vfio-pci: it runs by both ways, is not migrated, and is given back when the host asks.
. /lab/lib.sh
# shellcheck disable=SC2046
set -- $(edu_devices)
[ $# -ge 2 ] || skip_all "this machine has no two edu devices"
a=$1 b=$2
unbind "$a"
expect 2 "a device without a driver" stopcopy probe "vfio:$a"
expect_error "echo vfio-pci > /sys/bus/pci/devices/$a/driver_override"
expect 2 "no such address" stopcopy probe vfio:ffff:ff:1f.7
expect_error "this host has no PCI device"
bind vfio-pci "$a"
bind vfio-pci "$b"
for way in group cdev; do
    expect 0 "$way: run" stopcopy run --vfio $way --memory 32M --vcpus 1 --device "vfio:$a" --workload edu --ops 3
    timeout 60 stopcopy migrate --vfio $way --memory 32M --vcpus 1 --device "vfio:$a,to=vfio:$b" --workload edu --at-ops 2 \
        >"$scratch/out" 2>"$scratch/err"
    check "$way: migrate is refused with the reason" grep -q "bound to vfio-pci, which has no migration" "$scratch/err"
done
expect 0 "two devices" stopcopy run --memory 32M --vcpus 1 --device "vfio:$a,no-mmap" --device "vfio:$b,rom=off" --workload edu --ops 3
stopcopy run --memory 32M --vcpus 1 --device "vfio:$a" --workload edu --ops 100000000 >"$scratch/out" 2>"$scratch/err" &
run=$!
in_use() { ls -l /proc/$run/fd | grep -q vfio; }
wait_for "the device to be in use" in_use
echo "$a" >"/sys/bus/pci/devices/$a/driver/unbind"
wait $run
check "an unbinding ends the run" grep -q "the host wants the device back" "$scratch/err"
finish
