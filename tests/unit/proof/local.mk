# SPDX-License-Identifier: GPL-2.0-or-later
# The digests in golden.h, made anew by an implementation that shares nothing with the model.
dist_check_SCRIPTS += tests/unit/proof/golden.sh
EXTRA_DIST += tests/unit/proof/model.py
TESTS += tests/unit/proof/golden.sh

if HAVE_CRITERION
check_PROGRAMS += tests/unit/proof/proof
TESTS += tests/unit/proof/proof
tests_unit_proof_proof_SOURCES = \
	tests/unit/proof/golden.h \
	tests/unit/proof/test_chains.c \
	tests/unit/proof/test_judge.c \
	tests/unit/proof/test_model.c \
	tests/unit/proof/test_read.c \
	tests/unit/proof/test_repeats.c
tests_unit_proof_proof_CFLAGS = $(UNIT_CFLAGS)
tests_unit_proof_proof_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
