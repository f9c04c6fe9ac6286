#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# LAB_MACHINE: plain
# LAB_TIMEOUT: 400
# The kernel's mtty by group and by cdev: probed, worked by a guest, and migrated from one device to another and back.
. /lab/lib.sh
[ -d "$mtty" ] || skip_all "this kernel has no mtty"
a=11111111-1111-4111-8111-111111111111 b=22222222-2222-4222-8222-222222222222
c=44444444-4444-4444-8444-444444444444
mtty_create $a
mtty_create $b
mtty_create $c mtty-1
expect 0 "two of a kind" stopcopy probe --compare vfio:$a vfio:$b
check "two of a kind: yes" grep -q "^vfio:$a to vfio:$b: yes" "$scratch/out"
expect 1 "another kind" stopcopy probe --compare vfio:$a vfio:$c
check "another kind: why not" grep -q "^  no: a guest sees another device: its BAR 1" "$scratch/out"
check "an open cdev" stopcopy probe vfio:$a,fd=9 9<>"/dev/vfio/devices/$(cdev_of /sys/bus/mdev/devices/$a)"
check "an open group" stopcopy probe --vfio group vfio:$a,fd=9 9<>"/dev/vfio/$(group_of /sys/bus/mdev/devices/$a)"
for way in group cdev; do
    expect 0 "$way: probe" stopcopy probe --vfio $way --json vfio:$a
    cp "$scratch/out" "$scratch/report.json"
    expect_json ".backend == \"vfio-$way\" and .migration.flags == 7 and .migration.data_size == 96"
    expect_json ".host.name == \"$a\""
    expect 0 "$way: by hand" stopcopy state --vfio $way vfio:$a set PRE_COPY,STOP_COPY save "$scratch/state" load "$scratch/state"
    check "$way: the stream has 96 bytes" [ "$(wc -c <"$scratch/state")" -eq 96 ]
    expect 0 "$way: run" stopcopy run --vfio $way --memory 32M --vcpus 1 --device vfio:$a --workload uart --ops 100
    expect 0 "$way: migrate by STOP_COPY, there and back" stopcopy migrate --vfio $way --memory 32M --vcpus 1 \
        --device vfio:$a,to=vfio:$b --workload uart --at-ops 50 --repeat 2 --report json:"$scratch/report.json"
    expect_json '.verdict == "pass"'
    # read() says 0 in PRE_COPY where the uAPI has ENOMSG: found, and nothing else, and the guest is intact.
    expect 1 "$way: migrate by PRE_COPY" stopcopy migrate --vfio $way --memory 32M --vcpus 1 --mode pre-copy \
        --device vfio:$a,to=vfio:$b --workload uart --at-ops 50 --report json:"$scratch/report.json"
    expect_json '[.findings[].rule] == ["device/end-in-pre-copy"]'
    expect 0 "$way: migrate with one device" stopcopy migrate --same-device --vfio $way --memory 32M --vcpus 1 \
        --device vfio:$a --workload uart --at-ops 50 --report json:"$scratch/report.json"
    expect_json '.verdict == "pass"'
done
expect 2 "no such mdev" stopcopy probe vfio:33333333-3333-4333-8333-333333333333
expect_error "mdev_supported_types/mtty-1/create"
mtty_remove $a
mtty_remove $b
mtty_remove $c
finish
