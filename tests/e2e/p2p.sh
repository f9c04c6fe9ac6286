#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices that reach each other's windows by DMA are migrated while they do, and one that does not stop when it is told to
# is found.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

all=features=stop-copy+p2p+pre-copy

# p2p NAME MODE DEVICES OPTION...: a migration with peer-to-peer operations on both sides of it.
p2p() {
    label=$1 mode=$2 devices=$3
    shift 3
    expect 0 "$label" "$stopcopy" migrate --mode "$mode" --memory 128M --workload dma,p2p=on --workload clock --at-ops 1000 "$@" \
        --report text --report "json:$scratch/report.json" || return
    expect_json '.verdict == "pass" and (.findings | length) == 0'
    expect_json '.guest.digest == .guest.digest_expected'
    found=$(grep -cE 'device [0-9]+, migration 1: [1-9][0-9]* peer-to-peer operations before it, [0-9]+ in flight at the stop, [1-9][0-9]* after it' "$scratch/out")
    [ "$found" -eq "$devices" ] || fail "$label: $found devices with peer-to-peer operations before and after"
}

for mode in stop-copy pre-copy; do
    p2p "two devices, $mode" $mode 2 --device "test:$all" --device "test:$all"
    p2p "four devices, $mode" $mode 4 --device "test:$all" --device "test:$all,queues=3,window=1M" \
        --device "test:$all,memory=0" --device "test:$all,queues=1,window=4K"
done
p2p "by messages" stop-copy 2 --device test:dma=message --device test
p2p "there and back again" stop-copy 2 --repeat 3 --device test:latency=1ms --device test:latency=1ms

# Only those that have a window are in the ring.
expect 0 "a device without a window" "$stopcopy" migrate --workload dma,p2p=on --at-ops 500 --device test --device test:window=0 \
    --device test
[ "$(grep -c 'peer-to-peer operations before it' "$scratch/out")" -eq 2 ] || fail "$name: not two devices with a peer"

# Where it cannot be, the workload does without it, unless it was asked for.
expect 0 "a window that cannot be mapped" "$stopcopy" run --workload dma --ops 500 --device test --device test:window=64K:trapped
grep -q 'device 1 .*no peer-to-peer DMA: none of its BARs can be mapped' "$scratch/out" || fail "$name: the report does not say so"
grep -q 'peer-to-peer operations' "$scratch/out" && fail "$name: there are peer-to-peer operations"
expect 2 "asked for where a window is trapped" "$stopcopy" run --workload dma,p2p=on --ops 500 --device test \
    --device test:window=64K:trapped
expect 2 "asked for with one device" "$stopcopy" run --workload dma,p2p=on --ops 500 --device test
expect 2 "asked for and forbidden" "$stopcopy" run --no-p2p --workload dma,p2p=on --ops 500 --device test --device test
expect 0 "switched off" "$stopcopy" run --workload dma,p2p=off --ops 500 --device test --device test
grep -q 'peer-to-peer' "$scratch/out" && fail "$name: the report has peer-to-peer operations"
expect 0 "kept apart" "$stopcopy" migrate --no-p2p --workload dma --at-ops 500 --device test --device test:features=stop-copy
grep -q 'peer-to-peer' "$scratch/out" && fail "$name: the report has peer-to-peer operations"

# More operations than a device takes at a time, so that some are under way or just done when it is stopped. Where the guest is
# starved of CPU it may have been done with all of them, and nothing is late: then once more.
for mode in stop-copy pre-copy; do
    name="a device that does not hold them, $mode" tries=0 status=0
    while [ $tries -lt 4 ] && [ $status -eq 0 ]; do
        "$stopcopy" migrate --mode $mode --workload dma,p2p=on,depth=128 --at-ops 300 --device "test:$all,latency=20ms" \
            --device "test:$all,latency=20ms,fault=p2p-not-quiesced" >"$scratch/out" 2>"$scratch/err"
        status=$?
        tries=$((tries + 1))
    done
    [ $status -eq 1 ] || fail "$name: status $status"
    grep -q '^FAIL: guest/peer-window' "$scratch/out" || fail "$name: guest/peer-window is not the first finding"
done
expect_nothing_left
finish
