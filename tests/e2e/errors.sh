#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong for users: one clear line on standard error, and the documented status.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

expect 2 "no command" "$stopcopy"
expect 2 "unknown command" "$stopcopy" frobnicate
expect_error "there is no command 'frobnicate'"
expect 2 "unknown option" "$stopcopy" run --frobnicate
expect 2 "no memory" "$stopcopy" run --memory 0
expect_error "memory"
expect 2 "odd memory" "$stopcopy" run --memory 100000001
expect_error "memory"
expect 2 "no vCPU" "$stopcopy" run --vcpus 0
expect_error "--vcpus" 2
expect 2 "too few operations" "$stopcopy" migrate --ops 100 --at-ops 90 --repeat 2
expect_error "--ops 100"
expect 2 "unknown workload" "$stopcopy" run --workload sleep
expect_error "sleep" 2
expect 2 "unknown device" "$stopcopy" run --device nvme:0
expect_error "nvme"
expect 2 "unknown device option" "$stopcopy" run --device test:colour=red
expect_error "colour"
expect 2 "no such socket" "$stopcopy" run --device "vfio-user:$scratch/none"
expect_error "$scratch/none"
expect 2 "no such image" "$stopcopy" run --image "$scratch/none"
expect_error "$scratch/none"
echo "not an image" >"$scratch/text"
expect 2 "not an image" "$stopcopy" run --image "$scratch/text"
expect_error "ELF"
head -c 1000 "$top_builddir/guest/stopcopy-guest.elf" >"$scratch/cut"
expect 2 "not an image, to be migrated" "$stopcopy" migrate --image "$scratch/text"
expect_error "not an ELF image"
expect 2 "more migrations than a report holds" "$stopcopy" migrate --repeat 10001 --image "$scratch/none"
expect_error "--repeat"
expect 2 "an image cut short" "$stopcopy" run --image "$scratch/cut"
expect_error "$scratch/cut"
expect 2 "no destination" "$stopcopy" source --memory 64M --timeout 1s --to "unix:$scratch/none"
expect_error "no destination"
expect 2 "no source" "$stopcopy" dest --timeout 100ms --from "unix:$scratch/dest"
expect_error "waiting for the source"
[ -e "$scratch/dest" ] && fail "$name: the socket is left behind"
expect 2 "a report that cannot be written" "$stopcopy" run --memory 64M --workload cpu --ops 10 --report "json:$scratch/no/report"
expect_error "$scratch/no/report"

# A device that the guest never used is not proven to migrate.
expect 7 "an idle device" "$stopcopy" migrate --memory 64M --device test --workload memory --at-ops 500 --report text \
    --report "json:$scratch/report.json"
expect_json '.verdict == "incomplete" and (.not_proven | length) > 0'
grep -q '^INCOMPLETE' "$scratch/out" || fail "$name: the text report does not end in INCOMPLETE"

# A guest that is faster than its migrations: nothing is broken, and not all was shown.
for mode in stop-copy pre-copy; do
    expect 7 "a guest that came to its end, $mode" "$stopcopy" migrate --memory 64M --device test --workload dma --mode $mode \
        --ops 3 --at-ops 1 --report text --report "json:$scratch/report.json"
    expect_json '.verdict == "incomplete" and .status == 7 and .findings == []'
    tail -n 1 "$scratch/out" | grep -q '^INCOMPLETE: ' || fail "$name: the text report does not end in INCOMPLETE"
done

# A device's errno says nothing of the guest, whichever it is: ECANCELED.
expect 3 "an arc that is cancelled" "$stopcopy" migrate --memory 64M --device test --fault arc-fails,arc=STOP_COPY,errno=125 \
    --report "json:$scratch/report.json"
expect_json '[.findings[].rule] == ["device/arc-failed"]'

# Without /dev/kvm: an empty /dev in a mount namespace of its own.
if unshare -m true 2>/dev/null; then
    expect 77 "no /dev/kvm" unshare -m sh -c "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && \"$stopcopy\" run"
    expect_error "/dev/kvm"
    expect 77 "no /dev/kvm for migrate" unshare -m sh -c "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && \"$stopcopy\" migrate"
    expect_error "/dev/kvm"
fi
finish
