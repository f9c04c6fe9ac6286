#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The digests that the unit test holds the model to are still those that model.py makes.
set -eu
command -v python3 >/dev/null || { echo "python3 is not there"; exit 77; }
directory=$top_srcdir/tests/unit/proof
python3 "$directory/model.py" | cmp - "$directory/golden.h"
