# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
check_PROGRAMS += tests/unit/cmd/probe_compare
TESTS += tests/unit/cmd/probe_compare
tests_unit_cmd_probe_compare_SOURCES = tests/unit/cmd/test_probe_compare.c
tests_unit_cmd_probe_compare_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cmd_probe_compare_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
