# SPDX-License-Identifier: GPL-2.0-or-later
dist_check_SCRIPTS += tests/guest/boot.sh
EXTRA_DIST += tests/guest/model.py
TESTS += tests/guest/boot.sh

if HAVE_CRITERION
check_PROGRAMS += tests/guest/dma_driver tests/guest/rules
TESTS += tests/guest/dma_driver tests/guest/rules
tests_guest_dma_driver_SOURCES = tests/guest/test_dma_driver.c $(GUEST_DRIVERS)
tests_guest_dma_driver_CFLAGS = $(UNIT_CFLAGS)
tests_guest_dma_driver_LDADD = $(CRITERION_LIBS)
tests_guest_rules_SOURCES = tests/guest/test_rules.c tests/guest/image_symbols.c tests/guest/image_symbols.h
tests_guest_rules_CFLAGS = $(UNIT_CFLAGS)
tests_guest_rules_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
