#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The variant driver for edu: its states and its stream by hand, and a guest at work that moves from one edu to another.
# LAB_TIMEOUT: 600
. /lab/lib.sh
module edu_migration || skip_all "there is no edu_migration.ko"
# shellcheck disable=SC2046
set -- $(edu_devices)
for address in "$@"; do check "$address is bound" bind edu_migration "$address"; done
from=vfio:$1 to=vfio:$2

expect 0 "every state and back" stopcopy state "$from" set RUNNING_P2P,STOP,STOP_COPY,STOP,RESUMING reset \
    set PRE_COPY precopy-info set PRE_COPY_P2P,PRE_COPY,RUNNING,PRE_COPY,STOP_COPY,STOP,RUNNING
check "the header is the initial bytes" grep -qx "initial_bytes 16, dirty_bytes 0" "$scratch/out"
expect 0 "a stream is saved" stopcopy state "$from" size save "$scratch/stream"
check "it has the size that was said" [ "$(head -n 1 "$scratch/out")" = "$(wc -c <"$scratch/stream")" ]
for way in cdev group; do
    expect 0 "it is loaded, by $way" stopcopy state --vfio "$way" "$to" load "$scratch/stream" save "$scratch/again"
    check "the same comes out, by $way" cmp "$scratch/stream" "$scratch/again"
done
head -c 40 "$scratch/stream" >"$scratch/short"
{ cat "$scratch/stream"; echo; } >"$scratch/long"
{ echo bad; cat "$scratch/stream"; } | head -c 64 >"$scratch/magic"
for bad in short long magic; do
    expect 1 "a stream that is wrong is refused: $bad" stopcopy state "$to" load "$scratch/$bad"
done
expect 0 "the device is as before" stopcopy state "$to" get
check "the device is RUNNING" grep -q "^RUNNING" "$scratch/out"

# migrate WHAT OPTION...: the guest's edu workload is moved, and intact.
migrate() {
    what=$1
    shift
    expect 0 "$what" stopcopy migrate --memory 64M --vcpus 1 --device "$from,to=$to" --workload edu \
        --report "json:$scratch/report.json" "$@"
}
migrate "moved after the stop" --at-ops 3
expect_json '.verdict == "pass" and .devices[0].in_flight_at_stop == 1'
migrate "there and back with pre-copy" --mode pre-copy --at-ops 3 --repeat 2
expect_json '.verdict == "pass" and .migrations == 2 and .guest.chains[0].repeats <= 2'
expect 0 "with one device" stopcopy migrate --same-device --memory 64M --vcpus 1 --device "$from" --workload edu --at-ops 2 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
for address in "$@"; do unbind "$address"; done
finish
