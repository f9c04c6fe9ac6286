# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
DEVICE_E2E_SOURCES = \
	tests/e2e/device/client.c tests/e2e/device/client.h \
	tests/e2e/device/client_access.c tests/e2e/device/client_message.c tests/e2e/device/client_migration.c \
	tests/e2e/device/client_queue.c
DEVICE_E2E_LIBS = libcommon.a $(CRITERION_LIBS) -lm
DEVICE_E2E_TESTS = \
	tests/e2e/device/features_test \
	tests/e2e/device/golden_test \
	tests/e2e/device/interrupts_test \
	tests/e2e/device/migration_test \
	tests/e2e/device/operations_test \
	tests/e2e/device/peers_test \
	tests/e2e/device/program_test \
	tests/e2e/device/protocol_test \
	tests/e2e/device/reset_test \
	tests/e2e/device/size_test \
	tests/e2e/device/tally_test \
	tests/e2e/device/vectors_test
check_PROGRAMS += $(DEVICE_E2E_TESTS)
TESTS += $(DEVICE_E2E_TESTS)

tests_e2e_device_features_test_SOURCES = tests/e2e/device/features_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_features_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_features_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_golden_test_SOURCES = \
	tests/e2e/device/golden_test.c tests/e2e/device/golden.h $(DEVICE_E2E_SOURCES)
tests_e2e_device_golden_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_golden_test_LDADD = $(DEVICE_E2E_LIBS)
# Made what the golden test loads, once: see tests/golden/README.
EXTRA_PROGRAMS += tests/e2e/device/golden_make
CLEANFILES += tests/e2e/device/golden_make
tests_e2e_device_golden_make_SOURCES = \
	tests/e2e/device/golden_make.c tests/e2e/device/golden.h $(DEVICE_E2E_SOURCES)
tests_e2e_device_golden_make_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_golden_make_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_interrupts_test_SOURCES = tests/e2e/device/interrupts_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_interrupts_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_interrupts_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_migration_test_SOURCES = tests/e2e/device/migration_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_migration_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_migration_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_operations_test_SOURCES = tests/e2e/device/operations_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_operations_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_operations_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_peers_test_SOURCES = tests/e2e/device/peers_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_peers_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_peers_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_program_test_SOURCES = tests/e2e/device/program_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_program_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_program_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_protocol_test_SOURCES = tests/e2e/device/protocol_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_protocol_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_protocol_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_tally_test_SOURCES = tests/e2e/device/tally_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_tally_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_tally_test_LDADD = $(DEVICE_E2E_LIBS) $(ISAL_LIBS)
tests_e2e_device_reset_test_SOURCES = tests/e2e/device/reset_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_reset_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_reset_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_size_test_SOURCES = tests/e2e/device/size_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_size_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_size_test_LDADD = $(DEVICE_E2E_LIBS)
tests_e2e_device_vectors_test_SOURCES = tests/e2e/device/vectors_test.c $(DEVICE_E2E_SOURCES)
tests_e2e_device_vectors_test_CFLAGS = $(UNIT_CFLAGS)
tests_e2e_device_vectors_test_LDADD = $(DEVICE_E2E_LIBS)
endif
EXTRA_DIST += \
	tests/golden/README \
	tests/golden/dma.state tests/golden/dma-contents.state tests/golden/dma-in-flight.state \
	tests/golden/dma-interrupt.state tests/golden/dma-pre-copy.state \
	tests/golden/tally.state tests/golden/uart.state tests/golden/uart-masked.state
