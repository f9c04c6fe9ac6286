#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A connection that is cut, or changes a byte, at places all over the stream; a destination and device servers that die. As
# long as COMMIT has not been sent the guest goes on, on the source, and finishes intact.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
proxy=$top_builddir/tests/e2e/stream-proxy

# through PROXY-WORDS...: one migration through the proxy; statuses in $source_status and $dest_status.
through() {
    rm -f "$scratch/in" "$scratch/out.sock"
    "$proxy" "$scratch/in" "$scratch/out.sock" "$@" >"$scratch/bytes" &
    proxy_pid=$!
    "$stopcopy" dest --from "unix:$scratch/out.sock" --device test --timeout 10s --report "json:$scratch/dest.json" \
        >"$scratch/dest.out" 2>"$scratch/dest.err" &
    dest=$!
    started="$started $dest $proxy_pid"
    "$stopcopy" source --to "unix:$scratch/in" --memory 32M --vcpus 1 --workload dma --workload memory,size=256K --workload clock \
        --device test --at-ops 300 --timeout 10s --report "json:$scratch/source.json" >"$scratch/source.out" 2>"$scratch/source.err"
    source_status=$?
    wait $dest
    dest_status=$?
    wait $proxy_pid
    bytes=$(cat "$scratch/bytes")
}

name="a whole stream"
through
[ "$source_status/$dest_status" = 0/0 ] || fail "$name: statuses $source_status and $dest_status"
total=$bytes
[ "$total" -gt 100000 ] || fail "$name: only $total bytes"

# DIGESTS, LOG and BYE follow COMMIT: what is hurt there is past the handover, so look at the part before.
digests=$((32 * 256 * 8))
before=$((total - digests - 300000))
[ "$before" -gt 10000 ] || before=$((total / 4))
for how in cut change; do
    for place in 0 10 24 40 60 100 500 3000 $((before / 7)) $((before / 3)) $((before / 2)) $((before * 4 / 5)) $before; do
        name="$how at byte $place of $total"
        through $how "$place"
        [ "$source_status" -eq 3 ] || { fail "$name: the source's status is $source_status"; cat "$scratch/source.err"; continue; }
        [ "$dest_status" -eq 3 ] || [ "$dest_status" -eq 2 ] || { fail "$name: the destination's status is $dest_status"; cat "$scratch/dest.err"; }
        [ "$(wc -l <"$scratch/source.err")" -eq 1 ] || { fail "$name: the source says more than a line"; cat "$scratch/source.err"; }
        [ "$(wc -l <"$scratch/dest.err")" -eq 1 ] || { fail "$name: the destination says more than a line"; cat "$scratch/dest.err"; }
        expect_json '.outcome == "source" and .guest.digest == .guest.digest_expected and .guest.digest != null' "$scratch/source.json"
    done
done

# start_pair DEVICE: a destination with this device, and a source that has connected to it, its guest at work.
start_pair() {
    "$stopcopy" dest --from "unix:$scratch/move" --device "$1" >"$scratch/dest.out" 2>"$scratch/dest.err" &
    dest=$!
    started="$started $dest"
    wait_for "the destination to listen" test -S "$scratch/move"
    "$stopcopy" source --to "unix:$scratch/move" --memory 64M --device test --at-ops 20000 \
        --report "json:$scratch/source.json" >"$scratch/source.out" 2>"$scratch/source.err" &
    source=$!
    started="$started $source"
    wait_for "the source to have connected" test ! -e "$scratch/move"
}

# The guest stayed on the source, and finished there.
expect_stayed() {
    wait $source
    source_status=$?
    [ $source_status -eq 3 ] || { fail "$name: the source's status is $source_status"; cat "$scratch/source.err"; }
    expect_json '.outcome == "source" and .guest.digest == .guest.digest_expected and .guest.digest != null' "$scratch/source.json"
}

start_server() {
    "$device_server" --socket "$scratch/device" --model dma >"$scratch/server.out" &
    server=$!
    started="$started $server"
    wait_for "the device server" test -S "$scratch/device"
}

name="the destination is killed"
start_pair test
kill -KILL $dest
expect_stayed

name="the destination's device server dies"
start_server
start_pair "vfio-user:$scratch/device"
kill -KILL $server
expect_stayed
wait $dest
dest_status=$?
[ $dest_status -eq 3 ] || [ $dest_status -eq 2 ] || { fail "$name: the destination's status is $dest_status"; cat "$scratch/dest.err"; }
[ "$(wc -l <"$scratch/dest.err")" -eq 1 ] || { fail "$name: the destination says more than a line"; cat "$scratch/dest.err"; }
rm -f "$scratch/device"

# A device server that dies takes the guest's device with it: that is said, and no process hangs.
name="the device server dies"
start_server
"$stopcopy" run --memory 64M --device "vfio-user:$scratch/device" --ops 100000000 >"$scratch/out" 2>"$scratch/err" &
run=$!
started="$started $run"
# The server's processor time, in ticks: more than opening a device takes, once the guest works it.
worked() {
    [ "$(awk '{print $14 + $15}' "/proc/$server/stat")" -ge 10 ]
}
wait_for "the guest to work its device" worked
kill -KILL $server
wait $run
status=$?
[ $status -eq 5 ] || { fail "$name: status $status"; cat "$scratch/err"; }
expect_error "device 0"
finish
