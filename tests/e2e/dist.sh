#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A tarball has every file that git has: one that its folder's local.mk does not list is missed here, and not by who unpacks it.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_program git
: "${top_srcdir:=$PWD}"
[ -e "$top_srcdir/.git" ] || skip "this is no git tree"

env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$top_builddir" distdir distdir="$scratch/dist" \
    top_distdir="$scratch/dist" >"$scratch/out" 2>&1 || { fail "make distdir"; tail -20 "$scratch/out"; finish; }
(cd "$scratch/dist" && find . -type f | sed 's|^\./||' | sort) >"$scratch/have"
git -C "$top_srcdir" ls-files | grep -v '\(^\|/\)\.git[a-z]*$' | sort >"$scratch/want"
[ -s "$scratch/want" ] || skip "git lists no files"
missing=$(comm -13 "$scratch/have" "$scratch/want")
[ -z "$missing" ] || fail "a tarball lacks these, which no local.mk lists:
$missing"
finish
