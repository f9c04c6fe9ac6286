#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that is saved in a file and goes on later, as often as asked for; files that are not whole; and channels that
# whoever starts the programs has connected.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
saved=$scratch/saved
device=test:memory=1M

# save NAME OPTIONS...: a guest is saved in $saved.
save() {
    name=$1
    shift
    rm -f "$saved"
    expect 0 "$name" "$stopcopy" source --to "file:$saved" --memory 64M --at-ops 1000 "$@" --report "json:$scratch/report.json" ||
        return
    expect_json '.verdict == "pass" and .outcome == "none" and .status == 0'
    [ "$(stat -c %a "$saved")" = 600 ] || fail "$name: others can read the file"
    [ "$(find "$scratch" -name '.stopcopy-*' | wc -l)" -eq 0 ] || fail "$name: a temporary file is left"
}

# resume NAME OPTIONS...: and goes on from there, and is intact.
resume() {
    name=$1
    shift
    expect 0 "$name" "$stopcopy" dest --from "file:$saved" --at-ops 1000 "$@" --report "json:$scratch/report.json" || return
    expect_json '.verdict == "pass" and .guest.digest == .guest.digest_expected and .guest.ops_after > 0'
    expect_json '.ram.pages_verified == 16384 and .ram.pages_unverified == 0 and .downtime_ns > 0'
}

save "save" --device $device --device test:queues=1
resume "resume" --device $device --device test:queues=1
resume "resume the same once more" --device $device --device test:queues=1
expect 0 "verified later" "$stopcopy" dest --from "file:$saved" --device $device --device test:queues=1 --verify deferred \
    --at-ops 1000 --report "json:$scratch/report.json"
expect_json '.ram.pages_verified > 0 and .ram.pages_verified + .ram.pages_unverified == 16384'
expect 0 "resume without verification" "$stopcopy" dest --from "file:$saved" --device $device --device test:queues=1 --verify off \
    --at-ops 1000 --report "json:$scratch/report.json"
expect_json '.ram.pages_verified == null'
save "save with pre-copy" --mode pre-copy --device test:features=stop-copy+p2p+pre-copy,memory=4M,dirty-rate=8M
expect_json '.facts."precopy.rounds" > 0'
resume "resume after pre-copy" --device test:features=stop-copy+p2p+pre-copy,memory=4M,dirty-rate=8M

save "save" --device $device
expect 5 "another device" "$stopcopy" dest --from "file:$saved" --device test:queues=3
expect_error "the guest stays saved in file:$saved"

# A saved guest is not replaced, and the guest that was to be saved goes on.
expect 2 "the name is taken" "$stopcopy" source --to "file:$saved" --memory 64M
expect_error "$saved"
resume "the file is as it was" --device $device

# Cut off anywhere, changed or longer: refused with the place, before anything is started.
size=$(stat -c %s "$saved")
for cut in 0 10 100 $((size / 2)) $((size - 28)) $((size - 1)); do
    head -c "$cut" "$saved" >"$scratch/cut"
    expect 2 "cut off after $cut bytes" "$stopcopy" dest --from "file:$scratch/cut" --device $device
    expect_error "is cut off in record"
done
for at in 0 30 $((size / 2)) $((size - 2)); do
    cp "$saved" "$scratch/changed"
    printf '\377' | dd of="$scratch/changed" bs=1 seek="$at" conv=notrunc 2>/dev/null
    cmp -s "$saved" "$scratch/changed" && continue
    expect 2 "changed at byte $at" "$stopcopy" dest --from "file:$scratch/changed" --device $device
    expect_error "at byte "
done
{ cat "$saved"; echo; } >"$scratch/longer"
expect 2 "something after the end" "$stopcopy" dest --from "file:$scratch/longer" --device $device
expect_error "goes on after its end at byte $size"
expect 2 "no file" "$stopcopy" dest --from "file:$scratch/nothing"
expect_error "$scratch/nothing"
expect 2 "no folder" "$stopcopy" source --to "file:$scratch/nowhere/guest"
expect_error "$scratch/nowhere"
expect 2 "a folder" "$stopcopy" dest --from "file:$scratch"
expect_error "not a regular file"
expect 2 "shared RAM" "$stopcopy" source --ram share --to "file:$scratch/other"
expect_error "must be copied"

# A disk that is full: the guest goes on here, and nothing is left behind.
if [ "$(id -u)" -eq 0 ] && mkdir "$scratch/full" && mount -t tmpfs -o size=1M none "$scratch/full" 2>/dev/null; then
    expect 3 "a full disk" "$stopcopy" source --to "file:$scratch/full/guest" --memory 64M --at-ops 1000 --device $device \
        --report "json:$scratch/report.json"
    expect_error "No space left on device"
    expect_json '.outcome == "source"'
    [ -z "$(ls -A "$scratch/full")" ] || fail "$name: something is left of the file"
    umount "$scratch/full"
fi

# Both ends of one connection, which the programs were started with.
for share in copy share; do
    "$top_builddir/tests/e2e/socket-pair" "$stopcopy" source --to fd:3 --ram $share --memory 64M --at-ops 1000 --device $device -- \
        "$stopcopy" dest --from fd:3 --device $device --report "json:$scratch/report.json" >"$scratch/out" 2>"$scratch/err"
    status=$? name="fd:3, --ram $share"
    [ $status -eq 0 ] || { fail "$name: status $status"; cat "$scratch/err"; }
    expect_json '.verdict == "pass" and .ram.pages_verified == 16384'
done
expect 2 "no such descriptor" "$stopcopy" source --to fd:77 --memory 64M
expect_error "fd:77"
expect_nothing_left
finish
