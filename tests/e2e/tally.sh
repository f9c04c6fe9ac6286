#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The example device, and the guest driver of docs/writing-a-guest-driver.md: run and migrated, one and four of them.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

expect 0 "run" "$stopcopy" run --memory 64M --device test:model=tally --workload tally --ops 500 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and (.guest.chains | length) == 1'
expect_json '.guest.chains[0] | .workload == "tally" and .operations == 500 and .submitted == 500 and .verified'
# One interrupt for each operation, and a message is never doubled where nothing is migrated.
expect_json '.guest.chains[0].interrupts == 500'

four="--device test:model=tally --device test:model=tally --device test:model=tally --device test:model=tally"
expect 0 "one, all workloads" "$stopcopy" migrate --memory 64M --device test:model=tally --at-ops 100 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and ([.guest.chains[].workload] | unique == ["clock", "cpu", "memory", "tally"])'
expect_json '.devices[0] | .ops_before > 0 and .ops_after > 0 and .in_flight_at_stop == 1 and .state_bytes > 0'
# shellcheck disable=SC2086
expect 0 "four, there and back again" "$stopcopy" migrate --vcpus 1 --memory 64M $four --workload tally --at-ops 30 --repeat 2 \
    --timeout 120s --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .migrations == 2 and (.guest.chains | length) == 4'
expect_json '[.guest.chains[] | .workload == "tally" and .operations > 0 and .verified] | all'
expect 0 "beside a dma device and a card" "$stopcopy" migrate --memory 64M --device test:model=tally --device test \
    --device test:model=uart --at-ops 3000 --report "json:$scratch/report.json"
expect_json '[.guest.chains[].workload] | index("dma") == 0 and index("uart") < index("tally")'
# What the device keeps is proven: a byte of it that changes on the way is found.
expect 1 "a changed byte" "$stopcopy" migrate --memory 64M --device test:model=tally --workload tally --at-ops 100 \
    --fault device-byte-changed --report "json:$scratch/report.json"
expect_json '[.findings[].rule] | index("guest/data") != null'
# RAM goes before the stop; the device, which has no pre-copy, after it.
expect 0 "pre-copy of RAM alone" "$stopcopy" migrate --mode pre-copy --memory 64M --device test:model=tally \
    --workload tally --at-ops 100 --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
expect_nothing_left
finish
