#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the model of the handover with spin: as it is nothing fails, every end is reached, and each weakened protocol fails.
set -u
here=$(cd "$(dirname "$0")" && pwd)
for tool in spin "${CC:-cc}"; do
    command -v "$tool" >/dev/null || { echo "no $tool here: the model of the handover was not checked"; exit 77; }
done
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 99
failures=0

# check MACRO [VALUE]: 0 where all states were visited and no assertion failed, 1 where one failed.
check() {
    rm -f pan* ./*.trail
    { echo "#define $1 ${2:-}"; cat "$here/handover.pml"; } >handover.pml
    # A killed process stands where it stood: -E. The judge looks for the living ones that never came to an end.
    if ! { spin -a handover.pml && "${CC:-cc}" -O1 -w -DSAFETY -DNOREDUCE -o pan pan.c; } >spin.log 2>&1; then
        cat spin.log
        exit 99
    fi
    ./pan -E -m100000 >pan.log 2>&1
    grep -q 'errors: 0' pan.log && ! grep -q 'max search depth too small' pan.log && return 0
    grep -q 'assertion violated' pan.log && return 1
    cat pan.log
    exit 99
}

expect() { # expect STATUS WHAT MACRO [VALUE]
    wanted=$1 what=$2
    shift 2
    check "$@"
    status=$?
    [ "$status" -eq "$wanted" ] && { echo "ok: $what"; return; }
    echo "not ok: $what"
    grep -E 'assertion|errors:|states, stored' pan.log
    failures=$((failures + 1))
}

expect 0 "the protocol as it is" AS_IT_IS
grep -o '[0-9]* states, stored' pan.log
for weakness in RESUME_WHEN_LOST SILENCE_IS_CONSENT START_AT_READY LATE_COMMIT NOT_STARTED_TOO_LATE; do
    expect 1 "found: $weakness" "WEAK_$weakness"
done
for end in 'source_status == INTACT && destination_runs' 'source_status == ON_SOURCE && source_runs' \
    'source_status == UNKNOWN && destination_runs' 'source_status == UNKNOWN && destination_status == ON_SOURCE' \
    'source_status == NO_GUEST' 'source_dead && destination_runs' 'destination_dead && source_runs' \
    'source_dead && destination_dead'; do
    expect 1 "reached: $end" REACH "$end"
done
[ "$failures" -eq 0 ]
