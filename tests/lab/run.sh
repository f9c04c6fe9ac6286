#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab: boots a small Linux with VFIO, iommufd, mdev and KVM under QEMU's TCG, runs the cases of tests/lab/cases in it,
# and prints what they found as TAP. Exits 0 where every case passed, 1 where one did not, the kernel died or a time ran
# out. Needs no root. docs/lab.md says how to run it with a kernel, a module and a device of one's own.
#
#   run.sh [CASE...]    a name of tests/lab/cases, or a script of one's own
#
#   top_builddir  where stopcopy was built             LAB_CACHE    where kernels are kept (build/lab)
#   LAB_TESTS     cases, as by the arguments           LAB_OUT      where logs go (build/lab/out)
#   LAB_KERNEL    a bzImage to boot                    LAB_MODULES  .ko files, or Kbuild folders, to load as well
#   LAB_KDIR      a built kernel tree to boot          LAB_DEVICE   QEMU options to add
#   LAB_DEBUG=1   a kernel with lockdep, KASAN, ...    LAB_SHELL=1  a shell in the lab instead of the cases
#   LAB_TIMEOUT   seconds for one boot with its cases  LAB_MEMORY, LAB_CPUS  the machine's size
#   LAB_RETRIES   how often a case that failed is tried again, in a fresh boot (0)
#   LAB_BOOTS     1: one machine after the other (so it is where nothing is said); more: all of them at once
#   LAB_TCG_THREAD  multi or single: how QEMU runs the machine's CPUs
set -u
lab=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${top_builddir:-build}" && pwd) || exit 1
export LAB_CACHE="${LAB_CACHE:-$build/lab}"
out=${LAB_OUT:-$build/lab/out}
qemu=${LAB_QEMU:-qemu-system-x86_64}
[ $# -gt 0 ] || [ -z "${LAB_TESTS:-}" ] || eval "set -- $LAB_TESTS"

say() { printf 'lab: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

need_programs() {
    missing=
    for pair in "$qemu:qemu-system-x86" cpio:cpio busybox:busybox-static jq:jq; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
    [ -z "$missing" ] || fail "missing:$missing; ./bootstrap check-lab installs what the lab needs"
    [ -x "$build/stopcopy" ] || fail "$build has no stopcopy: run make first"
}

# choose_kernel: $kernel is what is booted, $tree what modules are built against, or nothing.
choose_kernel() {
    tree=${LAB_KDIR:-}
    if [ -n "${LAB_KERNEL:-}" ]; then
        kernel=$LAB_KERNEL
    else
        [ -n "$tree" ] || tree=$("$lab/kernel.sh") || exit 1
        kernel=$tree/arch/x86/boot/bzImage
    fi
    [ -f "$kernel" ] || fail "$kernel is not there"
    [ -z "$tree" ] || tree=$(cd "$tree" && pwd) || exit 1
}

# build_modules: the tree's own modules and those of LAB_MODULES end in the root's /lib/modules.
build_modules() {
    mkdir -p "$root/lib/modules"
    for module in "$lab"/modules/*/ ${LAB_MODULES:-}; do
        case $module in
        *.ko) cp "$module" "$root/lib/modules/" || exit 1; continue ;;
        esac
        [ -f "$module/Kbuild" ] || [ -f "$module/Makefile" ] || continue
        [ -n "$tree" ] || { say "$(basename "$module") is left out: LAB_KERNEL without LAB_KDIR has nothing to build it against"; continue; }
        name=$(basename "$module")
        rm -rf "$out/modules/$name"
        mkdir -p "$out/modules/$name"
        cp -r "$module/." "$out/modules/$name/"
        make -s -C "$tree" M="$(cd "$out/modules/$name" && pwd)" ${LAB_WERROR:+KCFLAGS=-Werror} modules >"$out/modules/$name.log" 2>&1 ||
            { cat "$out/modules/$name.log" >&2; fail "module $name does not build"; }
        cp "$out/modules/$name"/*.ko "$root/lib/modules/" || exit 1
    done
}

# install_program FILE [NAME]: with the shared libraries that it needs.
install_program() {
    cp -L "$1" "$root/bin/${2:-$(basename "$1")}" || exit 1
    ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' |
        while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            [ -f "$root$library" ] || cp -L "$library" "$root$library" || exit 1
        done || exit 1
}

make_root() {
    root=$out/root
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/lab/cases" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run" "$root/lab/guest"
    install_program "$(command -v busybox)" busybox
    install_program "$(command -v jq)"
    install_program "$build/stopcopy"
    install_program "$build/stopcopy-device"
    # The programs look for the guest's image beside themselves, as in a build folder.
    mkdir -p "$root/bin/guest"
    cp "$build"/guest/*.elf "$root/bin/guest/"
    install -m 755 "$lab/init" "$root/init"
    cp "$lab/lib.sh" "$root/lab/"
    cp -r "$lab/known" "$root/lab/known"
}

# choose_cases ARGUMENTS: into the root's /lab/cases, and their machines into $machines.
choose_cases() {
    [ $# -gt 0 ] || set -- "$lab"/cases/*.sh
    machines=
    mkdir -p "$out/order"
    rm -f "$out"/order/*
    for case in "$@"; do
        [ -f "$case" ] || case=$lab/cases/${case%.sh}.sh
        [ -f "$case" ] || fail "there is no case $case"
        name=$(basename "$case" .sh)
        machine=$(sed -n 's/^# LAB_MACHINE: *//p' "$case" | head -n 1)
        : "${machine:=iommu}"
        [ -f "$lab/machines/$machine" ] || fail "$name wants the machine $machine, which tests/lab/machines lacks"
        cp "$case" "$root/lab/cases/$name.sh"
        echo "$name" >>"$out/order/$machine"
    done
    machines=$(ls "$out/order")
}

# pack MACHINE: the initramfs, with the machine's list of cases.
pack() {
    cp "$out/order/$1" "$root/lab/order"
    (cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$out/$1.initramfs" || fail "cpio failed"
}

# boot MACHINE: the console goes to $out/MACHINE.console, what the cases say to $out/MACHINE.results, the exit status of QEMU
# to $out/MACHINE.status.
boot() {
    options=$(sed '/^#/d; /^kernel:/d' "$lab/machines/$1")
    append=$(sed -n 's/^kernel: *//p' "$lab/machines/$1")
    console=$out/$1.console results=$out/$1.results
    rm -f "$console" "$results"
    if [ "${LAB_SHELL:-0}" = 1 ]; then
        limit=0 serial=mon:stdio append="$append lab.shell"
    else
        limit=${LAB_TIMEOUT:-900} serial=file:$console
        [ "${LAB_DEBUG:-0}" != 1 ] || limit=$((limit * 4))
    fi
    # shellcheck disable=SC2086
    timeout -k 10 "$limit" "$qemu" -machine q35 -accel "tcg,thread=${LAB_TCG_THREAD:-multi}" -cpu max \
        -smp "${LAB_CPUS:-2}" -m "${LAB_MEMORY:-2G}" -nodefaults -display none -no-reboot \
        -serial "$serial" -serial "file:$results" -kernel "$kernel" -initrd "$out/$1.initramfs" \
        -append "console=ttyS0 panic=-1 oops=panic mitigations=off nokaslr tsc=reliable no_timer_check $append ${LAB_APPEND:-}" \
        $options ${LAB_DEVICE:-}
    echo $? >"$out/$1.status"
}

# boot_all MACHINES: one after the other, or all of them at once.
boot_all() {
    for machine in $1; do
        pack "$machine"
        if [ "${LAB_BOOTS:-1}" -gt 1 ]; then boot "$machine" & else boot "$machine"; fi
    done
    wait
}

# take_results MACHINE LEFT: its lines of TAP, numbered on; a case that did not come to its end, and a machine that did not,
# are failures. With tries LEFT the lines of a case that failed are comments, and the case is named in $out/again.
take_results() {
    console=$out/$1.console results=$out/$1.results
    machine_status=$(cat "$out/$1.status")
    touch "$results"
    : >"$out/again"
    tr -d '\r' <"$results" | awk -v number="$number" -v machine="$1" -v left="$2" -v status="$machine_status" \
        -v order="$out/order/$1" -v again="$out/again" '
        function keep(line) { lines[running] = lines[running] line "\n" }
        function result(word, text) { said[running] = 1; keep(word " - " text); if (word != "ok") bad[running] = 1 }
        function show(name, each, i, count) {
            count = split(lines[name], each, "\n")
            for (i = 1; i < count; i++) {
                if (bad[name] && left) print "# this time: " each[i]
                else if (each[i] ~ /^(not )?ok - /) {
                    number++
                    if (each[i] ~ /^not/) failed++
                    sub(/ok - /, "ok " number " - ", each[i])
                    print each[i]
                } else print each[i]
            }
        }
        function know(name) { if (!(name in known)) { known[name] = 1; names[++cases] = name } }
        /^lab: begin / { running = $3; know(running); next }
        /^lab: end /   { if (!said[$3]) result("not ok", $3 ": said nothing"); ended[$3] = 1; running = ""; next }
        /^lab: done$/  { done = 1; next }
        /^not ok - /   { result("not ok", running ": " substr($0, 10)); next }
        /^ok - /       { result("ok", running ": " substr($0, 6)); next }
        /^# /          { keep($0); next }
                       { keep("# " $0) }
        END {
            while ((getline name < order) > 0) {
                know(name)
                running = name
                if (!(name in ended)) result("not ok", name ": did not come to its end")
            }
            if (!done) {
                running = names[cases]
                result("not ok", "machine " machine ": " (status == 124 || status == 137 ? "ran out of time" : "ended before its cases, status " status))
            }
            show("")
            for (i = 1; i <= cases; i++) {
                show(names[i])
                if (bad[names[i]]) print names[i] >again
            }
            print number + 0, failed + 0 >"/dev/stderr"
        }' 2>"$out/count"
    read -r number machine_failures <"$out/count"
    failures=$((failures + machine_failures))
    [ ! -s "$out/again" ] || { echo "# the console of the machine $1:"; tail -n "${LAB_CONSOLE_LINES:-100}" "$console" | tr -d '\r' | sed 's/^/# | /'; }
}

# try_all: with LAB_RETRIES what failed is tried again, in machines that were booted anew.
try_all() {
    left=${LAB_RETRIES:-0} remain=$machines
    while [ -n "$remain" ]; do
        boot_all "$remain"
        booted=$remain remain=
        for machine in $booted; do
            take_results "$machine" "$left"
            if [ "$left" -eq 0 ] || [ ! -s "$out/again" ]; then continue; fi
            cp "$console" "$console.$left"
            cp "$out/again" "$out/order/$machine"
            remain="$remain $machine"
            echo "# tried again: $(tr '\n' ' ' <"$out/again")"
        done
        left=$((left - 1))
    done
}

need_programs
mkdir -p "$out"
exec 8>"$out/lock"
flock -w 600 8 || fail "another run uses $out; give this one a LAB_OUT of its own"
choose_kernel
make_root
choose_cases "$@"
build_modules
number=0 failures=0
if [ "${LAB_SHELL:-0}" = 1 ]; then
    machine=$(echo "$machines" | head -n 1)
    pack "$machine"
    boot "$machine"
    exit 0
fi
echo "TAP version 13"
try_all
[ "$number" -gt 0 ] || { failures=1; echo "not ok 1 - no case ran"; number=1; }
echo "1..$number"
echo "# $((number - failures)) of $number passed; consoles and results are in $out"
[ "$failures" -eq 0 ]
