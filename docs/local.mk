# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += docs/faults.md docs/interoperability.md docs/stream.md
EXTRA_DIST += docs/lab.md
