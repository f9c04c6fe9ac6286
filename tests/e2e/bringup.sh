#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stopcopy bringup: the plan fits the device, the steps are run in order and contained, what hung is named and not run again,
# and each form of the report is one to another reader.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
: "${top_srcdir:=$PWD}"
guest="--memory 32M --vcpus 1 --at-ops 30 --repeat 1"
cd "$scratch" || exit 1

# The plan, which changes nothing and leaves nothing.
steps() { sed -n 's/^ *[0-9]*\. \([a-z.-]*\) .*/\1/p' "$scratch/out" | tr '\n' ' '; }
expect_steps() { [ "$(steps)" = "$1" ] || fail "$name: the steps are '$(steps)' and should be '$1'"; }
expect 0 "the plan of a device with all" "$stopcopy" bringup --plan test:features=stop-copy+p2p+pre-copy
expect_steps "probe check run stop-copy.all stop-copy.alone stop-copy.busy pre-copy.all pre-copy.alone pre-copy.busy file.save file.load fail.cancel fail.while-loading fail.when-loaded after-failures "
grep -q -- '--workload=dma,depth=1 ' "$scratch/out" || fail "$name: the DMA device's workload is not in it"
expect 0 "the plan without PRE_COPY" "$stopcopy" bringup --plan test:features=stop-copy --hazard none
expect_steps "probe check run stop-copy.all stop-copy.alone stop-copy.busy pre-copy.all file.save file.load fail.cancel after-failures "
grep -q 'hazard=none' "$scratch/out" || fail "$name: check has another hazard"
expect 0 "the plan without migration" "$stopcopy" bringup --plan test:features=none
expect_steps "probe check run "
grep -q 'cannot be migrated' "$scratch/out" || fail "$name: it is not said that the device cannot be migrated"
expect 0 "the plan of a pair" "$stopcopy" bringup --plan test:model=uart,to=test:model=uart,memory=1M
expect_steps "probe probe.destination check check.destination run stop-copy.all stop-copy.alone stop-copy.busy pre-copy.all file.save file.load fail.cancel fail.while-loading fail.when-loaded after-failures "
for end in a b; do
    "$device_server" --model tally --socket $end.sock >/dev/null &
    started="$started $!"
    wait_for "the server $end" test -S $end.sock
done
expect 0 "the plan of two servers" "$stopcopy" bringup --plan "vfio-user:$scratch/a.sock,to=vfio-user:$scratch/b.sock"
expect_steps "probe probe.destination check check.destination run stop-copy.all stop-copy.alone stop-copy.busy pre-copy.all file.save file.load fail.cancel fail.while-loading fail.while-loading.reset fail.when-loaded fail.when-loaded.reset after-failures "
grep -q "stopcopy state vfio-user:$scratch/b.sock reset get" "$scratch/out" || fail "$name: the destination's is not reset"
[ -z "$(find . -name 'bringup-*')" ] || fail "a plan leaves a folder"
expect 2 "no device" "$stopcopy" bringup
expect 2 "a device that is none" "$stopcopy" bringup no-such-device
expect 2 "a device that is not there" "$stopcopy" bringup --plan "vfio-user:$scratch/none.sock"
expect 2 "a device that is not there, and no plan" "$stopcopy" bringup --folder none "vfio-user:$scratch/none.sock"
grep -q '^INCOMPLETE: probe: .*none.sock' "$scratch/out" || fail "$name: the verdict does not say so"
expect 2 "a folder that is there" "$stopcopy" bringup --folder none test
expect_error none

# A device that all of it fits but for some rules of check, which have no driver for it.
# shellcheck disable=SC2086
expect 7 "all of it" "$stopcopy" bringup test:model=tally $guest --folder all --report text --report json:report.json \
    --report tap:all.tap --report junit:all.xml --report trace:all.trace --report html:all.html
expect_json '[.steps[].result] == ["pass","incomplete"] + [range(10) | "pass"] + ["pass"]'
expect_json '.verdict == "incomplete" and .status == 7 and .findings == []'
expect_json '[.steps[] | select(.due_status == 3) | .status] == [3, 3, 3]'
expect_json '.steps[3].numbers | .migrations == 1 and .downtime_worst_ns > 0 and .state_bytes > 0'
grep -q '^INCOMPLETE: check: ' "$scratch/out" || fail "$name: the last line is no verdict"
cmp -s all/report.json report.json || fail "$name: the folder's report is another one"
for file in 01-probe.json 02-check.txt 04-stop-copy.all.html 04-stop-copy.all.json report.html; do
    [ -s "all/$file" ] || fail "$name: the folder has no $file"
done
if python3 -c 'import jsonschema' 2>/dev/null; then
    python3 - "$top_srcdir/docs" report.json none/report.json "$top_srcdir/docs/samples/bringup-dma.json" >err 2>&1 <<'EOF' || { fail "the schema:"; cat err; }
import json, sys, jsonschema
schema = json.load(open(sys.argv[1] + "/bringup.schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
text = open(sys.argv[1] + "/bringup.md").read() + open(sys.argv[1] + "/report.md").read()
def members(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name != "device":
                yield from members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner)
for file in sys.argv[2:]:
    report = json.load(open(file))
    jsonschema.Draft202012Validator(schema).validate(report)
    missing = {name for name in members(report) if "`%s`" % name not in text}
    assert not missing, "docs/bringup.md does not name %s" % sorted(missing)
EOF
fi
if command -v prove >/dev/null; then
    sed '1s/14/13/' all.tap >all.tap13
    prove -e cat all.tap13 >out 2>&1
    grep -q 'Parse errors' out && { fail "TAP"; cat out; }
    grep -q '^Result: FAIL' out || fail "TAP: what is incomplete is a success"
fi
if command -v xmllint >/dev/null; then
    xmllint --noout all.xml || fail "JUnit is no XML"
    [ "$(xmllint --xpath 'count(//testcase[@name="stop-copy.all" and not(failure)])' all.xml)" = 1 ] || fail "JUnit has no case for a step"
    xmllint --html --noout all.html 2>err
    grep -v 'Tag \(header\|svg\|rect\|text\|path\|circle\|line\|g\|defs\|marker\|title\) invalid\|^ *\^$\|^<' err | grep error && fail "HTML"
fi
# A narrow window has the whole page, with nothing from elsewhere and no word on the console.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ]; then
    sed 's|</body>|<script>document.body.dataset.over = document.documentElement.scrollWidth - innerWidth</script></body>|' \
        all.html >measured.html
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync \
        --enable-logging=stderr --user-data-dir="$scratch/profile" --window-size=500,2000 --dump-dom "file://$scratch/measured.html" \
        >dom 2>console
    grep -q 'data-over="-\{0,1\}0"\|data-over="-[0-9]*"' dom || fail "HTML: the page is wider than 500 pixels"
    grep CONSOLE console && fail "HTML: the browser complains"
    grep -q '<title>INCOMPLETE: check: ' dom || fail "HTML: the title is no verdict"
fi
jq -e '[.traceEvents[] | select(.ph == "X" and .pid == 1) | .name] | length == 13' all.trace >/dev/null || fail "trace: the steps are not a track"
jq -e '[.traceEvents[] | select(.name == "pause" and .ph == "X") | .ts > 0] | length >= 4 and all' all.trace >/dev/null ||
    fail "trace: the steps' own events are not there"
# Its command can be run again from the report.
expect 2 "replay runs it, whose folder is there" "$stopcopy" replay report.json
grep -q 'folder all' "$scratch/err" || fail "$name: it was not run"

# A device that breaks what it saves: nothing that needs a migration is tried.
# shellcheck disable=SC2086
expect 1 "the plainest migration fails" "$stopcopy" bringup test:model=tally,fault=saved-byte-changed $guest --hazard none \
    --folder broken --report json:report.json --report text
expect_json '.verdict == "fail" and .status == 1 and .steps[3].status == 3'
expect_json '[.findings[] | select(.rule == "device/state-refused" and .step == "stop-copy.all")] | length == 1'
expect_json '[.steps[] | select(.name == "pre-copy.all" or .name == "fail.cancel") | .result] == ["skip", "skip"]'

# A step that does not end: the rest is for later, and the step is not tried again.
hung="test:model=tally,features=stop-copy,fault=arc-unanswered"
# shellcheck disable=SC2086
expect 1 "a hang" "$stopcopy" bringup $hung $guest --step-limit 1s --folder hang
grep -q '^HUNG  *check ' "$scratch/out" || fail "$name: the step is not named"
grep -q '^FAIL: check: step/hung: it did not end within 1 s and was killed; processes .*: [0-9]' "$scratch/out" ||
    fail "$name: the verdict does not say where it stood"
grep -q 'bringup --resume hang' "$scratch/out" || fail "$name: it is not said how to go on"
jq -e '[.steps[] | select(.name == "run") | .result] == ["skip"]' hang/report.json >/dev/null || fail "$name: it went on"
cp hang/02-check.hung hang.before
sed -i 's/,fault=arc-unanswered//g' hang/journal.jsonl # the device is mended
expect 1 "going on" "$stopcopy" bringup --resume hang --step-limit 60s --report json:report.json
expect_json '[.steps[] | select(.name == "check") | .result, .kept] == ["hung", true]'
expect_json '[.steps[] | select(.name == "run" or .name == "stop-copy.all") | .result, .kept] == ["pass", false, "pass", false]'
cmp -s hang/02-check.hung hang.before || fail "$name: the step that hung was run again"
before=$(grep -c begin hang/journal.jsonl)
expect 1 "nothing is left to do" "$stopcopy" bringup --resume hang --report json:report.json
[ "$(grep -c begin hang/journal.jsonl)" -eq "$before" ] || fail "$name: steps were run again"
expect_json '[.steps[] | .kept] | all'

# The host goes down, or somebody kills it, in the middle of a step; and the user ends it.
under_way() { grep -q '"begin","step":"check"' "$1/journal.jsonl"; }
for signal in KILL INT; do
    # shellcheck disable=SC2086
    "$stopcopy" bringup $hung $guest --folder "by-$signal" >out 2>&1 &
    pid=$!
    started="$started $pid"
    wait_for "the check to begin" under_way "by-$signal"
    kill -$signal $pid
    wait $pid 2>/dev/null
done
grep -q '^interrupted  *check ' out || { fail "SIGINT: the step is not said to be interrupted"; cat out; }
wait_for "the check to be gone" sh -c '! pgrep -f "^stopcopy check test:model=tally,features=stop-copy,fault"'
printf '{"kind":"begin","st' >>by-KILL/journal.jsonl # and the last line was cut off
sed -i 's/,fault=arc-unanswered//g' by-KILL/journal.jsonl by-INT/journal.jsonl
expect 1 "going on after the host went down" "$stopcopy" bringup --resume by-KILL --report json:report.json
expect_json '[.steps[] | select(.name == "check") | .result, .kept] == ["hung", true]'
expect_json '[.findings[] | select(.rule == "step/hung") | .text | test("host went down")] == [true]'
expect 7 "going on after Ctrl-C" "$stopcopy" bringup --resume by-INT --report json:report.json
expect_json '[.steps[] | select(.name == "check") | .result, .kept] == ["incomplete", false]'

# A journal that somebody else wrote.
expect 2 "no folder" "$stopcopy" bringup --resume nowhere
for line in '' '[]' '{}' 'x' '{"kind":"campaign","format":"stopcopy-journal-1","command":["check","test"]}' \
    '{"kind":"campaign","format":"stopcopy-journal-1","command":[]}' \
    '{"kind":"campaign","format":"stopcopy-journal-1","command":["bringup",1]}' \
    '{"kind":"campaign","format":"stopcopy-journal-1","command":["bringup"]}' \
    '{"kind":"campaign","format":"stopcopy-journal-2","command":["bringup","test"]}'; do
    rm -rf bad && mkdir bad && printf '%s\n' "$line" >bad/journal.jsonl
    expect 2 "the journal '$line'" "$stopcopy" bringup --resume bad
    [ -s "$scratch/err" ] || fail "$name: nothing is said"
done
awk 'BEGIN { for (i = 0; i < 70000; i++) printf "x"; print "" }' >bad/journal.jsonl
expect 2 "a line without an end" "$stopcopy" bringup --resume bad

# git bisect.
expect 125 "a status that bisect skips" "$stopcopy" bringup "vfio-user:$scratch/none.sock" --folder skip --skip-status 77 --skip-status 2
expect_nothing_left
finish
