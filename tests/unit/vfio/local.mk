# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
VFIO_UNIT_TESTS = \
	tests/unit/vfio/device_spec_test \
	tests/unit/vfio/dirty_log_test \
	tests/unit/vfio/fsm_cross_test \
	tests/unit/vfio/fsm_test \
	tests/unit/vfio/kernel_device_test \
	tests/unit/vfio/kernel_find_test \
	tests/unit/vfio/vfio_user_access_test \
	tests/unit/vfio/vfio_user_info_test \
	tests/unit/vfio/vfio_user_migration_test \
	tests/unit/vfio/vfio_user_peer_test \
	tests/unit/vfio/vfio_user_reply_test \
	tests/unit/vfio/vfio_user_version_test
check_PROGRAMS += $(VFIO_UNIT_TESTS)
TESTS += $(VFIO_UNIT_TESTS)
VFIO_FAKE_SERVER = tests/unit/vfio/fake_server.c tests/unit/vfio/fake_server.h
VFIO_UNIT_LIBS = $(VMM_LIBS) $(CRITERION_LIBS)

tests_unit_vfio_device_spec_test_SOURCES = tests/unit/vfio/device_spec_test.c
tests_unit_vfio_device_spec_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_device_spec_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_dirty_log_test_SOURCES = tests/unit/vfio/dirty_log_test.c
tests_unit_vfio_dirty_log_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_dirty_log_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_fsm_cross_test_SOURCES = tests/unit/vfio/fsm_cross_test.c
tests_unit_vfio_fsm_cross_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_fsm_cross_test_LDADD = libdevices.a $(VFIO_UNIT_LIBS)

tests_unit_vfio_fsm_test_SOURCES = tests/unit/vfio/fsm_test.c
tests_unit_vfio_fsm_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_fsm_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_kernel_device_test_SOURCES = tests/unit/vfio/kernel_device_test.c
tests_unit_vfio_kernel_device_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_kernel_device_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_kernel_find_test_SOURCES = tests/unit/vfio/kernel_find_test.c
tests_unit_vfio_kernel_find_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_kernel_find_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_access_test_SOURCES = tests/unit/vfio/vfio_user_access_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_access_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_access_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_info_test_SOURCES = tests/unit/vfio/vfio_user_info_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_info_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_info_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_migration_test_SOURCES = tests/unit/vfio/vfio_user_migration_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_migration_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_migration_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_peer_test_SOURCES = tests/unit/vfio/vfio_user_peer_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_peer_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_peer_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_reply_test_SOURCES = tests/unit/vfio/vfio_user_reply_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_reply_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_reply_test_LDADD = $(VFIO_UNIT_LIBS)

tests_unit_vfio_vfio_user_version_test_SOURCES = tests/unit/vfio/vfio_user_version_test.c $(VFIO_FAKE_SERVER)
tests_unit_vfio_vfio_user_version_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_vfio_vfio_user_version_test_LDADD = $(VFIO_UNIT_LIBS)
endif
include tests/e2e/vfio/local.mk
