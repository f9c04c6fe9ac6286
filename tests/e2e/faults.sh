#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A migration that is broken on purpose fails, by the finding that names what was broken.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

# broken FAULT RULE OPTIONS...
broken() {
    fault=$1 rule=$2
    shift 2
    for seed in 1 2; do
        expect 1 "$fault, seed $seed${*:+, $*}" "$stopcopy" migrate --memory 64M --vcpus 2 --device test:memory=1M --at-ops 1000 \
            --seed $seed --fault "$fault" "$@" --report text --report "json:$scratch/report.json" || continue
        expect_json '.verdict == "fail"'
        expect_json "[.findings[].rule] | index(\"$rule\")"
        grep -q "^FAIL: $rule" "$scratch/out" || { fail "$name: the last line does not name $rule"; tail -1 "$scratch/out"; }
    done
}

# What must be found is what the program itself promises.
"$stopcopy" faults >"$scratch/faults"
for fault in page-not-sent register-changed interrupt-dropped completion-repeated device-byte-changed \
    log-ignored; do
    rule=$(sed -n "/^$fault /,/must be found/s/.*must be found as //p" "$scratch/faults" | head -1)
    [ -n "$rule" ] || { fail "stopcopy faults does not list $fault"; continue; }
    [ "$fault" = log-ignored ] || broken "$fault" "$rule"
    broken "$fault" "$rule" --mode pre-copy
done
# A guest whose TSC would go back is refused before the pause, where the host ignores TSC offsets (one that honours them
# takes it).
"$stopcopy" migrate --memory 64M --vcpus 1 --at-ops 500 --fault tsc-ahead --report "json:$scratch/report.json" >"$scratch/out" 2>&1
status=$?
if [ $status -ne 0 ]; then
    name="tsc-ahead"
    [ $status -eq 3 ] || fail "$name: status $status"
    expect_json '[.findings[].rule] | index("clock/tsc-behind")'
    expect_json '.outcome == "source" and ([.phases[].name] | index("pause") | not)'
fi
expect 1 "page-not-sent, verified while the guest runs" "$stopcopy" migrate --memory 64M --device test --at-ops 500 \
    --verify deferred --fault page-not-sent --report "json:$scratch/report.json"
expect_json '[.findings[].rule] | index("ram/page-differs")'
# What the host's kernel says meanwhile turns a pass into a finding.
if [ -w /dev/kmsg ]; then
    "$stopcopy" migrate --memory 64M --workload cpu --workload memory --at-ops 20000 --report "json:$scratch/report.json" >"$scratch/out" 2>&1 &
    run=$!
    started="$started $run"
    wait_for "the guest" pgrep -P $run
    echo "<4>WARNING: written by a test of stopcopy" >/dev/kmsg
    wait $run
    status=$? name="a kernel warning"
    [ $status -eq 1 ] || fail "$name: status $status"
    expect_json '[.findings[].rule] | index("host/kernel-log")'
fi
name="no such fault"
expect 2 "$name" "$stopcopy" migrate --fault nonsense
expect_error "there is no fault 'nonsense'"
finish
