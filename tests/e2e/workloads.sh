#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each workload alone, and all together, run and migrated.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

for workload in dma,depth=4 memory,size=1M,rate=0 cpu; do
    device=
    [ "$workload" = dma,depth=4 ] && device="--device test"
    # shellcheck disable=SC2086
    expect 0 "run $workload" "$stopcopy" run --memory 64M $device --workload "$workload" --ops 2000 \
        --report "json:$scratch/report.json"
    expect_json '.verdict == "pass" and ([.guest.chains[] | .operations >= 2000 and .verified] | all)'
    # shellcheck disable=SC2086
    expect 0 "migrate $workload" "$stopcopy" migrate --memory 64M $device --workload "$workload" --at-ops 500 \
        --report "json:$scratch/report.json"
    expect_json '.verdict == "pass"'
done
# The clock has no digest: alone it is run and migrated, and does not prove the guest's work.
expect 7 "run clock" "$stopcopy" run --memory 64M --workload clock --ops 2000 --report "json:$scratch/report.json"
expect_json '.outcome == "finished" and (.findings | length) == 0'
expect 7 "migrate clock" "$stopcopy" migrate --memory 64M --workload clock --at-ops 500 --report "json:$scratch/report.json"
expect_json '.outcome == "finished" and (.findings | length) == 0 and .guest.blackout_ns > 0'
expect 0 "all together, above 4 GiB" "$stopcopy" migrate --memory 5G --vcpus 2 --device test --at-ops 1000 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
expect 0 "verified while the guest runs" "$stopcopy" migrate --memory 64M --device test --device test:dma=message --at-ops 1000 \
    --verify deferred --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .ram.pages_verified > 8000 and .ram.pages_verified + .ram.pages_unverified == 16384'
expect_json '[.not_proven[]] | tostring | contains("could be verified")'
expect 0 "a seed of choice" "$stopcopy" migrate --memory 64M --seed 0xfeedface --device test --at-ops 500 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
finish
