#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make install puts everything in place, what was installed works from where it lies, make uninstall takes it all away.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
root=$scratch/root

# Not by the make that runs this test.
made() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$top_builddir" "$1" DESTDIR="$root" prefix=/opt/stopcopy; }

made install >"$scratch/out" 2>&1 || { fail "make install"; tail -20 "$scratch/out"; finish; }
for file in bin/stopcopy bin/stopcopy-device share/stopcopy/stopcopy-guest.elf share/man/man1/stopcopy.1 \
    share/man/man1/stopcopy-migrate.1 share/man/man7/stopcopy-guest.7 share/bash-completion/completions/stopcopy \
    share/bash-completion/completions/stopcopy-device share/doc/stopcopy/README.md share/doc/stopcopy/report.schema.json; do
    [ -s "$root/opt/stopcopy/$file" ] || fail "$file is not installed"
done
for page in "$top_builddir"/docs/man/*.1; do
    [ -f "$root/opt/stopcopy/share/man/man1/$(basename "$page")" ] || fail "$page is not installed"
done

for page in "${top_srcdir:-.}"/docs/*.md; do
    [ -f "$root/opt/stopcopy/share/doc/stopcopy/$(basename "$page")" ] ||
        fail "docs/$(basename "$page") is not installed: list it in docs/local.mk"
done

# From there, and from a folder where neither the build tree nor PATH helps: it finds its device server and its guest.
installed=$root/opt/stopcopy/bin/stopcopy
(cd "$scratch" && PATH=/usr/bin:/bin expect 0 "the installed stopcopy migrates" env -u STOPCOPY_GUEST -u STOPCOPY_DEVICE \
    "$installed" migrate --memory 64M --device test:memory=1M --at-ops 2000 --report text --report json:report.json
[ "$failures" -eq 0 ]) || failures=$((failures + 1))
expect_json '.verdict == "pass"'
echo "not an image" >"$root/opt/stopcopy/share/stopcopy/stopcopy-guest.elf"
expect 2 "with another guest" "$installed" run --memory 64M --workload cpu --ops 10
expect_error "$root/opt/stopcopy/"

made uninstall >"$scratch/out" 2>&1 || { fail "make uninstall"; tail -20 "$scratch/out"; }
left=$(find "$root" ! -type d)
[ -z "$left" ] || fail "make uninstall leaves behind: $left"
finish
