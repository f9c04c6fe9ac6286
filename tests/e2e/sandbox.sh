#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The sandbox: every thread of the source, the destination and the device servers is in it; system calls made in their place, as
# by one who has taken them over, reach nothing; and the guest goes on all the while.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
inject=$top_builddir/tests/e2e/inject

# Builds without have a word for it, and no more.
expect 0 "a run" "$stopcopy" run --memory 64M --workload cpu --ops 50 --report "json:$scratch/report.json"
without=$(jq -r '.notes[] | select(startswith("no sandbox holds the VMM"))' "$scratch/report.json")
[ -z "$without" ] || skip "$without"

# What comes to EPERM, and what ends the process.
refused="open create open-old unlink rename chmod chdir socket unix-socket fork vfork signal code terminal privileges"
deadly="exec trace memory user-id"

# every_thread NAME PID: is held.
every_thread() {
    for status in /proc/"$2"/task/*/status; do
        grep -q '^Seccomp:[[:space:]]*2' "$status" || fail "$1: a thread is not in the sandbox: $(head -n 1 "$status")"
    done
    grep -q '^Seccomp' "/proc/$2/status" || fail "$1: it is not there"
}

# nothing_reached NAME PID
nothing_reached() {
    # shellcheck disable=SC2086
    "$inject" "$2" $refused >"$scratch/tried"
    status=$?
    [ "$status" -ne 77 ] || { echo "note: $1 cannot be traced here"; return; }
    [ "$status" -eq 0 ] || fail "$1: inject ended with $status"
    for call in $refused; do
        grep -qx "$call: EPERM" "$scratch/tried" || fail "$1: $(grep "^$call:" "$scratch/tried" || echo "$call: nothing")"
    done
}

name="a migration"
"$stopcopy" migrate --memory 64M --device test --at-ops 300 --hold-at source/device-data --hold-limit 50s \
    --report "json:$scratch/report.json" 2>"$scratch/err" &
migrate=$!
started="$started $migrate"
wait_for "the source to be held" grep -q "held at" "$scratch/err"
source=$(sed -n 's/.*held at.*(pid \([0-9]*\)).*/\1/p' "$scratch/err")
vmms=$(pgrep -P "$migrate")
[ "$(echo "$vmms" | wc -l)" -eq 2 ] || fail "$name: there are not two VMM processes: $vmms"
for vmm in $vmms; do
    [ "$vmm" = "$source" ] && role=source || role=destination
    every_thread "$role" "$vmm"
    nothing_reached "$role" "$vmm"
    for server in $(pgrep -P "$vmm"); do
        every_thread "the $role's device server" "$server"
        nothing_reached "the $role's device server" "$server"
    done
done
[ ! -e /tmp/taken-over ] || { fail "$name: a file was made"; rm -f /tmp/taken-over; }
kill -CONT "$source"
wait "$migrate"
status=$?
[ "$status" -eq 0 ] || { fail "$name: it ended with $status"; cat "$scratch/err"; }
expect_json '.verdict == "pass" and ([.notes[] | select(startswith("no sandbox"))] == [])'

# What is a takeover's first step ends a server at once, and leaves nothing behind but its socket.
for call in $deadly; do
    name="a server that tries to $call"
    "$device_server" --socket "$scratch/socket" >"$scratch/server.out" 2>&1 &
    server=$!
    started="$started $server"
    wait_for "the server" grep -q listening "$scratch/server.out"
    every_thread "$name" "$server"
    tried=$("$inject" "$server" "$call" 2>/dev/null)
    [ $? -eq 77 ] && break
    [ "$tried" = "$call: killed by SIGSYS" ] || fail "$name: $tried"
done

# A server that serves one client after the other goes on in it, and takes its socket along.
name="two clients and the end"
rm -f "$scratch/socket"
"$device_server" --socket "$scratch/socket" >"$scratch/server.out" 2>&1 &
server=$!
started="$started $server"
wait_for "the server" grep -q listening "$scratch/server.out"
for client in 1 2; do
    expect 0 "$name: $client" "$stopcopy" state "vfio-user:$scratch/socket" get
done
kill "$server"
wait "$server" || fail "$name: the server ended with $?"
[ ! -e "$scratch/socket" ] || fail "$name: the socket is left behind"

# Off where the user wants it, with a word, and where commands are to be run.
expect 0 "--no-sandbox" "$stopcopy" migrate --memory 64M --device test --at-ops 300 --no-sandbox \
    --report "json:$scratch/report.json" --hold-at source/pause --hold-limit 1ms
expect_json '[.notes[] | select(startswith("no sandbox holds the VMM: --no-sandbox"))] | length > 0'
expect 0 "--at" "$stopcopy" migrate --memory 64M --device test --at-ops 300 --at "source/pause:touch $scratch/there" \
    --report "json:$scratch/report.json"
expect_json '[.notes[] | select(startswith("no sandbox holds the VMM: the commands"))] | length > 0'
[ -e "$scratch/there" ] || fail "$name: the command did not run"

# Who writes the reports for it has nothing of it open but its own line, above all not the connection: a VMM that is killed must let
# go of that.
name="the writer of reports"
"$stopcopy" run --memory 64M --workload cpu --ops 100000000 --report "json:$scratch/report.json" 7</etc/passwd >/dev/null 2>&1 &
vmm=$!
started="$started $vmm"
wait_for "$name" pgrep -P $vmm
writer=$(pgrep -P $vmm)
only_its_line() {
    [ "$(ls "/proc/$writer/fd" | wc -l)" -eq 4 ]
}
wait_for "$name with four descriptors" only_its_line
[ -e "/proc/$vmm/fd/7" ] || fail "$name: the VMM has not the descriptor that this test gave it"
kill -KILL $vmm
wait $vmm 2>/dev/null
finish
