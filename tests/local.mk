# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests link what they test from the parts' libraries; tests/<part>/local.mk add to check_PROGRAMS and TESTS.
UNIT_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
include tests/unit/lib/local.mk
include tests/unit/devices/local.mk
include tests/unit/vfio/local.mk
include tests/unit/kvm/local.mk
include tests/unit/board/local.mk
include tests/unit/cmd/local.mk
include tests/unit/proof/local.mk
include tests/unit/report/local.mk
include tests/unit/migrate/local.mk
include tests/unit/check/local.mk
include tests/unit/check/work.mk
include tests/guest/local.mk
include tests/e2e/local.mk
include tests/fuzz/local.mk
include tests/model/local.mk
include tests/lab/local.mk

# As long as you like: see tests/soak.sh.
soak: all
	@SOAK_TIME='$(SOAK_TIME)' SOAK_SEED='$(SOAK_SEED)' $(srcdir)/tests/soak.sh .
.PHONY: soak
dist_noinst_SCRIPTS += tests/soak.sh
include tests/bench/local.mk
