# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
DEVICES_UNIT_TESTS = \
	tests/unit/devices/dirty_log_test \
	tests/unit/devices/dma_table_test \
	tests/unit/devices/fault_test \
	tests/unit/devices/fsm_test \
	tests/unit/devices/p2p_test \
	tests/unit/devices/state_test \
	tests/unit/devices/stream_test \
	tests/unit/devices/uart_test
check_PROGRAMS += $(DEVICES_UNIT_TESTS)
TESTS += $(DEVICES_UNIT_TESTS)
DEVICES_UNIT_HOST = tests/unit/devices/host.c tests/unit/devices/host.h

tests_unit_devices_dirty_log_test_SOURCES = tests/unit/devices/dirty_log_test.c
tests_unit_devices_dirty_log_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_dirty_log_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_dma_table_test_SOURCES = tests/unit/devices/dma_table_test.c
tests_unit_devices_dma_table_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_dma_table_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_fault_test_SOURCES = tests/unit/devices/fault_test.c $(DEVICES_UNIT_HOST)
tests_unit_devices_fault_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_fault_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_fsm_test_SOURCES = tests/unit/devices/fsm_test.c
tests_unit_devices_fsm_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_fsm_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_p2p_test_SOURCES = tests/unit/devices/p2p_test.c $(DEVICES_UNIT_HOST)
tests_unit_devices_p2p_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_p2p_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_state_test_SOURCES = tests/unit/devices/state_test.c $(DEVICES_UNIT_HOST)
tests_unit_devices_state_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_state_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_stream_test_SOURCES = tests/unit/devices/stream_test.c
tests_unit_devices_stream_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_stream_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
tests_unit_devices_uart_test_SOURCES = tests/unit/devices/uart_test.c $(DEVICES_UNIT_HOST)
tests_unit_devices_uart_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_devices_uart_test_LDADD = $(DEVICES_LIBS) $(CRITERION_LIBS)
endif
include tests/e2e/device/local.mk
