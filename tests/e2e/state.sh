#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stopcopy state for scripts: actions from standard input, their answers as JSON, where they stop, and raw streams.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_program jq
all=test:memory=1M,features=stop-copy+p2p+pre-copy

# script STATUS NAME OPTIONS...: what comes on standard input is done to the device.
script() {
    wanted=$1 name=$2
    shift 2
    "$stopcopy" state "$@" >"$scratch/out" 2>"$scratch/err"
    status=$?
    [ $status -eq "$wanted" ] || { fail "$name: status $status where $wanted was due"; cat "$scratch/out" "$scratch/err"; }
}

script 0 "a script" --json "$all" <<END
# from RUNNING and back
get
set PRE_COPY,PRE_COPY_P2P   # two arcs
  precopy-info
set STOP_COPY
read 4096
save $scratch/rest

set STOP,RUNNING
size
END
jq -es 'map(.ok) == [true,true,true,true,true,true,true,true] and .[0].answers[0].state == "RUNNING" and
    (.[1].answers | map(.state)) == ["PRE_COPY","PRE_COPY_P2P"] and (.[1].answers | all(.ns > 0)) and
    .[2].answers[0].initial_bytes > 0 and .[4].answers[0].bytes == 4096 and .[4].answers[0].result == "data" and
    (.[4].answers[0].digest | length) == 16 and .[5].answers[0].bytes > 0 and .[7].answers[0].bytes > 0' "$scratch/out" \
    >/dev/null || { fail "$name: its answers"; cat "$scratch/out"; }
# Raw streams: what was read is gone from what is saved, nothing else is, and there is no envelope.
expect 0 "whole" "$stopcopy" state --stay test:memory=1M save "$scratch/whole"
script 0 "a part" test:memory=1M <<END
set STOP_COPY
read 1000
save $scratch/rest
END
tail -c +1001 "$scratch/whole" | cmp - "$scratch/rest" || fail "what was saved does not go on where the reading ended"
head -c 8 "$scratch/whole" | grep -q SCDEVICE || fail "the stream in the file is not the device's own"
expect 0 "load" "$stopcopy" state test:memory=1M load "$scratch/whole" get

printf 'set STOP_COPY\nset PRE_COPY\nget\n' >"$scratch/script"
script 1 "it stops at a failure" test <"$scratch/script"
[ "$(wc -l <"$scratch/out")" -eq 1 ] || fail "$name: it went on"
grep -q '(EINVAL)\|(EOPNOTSUPP)' "$scratch/err" || { fail "$name: no errno"; cat "$scratch/err"; }
script 1 "-k goes on" -k --json test - <"$scratch/script"
jq -es 'map(.ok) == [true,false,true] and .[1].errno == "EINVAL" and (.[1].error | contains("the device is in STOP_COPY")) and
    .[2].answers[0].state == "STOP_COPY"' "$scratch/out" >/dev/null || { fail "$name: its answers"; cat "$scratch/out"; }
printf 'get\nwobble\nget\n' >"$scratch/script"
script 2 "no such action" test <"$scratch/script"
expect_error "line 2: there is no action 'wobble'"
printf 'get now\n' >"$scratch/script"
script 2 "too much" test <"$scratch/script"
expect_error "line 1: get: 'now' is too much"
printf 'read 10\n' >"$scratch/script"
script 1 "no session" test <"$scratch/script"
expect_error "read needs a data transfer session"
script 2 "read what" test read many </dev/null
script 0 "an empty script" test </dev/null
expect_nothing_left
finish
