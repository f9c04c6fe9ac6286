#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The text report of the sample looks as it did. After a change that is meant: sample_report text > sample.txt
set -eu
program=$top_builddir/tests/unit/report/sample_report
"$program" text | diff -u "$top_srcdir/tests/unit/report/sample.txt" -
"$program" text fail | tail -n 1 | grep -qx "FAIL: device/dma-after-stop: the device wrote to 0x1000 after STOP"
"$program" text incomplete | tail -n 1 | grep -qx "INCOMPLETE: the interrupts of the device were not counted"
"$program" text empty | tail -n 1 | grep -q "^INCOMPLETE: the log does not say what there was to be shown"
