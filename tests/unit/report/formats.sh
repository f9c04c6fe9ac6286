#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The formats that other programs read, each read by another program: TAP by prove, JUnit's XML by xmllint, trace events by jq.
# And each says the verdict: what is not a pass is a failure to all of them.
set -u
program=$top_builddir/tests/unit/report/sample_report
failures=0
skipped=
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT

check() { # check WHAT COMMAND...
    what=$1
    shift
    if "$@" >"$folder/log" 2>&1; then
        echo "ok: $what"
    else
        echo "not ok: $what"
        cat "$folder/log"
        failures=$((failures + 1))
    fi
}
there() { command -v "$1" >/dev/null || { skipped="$skipped $1"; false; }; }

for how in right fail incomplete empty; do
    for format in tap junit trace; do
        "$program" $format $how >"$folder/$how.$format" || { echo "not ok: $format of $how"; failures=$((failures + 1)); }
    done
done

# prove does not know the version's number, and all else of it.
if there prove; then
    for how in right fail incomplete empty; do
        sed '1s/14/13/' "$folder/$how.tap" >"$folder/$how.tap13"
    done
    check "prove reads a pass" prove -q -e cat "$folder/right.tap13"
    for how in fail incomplete empty; do
        check "prove finds the failure: $how" sh -c '! prove -e cat "$1" 2>&1 | tee "$2" | grep -q "Parse errors" &&
            grep -q "^Result: FAIL" "$2"' sh "$folder/$how.tap13" "$folder/prove"
    done
fi
check "TAP 14 names itself" grep -qx 'TAP version 14' "$folder/right.tap"
check "TAP has the migrations, RAM, the chains and the verdict" grep -qx '1\.\.7' "$folder/right.tap"
check "TAP names the rule" grep -qx 'not ok [0-9]* - finding: device/dma-after-stop' "$folder/fail.tap"
check "TAP says why" grep -qx '  message: "the device wrote to 0x1000 after STOP"' "$folder/fail.tap"

if there xmllint; then
    xpath() { xmllint --xpath "$1" "$2"; }
    for how in right fail incomplete empty; do
        check "XML is well formed: $how" xmllint --noout "$folder/$how.junit"
    done
    count='string(//testsuite/@failures) = string(count(//failure)) and string(//testsuite/@tests) = string(count(//testcase))'
    for how in right fail incomplete empty; do
        check "the counts of $how are those of the cases" test "$(xpath "$count" "$folder/$how.junit")" = true
    done
    check "a pass has no failure" test "$(xpath 'count(//failure)' "$folder/right.junit")" = 0
    check "a finding is a failure of its name" test \
        "$(xpath 'string(//testcase[failure]/@name)' "$folder/fail.junit")" = device/dma-after-stop
    check "what is incomplete fails" test "$(xpath 'string(//testcase[failure]/@name)' "$folder/incomplete.junit")" = verdict
fi

if there jq; then
    for how in right fail incomplete empty; do
        check "every trace event is one: $how" jq -e '[.traceEvents[] | (.name | type == "string") and .pid == 1 and
            ((.ph == "X" and .ts >= 0 and .dur >= 0) or .ph == "M" or (.ph == "i" and .s == "p"))] | all' "$folder/$how.trace"
        check "every track has a name: $how" jq -e '[.traceEvents[] | select(.ph == "M" and .name == "thread_name") | .tid] as $named |
            [.traceEvents[] | select(.ph != "M") | .tid | IN($named[])] | all' "$folder/$how.trace"
    done
    check "the guest is paused twice for its downtime" jq -e '[.traceEvents[] | select(.tid == 3 and .ph == "X") | .dur] ==
        [20000, 21000]' "$folder/right.trace"
    check "the arcs are on the devices' tracks" jq -e '[.traceEvents[] | select(.name == "RUNNING_P2P -> STOP_COPY") |
        [.tid, .dur]] == [[10, 345.678], [10, 345.678]]' "$folder/right.trace"
    check "a finding is where it was found" jq -e '[.traceEvents[] | select(.ph == "i") | [.name, .tid]] ==
        [["device/dma-after-stop", 2]]' "$folder/fail.trace"
fi
[ -z "$skipped" ] || echo "not there, and so not asked:$skipped"
[ "$failures" -eq 0 ]
