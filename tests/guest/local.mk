# SPDX-License-Identifier: GPL-2.0-or-later
dist_check_SCRIPTS += tests/guest/boot.sh
EXTRA_DIST += tests/guest/model.py
TESTS += tests/guest/boot.sh

if HAVE_CRITERION
check_PROGRAMS += tests/guest/dma_driver
TESTS += tests/guest/dma_driver
tests_guest_dma_driver_SOURCES = tests/guest/test_dma_driver.c $(GUEST_DRIVERS)
tests_guest_dma_driver_CFLAGS = $(UNIT_CFLAGS)
tests_guest_dma_driver_LDADD = $(CRITERION_LIBS)
endif
