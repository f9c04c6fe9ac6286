#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The dual 16550 card, whose interrupt is a level: run, migrated, beside dma devices, there and back again.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

expect 0 "run" "$stopcopy" run --memory 64M --device test:model=uart --workload uart --ops 100 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and ([.guest.chains[] | .workload == "uart" and .operations == 100 and .verified] | all)'
expect_json '.guest.chains | length == 2'
for vcpus in 1 2; do
    expect 0 "$vcpus vCPUs, a level" "$stopcopy" migrate --vcpus $vcpus --memory 64M --device test:model=uart --at-ops 60 \
        --report "json:$scratch/report.json"
    expect_json '.verdict == "pass" and (.findings | length) == 0'
    expect_json '[.devices[] | .state_bytes > 0 and .ops_before > 0 and .ops_after > 0 and .in_flight_at_stop > 0] | all'
    expect 0 "$vcpus vCPUs, an MSI" "$stopcopy" migrate --vcpus $vcpus --memory 64M --device test:model=uart,vectors=1 \
        --at-ops 60 --report "json:$scratch/report.json"
    expect_json '.verdict == "pass"'
done
# Some of ten stops find the level asserted, or its pin masked.
expect 0 "there and back again" "$stopcopy" migrate --vcpus 2 --memory 64M --device test:model=uart --workload uart \
    --at-ops 20 --repeat 10 --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .migrations == 10'
expect 0 "two cards and a dma device" "$stopcopy" migrate --vcpus 2 --memory 64M --device test:model=uart --device test \
    --device test:model=uart --at-ops 2000 --repeat 5 --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .migrations == 5 and (.devices | length) == 3'
expect_json '[.guest.chains[].workload] | index("dma") == 0 and index("uart") != null'
expect 0 "every set of migration flags" "$stopcopy" migrate --memory 64M \
    --device test:model=uart,features=stop-copy+p2p+pre-copy --workload uart --at-ops 20 --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
# What the card keeps is proven: a byte of it that changes on the way is found.
expect 1 "a changed byte" "$stopcopy" migrate --memory 64M --device test:model=uart --workload uart --at-ops 60 \
    --fault device-byte-changed --report "json:$scratch/report.json"
expect_json '[.findings[].rule] | contains(["guest/data"])'
expect_nothing_left
finish
