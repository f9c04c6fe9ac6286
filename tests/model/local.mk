# SPDX-License-Identifier: GPL-2.0-or-later
TESTS += tests/model/handover.sh
EXTRA_DIST += tests/model/handover.sh tests/model/handover.pml
