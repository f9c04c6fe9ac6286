#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# There and back again, each time to a new process and a new device server.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

expect 0 "10 legs" "$stopcopy" migrate --vcpus 2 --memory 64M --device test --device test:memory=1M --repeat 10 \
    --at-ops 500 --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .migrations == 10 and (.legs | length) == 10'
expect_json '[.legs[] | .downtime_ns > 0 and .blackout_ns > 0 and .ops_before > 0 and .ops_after > 0] | all'
expect 0 "5 legs over TCP, full interrupt controller" "$stopcopy" migrate --vcpus 1 --memory 64M --device test --repeat 5 \
    --at-ops 500 --channel tcp --irqchip full --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .migrations == 5'
expect_nothing_left
finish
