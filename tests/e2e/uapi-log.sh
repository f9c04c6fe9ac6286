#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every call to a device in a log; the log done again to the same kind of device and to another; a report run again.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
log=$scratch/log

# lines FILTER: of the log's lines together.
lines() {
    jq -es "$1" "$log" >/dev/null || { fail "$name: the log does not have $1"; head -c 2000 "$log"; }
}

expect 0 "state" "$stopcopy" state --uapi-log "$log" test:memory=1M set STOP_COPY read 4096 set STOP,RUNNING reset
lines 'all(.side == "state" and .device == 0 and .ns >= 0 and .time_ns > 0) and .[0].op == "open" and .[-1].op == "close"'
lines '[.[] | select(.op == "feature" and .says == "DEVICE_FEATURE SET STOP_COPY" and .result == 0)] | length == 1'
lines '[.[] | select(.op == "session_read")] | length == 1 and .[0].bytes == 4096 and (.[0].data | length) == 8192'
expect 0 "the same device" "$stopcopy" replay "$log" test:memory=1M
grep -q " 0 answers were others" "$scratch/out" || fail "$name: differs"
expect 1 "another device" "$stopcopy" replay "$log" test:memory=1M,queues=3
grep -q "session_read: the 4096 bytes that came are others" "$scratch/out" || { fail "$name: not said"; cat "$scratch/out"; }

# A failure has its errno, and another answer in its place is seen.
expect 1 "a refused arc" "$stopcopy" state --uapi-log "$log" test set RUNNING_P2P,ERROR
lines '[.[] | select(.result == -1)] | .[0].errno == 22 and .[0].says == "DEVICE_FEATURE SET ERROR"'
expect 0 "refused again" "$stopcopy" replay "$log" test
expect 1 "refused otherwise" "$stopcopy" replay "$log" test:features=stop-copy
grep -q "the result was 0 (errno 0), and is -1" "$scratch/out" || { fail "$name: not said"; cat "$scratch/out"; }

# A migration's, of both ends; the guest is none the worse for it.
expect 0 "migrate" "$stopcopy" migrate --memory 64M --vcpus 1 --at-ops 1000 --mode pre-copy --uapi-log "$log" \
    --device test:memory=1M,features=stop-copy+p2p+pre-copy --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
lines '[.[] | select(.side == "source" and .says == "DEVICE_FEATURE SET STOP_COPY")] | length >= 1'
lines '[.[] | select(.side == "destination" and .op == "session_write" and .result > 0)] | length >= 1'
lines '[.[] | .op] | contains(["dma_map", "set_irqs", "session_precopy_info", "get_region"])'
expect 0 "check" "$stopcopy" check --uapi-log "$log" --only 'fsm/*' test:memory=1M
lines '[.[] | select(.side == "check" and .op == "feature")] | length > 50'

expect 0 "a report" "$stopcopy" replay "$scratch/report.json"
grep -q "PASS" "$scratch/out" || grep -q 'stopcopy migrate' "$scratch/err" || fail "$name: was not run again"
jq '.manifest.command += ["--at", "pause:touch '"$scratch"'/touched"]' "$scratch/report.json" >"$scratch/evil.json"
expect 2 "another's commands" "$stopcopy" replay "$scratch/evil.json"
expect_error "which runs others" 2
[ -e "$scratch/touched" ] && fail "$name: they were run"
expect 2 "no device" "$stopcopy" replay "$log"
expect_error "name the DEVICE"
echo '{"op"' >"$scratch/bad"
expect 2 "no log" "$stopcopy" replay "$scratch/bad" test
expect_error "line 1 is no line of a log"
expect 2 "no place for the log" "$stopcopy" state --uapi-log "$scratch/none/log" test get
expect_error "--uapi-log"
expect_nothing_left
finish
