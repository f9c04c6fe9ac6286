#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The two halves started by hand, over a UNIX socket and over TCP; and halves that do not fit together.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

# pair CHANNEL SOURCE-STATUS DEST-STATUS SOURCE-OPTIONS -- DEST-OPTIONS
pair() {
    channel=$1 source_status=$2 dest_status=$3
    shift 3
    source_options=
    while [ "$1" != -- ]; do
        source_options="$source_options $1"
        shift
    done
    shift
    "$stopcopy" dest --from "$channel" --report text --report "json:$scratch/dest.json" "$@" >"$scratch/dest.out" 2>"$scratch/dest.err" &
    dest=$!
    started="$started $dest"
    # shellcheck disable=SC2086
    expect "$source_status" "source over $channel" "$stopcopy" source --to "$channel" --memory 64M --vcpus 2 --at-ops 1000 \
        $source_options --report text --report "json:$scratch/source.json"
    wait $dest
    status=$?
    [ $status -eq "$dest_status" ] || { fail "$name: the destination's status is $status, not $dest_status"; cat "$scratch/dest.err"; }
}

for channel in "unix:$scratch/move" tcp:127.0.0.1:29911; do
    pair "$channel" 0 0 --device test -- --device test
    name="dest over $channel"
    expect_json '.verdict == "pass" and .devices[0].ops_before > 0 and .devices[0].ops_after > 0' "$scratch/dest.json"
    expect_json '.devices[0].state_bytes > 0 and .downtime_ns > 0 and .guest.digest == .guest.digest_expected' "$scratch/dest.json"
    expect_json '[.phases[].name] | contains(["pause", "ram", "load", "resume"])' "$scratch/dest.json"
    name="source over $channel"
    expect_json '.outcome == "destination"' "$scratch/source.json"
done

# The destination's device is another one: refused before the guest is paused, with the property that differs.
pair "unix:$scratch/move" 3 3 --device test:window=1M -- --device test:window=2M
grep -q "window\|BAR\|size" "$scratch/err" || { fail "the source does not say what differs"; cat "$scratch/err"; }
expect_json '.outcome == "source" and ([.phases[].name] | index("pause") | not)' "$scratch/source.json"
pair "unix:$scratch/move" 3 3 --device test:queues=2 -- --device test:queues=3
grep -qi "queues\|identity\|vectors" "$scratch/err" || { fail "the source does not say what differs"; cat "$scratch/err"; }
pair "unix:$scratch/move" 3 3 --device test -- --verify off
expect_json '.outcome == "source"' "$scratch/source.json"
# RAM was not compared, and the report says so.
pair "unix:$scratch/move" 0 0 --device test -- --device test --verify off
expect_json '[.not_proven[]] | tostring | contains("RAM")' "$scratch/dest.json"
finish
