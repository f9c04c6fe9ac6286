#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --keep-on-fail: the tar of a run that failed has all to look into, its streams are the devices' own, and one that passed leaves none.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
require_program tar
cd "$scratch" || exit 1
migrate="$stopcopy migrate --device test:model=tally --memory 32M --vcpus 1 --at-ops 30"
export TMPDIR="$scratch/temporary"
mkdir "$TMPDIR"
left() { find "$TMPDIR" -mindepth 1 | grep -q .; }

# shellcheck disable=SC2086
expect 0 "a pass" $migrate --keep-on-fail pass.tar
[ ! -e pass.tar ] || fail "$name: it leaves a tar"
# shellcheck disable=SC2086
expect 1 "a failure" $migrate --limit-downtime 1ns --keep-on-fail fail.tar --report text --report json:report.json
expect_json '[.notes[] | select(test("kept in fail.tar"))] | length == 1'
grep -q 'kept in fail.tar' out || fail "$name: the text does not say where it is"
mkdir tar && tar -xf fail.tar -C tar || fail "$name: it is no tar"
for file in report.json report.txt report.html events.jsonl uapi.jsonl console.txt; do
    [ -s "tar/$file" ] || fail "$name: $file is not in it"
done
[ -e tar/kernel.log ] || fail "$name: kernel.log is not in it"
cmp -s tar/report.json report.json || fail "$name: its report is another one"
jq -es 'length > 20 and all(.kind) and any(.kind == "finding")' tar/events.jsonl >/dev/null || fail "$name: the events"
jq -es '[.[].side] | unique == ["destination", "source"]' tar/uapi.jsonl >/dev/null || fail "$name: the calls of both ends"
saved=$(ls tar/device-0.source-*.session-0.saved.bin) && loaded=$(ls tar/device-0.destination-*.session-0.loaded.bin) ||
    fail "$name: the streams are not in it"
cmp -s "$saved" "$loaded" || fail "$name: what was saved is not what was loaded"
expect 0 "the stream is inspected" "$stopcopy" inspect "$saved"
expect 0 "and loaded" "$stopcopy" state test:model=tally load "$saved"
expect 0 "the calls are done again" "$stopcopy" replay --side source tar/uapi.jsonl test:model=tally ||
    grep -q 'calls done again' out || fail "$name: they are not"
expect 1 "the report is run again" "$stopcopy" replay tar/report.json
left && fail "folders are left"

# shellcheck disable=SC2086
expect 1 "a folder that is not there" $migrate --limit-downtime 1ns --keep-on-fail none/fail.tar
grep -q 'keep-on-fail: tar -cf none/fail.tar' err || fail "$name: it is not said"
# shellcheck disable=SC2086
expect 1 "a name that tar would take for an option" $migrate --limit-downtime 1ns --keep-on-fail=--to-command=x
grep -q "is no file's name" err || fail "$name: it is not said"
left && fail "folders are left"
finish
