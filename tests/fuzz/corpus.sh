#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each fuzzer goes through its corpus: inputs that reach far, and those that once crashed.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
corpus=${top_srcdir:-.}/tests/fuzz/corpus

for fuzzer in stream server client device guest; do
    expect 0 "$fuzzer" "$top_builddir/tests/fuzz/$fuzzer" "$corpus/$fuzzer"
    grep -q 'Sanitizer\|runtime error' "$scratch/err" && { fail "$name: a sanitizer complains"; cat "$scratch/err"; }
done
finish
