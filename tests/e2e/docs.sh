#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the pages name is there: each function of docs/ARCHITECTURE.md is defined, each file and link of it and of
# CONTRIBUTING.md and README.md exists.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
cd "${top_srcdir:-.}" || exit 1

functions=$(grep -o '`[a-z_0-9]*()`' docs/ARCHITECTURE.md | tr -d '`()' | sort -u)
[ "$(echo "$functions" | wc -l)" -gt 20 ] || fail "docs/ARCHITECTURE.md names hardly any functions"
for function in $functions; do
    grep -rqE "^[a-z_].*[ *]$function\(" --include='*.c' vmm devices guest lib ||
        fail "docs/ARCHITECTURE.md: there is no function $function()"
done

for page in docs/ARCHITECTURE.md CONTRIBUTING.md README.md; do
    # Links are relative to the page, other names to the top.
    for file in $(grep -o '](\([^)#:]*\))' "$page" | sed 's/^](//;s/)$//'); do
        [ -e "$(dirname "$page")/$file" ] || fail "$page: the link to $file leads nowhere"
    done
    for file in $(grep -oE '\b(docs|vmm|devices|guest|lib|include|tests)/[a-zA-Z0-9_./-]*' "$page" | sed 's/[.]*$//'); do
        [ -e "$file" ] || [ -e "vmm/$file" ] || [ -e "$top_builddir/$file" ] || fail "$page: there is no $file"
    done
done

# snippets PAGE FILE...: each line of code that the page quotes is a line of these files. What one types begins with a $ or a
# program's name.
snippets() {
    page=$1
    shift
    sed -n 's/^    *//p' "$page" | grep -v '^\(\$\|stopcopy\|make\|\./\)' >"$scratch/quoted"
    [ "$(wc -l <"$scratch/quoted")" -ge 10 ] || fail "$page quotes hardly any code"
    cat "$@" | sed 's/^[ \t]*//' >"$scratch/code"
    while IFS= read -r line; do
        grep -qxF -- "$line" "$scratch/code" || fail "$page: not in $*: $line"
    done <"$scratch/quoted"
}
snippets docs/writing-a-device.md devices/models/tally.c devices/models/small.c
snippets docs/writing-a-guest-driver.md guest/workloads/tally.c guest/workloads/device_work_list.c include/stopcopy/workload.h \
    vmm/proof/model_tally.c vmm/proof/workload.c
# How long they are said to be.
[ "$(wc -l <devices/models/tally.c)" -lt 150 ] || fail "devices/models/tally.c has more lines than docs/writing-a-device.md says"
[ "$(wc -l <guest/workloads/tally.c)" -lt 200 ] || fail "guest/workloads/tally.c has more lines than docs/writing-a-guest-driver.md says"
finish
