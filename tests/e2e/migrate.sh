#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job: a guest with no, one and two devices and with 1, 2 and 4 vCPUs is migrated while it works, and the report
# proves it.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

for vcpus in 1 2 4; do
    for devices in 0 1 2; do
        set --
        i=0
        while [ $i -lt $devices ]; do
            set -- "$@" --device "test:queues=$((i + 1)),memory=4M,window=1M"
            i=$((i + 1))
        done
        expect 0 "$vcpus vCPUs, $devices devices" "$stopcopy" migrate --vcpus $vcpus --memory 128M --at-ops 2000 "$@" \
            --report text --report "json:$scratch/report.json" || continue
        grep -q '^PASS' "$scratch/out" || fail "$name: the text report does not end in PASS"
        [ -s "$scratch/err" ] && { fail "$name: standard error is not empty"; cat "$scratch/err"; }
        expect_json '.verdict == "pass" and .status == 0 and (.findings | length) == 0'
        expect_json '.guest.ops_before > 0 and .guest.ops_after > 0'
        expect_json '.guest.digest == .guest.digest_expected'
        expect_json '.downtime_ns > 0 and .total_ns > .downtime_ns and .guest.blackout_ns > 0'
        expect_json '.ram.bytes == .ram.pages * 4096 and .ram.pages > 1000'
        expect_json ".devices | length == $devices"
        expect_json '[.devices[] | .state_bytes > 0 and .ops_before > 0 and .ops_after > 0 and .in_flight_at_stop > 0] | all'
        expect_json '[.devices[].arcs | map(.from + ">" + .to) | contains(["RUNNING>RUNNING_P2P", "RUNNING_P2P>STOP_COPY",
            "RUNNING>RESUMING", "RESUMING>STOP", "STOP>RUNNING_P2P", "RUNNING_P2P>RUNNING"])] | all'
        expect_json '[.phases[].name] | contains(["pause", "ram", "vcpu-state", "load", "resume"])'
    done
done
expect_nothing_left
finish
