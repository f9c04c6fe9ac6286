#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every arc of a migration fails, and the device stays where it was or is in ERROR, with errnos that drivers answer with: before
# COMMIT, and where the device can go back, the guest goes on on the source, intact (3); a source's device in ERROR has lost
# what the guest had in it (5), and after the first arc out of STOP of the destination nobody runs it (5).
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
features=features=stop-copy+p2p+pre-copy
good=test:memory=64K,$features
guest="--memory 32M --vcpus 1 --workload dma --at-ops 200 --mode pre-copy"
numbers="5 22 16 25 11 4 12 14 19 95 110 62"

# fails STATUS OUTCOME END stay|error TO FROM: that arc of the device of that END; the next errno each time.
fails() {
    wanted=$1 outcome=$2 end=$3 to=$4 number=${numbers%% *}
    numbers="${numbers#* } $number"
    fault="fault=arc-fails:arc=$5:from=$6:errno=$number:to=$to"
    case $end in
    source) device="$good,$fault,to=$good" ;;
    destination) device="$good,to=$good,$fault" ;;
    esac
    # shellcheck disable=SC2086
    expect "$wanted" "$6 to $5 of the $end's device fails with errno $number ($to)" "$stopcopy" migrate $guest \
        --device "$device" --report "json:$scratch/report.json" || return
    expect_json ".outcome == \"$outcome\" and .status == $wanted and (.findings | length) > 0"
    expect_json "[.findings[].rule] | all(. == \"device/arc-failed\" or . == \"device/error-state\")"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || { fail "$name: standard error has not one line"; cat "$scratch/err"; }
    [ "$wanted" -ne 3 ] || expect_json '.guest.digest != null and .guest.digest == .guest.digest_expected'
}

# Each arc of the way down.
for arc in "pre-copy running" "pre-copy-p2p pre-copy" "stop-copy pre-copy-p2p"; do
    # shellcheck disable=SC2086
    fails 3 source source stay $arc
    # shellcheck disable=SC2086
    fails 5 none source error $arc
done
# The destination's device before COMMIT: whatever becomes of it, the guest is the source's.
for arc in "resuming stop" "stop resuming"; do
    for to in stay error; do
        # shellcheck disable=SC2086
        fails 3 source destination $to $arc
    done
done
# And after it.
for arc in "running-p2p stop" "running running-p2p"; do
    for to in stay error; do
        # shellcheck disable=SC2086
        fails 5 none destination $to $arc
    done
done

# One of two devices runs, and the other does not leave its state.
for arc in "running-p2p stop" "running running-p2p"; do
    # shellcheck disable=SC2086
    set -- $arc
    # shellcheck disable=SC2086
    expect 5 "one of two: $2 to $1" "$stopcopy" migrate $guest --device "$good" \
        --device "$good,to=$good,fault=arc-fails:arc=$1:from=$2" --report "json:$scratch/report.json" || continue
    expect_json '.outcome == "none" and ([.findings[].rule] | index("device/arc-failed")) != null'
    expect_json '.outcome_text | contains("device 1")'
done

# A source's device in ERROR is reset where the user allows it: the guest goes on, and its loss is declared, never passed off as
# intact. One of two is enough.
for devices in "$good,fault=arc-fails:arc=stop-copy:from=pre-copy-p2p:to=error,to=$good" \
    "$good --device $good,fault=arc-fails:arc=stop-copy:from=pre-copy-p2p:to=error,to=$good"; do
    # shellcheck disable=SC2086
    expect 4 "a reset that is allowed: $devices" "$stopcopy" migrate $guest --workload cpu --device $devices --reset-on-error \
        --report "json:$scratch/report.json" || continue
    expect_json '.outcome == "source" and .status == 4 and .verdict == "fail"'
    expect_json '[.findings[].rule] | (index("device/state-lost") != null)'
    expect_json '.outcome_text | contains("is lost; the guest goes on")'
done
expect_nothing_left
finish
