#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# RAM handed over as it is: nothing is copied, nobody writes to it between the stop and the start, and where the destination
# does not start, every page is as it was.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

# share NAME OPTIONS...: a migration that passes, and sends no page.
share() {
    name=$1
    shift
    expect 0 "$name" "$stopcopy" migrate --ram share --memory 64M --at-ops 1000 "$@" --report text \
        --report "json:$scratch/report.json" || return
    grep -q '^PASS' "$scratch/out" || fail "$name: the text report does not end in PASS"
    [ -s "$scratch/err" ] && { fail "$name: standard error is not empty"; cat "$scratch/err"; }
    expect_json '.verdict == "pass" and (.findings | length) == 0'
    expect_json '.guest.digest == .guest.digest_expected and .guest.ops_before > 0 and .guest.ops_after > 0'
    expect_json '.ram.bytes == 0 and .ram.pages == 0 and .facts."ram.shared_ranges" == 1'
    expect_json '[.phases[].name] | index("ram") | not'
    # Every step of the downtime is there; those that the guest waited for, and what is between them, are all of it.
    expect_json '[.legs[].switchover | .steps | map(select(.critical)) |
        .[0].name == "pause" and .[-1].name == "resume" and (map(.name) | contains(["devices-stop", "interrupts-bind"]))] | all'
    expect_json '[.legs[] | .switchover.ns >= .downtime_ns and .switchover.between_ns < .switchover.ns] | all'
}

share "no device"
expect_json '.ram.pages_verified == 16384 and .ram.pages_unverified == 0'
grep -q 'nobody wrote to 16384 pages' "$scratch/out" || fail "$name: the text report does not say what was verified"
share "two devices" --device test:memory=1M --device test:queues=1,memory=1M
expect_json '.ram.pages_verified == 16384 and ([.devices[] | .state_bytes > 0 and .in_flight_at_stop > 0] | all)'
expect_json '.switchover.verifying_ns > 0 and (.switchover.steps | map(.name) | contains(["verify-source", "verify"]))'
share "not verified" --verify off --device test:memory=1M
expect_json '.switchover.verifying_ns == 0'
expect_json '.ram.pages_verified == null and ([.not_proven[] | select(contains("the source'"'"'s own memory"))] | length) == 1'
share "there and back" --repeat 6 --device test:memory=1M --device test:queues=1
expect_json '.migrations == 6 and ([.legs[] | .ram.pages_verified == 16384 and .facts."ram.shared_ranges" == 1] | all)'
share "pre-copy" --mode pre-copy --device test:features=stop-copy+p2p+pre-copy,memory=4M,dirty-rate=8M --device test
# The rounds are the device's alone; how much of its memory is not zero by then is a matter of time.
expect_json '.facts."precopy.rounds" > 0 and .facts."precopy.round.1.pages" == 0 and .facts."precopy.bytes" > 0'
expect_json '[.devices[0].arcs[] | .from + ">" + .to] | contains(["RUNNING>PRE_COPY", "PRE_COPY>PRE_COPY_P2P"])'
name="two ranges of RAM"
expect 0 "$name" "$stopcopy" migrate --ram share --memory 3584M --verify off --at-ops 1000 --report "json:$scratch/report.json"
expect_json '.verdict == "pass" and .facts."ram.shared_ranges" == 2'

# Over a socket with a name, between two programs.
name="source and dest"
"$stopcopy" dest --from "unix:$scratch/move" --device test --report "json:$scratch/dest.json" >/dev/null 2>&1 &
dest=$!
started="$started $dest"
expect 0 "$name" "$stopcopy" source --to "unix:$scratch/move" --ram share --memory 64M --device test --at-ops 1000
wait $dest
status=$?
[ $status -eq 0 ] || fail "$name: the destination's status is $status"
expect_json '.verdict == "pass" and .ram.pages == 0 and .ram.pages_verified == 16384' "$scratch/dest.json"

# The destination's device refuses the state: the guest goes on, and not a page has changed.
expect 3 "a destination that refuses the state" "$stopcopy" migrate --ram share --memory 64M --at-ops 1000 \
    --device "test:memory=1M,to=test:memory=2M" --report "json:$scratch/report.json"
expect_json '.outcome == "source" and .facts."ram.pages_unchanged" == 16384 and .guest.digest == .guest.digest_expected'
expect_json '[.findings[].rule] == ["device/state-refused"]'

for what in "--channel tcp" "--verify deferred" "--fault page-not-sent" "--mode pre-copy --fault log-ignored"; do
    # shellcheck disable=SC2086
    expect 2 "refused: $what" "$stopcopy" migrate --ram share $what
    expect_error "--ram share: "
done
expect 2 "refused: TCP by name" "$stopcopy" source --ram share --to tcp:localhost:1
expect_error "TCP takes no memory along"
expect 2 "no such way" "$stopcopy" migrate --ram move
expect_error "neither copy nor share"
expect_nothing_left
finish
