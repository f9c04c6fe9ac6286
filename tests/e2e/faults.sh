#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every fault that `stopcopy faults` lists is found, by the finding that it promises there, with the exit status that it
# promises, and without any finding that does not follow from it. FAULTS="a b" tries these alone, SEEDS="1 2" with these
# seeds, FAULT_SEEDS=20 (or --seeds 20) with those from 1 to 20. FAULT_JOBS rows (2) go at once: they share nothing but the
# machine.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq

"$stopcopy" faults --json >"$scratch/faults.json" || fail "stopcopy faults --json"

# only_also REPORT FINDING ALSO: every finding is this one, or one that the patterns of ALSO allow.
only_also() {
    jq -r '.findings[].rule' "$1" | sort -u | while read -r rule; do
        [ "$rule" = "$2" ] && continue
        allowed=
        set -f
        for pattern in $3; do
            # shellcheck disable=SC2254
            case $rule in $pattern) allowed=1 ;; esac
        done
        set +f
        [ "$allowed" ] || echo "$rule"
    done
}

# try INDEX SEED: one row of the table, into its own files, so that two can go at once.
try() {
    row=$(jq -c ".[$1]" "$scratch/faults.json")
    fault=$(echo "$row" | jq -r .name) finding=$(echo "$row" | jq -r .finding) wanted=$(echo "$row" | jq -r .status)
    began=$(date +%s)
    report=$scratch/$1.$2.json out=$scratch/$1.$2.out name="$fault, seed $2"
    command=$(echo "$row" | jq -r .command)
    # A fault that strikes by chance does so by the seed.
    chance=
    case $(echo "$row" | jq -r .options) in *seed=S*) chance=seed=$2 ;; esac
    case $command in
    migrate*) command="$command --memory 64M --at-ops 300 --seed $2 --fault $fault${chance:+,$chance}" ;;
    *)
        device=$(echo "$command" | cut -d ' ' -f 2)
        command="check $device,fault=$fault${chance:+:$chance}${command#check "$device"} --seed $2"
        ;;
    esac
    # A host that stood still for half a minute proves nothing: once more.
    attempts=3
    while [ $attempts -gt 0 ]; do
        attempts=$((attempts - 1))
        set -f # the names of rules are patterns of check's
        # shellcheck disable=SC2086
        "$stopcopy" $command --report text --report "json:$report" >"$out" 2>&1
        status=$?
        set +f
        grep -q 'lockup\|detected stalls' "$out" || break
    done
    # A host that honours TSC offsets takes any TSC.
    [ "$fault" = tsc-ahead ] && [ $status -eq 0 ] && return
    [ $status -eq "$wanted" ] || echo "FAIL: $name: status $status where $wanted was due"
    # What should be, and does not have to, is no finding of check, and is said all the same.
    jq -e "[.findings[].rule, (.checks[] | select(.outcome == \"broken\") | .rule)] | index(\"$finding\")" "$report" >/dev/null 2>&1 ||
        echo "FAIL: $name: not found as $finding: $(jq -c '[.findings[].rule]' "$report" 2>&1)"
    other=$(only_also "$report" "$finding" "$(echo "$row" | jq -r .also)")
    [ -z "$other" ] || echo "FAIL: $name: found as $(echo $other) as well: $(jq -c '[.findings[]|.rule+": "+.text]' "$report")"
    [ -s "$out" ] || echo "FAIL: $name: nothing was said"
    [ -z "${FAULT_TIMES:-}" ] || echo "$(($(date +%s) - began)) $name" >>"$FAULT_TIMES"
}

[ "${1:-}" != --seeds ] || FAULT_SEEDS=$2
[ -z "${FAULT_SEEDS:-}" ] || SEEDS=$(seq 1 "$FAULT_SEEDS")
count=$(jq length "$scratch/faults.json")
[ "$count" -gt 40 ] || fail "only $count faults are listed"
for seed in ${SEEDS:-1}; do
    index=0
    while [ $index -lt "$count" ]; do
        fault=$(jq -r ".[$index].name" "$scratch/faults.json")
        case " ${FAULTS:-$fault} " in
        *" $fault "*)
            try $index "$seed" >"$scratch/$index.$seed.verdict" 2>&1 &
            pids="${pids:-} $!"
            ;;
        esac
        index=$((index + 1))
        set -- ${pids:-}
        [ $# -lt "${FAULT_JOBS:-2}" ] || { wait "$1"; shift; pids=$*; }
    done
done
wait
for verdict in "$scratch"/*.verdict; do
    [ -s "$verdict" ] || continue
    failures=$((failures + 1))
    cat "$verdict"
done
[ -z "${FAULTS:-}" ] || finish
# The reference page is what the program says.
"$stopcopy" faults --markdown | cmp -s - "${top_srcdir:-.}/docs/faults.md" ||
    fail "docs/faults.md is not what stopcopy faults --markdown says"
# A device lists what the table has for devices.
[ "$("$device_server" --list-faults | grep -c '^[a-z]')" -eq "$(jq '[.[] | select(.place != "VMM")] | length' "$scratch/faults.json")" ] ||
    fail "stopcopy-device --list-faults does not list the table's"

expect 1 "page-not-sent, verified while the guest runs" "$stopcopy" migrate --memory 64M --device test --at-ops 500 \
    --verify deferred --fault page-not-sent --report "json:$scratch/report.json"
expect_json '[.findings[].rule] | index("ram/page-differs")'
# The clean devices give no finding.
for mode in stop-copy pre-copy; do
    expect 0 "no fault, $mode" "$stopcopy" migrate --mode $mode --memory 64M --at-ops 500 --limit-downtime 10s \
        --device test:memory=1M,features=stop-copy+p2p+pre-copy --device test:memory=1M --report "json:$scratch/report.json"
    expect_json '.verdict == "pass" and .findings == []'
done
name="no such fault"
expect 2 "$name" "$stopcopy" migrate --fault nonsense
expect_error "there is no fault 'nonsense'"
# What the host's kernel says turns a pass into a finding: last, because it is one for every run beside it.
if [ -w /dev/kmsg ]; then
    "$stopcopy" migrate --memory 64M --workload cpu --workload memory --at-ops 20000 --report "json:$scratch/report.json" >"$scratch/out" 2>&1 &
    run=$!
    started="$started $run"
    wait_for "the guest" pgrep -P $run
    echo "<4>WARNING: written by a test of stopcopy" >/dev/kmsg
    echo "<4>BUG: workqueue lockup - written by a test of stopcopy" >/dev/kmsg
    wait $run
    status=$? name="a kernel warning"
    [ $status -eq 1 ] || fail "$name: status $status"
    expect_json '[.findings[].rule] == ["host/kernel-log", "host/kernel-log"]'
    # Where the scheduler may be the cause, that is said.
    grouped=$(cat /proc/sys/kernel/sched_autogroup_enabled 2>/dev/null || echo 0)
    expect_json "([.notes[] | select(contains(\"sched_autogroup_enabled=0\"))] | length) == $grouped"
fi
finish
