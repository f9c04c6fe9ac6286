# SPDX-License-Identifier: GPL-2.0-or-later
# The rules with a working device, and what puts it to work.
if HAVE_CRITERION
CHECK_WORK_TESTS = tests/unit/check/rules_work_test tests/unit/check/work_test
check_PROGRAMS += $(CHECK_WORK_TESTS)
TESTS += $(CHECK_WORK_TESTS)

tests_unit_check_rules_work_test_SOURCES = tests/unit/check/rules_work_test.c tests/unit/check/shim.c \
	tests/unit/check/shim.h
tests_unit_check_rules_work_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_check_rules_work_test_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)

tests_unit_check_work_test_SOURCES = tests/unit/check/work_test.c
tests_unit_check_work_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_check_work_test_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
