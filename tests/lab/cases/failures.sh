#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong in a migration: an arc that fails, a device in ERROR, a device that the host takes away, a kernel that
# complains. Where the guest is afterwards, and what is said.
# LAB_TIMEOUT: 400
. /lab/lib.sh
module edu_migration || skip_all "there is no edu_migration.ko"
parameters=/sys/module/edu_migration/parameters
# shellcheck disable=SC2046
set -- $(edu_devices)
a=$1 b=$2
check "$a is bound" bind edu_migration "$a"
check "$b is bound" bind edu_migration "$b"

# fails ERROR ARC STATUS WHAT RULE ROLE: the arc fails once, and leaves the device in ERROR where ERROR is 1. It is found
# under the rule, at the source or the destination.
fails() {
    echo "$1" >$parameters/enter_error
    echo "$2" >$parameters/fail_next_arc
    rm -f "$scratch/report.json"
    expect "$3" "$4" stopcopy migrate --memory 64M --vcpus 1 --device "vfio:$a,to=vfio:$b" --workload edu --at-ops 2 \
        --report "json:$scratch/report.json"
    check "$4: the arc was met" [ "$(tr -d '\n' <$parameters/fail_next_arc)" = "" ]
    expect_json ".verdict == \"fail\" and .status == $3 and (.outcome == \"source\") == ($3 == 3)"
    expect_json "([.findings[] | [.rule, .role]] | unique) == [[\"$5\", \"$6\"]]"
}
fails 0 'STOP>STOP_COPY' 3 "the source's STOP_COPY fails" device/arc-failed source
fails 0 'RESUMING>STOP' 3 "the destination refuses the stream" device/arc-failed destination
fails 0 'RUNNING_P2P>RUNNING' 5 "the destination does not start" device/arc-failed destination
fails 1 'STOP>STOP_COPY' 5 "the source's device falls into ERROR" device/error-state source
fails 1 'RESUMING>STOP' 3 "the destination's device falls into ERROR" device/error-state destination
echo 0 >$parameters/enter_error

# The host takes the device away, as an administrator or a hot unplug does.
stopcopy run --memory 32M --vcpus 1 --device "vfio:$a" --workload edu --ops 100000000 >"$scratch/out" 2>"$scratch/err" &
run=$!
in_use() { ls -l /proc/$run/fd | grep -q vfio; }
wait_for "the device to be in use" in_use
unbind "$a"
wait $run
check "an unbinding ends the run" grep -q "the host wants the device back" "$scratch/err"
check "the device is free" [ ! -e "/sys/bus/pci/devices/$a/driver" ]
check "$a is bound again" bind edu_migration "$a"

expect_complaint
stopcopy run --memory 32M --vcpus 1 --device "vfio:$a" --workload edu --ops 12 --report "json:$scratch/report.json" \
    >"$scratch/out" 2>"$scratch/err" &
run=$!
wait_for "the device to be in use" in_use
check "the kernel is made to complain" module lab_warn
wait $run
status=$?
name="a warning of the kernel during a run"
check "$name: is a finding" [ $status -eq 1 ]
expect_json '[.findings[].rule] == ["host/kernel-log"]'
rmmod lab_warn
unbind "$a"
unbind "$b"
finish
