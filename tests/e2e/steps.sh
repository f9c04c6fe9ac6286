#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The named steps of a migration: each end comes to each of its steps once, in order; commands, stops and commands for
# findings at them; and who has the guest where a process dies at one.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
device=test:memory=1M
guest="--memory 64M --vcpus 1 --at-ops 1000"

# steps SIDE: the table's steps of one end that a connection with pre-copy comes to, in order.
steps() {
    "$stopcopy" migrate --list-steps | sed -n "s,^\($1/[a-z0-9-]*\) .*,\1,p" | grep -v 'source/keep\|source/resume'
}

# trace SIDE LEG: those that were reached.
trace() {
    sed -n "s,^\($1/[a-z0-9-]*\) $1 $2\$,\1,p" "$scratch/trace"
}

# shellcheck disable=SC2086
expect 0 "every step" "$stopcopy" migrate $guest --mode pre-copy --repeat 2 --device test:features=stop-copy+p2p+pre-copy \
    --at "all:echo \$STOPCOPY_STEP \$STOPCOPY_SIDE \$STOPCOPY_LEG >>$scratch/trace" --report "json:$scratch/report.json"
expect_json '.verdict == "pass"'
for side in source destination; do
    steps $side >"$scratch/wanted"
    [ "$(wc -l <"$scratch/wanted")" -ge 13 ] || fail "--list-steps has too few steps of the $side"
    for leg in 0 1; do
        trace $side $leg >"$scratch/got"
        cmp "$scratch/wanted" "$scratch/got" || { fail "the steps of the $side, leg $leg"; diff "$scratch/wanted" "$scratch/got"; }
    done
done
expect_json '[.phases[].name] | contains(["at source/pause", "at destination/vcpus-run"])'

# The environment names the processes of both ends and the servers of their devices.
# shellcheck disable=SC2086
expect 0 "the environment" "$stopcopy" migrate $guest --device $device --at 'source/commit:
    [ "$STOPCOPY_PID" = "$STOPCOPY_SOURCE_PID" ] && [ "$STOPCOPY_PID" != "$STOPCOPY_DESTINATION_PID" ] &&
    kill -0 "$STOPCOPY_SOURCE_PID" "$STOPCOPY_DESTINATION_PID" $STOPCOPY_SOURCE_DEVICE_PIDS $STOPCOPY_DESTINATION_DEVICE_PIDS &&
    [ "$STOPCOPY_DEVICE_PIDS" = "$STOPCOPY_SOURCE_DEVICE_PIDS" ] && [ -n "$STOPCOPY_DEVICE_PIDS" ] && echo right >'"$scratch/right"
[ -f "$scratch/right" ] || fail "the environment of a command is not as documented"

# A command that fails or does not end is a note, and the migration goes on.
# shellcheck disable=SC2086
expect 0 "a command that fails" "$stopcopy" migrate $guest --device $device --at 'source/ram:exit 9' \
    --at 'destination/load:sleep 60' --command-limit 300ms --report "json:$scratch/report.json"
expect_json '[.notes[]] | tostring | contains("ended with status 9") and contains("did not end in time")'

# A stop that goes on by SIGCONT; the other end's waits, here shorter than it, do not run out.
# shellcheck disable=SC2086
"$stopcopy" migrate $guest --device $device --timeout 1s --hold-at destination/load --hold-limit 60s \
    --report "json:$scratch/report.json" >"$scratch/out" 2>"$scratch/err" &
held=$!
started="$started $held"
wait_for "the stop" grep -q 'held at destination/load' "$scratch/err"
sleep 2
kill -0 $held || fail "the migration did not wait for a held step"
kill -CONT "$(sed -n 's/.*kill -CONT \([0-9]*\).*/\1/p' "$scratch/err")"
wait $held
status=$? name="a stop"
[ $status -eq 0 ] || { fail "$name: status $status"; cat "$scratch/err"; }
expect_json '.verdict == "pass" and .downtime_ns > 1000000000 and ([.notes[]] | tostring | contains("until SIGCONT"))'
# shellcheck disable=SC2086
expect 0 "a stop that nobody ends" "$stopcopy" migrate $guest --device $device --hold-at pause --hold-limit 200ms \
    --report "json:$scratch/report.json"
expect_json '[.notes[]] | tostring | contains("held at source/pause until its limit")'

# A finding starts a command of its own.
# shellcheck disable=SC2086
expect 1 "a finding" "$stopcopy" migrate $guest --device $device --fault page-not-sent \
    --on-finding "echo \"\$STOPCOPY_RULE\" >>$scratch/findings"
grep -qx ram/page-differs "$scratch/findings" || fail "--on-finding did not get the rule"

# Halves that are started by hand; the source is told the destination's process by the socket.
"$stopcopy" dest --from "unix:$scratch/move" --device $device >"$scratch/dest.out" 2>&1 &
dest=$!
started="$started $dest"
# shellcheck disable=SC2086
expect 0 "source alone" "$stopcopy" source --to "unix:$scratch/move" $guest --device $device \
    --at "finish:echo \$STOPCOPY_DESTINATION_PID >$scratch/dest.pid"
wait $dest || fail "dest: status $?"
[ "$(cat "$scratch/dest.pid")" = $dest ] || fail "the source's command was not told the destination's process"
# shellcheck disable=SC2086
expect 0 "to a file" "$stopcopy" source --to "file:$scratch/saved" $guest --device $device \
    --at "all:echo \$STOPCOPY_STEP \$STOPCOPY_SIDE \$STOPCOPY_LEG >>$scratch/file"
expect 0 "the steps of a file" grep -qx "source/keep source 0" "$scratch/file"
grep -q "wait" "$scratch/file" && fail "a file is not waited for"

# Who has the guest where a process dies, as the table says: the other end's report.
# dies STEP OUTCOME STATUS WHO; OUTCOME - where the two ends' last words come in any order.
dies() {
    # shellcheck disable=SC2086
    "$stopcopy" migrate $guest --device $device --at "$1:kill -KILL \$STOPCOPY_PID" --report "json:$scratch/report.json" \
        >"$scratch/out" 2>"$scratch/err"
    status=$? name="death at $1"
    [ $status -eq "$3" ] || fail "$name: status $status where $3 was due"
    [ "$2" = - ] || expect_json ".outcome == \"$2\""
    "$stopcopy" migrate --list-steps | grep -A1 "^$1 " | grep -qx " *-> $4" || fail "$name: the table does not say $4"
}
dies destination/ready source 3 source
dies destination/devices-run - 6 held
# The guest went on, and was intact to its end.
dies source/running-wait finished 5 destination

expect 2 "no such step" "$stopcopy" migrate --at lunch:true
expect_error "there is no step 'lunch'" 3
expect 2 "two such steps" "$stopcopy" migrate --at devices-p2p:true
expect_error "both ends have a step 'devices-p2p'" 3
expect 2 "no command" "$stopcopy" migrate --at source/pause
expect_error "is not STEP:COMMAND" 3
expect 2 "held too long" "$stopcopy" migrate --hold-at source/pause --hold-limit 120min
expect_error "give a shorter --hold-limit"
expect_nothing_left
finish
