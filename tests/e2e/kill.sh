#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kill matrix: a process of a migration is killed or frozen, or the connection cut, at a step that is chosen by its name,
# and what comes of it is what kill-matrix.txt says. Who has the guest is proven by who ran it to its end, intact; that nobody
# else did, that the ends say why, and that nothing is left behind, is held in each cell (kill-cell.sh).
#
# As it is: of every step two kills, the connection cut at every third, freezes where it matters most, the modes in turn.
# KILL_FULL=1: every cell in every mode. KILL_JOBS: how many at a time (3). kill.sh --markdown writes docs/kill-matrix.md.
here=$(dirname "$0")
matrix=$here/kill-matrix.txt

if [ "${1:-}" = --markdown ]; then
    cat <<'END'
<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- Made by: tests/e2e/kill.sh --markdown -->
# The kill matrix

Who has the guest where a process of a migration is killed (SIGKILL), freezes (SIGSTOP, until those that wait for it have given
it up, and SIGCONT), or where the connection is cut (shut down in both directions or in one) as a step is reached. `stopcopy
migrate --list-steps` says what each step is, docs/stream.md what the ends say to each other. The four processes are the source,
the destination, and the server of a device of each.

A cell is `WHO:SOURCE/DESTINATION`: who runs the guest to the end of its workload, intact (`none`: nobody), and the exit statuses
of both programs, `-` for one that was killed. 1: the guest is intact, and the server that failed is a finding; 3: the guest is the source's; 5: no guest runs; 6: the source holds it paused and
cannot know; 7: the guest ran here, and what the source knows of it did not all come. Several ones are where the other end may
have gone on by the time of the deed, or not. `make check` runs a part of it, `KILL_FULL=1 tests/e2e/kill.sh` all of it with `--mode
stop-copy`, with `--mode pre-copy`, and with `--mode pre-copy --ram share`: it is the same for all three.

What a killed process had of the guest is gone with it, and what a killed or frozen server had of the device: `none` is due there.
The end that is left says so. Nobody runs the guest twice, whenever a frozen process goes on.
END
    sed '/^#/d; s/|/ or /g' "$matrix" | awk '
        NF == 0 { next }
        $1 !~ "/" { printf "\n## %s\n\n| step |", $1 == "cut" ? "Cut" : $1 == "kill" ? "Killed" : "Frozen"
                    for (i = 2; i <= NF; i++) printf " %s |", $i
                    printf "\n|"; for (i = 1; i <= NF; i++) printf "---|"; print ""; next }
        { printf "| %s |", $1
          for (i = 2; i <= NF; i++) printf "%s%s%s", $i == "or" ? "" : $(i - 1) == "or" ? "" : " ", $i == "or" ? " or " : $i,
                                           $(i + 1) == "or" || $i == "or" ? "" : " |"
          print "" }'
    exit 0
fi

. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
name="docs/kill-matrix.md"
"$0" --markdown | cmp -s - "${top_srcdir:-.}/docs/kill-matrix.md" || fail "docs/kill-matrix.md is not what kill.sh --markdown says"

# Every step that a connection comes to without a failure before it is in the matrix, for each deed.
"$stopcopy" migrate --list-steps | sed -n 's,^\([a-z]*/[a-z0-9-]*\) .*,\1,p' | grep -v 'source/keep\|source/resume' >"$scratch/steps"
for deed in kill freeze cut; do
    awk -v deed=$deed '/^#/ || NF == 0 { next } $1 !~ "/" { at = $1; next } at == deed { print $1 }' "$matrix" >"$scratch/rows"
    cmp -s "$scratch/steps" "$scratch/rows" || fail "the part '$deed' of the matrix has not the steps of --list-steps"
done

# MODE, STEP, DEED and what may come of it, of each cell that is to be run; without source/rounds, which only pre-copy has.
awk -v full="${KILL_FULL:-0}" '
    BEGIN { split("stop-copy pre-copy share", modes)
            split("source/pause source/commit source/running-wait destination/ready destination/devices-p2p", freezes)
            for (i in freezes) freeze[freezes[i]] = i }
    function cell(mode, column) {
        if (!(mode == "stop-copy" && $1 == "source/rounds"))
            print mode, $1, deed, of[column], $column
    }
    /^#/ || NF == 0 { next }
    $1 !~ "/" { deed = $1; columns = NF; row = 0; for (i = 2; i <= NF; i++) of[i] = $i; next }
    { row++ }
    full == 1 { for (i = 2; i <= columns; i++) for (m = 1; m <= 3; m++) cell(modes[m], i); next }
    { mode = modes[$1 == "source/rounds" ? 2 : row % 3 + 1] }
    deed == "kill" { cell(mode, row % 4 + 2); cell(mode, (row + 2) % 4 + 2) }
    deed == "cut" && row % 3 == 0 { cell(mode, row / 3 % 3 + 2) }
    deed == "freeze" && $1 in freeze { cell(mode, (freeze[$1] + 1) % 2 + 2); if ($1 ~ /pause|devices-p2p/) cell(mode, $1 ~ /pause/ ? 4 : 5) }
    ' "$matrix" >"$scratch/cells"
# What waits longest goes first.
sort -s -k3,3 "$scratch/cells" | while read -r mode step deed of _; do
    printf '%s\0%s\0%s %s\0' "$mode" "$step" "$deed" "$of"
done | xargs -0 -n 3 -P "${KILL_JOBS:-3}" "$here/kill-cell.sh" >"$scratch/results" 2>&1
grep -v '^[a-z-]* [a-z]*/[a-z0-9-]* [a-z]* [a-z-]* [a-z]*:' "$scratch/results"
! grep -q FAIL "$scratch/results" || fail "a cell found what must never be"
while read -r mode step deed of wanted; do
    got=$(sed -n "s,^$mode $step $deed $of ,,p" "$scratch/results")
    case "|$wanted|" in
    *"|${got:-nothing}|"*) ;;
    *) fail "$mode $step, $deed $of: $got, where $wanted was due" ;;
    esac
done <"$scratch/cells"
echo "$(wc -l <"$scratch/cells") cells"
finish
