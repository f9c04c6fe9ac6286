#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One device alone: the guest is saved, the device closed, opened again, and the guest loaded. The server here serves one
# client at a time, as the kernel gives a device to one user: two at once would wait for each other.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
export TMPDIR="$scratch"

"$device_server" --socket "$scratch/device" --model dma --features stop-copy+p2p+pre-copy >"$scratch/server.out" &
server=$!
started="$started $server"
wait_for "the server" grep -q listening "$scratch/server.out"
device=vfio-user:$scratch/device

# migrate STATUS NAME OPTIONS...
migrate() {
    wanted=$1 name=$2
    shift 2
    expect "$wanted" "$name" "$stopcopy" migrate --same-device --vcpus 1 --memory 32M --at-ops 300 --device "$device" \
        --report "json:$scratch/report.json" "$@"
}
migrate 0 "once" && expect_json '.verdict == "pass" and .migrations == 1 and .guest.digest == .guest.digest_expected'
expect_json '.ram.pages_verified == 8192 and .ram.pages_unverified == 0 and .downtime_ns > 0 and .devices[0].ops_after > 0'
migrate 0 "with pre-copy, there and back and there" --mode pre-copy --repeat 3 --uapi-log "$scratch/calls" &&
    expect_json '.verdict == "pass" and .migrations == 3 and (.legs | length) == 3'
[ "$(find "$scratch" -name '.stopcopy-*' | wc -l)" -eq 0 ] || fail "a file is left behind"
device=test migrate 0 "a test device"

# The guest ends before it is saved: nothing is loaded, and nothing is proven.
device=test:features=stop-copy+p2p+pre-copy,dirty-rate=64M migrate 7 "a guest that came to its end" --workload dma \
    --mode pre-copy --ops 2000 --at-ops 100 --max-downtime 1ns --max-rounds 10000 &&
    expect_json '.verdict == "incomplete" and .findings == [] and ([.not_proven[] | select(contains("came to its end"))] | length) > 0'
# Saved and not loaded is lost: nobody else has the file.
device=test migrate 5 "a device that refuses its state" --fault write-fails &&
    expect_json '.outcome == "none" and .findings[0].rule == "device/state-refused"'
expect_error "the guest was saved, and cannot be loaded"
device=test migrate 1 "a device that is broken after it" --fault completion-repeated &&
    expect_json '.findings[0].rule == "guest/completion-sequence"'

name="two ends that are not one"
expect 2 "$name" "$stopcopy" migrate --same-device --device "test,to=test"
expect_error "--same-device: test is to be at both ends, and ,to= names another"
expect 2 "shared RAM" "$stopcopy" migrate --same-device --ram share --device test
expect_error "--ram share: with --same-device the guest is saved in a file"
expect 2 "TCP" "$stopcopy" migrate --same-device --channel tcp --device test
expect_error "goes over no --channel"
TMPDIR=$scratch/none migrate 5 "no folder"
expect_error "TMPDIR names another folder"
kill "$server"
expect_nothing_left
finish
