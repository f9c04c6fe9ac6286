#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An NVMe function, and a VF of it while its PF is VFIO's too, by plain vfio-pci: a guest that has no driver for them runs
# with them, and is not migrated.
# LAB_MACHINE: functions
# LAB_TIMEOUT: 300
. /lab/lib.sh
token=6f4e9a52-7c1d-4b0e-9d3a-2f8b5c7e1a90
run="--memory 64M --vcpus 1 --workload memory --workload cpu"
# Nothing is wrong, and the guest did nothing with the device, which is said.
unused='.findings == [] and .not_proven == ["device 0 was never used: it did no operation"]'
# nvme_functions: the addresses of those that there are.
nvme_functions() {
    for device in /sys/bus/pci/devices/*; do
        [ "$(cat "$device/class")" = 0x010802 ] && basename "$device"
    done
}

# shellcheck disable=SC2046
set -- $(nvme_functions)
check "there are two NVMe functions" [ $# -eq 2 ]
for pf in "$@"; do check "$pf is bound" bind vfio-pci "$pf"; done
other=$1 pf=$2
[ -e "/sys/bus/pci/devices/$pf/sriov_numvfs" ] || { pf=$1 other=$2; }
for way in group cdev; do
    # shellcheck disable=SC2086
    expect 7 "PF by $way: runs" stopcopy run --vfio $way $run --device "vfio:$pf" --ops 5 \
        --report "json:$scratch/report.json"
    expect_json "$unused"
    # shellcheck disable=SC2086
    expect 3 "PF by $way: migrate" stopcopy migrate --vfio $way $run --device "vfio:$pf,to=vfio:$other" --at-ops 5
    expect_error "it is bound to vfio-pci, which has no migration"
done

# Resets: the function's own, the bus's where there is none of its own, and none.
for way in group cdev; do
    expect 0 "PF by $way: reset=flr" stopcopy state --vfio $way "vfio:$pf,reset=flr" reset
done
expect 1 "a function on the root bus: reset=hot" stopcopy state "vfio:$other,reset=hot" reset
expect 1 "PF: reset=none" stopcopy state "vfio:$pf,reset=none" reset
expect_error "its reset was forbidden by reset=none"

# An error that the function does not recover from ends the run, and is a finding.
runs() { ls -l /proc/$run_pid/fd | grep -q kvm-vcpu; }
if [ -f /lib/modules/lab_aer.ko ]; then
    # shellcheck disable=SC2086
    stopcopy run $run --device "vfio:$pf" --ops 100000000 --report "json:$scratch/report.json" >"$scratch/out" 2>"$scratch/err" &
    run_pid=$!
    wait_for "the guest to run" runs
    check "the function reports an error" insmod /lib/modules/lab_aer.ko "address=$pf"
    wait $run_pid
    status=$? name="an error of the function"
    check "$name: nobody runs the guest" [ $status -eq 5 ]
    expect_error "reported an error that is not recovered from"
    expect_json '.status == 5 and .outcome == "none" and ([.findings[].rule] | contains(["device/aer"]))'
    rmmod lab_aer
fi

# Before there are VFs: QEMU 7.2 loses them for good when the PF is reset, as it is where it is opened.
expect 0 "the PF's user sets the token" stopcopy probe --vfio group "vfio:$pf,vf-token=$token"
echo 1 >"/sys/bus/pci/devices/$pf/sriov_numvfs"
wait_for "the VF" [ -e "/sys/bus/pci/devices/$pf/virtfn0" ]
vf=$(basename "$(readlink "/sys/bus/pci/devices/$pf/virtfn0")")
check "the VF $vf is bound" bind vfio-pci "$vf"
expect 2 "VF without its PF's token" stopcopy probe --vfio group "vfio:$vf"
expect_error "vf-token"
# shellcheck disable=SC2086
expect 7 "VF: runs" stopcopy run --vfio group $run --device "vfio:$vf,vf-token=$token" --ops 5 \
    --report "json:$scratch/report.json"
expect_json "$unused"
# shellcheck disable=SC2086
expect 3 "VF: migrate" stopcopy migrate --vfio group $run --device "vfio:$vf,vf-token=$token,to=vfio:$other" --at-ops 5
expect_error "it is bound to vfio-pci, which has no migration"
echo 0 >"/sys/bus/pci/devices/$pf/sriov_numvfs"
unbind "$pf"
unbind "$other"
finish
