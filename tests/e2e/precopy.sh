#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Pre-copy: RAM and devices' states go while the guest works, and what it, its devices and the VMM write meanwhile is not lost.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

live="test:features=stop-copy+p2p+pre-copy,dirty-rate=8M"

# precopy NAME OPTIONS...: a migration that passes, and shows its rounds.
precopy() {
    name=$1
    shift
    expect 0 "$name" "$stopcopy" migrate --mode pre-copy --memory 64M --at-ops 1000 "$@" --report text \
        --report "json:$scratch/report.json" || return
    grep -q '^PASS' "$scratch/out" || fail "$name: the text report does not end in PASS"
    [ -s "$scratch/err" ] && { fail "$name: standard error is not empty"; cat "$scratch/err"; }
    expect_json '.verdict == "pass" and (.findings | length) == 0'
    expect_json '.guest.digest == .guest.digest_expected and .guest.ops_before > 0 and .guest.ops_after > 0'
    # All RAM was compared with the source's, page by page.
    expect_json '.ram.pages_verified == 16384 and .ram.pages_unverified == 0 and .ram.bytes == .ram.pages * 4096'
    # As many phases as rounds, all before the pause, and the whole time begins with the first.
    expect_json '.facts."precopy.rounds" == ([.phases[] | select(.name | startswith("round "))] | length)'
    expect_json '([.phases[] | select(.name | startswith("round ")) | .end_ns] | max) <=
        ([.phases[] | select(.name == "pause") | .start_ns] | min)'
    expect_json '.total_ns > ([.phases[] | select(.name | startswith("round ")) | .end_ns - .start_ns] | add)'
    expect_json '([.phases[] | select(.name | startswith("round ")) | .bytes] | add) == .facts."precopy.bytes"'
    expect_json '.facts."precopy.round.1.pages" > 0'
}

# received BLOCKS PID: the descriptors of a process, its RAM among them, have so many blocks of 512 bytes.
received() {
    for file in "/proc/$2/fd/"*; do
        stat -Lc %b "$file" 2>/dev/null
    done | awk -v wanted="$1" '{ sum += $1 } END { exit !(sum > wanted) }'
}

precopy "no device"
# The bulk went in the rounds: what is left is what was written while it went.
expect_json '.facts."precopy.bytes" > 1000000 and ([.phases[] | select(.name == "ram") | .bytes] | add) < .facts."precopy.bytes"'
precopy "a device without PRE_COPY" --device test
expect_json '[.devices[0].arcs[] | .from + ">" + .to] | index("RUNNING>PRE_COPY") | not'
expect_json '.facts | has("precopy.info_version.0") | not'
# What its log named was written by it, and no page that was not.
expect_json '.facts | ."dirty_log.0.pages_named" > 0 and ."dirty_log.0.pages_changed" > 0 and
    ."dirty_log.0.pages_changed" <= ."dirty_log.0.pages_named"'
for count in 1 2; do
    set --
    i=0
    while [ $i -lt $count ]; do
        set -- "$@" --device "$live,memory=4M,queues=$((i + 1))"
        i=$((i + 1))
    done
    precopy "$count devices with PRE_COPY" "$@"
    expect_json '[.devices[].arcs | map(.from + ">" + .to) | contains(["RUNNING>PRE_COPY", "PRE_COPY>PRE_COPY_P2P",
        "PRE_COPY_P2P>STOP_COPY", "RUNNING>RESUMING", "RESUMING>STOP"])] | all'
    expect_json '[.devices[].arcs | map(.from + ">" + .to) | index("RUNNING>RUNNING_P2P") | not] | all'
    expect_json '.facts."precopy.info_version.0" == 2'
    # Every device is in its P2P state before any goes on.
    expect_json '([.devices[].arcs[] | select(.to == "PRE_COPY_P2P") | .start_ns + .ns] | max) <=
        ([.devices[].arcs[] | select(.to == "STOP_COPY") | .start_ns] | min)'
done
precopy "with and without PRE_COPY" --device "$live" --device test:memory=1M
expect_json '[.devices[1].arcs[] | .from + ">" + .to] | contains(["RUNNING>RUNNING_P2P", "RUNNING_P2P>STOP_COPY"])'
precopy "PRE_COPY without P2P" --device test:features=stop-copy+pre-copy,memory=1M
expect_json '[.devices[0].arcs[] | .from + ">" + .to] | contains(["RUNNING>PRE_COPY", "PRE_COPY>STOP_COPY"])'
precopy "DMA by messages" --device "$live,memory=1M,dma=message"
precopy "over TCP" --channel tcp --device "$live,memory=4M"
precopy "there and back" --repeat 5 --device "$live,memory=4M" --device test:memory=1M
expect_json '.migrations == 5 and ([.legs[] | .facts."precopy.rounds" > 0 and .ram.pages_verified == 16384] | all)'
# Nearly all of 64 MiB of internal memory goes in the rounds.
precopy "a large internal memory" --device test:features=stop-copy+p2p+pre-copy,dirty-rate=64M,memory=64M
expect_json '[.phases[] | select(.name == "device-state") | .bytes] | add < 0.5 * 64 * 1048576'

# On a terminal the rounds are shown, and the line is gone at the end; nothing is where it is none.
if command -v script >/dev/null 2>&1; then
    expect 0 "on a terminal" script -qec "$stopcopy migrate --mode pre-copy --memory 64M --at-ops 1000 \
        --report json:$scratch/report.json" /dev/null
    tr '\r' '\n' <"$scratch/out" | grep -q 'round 1: .* MiB sent, .* GB/s, .* MiB left' || fail "no progress on a terminal"
    tr '\r' '\n' <"$scratch/out" | tail -1 | grep -q round && fail "the progress stays on the terminal"
fi

# Never under the limit: the last round ends it, and says so.
precopy "no convergence" --device "$live,memory=1M" --workload dma --workload memory,rate=1G --max-downtime 1us --max-rounds 4
# What was sent and not written since is not sent again.
expect_json '.facts."precopy.round.4.pages" < .facts."precopy.round.1.pages" / 2'
expect_json '.facts."precopy.rounds" == 4 and ([.notes[] | select(contains("no convergence after 4 rounds"))] | length) == 1'

# Held back, a guest that writes as fast as it can leaves less for the next round; and it works on as it should.
precopy "throttled" --workload dma --workload memory,rate=8G,size=32M --device test:memory=1M --max-downtime 1us --max-rounds 8 --throttle 80
expect_json '.facts."precopy.throttle" >= 20 and .facts."precopy.throttle" <= 80'
expect 2 "all of the time" "$stopcopy" migrate --mode pre-copy --throttle 100
expect_error "--throttle"

expect 3 "giving up" "$stopcopy" migrate --mode pre-copy --memory 64M --at-ops 1000 --device "$live,memory=1M" --max-downtime 1us \
    --max-rounds 3 --on-no-convergence give-up --report "json:$scratch/report.json"
expect_error "no convergence after 3 rounds" 2
expect_json '.outcome == "source" and .guest.digest == .guest.digest_expected and ([.phases[].name] | index("pause") | not)'
expect_json '[.devices[0].arcs[] | select(.role == "source") | .from + ">" + .to] == ["RUNNING>PRE_COPY", "PRE_COPY>RUNNING"]'

# The destination dies in the rounds, which is when its RAM has grown: the guest goes on, and its devices work.
name="the destination is killed in the rounds"
"$stopcopy" dest --from "unix:$scratch/move" --device "$live,memory=4M" >/dev/null 2>&1 &
dest=$!
started="$started $dest"
"$stopcopy" source --to "unix:$scratch/move" --memory 64M --device "$live,memory=4M" --at-ops 1000 --mode pre-copy --max-downtime 1ns \
    --max-rounds 10000 --workload dma --workload memory,rate=1G --report "json:$scratch/report.json" \
    >"$scratch/out" 2>"$scratch/err" &
source=$!
started="$started $source"
wait_for "RAM at the destination" received 16384 $dest
kill -KILL $dest
wait $source
status=$?
[ $status -eq 3 ] || { fail "$name: the source's status is $status"; cat "$scratch/err"; }
expect_json '.outcome == "source" and .guest.digest == .guest.digest_expected and .guest.digest != null'
expect_json '[.devices[0].arcs[] | .from + ">" + .to] == ["RUNNING>PRE_COPY", "PRE_COPY>RUNNING"]'

# A device server that dies in the rounds takes the guest's device with it, and no process hangs.
name="the device server dies in the rounds"
"$device_server" --socket "$scratch/device" --model dma --features stop-copy+p2p+pre-copy >"$scratch/server.out" &
server=$!
started="$started $server"
wait_for "the device server" test -S "$scratch/device"
"$stopcopy" dest --from "unix:$scratch/move" --device "$live" >/dev/null 2>&1 &
dest=$!
started="$started $dest"
"$stopcopy" source --to "unix:$scratch/move" --memory 64M --device "vfio-user:$scratch/device" --at-ops 1000 --mode pre-copy \
    --max-downtime 1ns --max-rounds 10000 >"$scratch/out" 2>"$scratch/err" &
source=$!
started="$started $source"
wait_for "RAM at the destination" received 16384 $dest
kill -KILL $server
wait $source
status=$?
[ $status -eq 5 ] || { fail "$name: the source's status is $status"; cat "$scratch/err"; }
expect_error "device 0"
wait $dest
status=$?
[ $status -eq 3 ] || fail "$name: the destination's status is $status"

# A guest that is done before it could be stopped stays where it is.
expect 7 "the guest ends in the rounds" "$stopcopy" migrate --mode pre-copy --memory 64M --device "$live" --ops 2000 --at-ops 100 \
    --max-downtime 1ns --max-rounds 10000 --report "json:$scratch/report.json"
expect_error "came to its end" 2
expect_json '.verdict == "incomplete" and .findings == [] and .guest.digest == .guest.digest_expected and .guest.digest != null'

expect 2 "no rounds" "$stopcopy" migrate --mode pre-copy --max-rounds 0
expect_error "--max-rounds"
expect 2 "no such mode" "$stopcopy" migrate --mode post-copy
expect_error "post-copy"
expect 2 "a fault that cannot be" "$stopcopy" migrate --fault log-ignored
expect_error "--mode pre-copy"
expect_nothing_left
finish
