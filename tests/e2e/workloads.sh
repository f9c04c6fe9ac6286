#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each workload alone, and all together, run and migrated.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

for workload in dma memory,rate=0 cpu clock; do
    ops=2000
    expect 0 "run $workload" "$stopcopy" run --memory 64M --device test --workload "$workload" --ops $ops \
        --report "json:$scratch/report.json"
    # A device that nobody uses is never passed off as proven.
    if [ "$workload" = dma ]; then
        expect_json '.verdict == "pass"'
    fi
done
for workload in memory,rate=0 cpu clock; do
    expect 0 "migrate $workload" "$stopcopy" migrate --memory 64M --workload "$workload" --at-ops 300 \
        --report "json:$scratch/report.json"
    expect_json '.verdict == "pass"'
done
expect 0 "all together, above 4 GiB" "$stopcopy" migrate --memory 5G --vcpus 2 --device test --at-ops 1000 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
expect 0 "a seed of choice" "$stopcopy" migrate --memory 64M --seed 0xfeedface --device test --at-ops 500 \
    --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
finish
