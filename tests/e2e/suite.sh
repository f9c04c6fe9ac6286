#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stopcopy suite: the combinations, the faults that have to be found, steps beside each other; and suites that are wrong or hostile.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
: "${top_srcdir:=$PWD}"
cd "$scratch" || exit 1

# The example of the page, and what it comes to.
sed -n '/^```yaml$/,/^```$/p' "$top_srcdir/docs/suite.md" | sed '1d;$d' >page.yaml
expect 0 "the plan of the page" "$stopcopy" suite page.yaml --plan
[ "$(grep -c '^ *[0-9]*\. ' out)" -eq 16 ] || { fail "$name: there are not 16 steps"; cat out; }
grep -q "migrate --device=test:queues=2,memory=16M --mode=pre-copy --workload=dma --workload=memory --repeat=2" out ||
    fail "$name: a combination is not there"
grep -A2 'faults.page-not-sent' out | grep -q 'status 1 and the finding ram/page-differs' || fail "$name: what is due of a fault"

cat >good.yaml <<'EOF'
jobs: 3
matrix:
  - {name: moves, device: &one "test:model=tally", mode: [stop-copy, pre-copy], memory: 32M, vcpus: 1, at-ops: 30}
  - {name: wrong, device: *one, fault: [none, saved-byte-changed], memory: 32M, vcpus: 1, at-ops: 30}
  - {name: rules, command: check, device: "test:model=tally,features=none", expect-status: 7}
EOF
expect 0 "a good one" "$stopcopy" suite good.yaml --folder good --report text --report json:report.json --report tap:good.tap
expect_json '.verdict == "pass" and .kind == "suite"'
expect_json '[.steps[] | [.name, .result]] == [["moves.stop-copy","pass"],["moves.pre-copy","pass"],["wrong.none","pass"],
    ["wrong.saved-byte-changed","pass"],["rules","pass"]]'
expect_json '.steps[3] | .status == 3 and .due_finding == "device/state-refused" and .findings == []'

# Three began before the first of them ended.
expect_json '([.steps[0:3][].start_ns] | max) < ([.steps[0:3][] | .start_ns + .ns] | min)'
python3 -c 'import jsonschema' 2>/dev/null && { python3 -c '
import json, sys, jsonschema
jsonschema.Draft202012Validator(json.load(open(sys.argv[1]))).validate(json.load(open(sys.argv[2])))' \
    "$top_srcdir/docs/bringup.schema.json" report.json || fail "the schema"; }

# One device is used by one step at a time; a fault that is not found fails; the status is the step's.
"$device_server" --model tally --socket a.sock &
started="$started $!"
wait_for "the server" test -S a.sock
cat >same.yaml <<EOF
jobs: 4
matrix:
  - {command: check, device: "vfio-user:$scratch/a.sock", only: ["fsm/pairs", "data/load", "fsm/same-state"]}
EOF
expect 0 "one device" "$stopcopy" suite same.yaml --folder same --report json:report.json
expect_json '[.steps[] | [.start_ns, .start_ns + .ns]] | sort | .[0][1] <= .[1][0] and .[1][1] <= .[2][0]'
cat >unfound.yaml <<'EOF'
matrix:
  - {name: unfound, device: "test:model=tally", fault: log-ignored, mode: pre-copy, memory: 32M, vcpus: 1, at-ops: 30}
EOF
expect 1 "a fault that is not found" "$stopcopy" suite unfound.yaml --folder unfound --report json:report.json
expect_json '[.findings[] | .rule, (.text | test("status 0 where 1 is due"))] == ["step/failed", true]'
cat >refused.yaml <<'EOF'
matrix:
  - {name: moves, device: "test:model=tally,fault=saved-byte-changed", memory: 32M, vcpus: 1, at-ops: 30}
EOF
expect 3 "the status of the step" "$stopcopy" suite refused.yaml --folder refused
# Taken up again it is the file of the first time that counts.
echo 'matrix: []' >refused.yaml
expect 3 "taken up again" "$stopcopy" suite --resume refused --report json:report.json
expect_json '[.steps[] | .kept] == [true]'

# Suites that are wrong or hostile: status 2, one line, the line's number where there is one, and nothing is run.
refuse() { # refuse TEXT SUITE
    printf '%s\n' "$2" >bad.yaml
    expect 2 "the suite '$(head -c 60 bad.yaml | tr '\n' ' ')'" "$stopcopy" suite bad.yaml --folder bad
    expect_error "$1"
    [ ! -e bad ] || { fail "$name: a folder was made"; rm -rf bad; }
}
refuse 'a mapping' ''
refuse 'a mapping' '[]'
refuse 'no matrix' '{}'
refuse 'no matrix' 'matrix: []'
refuse 'a list' 'matrix: {}'
refuse 'a mapping' 'matrix: [1]'
refuse 'needs a device' 'matrix: [{}]'
refuse 'line 2: it is no YAML' 'matrix: ['
refuse 'no YAML' '%YAML 9.9'
refuse 'no YAML' "$(printf 'matrix: \001')"
refuse 'no key at' 'matrix: [{device: test, at: "source/pause:touch /tmp/x"}]'
refuse 'no key on-finding' 'matrix: [{device: test, on-finding: "touch x"}]'
refuse 'no key report' 'matrix: [{device: test, report: "json:x"}]'
refuse 'no key uapi-log' 'matrix: [{device: test, uapi-log: x}]'
refuse 'no DEVICE' 'matrix: [{command: check, device: --report=json:x}]'
refuse 'no DEVICE' 'matrix: [{device: ""}]'
refuse 'not source' 'matrix: [{command: source, device: test}]'
refuse 'no option hazard' 'matrix: [{device: test, hazard: all}]'
refuse 'no option mode' 'matrix: [{command: check, device: test, mode: stop-copy}]'
refuse 'no fault' 'matrix: [{device: test, fault: no-such}]'
refuse 'twice' 'matrix: [{device: test, seed: 1, seed: 2}]'
refuse 'each once' "$(printf 'jobs: 1\njobs: 2\n')"
refuse 'jobs' '{jobs: 0, matrix: [{device: test}]}'
refuse 'jobs' '{jobs: 99999999999999999999, matrix: [{device: test}]}'
refuse 'text or number' 'matrix: [{device: [[test]]}]'
refuse 'text or number' 'matrix: [{device: {test: 1}}]'
refuse 'text or number' 'matrix: [{? [a] : test}]'
refuse 'empty' 'matrix: [{device: []}]'
refuse 'too long' 'matrix: [{device: "test:\n"}]'
refuse 'too long' 'matrix: [{device: "test:\0"}]'
refuse 'letters' 'matrix: [{device: test, name: ../../x}]'
refuse '1 to 24' 'matrix: [{device: test, name: ""}]'
refuse '1 to 24' 'matrix: [{device: test, name: aaaaaaaaaaaaaaaaaaaaaaaaa}]'
refuse 'expect-status' 'matrix: [{device: test, expect-status: 256}]'
refuse 'no such rule' "matrix: [{device: test, expect-finding: $(printf '%0100d' 0)}]"
refuse 'too long' "matrix: [{device: 'test:$(printf '%01000d' 0)'}]"
refuse 'too many values' "matrix: [{device: test, seed: [$(seq -s, 1 300)]}]"
refuse 'more than 4096 steps' "matrix: [{device: test, seed: [$(seq -s, 1 200)], vcpus: [$(seq -s, 1 200)], memory: [$(seq -s, 1 200)]}]"
refuse 'too many matrices' "matrix: [$(printf '{device: test},%.0s' $(seq 70))]"
refuse '.' 'matrix: &a [*a]'
refuse '.' 'matrix: [&a {device: *a}]'
refuse '.' "$(printf '[%.0s' $(seq 5000))"
# Aliases of aliases stay what they are: nothing is multiplied.
refuse 'no key a' "a: &a [x,x,x,x,x,x,x,x,x]
$(for i in b c d e f g h i; do printf '%s: &%s [' $i $i; for _ in 1 2 3 4 5 6 7 8; do printf '*%s,' "$(echo $i | tr b-i a-h)"; done; echo ']'; done)"
expect 2 "no such file" "$stopcopy" suite none.yaml
expect 2 "a folder" "$stopcopy" suite .
expect 2 "what never ends" "$stopcopy" suite /dev/zero
head -c 2000000 /dev/zero | tr '\0' ' ' >large.yaml
expect 2 "a large file" "$stopcopy" suite large.yaml
expect_nothing_left
finish
