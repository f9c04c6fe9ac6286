# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
check_PROGRAMS += tests/unit/lib/lib
TESTS += tests/unit/lib/lib
endif
tests_unit_lib_lib_SOURCES = tests/unit/lib/lib.c
tests_unit_lib_lib_CFLAGS = $(UNIT_CFLAGS)
tests_unit_lib_lib_LDADD = libcommon.a $(CRITERION_LIBS)
