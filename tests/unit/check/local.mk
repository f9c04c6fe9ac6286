# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
CHECK_UNIT_TESTS = tests/unit/check/rules_test
check_PROGRAMS += $(CHECK_UNIT_TESTS)
TESTS += $(CHECK_UNIT_TESTS)
tests_unit_check_rules_test_SOURCES = \
	tests/unit/check/rules_test.c \
	tests/unit/check/fake_vfio.c tests/unit/check/fake_vfio.h
tests_unit_check_rules_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_check_rules_test_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
