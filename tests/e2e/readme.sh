#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every block of commands of the README does what it says, as printed: those marked "sh" are run, each by a shell of its own,
# which ends at the first command that fails; "# exit status N" in a block is what it ends with, else 0. Blocks marked
# "console" need root, hardware, other people's files or a long time; "text" is no command.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
: "${top_srcdir:=$PWD}"
readme=$top_srcdir/README.md
folder=$scratch/tree
mkdir "$folder"
ln -s "$top_builddir" "$folder/build"

# A block that is not marked would pass by not being run.
awk '/^```/ { inside = !inside; if (inside && $0 !~ /^```(sh|console|text)$/) { print; bad = 1 } } END { exit bad || inside }' "$readme" ||
    fail "a block of the README is neither sh, console nor text"
awk '/^```/ { inside = !inside } !inside && /^    .*stopcopy/ { print; bad = 1 } END { exit !bad }' "$readme" &&
    fail "a command of the README is in an indented block, which is not run"
awk -v folder="$scratch" '
    /^```sh$/ { inside = 1; file = sprintf("%s/block-%02d", folder, ++count); printf "" >file; next }
    /^```/ { inside = 0 }
    inside { print >file }' "$readme"

# The blocks leave nothing running: what they start belongs to a session of their own, which is ended.
run_block() { (cd "$folder" && exec timeout -k 5 300 setsid -w sh -e "$1") </dev/null >"$scratch/out" 2>"$scratch/err"; }
end_session() {
    for process in $(pgrep -f "^build/stopcopy"); do
        [ "$(readlink "/proc/$process/cwd")" = "$folder" ] && kill "$process"
    done
}

blocks=0
for block in "$scratch"/block-*; do
    blocks=$((blocks + 1))
    wanted=$(sed -n 's/.*# exit status \([0-9]*\)$/\1/p' "$block")
    for _ in 1 2 3; do
        rm -rf "$folder/bringup" # what it makes once only
        run_block "$block"
        status=$?
        end_session
        # tests/e2e/faults.sh, where it runs beside, writes to the kernel's log what every migration then finds there.
        grep -q 'WARNING: written by a test of stopcopy' "$scratch/out" || break
    done
    [ "$status" -eq "${wanted:-0}" ] && continue
    fail "a block of the README ends with $status where ${wanted:-0} is due:"
    sed 's/^/    /' "$block" "$scratch/out" "$scratch/err" | tail -40
done
[ "$blocks" -ge 8 ] || fail "the README has $blocks blocks of commands only"

# What the blocks have written, and what the README shows of it.
for file in report.html check.xml migrate.xml migrate.json state.bin guest.saved; do
    [ -s "$folder/$file" ] || fail "the README's commands did not write $file"
done
# Each word of the picture that is a phase or an arc is one of a report of now.
"$stopcopy" migrate --device test:queues=2,memory=16M,window=1M --at-ops 5000 >"$scratch/out" 2>&1 || fail "the README's picture"
for word in $(sed -n '/^Phase /,/^  \.\.\./s/^  \([a-z-]*\) .*/\1/p' "$readme"); do
    grep -q "^  $word " "$scratch/out" || fail "the README shows a phase '$word' that a report does not have"
done
# Its table of statuses is that of the man page.
for status in $(sed -n 's/^| \([0-9][0-9]*\) | .*/\1/p' "$readme"); do
    grep -qx "\.B $status" "$top_srcdir/docs/man/exit-status.man" || fail "exit status $status is not in the man pages"
done
finish
