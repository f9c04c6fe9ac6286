#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The benchmark's programs work and agree with the migration on what they measure; the numbers are another matter (make bench).
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
require_program python3

expect 0 "the floor" "$top_builddir/tests/bench/floor" --image "$top_builddir/guest/stopcopy-guest.elf" --memory 64 --runs 2
grep -Eqx '[0-9]+ [0-9]+' "$scratch/out" && [ "$(wc -l <"$scratch/out")" -eq 2 ] || fail "the floor wrote: $(cat "$scratch/out")"
expect 0 "the floor, with a device" "$top_builddir/tests/bench/floor" --image "$top_builddir/guest/stopcopy-guest.elf" --memory 64 \
    --device test:memory=1M --device-program "$device_server"
grep -Eqx '[0-9]+ [0-9]+' "$scratch/out" || fail "the floor with a device wrote: $(cat "$scratch/out")"
for kind in unix tcp; do
    expect 0 "the rate of $kind" "$top_builddir/tests/bench/rate" $kind --mib 8
    grep -Eqx '[0-9]+' "$scratch/out" || fail "the rate of $kind: $(cat "$scratch/out")"
done
expect 0 "one item" "${top_srcdir:-.}/tests/bench/bench.py" --builddir "$top_builddir" --quick --json "$scratch/bench.json" cold
expect_json '.failures == [] and (.rows | length) == 2 and ([.rows[] | .runs == 3 and .median > 0 and (.met | type) == "boolean"] | all)' \
    "$scratch/bench.json"
expect_nothing_left
finish
