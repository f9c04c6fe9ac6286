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
finish
