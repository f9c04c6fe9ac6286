#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What bash offers after some words of a command line.
# shellcheck source=/dev/null
. "${top_srcdir:-.}/tests/e2e/lib.sh"
set +u
source "${top_srcdir:-.}/docs/completion/stopcopy" || fail "it cannot be sourced"
complete -p stopcopy stopcopy-device >/dev/null || fail "nothing is registered"

# offered "LINE": the candidates at its end, as bash would have them; the program stands for the one under test.
offered() {
    COMP_LINE=${1/#stopcopy/$stopcopy}
    COMP_POINT=${#COMP_LINE}
    COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
    COMPREPLY=()
    _stopcopy
}
# offers "LINE" CANDIDATE...: these, among others.
offers() {
    local line=$1 candidate
    shift
    offered "$line"
    for candidate; do
        printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$candidate" ||
            fail "'$line' is not completed by '$candidate' but by: ${COMPREPLY[*]}"
    done
}
# offers_only "LINE" [CANDIDATE...]
offers_only() {
    local line=$1
    shift
    offered "$line"
    [ "$(printf '%s\n' "${COMPREPLY[@]}" | sort)" = "$(printf '%s\n' "$@" | sort)" ] ||
        fail "'$line' is not completed by '$*' but by: ${COMPREPLY[*]}"
}

# Commands and options: all that there are.
for command in $("$stopcopy" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
    offers "stopcopy " "$command"
    for option in $("$stopcopy" "$command" --help | sed -n 's/^  *\(-[^-], \)\{0,1\}\(--[a-z][a-z0-9-]*\).*/\2/p'); do
        offers "stopcopy $command -" "$option"
    done
done
offers_only "stopcopy mig" migrate
offers_only "stopcopy migrate --irq" --irqchip
offers "stopcopy-device --" --socket --fault --model
offers_only "stopcopy nonsense --"

# Values.
offers_only "stopcopy migrate --irqchip " split full
offers_only "stopcopy migrate --mode p" pre-copy
offers_only "stopcopy migrate --mode=p" pre-copy
offers_only "stopcopy migrate --report j" json junit
offers_only "stopcopy check test --hazard r" reset
offers_only "stopcopy check --explain fsm/pai" fsm/pairs
offers "stopcopy migrate --hold-at source/" source/pause
offers_only "stopcopy state test se" set
offers_only "stopcopy state test set RUNNING_" RUNNING_P2P
touch "$scratch/guest.saved"
offers_only "stopcopy dest --from file:$scratch/g" "$scratch/guest.saved"

# Devices.
offers "stopcopy migrate --device " test test: vfio-user: vfio:
offers_only "stopcopy check vfio-" vfio-user:
offers_only "stopcopy bringup vfio-" vfio-user:
offers_only "stopcopy migrate --device test:mo" model=
offers_only "stopcopy migrate --device=test:mo" model=
offers_only "stopcopy migrate --device test:model=u" uart
# bash takes what comes after the last '=' for the word.
offers_only "stopcopy migrate --device test:memory=1M,feat" 1M,features=
offers_only "stopcopy migrate --device test,to=te" test test:
# The keys that a test device has, by its own words.
keys=$("$stopcopy" probe test:no-such-key=1 2>&1 | sed -n 's/.*; there are //p' | sed 's/,/ /g;s/ and / /')
[ -n "$keys" ] || fail "stopcopy probe does not name the keys"
offers_only "stopcopy probe test:" $(printf '%s= ' $keys)

# What else the programs have lists of.
list_after() { sed -n "s/.*$1//p" | sed 's/,/ /g;s/ and / /'; }
offers_only "stopcopy run --workload " $("$stopcopy" run --workload none-such 2>&1 | list_after "is none of " | head -n 1)
offers_only "stopcopy state test " $("$stopcopy" state test none-such 2>&1 | list_after "; there are ")
offers_only "stopcopy-device --model " $("$device_server" --list | sed -n 's/^\([a-z][a-z0-9-]*\) .*/\1/p')

# Faults: all that there are.
faults=$("$stopcopy" faults | sed -n 's/^\([a-z0-9-]*\).*/\1/p' | sort -u)
[ -n "$faults" ] || fail "stopcopy faults lists none"
offers_only "stopcopy migrate --fault " $faults
offers_only "stopcopy migrate --device test:fault=" $faults
offers_only "stopcopy migrate --fault page-n" page-not-sent
finish
