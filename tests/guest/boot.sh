#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots the guest's image in QEMU by its PVH note, without any KVM: its workloads end with "done" and with digests that an
# independent model has too; what is wrong with the command line is told.
set -u

image=$top_builddir/guest/stopcopy-guest.elf
model=$top_srcdir/tests/guest/model.py
command -v qemu-system-x86_64 >/dev/null 2>&1 || { echo "skipped: no qemu-system-x86_64"; exit 77; }
directory=$(mktemp -d) || exit 99
trap 'rm -rf "$directory"' EXIT
failures=0

fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

# boot VCPUS COMMAND-LINE [QEMU-OPTION...]: what the console says up to its last line is in $directory/console. The time limit is for a
# guest that hangs.
boot() {
    vcpus=$1 line=$2
    shift 2
    mkfifo "$directory/serial"
    timeout 120 qemu-system-x86_64 -accel tcg -M q35 -cpu max -m 256 -smp "$vcpus" -nodefaults -display none \
        -serial stdio -kernel "$image" -append "$line" "$@" </dev/null >"$directory/serial" 2>&1 &
    machine=$!
    sed '/^stopcopy-guest: \(done\|failed\)/q' "$directory/serial" >"$directory/console"
    kill "$machine" 2>/dev/null
    wait "$machine" 2>/dev/null
    rm -f "$directory/serial"
}

last_line_is() {
    tail -n 1 "$directory/console" | grep -qx "$1" || { fail "$2"; cat "$directory/console"; }
}

has_line() {
    grep -qx "$1" "$directory/console" || { fail "$2"; cat "$directory/console"; }
}

# works VCPUS AVX2 COMMAND-LINE: 47 operations of memory on each vCPU, in 0x2b000 bytes of all.
works() {
    boot "$1" "seed=0x123456789abcdef0 ops=47 vcpus=$1 memory=0x2b000 $3"
    last_line_is "stopcopy-guest: done" "$1 vCPUs, $3"
    has_line "chain memory $(($1 - 1)) ops 47 digest 0x[0-9a-f]*" "$1 vCPUs, $3: memory of the last vCPU"
    command -v python3 >/dev/null 2>&1 || return
    python3 "$model" 0x123456789abcdef0 0x2b000 "$2" <"$directory/console" || fail "$1 vCPUs, $3: the model differs"
}

# refuses TEXT COMMAND-LINE
refuses() {
    boot 1 "$2"
    last_line_is "stopcopy-guest: failed: $1" "$2"
}

works 1 1 "workloads=memory,cpu,clock avx2"
works 2 0 "workloads=memory,cpu,clock"
works 4 1 "workloads=memory,cpu avx2 rate=0x10000000"

boot 2 "ops=30 vcpus=2 workloads=cpu,clock"
last_line_is "stopcopy-guest: done" "cpu leads"
has_line "chain cpu 1 ops 30 digest 0x[0-9a-f]*" "cpu leads"

# has_edu MOST-VCPUS OPS CHAINS QEMU-OPTION...: QEMU's edu devices are put to work, each with so many operations.
has_edu() {
    vcpus=$1 ops=$2 chains=$3
    shift 3
    boot "$vcpus" "seed=77 ops=$ops vcpus=$vcpus workloads=edu,clock" "$@"
    last_line_is "stopcopy-guest: done" "$chains edu devices on $vcpus vCPUs"
    [ "$(grep -c "^chain edu [0-9]*\.0 ops $ops digest" "$directory/console")" -eq "$chains" ] || fail "$chains edu chains"
    command -v python3 >/dev/null 2>&1 || return
    python3 "$model" 77 0x1000 0 <"$directory/console" || fail "$chains edu devices: the model differs"
}

if qemu-system-x86_64 -device help 2>&1 | grep -q '^name "edu"'; then
    has_edu 1 12 1 -device edu
    has_edu 2 6 3 -device edu -device edu -device edu
else
    echo "left out: this QEMU has no edu device"
fi
refuses "guest/boot: nothing to do: the workloads asked for have no device" "workloads=edu"

refuses "guest/boot: command line: no such word: sed=1" "sed=1 workloads=cpu"
refuses "guest/boot: command line: no such workload: memorx,cpu" "workloads=memorx,cpu"
refuses "guest/boot: command line: not a number that fits: ops=0x10g" "ops=0x10g workloads=cpu"
refuses "guest/boot: command line: not a number that fits: vcpus=4294967297" "vcpus=4294967297 workloads=cpu"
refuses "guest/boot: 65 vCPUs: 1 to 64 are possible" "vcpus=65 workloads=cpu"
refuses "guest/boot: no workload was asked for" "seed=1"
refuses "guest/boot: no RAM for the memory workload of vCPU 0: 131072 pages" "workloads=memory memory=0x20000000"
refuses "guest/boot: nothing to do: the workloads asked for have no device" "workloads=dma"

[ "$failures" -eq 0 ]
