# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
check_PROGRAMS += tests/e2e/vfio/client_test
TESTS += tests/e2e/vfio/client_test
tests_e2e_vfio_client_test_SOURCES = tests/e2e/vfio/client_test.c
tests_e2e_vfio_client_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_vfio_client_test_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
dist_check_SCRIPTS += tests/e2e/vfio/commands.sh
TESTS += tests/e2e/vfio/commands.sh
