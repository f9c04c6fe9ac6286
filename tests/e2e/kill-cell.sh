#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One cell of the kill matrix (kill.sh): kill-cell.sh MODE STEP DEED. Runs a source and a destination, does the deed when the
# step is reached, and prints what came of it on one line: MODE STEP DEED WHO:SOURCE/DESTINATION, with who ran the guest to
# its end, intact, or none, and both exit statuses, - for a process that was killed. What must never be is a line "FAIL: ..."
# as well.
#
# kill-cell.sh half SIDE: one of the two programs of such a cell, which has set CELL_*.
if [ "$1" = half ]; then
    side=$2
    set -- --device "$CELL_DEVICE" --at-ops 200 --report "json:$CELL/$side.json"
    case $CELL_DEED in
    # What is frozen is waited for until a deadline; all else must be seen at once.
    freeze*) set -- "$@" --timeout 5s --message-timeout 3s --arc-timeout 3s --command-limit 2s ;;
    *) set -- "$@" --timeout 60s --message-timeout 30s --arc-timeout 30s --command-limit 30s ;;
    esac
    case $CELL_STEP in
    "$side"/*) set -- "$@" --at "$CELL_STEP:echo '$CELL_DEED' >'$CELL/do'; read -r answer <'$CELL/done'" ;;
    esac
    exec 2>"$CELL/$side.err"
    [ "$side" = source ] || exec "$CELL_STOPCOPY" dest --from fd:3 "$@"
    case $CELL_MODE in
    pre-copy) set -- "$@" --mode pre-copy ;;
    share) set -- "$@" --mode pre-copy --ram share ;;
    esac
    exec "$CELL_STOPCOPY" source --to fd:3 --memory 32M --vcpus 1 --workload dma "$@"
fi

. "${top_srcdir:-.}/tests/e2e/lib.sh"
mode=$1 step=$2 deed=$3
name="$mode $step, $deed"
mkdir "$scratch/tmp"
mkfifo "$scratch/do" "$scratch/done"
export CELL="$scratch" CELL_MODE="$mode" CELL_STEP="$step" CELL_DEED="$deed" CELL_STOPCOPY="$stopcopy"
export CELL_DEVICE=test:memory=64K,features=stop-copy+p2p+pre-copy
result=$(TMPDIR="$scratch/tmp" "$top_builddir/tests/e2e/hurt-pair" "$scratch" "$0" half source -- "$0" half destination)
# shellcheck disable=SC2086
set -- $result
source_status=${1:-?} destination_status=${2:-?}

# It has been at the step, once.
[ "${3:-0}" = 1 ] || fail "$name: ${3:-no} deeds were done"

# ran SIDE: it ran the guest to its end, and intact.
ran() {
    [ -s "$scratch/$1.json" ] && jq -e '(.outcome_text | contains("ran its workload to the end")) and .guest.digest != null' \
        "$scratch/$1.json" >/dev/null || return 1
    jq -e '.guest.digest == .guest.digest_expected' "$scratch/$1.json" >/dev/null || fail "$name: the guest of the $1 is not intact"
}
who=none
ran source && who=source
if ran destination; then
    [ $who = none ] || fail "$name: both have run the guest"
    who=destination
fi

# A process that was not killed has said why: in a line, and in its report where there was one to write.
for side in source destination; do
    case $side in
    source) status=$source_status ;;
    *) status=$destination_status ;;
    esac
    lines=$(wc -l <"$scratch/$side.err")
    case $status in
    0 | 1 | 7 | 137) [ "$lines" -eq 0 ] || fail "$name: the $side with status $status says: $(head -c 600 "$scratch/$side.err")" ;;
    3 | 5 | 6)
        [ "$lines" -eq 1 ] || fail "$name: the $side, status $status, says $lines lines: $(head -c 600 "$scratch/$side.err")"
        [ "$(jq -r .status "$scratch/$side.json")" = "$status" ] || fail "$name: the report of the $side has not the status $status"
        [ -n "$(jq -r '.outcome_text // ""' "$scratch/$side.json")" ] || fail "$name: the report of the $side does not say why"
        ;;
    *) fail "$name: the status of the $side is $status: $(head -c 600 "$scratch/$side.err")" ;;
    esac
done

# A device's server that failed while nobody needed it any more is a finding all the same.
for side in source destination; do
    [ "$source_status" = 1 ] || continue
    jq -e '[.findings[].rule] | length > 0 and all(. == "device/arc-failed" or . == "device/no-answer")' \
        "$scratch/$side.json" >/dev/null || fail "$name: the findings of the $side are $(jq -c .findings "$scratch/$side.json")"
done

# Nothing is left behind: no process, and with it no memfd and no socket, and no file.
unset CELL
processes_ended() {
    ! grep -lsxzF "CELL=$scratch" /proc/[0-9]*/environ
}
wait_for "the end of all processes of $name" processes_ended
[ -z "$(ls -A "$scratch/tmp")" ] || fail "$name: left in TMPDIR: $(ls -A "$scratch/tmp")"
files=$(cd "$scratch" && ls -A | grep -vx 'tmp\|do\|done\|source.json\|destination.json\|source.err\|destination.err')
[ -z "$files" ] || fail "$name: files are left: $files"
[ "$source_status" != 137 ] || source_status=-
[ "$destination_status" != 137 ] || destination_status=-
[ -z "${KILL_SHOW:-}" ] || cat "$scratch/source.err" "$scratch/destination.err"
[ -z "${KILL_KEEP:-}" ] || cp -r "$scratch" "$KILL_KEEP"
echo "$mode $step $deed $who:$source_status/$destination_status"
[ "$failures" -eq 0 ]
