# SPDX-License-Identifier: GPL-2.0-or-later
dist_check_SCRIPTS += tests/guest/boot.sh
EXTRA_DIST += tests/guest/model.py
TESTS += tests/guest/boot.sh

if HAVE_CRITERION
check_PROGRAMS += tests/guest/dma_driver tests/guest/edu_driver tests/guest/edu_workload tests/guest/rules
TESTS += tests/guest/dma_driver tests/guest/edu_driver tests/guest/edu_workload tests/guest/rules
tests_guest_dma_driver_SOURCES = tests/guest/test_dma_driver.c $(GUEST_DRIVERS)
tests_guest_dma_driver_CFLAGS = $(UNIT_CFLAGS)
tests_guest_dma_driver_LDADD = $(CRITERION_LIBS)
tests_guest_edu_driver_SOURCES = tests/guest/test_edu_driver.c tests/guest/fake_edu.c tests/guest/fake_edu.h \
	guest/drivers/edu_driver.c
tests_guest_edu_driver_CFLAGS = $(UNIT_CFLAGS)
tests_guest_edu_driver_LDADD = $(CRITERION_LIBS)
tests_guest_edu_workload_SOURCES = tests/guest/test_edu_workload.c tests/guest/fake_edu.c tests/guest/fake_edu.h \
	guest/drivers/edu_driver.c guest/workloads/chain.c guest/workloads/device_work.c \
	guest/workloads/edu.c
tests_guest_edu_workload_CFLAGS = $(UNIT_CFLAGS)
tests_guest_edu_workload_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_guest_rules_SOURCES = tests/guest/test_rules.c tests/guest/image_symbols.c tests/guest/image_symbols.h
tests_guest_rules_CFLAGS = $(UNIT_CFLAGS)
tests_guest_rules_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
