# SPDX-License-Identifier: GPL-2.0-or-later
dist_check_SCRIPTS += tests/guest/boot.sh
EXTRA_DIST += tests/guest/model.py
TESTS += tests/guest/boot.sh
