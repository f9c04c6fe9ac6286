# SPDX-License-Identifier: GPL-2.0-or-later
# What the end-to-end tests share. A test sources this, runs the programs as a user would, and ends with `finish`.
# shellcheck shell=sh

set -u
: "${top_builddir:=$(pwd)}"
stopcopy=$top_builddir/stopcopy
device_server=$top_builddir/stopcopy-device
scratch=$(mktemp -d)
failures=0
# Processes that a test has started; none outlives it.
started=

cleanup() {
    for pid in $started; do
        kill -KILL "$pid" 2>/dev/null
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

finish() {
    [ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
    echo "all as expected"
    exit 0
}

skip() {
    echo "SKIP: $*"
    exit 77
}

require_kvm() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] && return
    [ "${STOPCOPY_REQUIRE_KVM:-0}" = 1 ] && { echo "FAIL: /dev/kvm is required (STOPCOPY_REQUIRE_KVM) and cannot be used"; exit 1; }
    skip "/dev/kvm cannot be used"
}

require_program() {
    command -v "$1" >/dev/null 2>&1 || skip "$1 is not installed"
}

# expect STATUS NAME COMMAND...: runs it; output and errors go to $scratch/out and $scratch/err.
expect() {
    wanted=$1 name=$2
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err"
    status=$?
    if [ "$status" -ne "$wanted" ]; then
        fail "$name: status $status where $wanted was due: $*"
        sed 's/^/    /' "$scratch/out" "$scratch/err" | tail -60
        return 1
    fi
}

# expect_error TEXT: the last command said it, in one line on standard error.
expect_error() {
    grep -qF -- "$1" "$scratch/err" || { fail "$name: standard error does not say '$1':"; sed 's/^/    /' "$scratch/err"; }
    lines=$(wc -l <"$scratch/err")
    [ "$lines" -le "${2:-1}" ] || { fail "$name: standard error has $lines lines"; sed 's/^/    /' "$scratch/err"; }
    grep -q 'Sanitizer\|runtime error' "$scratch/err" && { fail "$name: a sanitizer complains"; sed 's/^/    /' "$scratch/err"; }
}

# expect_json FILTER [FILE]: the report has it.
expect_json() {
    jq -e "$1" "${2:-$scratch/report.json}" >/dev/null || {
        fail "$name: the report does not have $1"
        jq -c '{verdict, status, outcome, findings, not_proven}' "${2:-$scratch/report.json}"
    }
}

# wait_for NAME COMMAND...: until it is true, a minute at most.
wait_for() {
    waited=0 what=$1
    shift
    until "$@" >/dev/null 2>&1; do
        waited=$((waited + 1))
        [ "$waited" -lt 3000 ] || { fail "waited in vain for $what"; return 1; }
        sleep 0.02
    done
}

# No process of the program under test is left that this test's runs have started.
expect_nothing_left() {
    left=$(pgrep -f "^$device_server" -P 1 2>/dev/null)
    [ -z "$left" ] || fail "$name: device servers are left behind: $left"
}
