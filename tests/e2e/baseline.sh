#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --baseline: what changed since an earlier report, in text, HTML and JSON; and files that are no such report.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
: "${top_srcdir:=$PWD}"
cd "$scratch" || exit 1
migrate="$stopcopy migrate --device test:model=tally --memory 32M --vcpus 1 --at-ops 30"

# shellcheck disable=SC2086
expect 0 "the earlier one" $migrate --report json:old.json
# shellcheck disable=SC2086
expect 1 "one with a finding" $migrate --limit-downtime 1ns --baseline old.json --report text --report json:report.json --report html:report.html
expect_json '.baseline.changes == [{"name": "verdict", "old": "pass", "new": "fail"}]'
expect_json '[.baseline.findings_new[].rule] == ["limit/downtime"] and .baseline.findings_gone == []'
expect_json '[.baseline.numbers[] | .name] | contains(["downtime, worst", "RAM sent"])'
old=$(jq .summary.downtime_ns.worst old.json)
expect_json ".baseline.numbers[0] | .old == $old and .unit == \"ns\""
grep -q '^  - verdict: fail, was pass' out || fail "text: the verdict"
grep -q '^  - new finding: limit/downtime: ' out || fail "text: the finding"
grep -q '^  - downtime, worst: .* was .*' out || fail "text: the downtime"
tail -n 1 out | grep -q '^FAIL: ' || fail "text: the last line is no verdict"
grep -q 'new finding</td><td>limit/downtime' report.html || fail "HTML: the finding"
# shellcheck disable=SC2086
expect 0 "and it is gone" $migrate --baseline report.json --report json:again.json
expect_json '[.baseline.findings_gone[].rule] == ["limit/downtime"] and .baseline.findings_new == []' again.json
python3 -c 'import jsonschema' 2>/dev/null && { python3 -c '
import json, sys, jsonschema
jsonschema.Draft202012Validator(json.load(open(sys.argv[1]))).validate(json.load(open(sys.argv[2])))' \
    "$top_srcdir/docs/report.schema.json" report.json || fail "the schema"; }

expect 0 "check" "$stopcopy" check test:model=tally --only 'fsm/*' --report json:check.json
expect 0 "check, one rule less" "$stopcopy" check test:model=tally --only 'fsm/*' --skip fsm/pairs --baseline check.json \
    --report text --report json:report.json
expect_json '.baseline.changes == [{"name": "fsm/pairs", "old": "pass", "new": "(not there)"}]'
tail -n 1 out | grep -q '^PASS: ' || fail "check: the last line is no verdict"
expect_json '.manifest.command[0:3] == ["stopcopy", "check", "--only"]'
expect 0 "a check's report is run again" "$stopcopy" replay check.json

for text in '' '{' '[]' '{"format": 1}' '{"format": "stopcopy-report-1"}'; do
    printf '%s' "$text" >bad.json
    # shellcheck disable=SC2086
    expect 2 "the baseline '$text'" $migrate --baseline bad.json
    expect_error 'baseline bad.json' 3
done
# shellcheck disable=SC2086
expect 2 "none" $migrate --baseline none.json
expect 2 "what never ends" "$stopcopy" check test --baseline /dev/zero
# shellcheck disable=SC2086
expect 2 "a report of another kind" $migrate --baseline check.json
expect_error 'it is a stopcopy-check-1'
# Members that are of other types are as good as missing.
echo '{"format": "stopcopy-report-1", "verdict": "pass", "summary": [], "ram": {"bytes": "x"}, "findings": {"rule": 1},
    "checks": [1, null], "manifest": 3, "total_ns": -1}' >odd.json
# shellcheck disable=SC2086
expect 0 "odd members" $migrate --baseline odd.json --report json:report.json
expect_json '.baseline.numbers == [] and .baseline.findings_gone == []'
finish
