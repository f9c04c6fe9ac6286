#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stopcopy check: clean on every reference device, by every way to it; its reports, choices, statuses; the page of its rules.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_program jq

# clean DEVICE OPTIONS...: no finding of any level, and nothing left undone for another reason than the device's own flags.
clean() {
    expect 0 "check $1" "$stopcopy" check "$@" --report "json:$scratch/report.json" || return
    expect_json '.verdict == "pass" and .findings == [] and ([.checks[] | select(.outcome == "broken" or .outcome == "not-tried")] == [])'
}

# beside DEVICE OPTIONS...: clean, in a process and a folder of its own: a check waits for most of its time.
beside() {
    count=$((${count:-0} + 1))
    (
        scratch=$scratch/$count failures=0
        mkdir "$scratch"
        clean "$@"
        [ $failures -eq 0 ]
    ) >"$scratch/verdict.$count" 2>&1 &
    waiting="${waiting:-} $!"
    # shellcheck disable=SC2086
    set -- $waiting
    [ $# -lt 3 ] || settle "$1"
}

# settle PID...: the verdicts of those beside.
settle() {
    for pid; do
        wait "$pid" || fail "a check beside the others: $(cat "$scratch"/verdict.*)"
        waiting=${waiting# "$pid"}
    done
}

# serve OPTIONS...: a server of its own at $scratch/socket.
serve() {
    rm -f "$scratch/socket"
    "$device_server" --socket "$scratch/socket" "$@" >"$scratch/server" 2>&1 &
    server=$!
    started="$started $server"
    wait_for "the server" grep -q listening "$scratch/server"
}

for features in stop-copy stop-copy+p2p stop-copy+pre-copy stop-copy+p2p+pre-copy; do
    beside "test:features=$features"
    beside "test:model=uart,features=$features"
done
# No driver here knows it: only what needs no work of the device can be tried.
beside test:model=tally --only 'discovery/*' --only 'fsm/*' --only 'data/*' --only 'reset/*' --only 'load/*' --only 'device/*'
# It may change faster than a machine with other work reads it: then its pre-copy has no end.
beside test:dirty-rate=64M,features=stop-copy+pre-copy --skip precopy/temporary-end --skip precopy/nothing-left
beside test:dma=message
beside test: --seed 2
# shellcheck disable=SC2086
settle ${waiting:-}

serve
clean "vfio-user:$scratch/socket"
clean "vfio-user:$scratch/socket"
kill "$server"
wait "$server" 2>/dev/null

# Where rules do not apply, or were left out.
expect 7 "no migration" "$stopcopy" check test:features=none --report "json:$scratch/report.json"
expect_json '.verdict == "incomplete" and (.checks[] | select(.rule == "fsm/pairs")).outcome == "not-applicable"'
expect 0 "not applicable" "$stopcopy" check test: --report "json:$scratch/report.json"
expect_json '(.checks[] | select(.rule == "fsm/stop-copy-to-pre-copy-refused")) | .outcome == "not-applicable" and .result == "skip"'
expect 0 "chosen hazard" "$stopcopy" check test: --hazard none --report "json:$scratch/report.json"
expect_json '(.checks[] | select(.rule == "data/truncated-refused")) | .outcome == "not-tried" and (.text | contains("--hazard"))'
expect 7 "no time" "$stopcopy" check test: --time-limit 1us --report "json:$scratch/report.json"
expect_json '.incomplete_because[0] | contains("--time-limit")'
expect 0 "only, skip" "$stopcopy" check test: --only 'fsm/*' --skip 'fsm/w*' --report "json:$scratch/report.json"
expect_json '[.checks[].rule] | length > 5 and all(startswith("fsm/")) and all(. != "fsm/walk")'

# The same seed picks the same cases.
expect 0 "a seed" "$stopcopy" check test: --only data/changed-byte-sane --seed 5
grep -q 'seed 0x5' "$scratch/out" || fail "the seed is not said"

# The reports.
expect 0 "tap" "$stopcopy" check test: --only 'discovery/*' --report tap --report "junit:$scratch/junit.xml" --report "text:$scratch/text"
grep -q '^ok 1 - check: discovery/' "$scratch/out" || fail "tap: no test point"
grep -q '<testcase classname="stopcopy.check"' "$scratch/junit.xml" || fail "junit: no test case"
tail -1 "$scratch/text" | grep -q '^PASS: ' || fail "text: the verdict is not the last line"

# The table.
expect 0 "explain" "$stopcopy" check --explain fsm/set-error-refused
grep -q 'ERROR cannot be given' "$scratch/out" || fail "explain: the basis is missing"
expect 0 "list" "$stopcopy" check --list
grep -q '^data/truncated-refused  *must  *bad image' "$scratch/out" || fail "list: a rule is missing"
expect 0 "the page of the rules" "$stopcopy" check --list --markdown
cmp -s "$scratch/out" "${top_srcdir:-.}/docs/rules.md" ||
    fail "docs/rules.md is not what the table has: stopcopy check --list --markdown >docs/rules.md"

# What is wrong on the command line.
expect 2 "a glob for nothing" "$stopcopy" check test: --only 'nothing/*'
expect_error "no rule has such a name"
expect 2 "no such rule" "$stopcopy" check --explain nothing
expect_error "there is no rule 'nothing'"
printf '# a comment\n\nfsm/pears # a slip\n' >"$scratch/known"
expect 2 "a wrong name among the known" "$stopcopy" check test: --known "$scratch/known"
expect_error "known:3: no rule has the name 'fsm/pears'"
expect 2 "no known file" "$stopcopy" check test: --known "$scratch/none"
expect_error "No such file"
expect 2 "no device" "$stopcopy" check "vfio-user:$scratch/none"
expect_error "No such file"
expect_nothing_left
finish
