#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's runner against a QEMU that only writes results: whatever did not come to a good end is a failure, and each line
# of the cases' comes out as TAP once.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
for program in cpio busybox jq; do
    require_program $program
done

: >"$scratch/bzImage"
cat >"$scratch/qemu" <<'END'
#!/bin/sh
for word in "$@"; do
    case $word in
    file:*.console) echo "the console" >"${word#file:}" ;;
    file:*.results) . "$FAKE_RESULTS" >"${word#file:}" ;;
    esac
done
exit "${FAKE_STATUS:-0}"
END
chmod +x "$scratch/qemu"
export LAB_QEMU="$scratch/qemu" LAB_KERNEL="$scratch/bzImage" LAB_OUT="$scratch/lab" FAKE_RESULTS="$scratch/results"
unset LAB_KDIR LAB_MODULES LAB_DEVICE LAB_TESTS LAB_SHELL LAB_DEBUG LAB_TIMEOUT
export top_builddir top_srcdir

# lab STATUS NAME RESULTS: what the runner makes of them; its TAP is well formed.
lab() {
    printf '%s\n' "$3" | sed "s/.*/echo '&'/; s/^echo '!\(.*\)'/\1/" >"$FAKE_RESULTS"
    expect "$1" "$2" "$top_srcdir/tests/lab/run.sh" kernel edu || return
    results=$(grep -c '^\(not \)\{0,1\}ok ' "$scratch/out")
    grep -qx "1\.\.$results" "$scratch/out" || { fail "$name: the plan is not of $results results"; cat "$scratch/out"; }
}
expect_line() { grep -qxF -- "$1" "$scratch/out" || { fail "$name: does not say '$1':"; cat "$scratch/out"; }; }
good='lab: begin kernel
ok - one
ok - two # SKIP not here
lab: end kernel
lab: begin edu
# a note
ok - three
lab: end edu'

lab 0 "all passed" "$good
lab: done"
expect_line "ok 2 - kernel: two # SKIP not here"
expect_line "ok 3 - edu: three"
expect_line "# a note"
lab 1 "one failed" "$good
lab: begin other
not ok - four
lab: end other
lab: done"
expect_line "not ok 4 - other: four"
expect_line "# | the console"
lab 1 "the machine died between two cases" "$good"
expect_line "not ok 4 - machine iommu: ended before its cases, status 0"
lab 1 "the machine died in a case" "$(echo "$good" | sed '$d')"
expect_line "not ok 4 - edu: did not come to its end"
lab 1 "nothing was said" ""
LAB_TIMEOUT=1 lab 1 "no end" "$good
!sleep 60"
expect_line "not ok 4 - machine iommu: ran out of time"
lab 1 "no results" "lab: begin kernel
lab: end kernel
lab: begin edu
lab: end edu
lab: done"
expect_line "not ok 2 - edu: said nothing"

# What passes when it is tried again is a pass, and what failed before it stays to be read.
cat >"$scratch/twice" <<'END'
if [ ! -e "$FAKE_RESULTS.again" ]; then
    printf '%s\n' 'lab: begin kernel' 'ok - one' 'lab: end kernel'
    printf '%s\n' 'lab: begin edu' 'ok - two' 'not ok - three' 'lab: end edu'
else
    printf '%s\n' 'lab: begin edu' 'ok - two' "$FAKE_AGAIN - three" 'lab: end edu'
fi
echo 'lab: done'
: >"$FAKE_RESULTS.again"
END
export LAB_RETRIES=1
FAKE_AGAIN=ok FAKE_RESULTS=$scratch/twice expect 0 "tried again" "$top_srcdir/tests/lab/run.sh" kernel edu
expect_line "ok 1 - kernel: one"
expect_line "# this time: not ok - edu: three"
expect_line "ok 3 - edu: three"
expect_line "1..3"
rm "$scratch/twice.again"
FAKE_AGAIN='not ok' FAKE_RESULTS=$scratch/twice expect 1 "failed twice" "$top_srcdir/tests/lab/run.sh" kernel edu
expect_line "# this time: not ok - edu: three"
expect_line "not ok 3 - edu: three"
unset LAB_RETRIES

export LAB_TESTS=
expect 1 "no such case" "$top_srcdir/tests/lab/run.sh" no-such-case
expect_error "there is no case"
LAB_KERNEL=$scratch/none expect 1 "no such kernel" "$top_srcdir/tests/lab/run.sh" kernel
expect_error "none is not there"
LAB_QEMU=no-such-qemu expect 1 "no QEMU" "$top_srcdir/tests/lab/run.sh" kernel
expect_error "missing: qemu-system-x86"
finish
