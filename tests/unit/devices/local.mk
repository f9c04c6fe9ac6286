# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
DEVICES_UNIT_TESTS = tests/unit/devices/fsm_test
check_PROGRAMS += $(DEVICES_UNIT_TESTS)
TESTS += $(DEVICES_UNIT_TESTS)
tests_unit_devices_fsm_test_SOURCES = tests/unit/devices/fsm_test.c
tests_unit_devices_fsm_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_fsm_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
endif
include tests/e2e/device/local.mk
