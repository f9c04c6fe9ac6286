#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each command has a man page, with each option of its --help and no others; the pages are sound roff.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
pages=$top_builddir/docs/man

# The options of a --help, and those that a page has as heads of its paragraphs.
helped() { "$@" --help | sed -n 's/^  *\(-[^-], \)\{0,1\}\(--[a-z][a-z0-9-]*\).*/\2/p' | sort -u; }
headed() { sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/{s/\\-/-/g;s/^.*\\fB\(--[a-z][a-z0-9-]*\)\\fR.*/\1/p}' "$1" | sort -u; }
# All that a page calls an option, wherever that is.
named() { sed 's/\\-/-/g;s/\\f[A-Z]/ /g' "$1" | grep -v '^\.\\"' | grep -o '\(^\|[^a-z0-9-]\)--[a-z][a-z0-9-]*' | sed 's/^[^-]//' | sort -u; }

# same_options PAGE PROGRAM...
same_options() {
    page=$1
    shift
    helped "$@" >"$scratch/helped"
    [ -s "$scratch/helped" ] || fail "$* --help names no options"
    headed "$pages/$page" >"$scratch/headed"
    diff "$scratch/helped" "$scratch/headed" >"$scratch/diff" ||
        { fail "$page and $* --help do not have the same options:"; cat "$scratch/diff"; }
    cat "$scratch/helped" >>"$scratch/all"
}

commands=$("$stopcopy" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ -n "$commands" ] || fail "stopcopy --help lists no commands"
printf '%s\n' --help --version >"$scratch/all"
for command in $commands; do
    page=stopcopy-$command.1
    [ -f "$pages/$page" ] || { fail "there is no docs/man/$page: write $page.in, and list it in docs/local.mk"; continue; }
    same_options "$page" "$stopcopy" "$command"
    grep -q '^\.SH EXAMPLES' "$pages/$page" && "$stopcopy" "$command" --help | grep -q '^Examples:' ||
        fail "$command: --help or $page has no examples"
    grep -q "^.fBstopcopy.-$command" "$pages/stopcopy.1" || fail "stopcopy.1 does not list $command"
done
same_options stopcopy-device.1 "$device_server"

for page in "$pages"/*.[1-9]; do
    name=$(basename "$page")
    [ "$name" = stopcopy-guest.7 ] && continue # it shows QEMU's
    named "$page" | while read -r option; do
        grep -qx -- "$option" "$scratch/all" || echo "$option"
    done >"$scratch/unknown"
    [ -s "$scratch/unknown" ] && fail "$name names options that no command has: $(tr '\n' ' ' <"$scratch/unknown")"
done
for page in "$pages"/*.[1-9]; do
    grep -n '^@' "$page" && fail "$page: a line was not replaced"
    if command -v mandoc >/dev/null 2>&1; then
        mandoc -Tlint -W warning "$page" >"$scratch/lint" 2>&1 || { fail "$page:"; cat "$scratch/lint"; }
    fi
    if command -v groff >/dev/null 2>&1; then
        groff -man -ww -Tutf8 -rLL=100n "$page" 2>"$scratch/lint" >/dev/null
        [ -s "$scratch/lint" ] && { fail "$page:"; cat "$scratch/lint"; }
    fi
done

# Each rule that the guest may break is in the page about the guest, as in the text that the rules come from.
for rule in $(sed -n 's/^| `\(guest\/[a-z-]*\)`.*/\1/p' "${top_srcdir:-.}/docs/guest.md"); do
    sed 's/\\-/-/g' "$pages/stopcopy-guest.7" | grep -q "$rule" || fail "stopcopy-guest.7 does not have $rule"
done
finish
