#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The HTML page in headless Chromium: no word on the console, nothing loaded, no wider than the window it is in, and it says
# what the report says.
set -u
program=$top_builddir/tests/unit/report/sample_report
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    { echo "no Chromium is there"; exit 77; }
failures=0
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT

# What a reader's window would say: the page and, added here, its width past the window's.
open_page() { # open_page WIDTH FILE
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --enable-logging=stderr --user-data-dir="$folder/profile" \
        --window-size="$1,2000" --dump-dom "file://$2" 2>"$folder/console"
}
check() { # check WHAT COMMAND...
    what=$1
    shift
    if "$@" >"$folder/log" 2>&1; then
        echo "ok: $what"
    else
        echo "not ok: $what"
        cat "$folder/log" "$folder/console"
        failures=$((failures + 1))
    fi
}

for how in right fail incomplete empty; do
    "$program" html $how >"$folder/$how.html" || failures=$((failures + 1))
    check "$how needs nothing from elsewhere" sh -c '! grep -Eq "(src|href)=\"?(https?:|//)|@import|url\(" "$1"' sh "$folder/$how.html"
    # shellcheck disable=SC2016
    sed 's|</body>|<script>document.body.dataset.over = document.documentElement.scrollWidth - innerWidth</script></body>|' \
        "$folder/$how.html" >"$folder/$how.measured.html"
    for width in 1200 500; do
        open_page $width "$folder/$how.measured.html" >"$folder/dom"
        check "$how in $width pixels is no wider than that" grep -q 'data-over="-\{0,1\}0"\|data-over="-[0-9]*"' "$folder/dom"
        check "$how in $width pixels has nothing to complain about" sh -c '! grep -q CONSOLE "$1"' sh "$folder/console"
    done
    verdict=$("$program" text $how | tail -n 1)
    check "$how says its verdict: $verdict" grep -qF "<title>$verdict</title>" "$folder/dom"
done
open_page 1200 "$folder/right.html" >"$folder/dom"
check "both arcs of the source are drawn" test "$(grep -o '<path class="source"' "$folder/dom" | wc -l)" -eq 2
check "the steps of the switchover have bars" test "$(grep -o '<rect class="source' "$folder/dom" | wc -l)" -ge 4
check "what came from outside is text" grep -qF "'dma it'\\''s'" "$folder/dom"
open_page 1200 "$folder/fail.html" >"$folder/dom"
check "a finding is named" grep -q '<span class="rule">device/dma-after-stop</span>' "$folder/dom"
[ "$failures" -eq 0 ]
