# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
check_PROGRAMS += tests/unit/migrate/stream tests/unit/migrate/channel tests/unit/migrate/ram \
	tests/unit/migrate/dirty_tracking tests/unit/migrate/destination tests/unit/migrate/after_running tests/unit/migrate/source tests/unit/migrate/conclude tests/unit/migrate/ram_share tests/unit/migrate/device_set \
	tests/unit/migrate/endless tests/unit/migrate/crew
TESTS += tests/unit/migrate/stream tests/unit/migrate/channel tests/unit/migrate/ram \
	tests/unit/migrate/dirty_tracking tests/unit/migrate/destination tests/unit/migrate/after_running tests/unit/migrate/source tests/unit/migrate/conclude tests/unit/migrate/ram_share tests/unit/migrate/device_set \
	tests/unit/migrate/endless tests/unit/migrate/crew
if HAVE_GNUTLS
check_PROGRAMS += tests/unit/migrate/tls
TESTS += tests/unit/migrate/tls
endif
endif
tests_unit_migrate_tls_SOURCES = tests/unit/migrate/tls.c
tests_unit_migrate_tls_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_tls_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_stream_SOURCES = tests/unit/migrate/stream.c
tests_unit_migrate_stream_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_stream_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_channel_SOURCES = tests/unit/migrate/channel.c
tests_unit_migrate_channel_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_channel_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_ram_SOURCES = tests/unit/migrate/ram.c
tests_unit_migrate_ram_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_ram_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_dirty_tracking_SOURCES = tests/unit/migrate/dirty_tracking.c
tests_unit_migrate_dirty_tracking_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_dirty_tracking_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_destination_SOURCES = tests/unit/migrate/destination.c \
	tests/unit/board/fake_device.c tests/unit/board/fake_device.h
tests_unit_migrate_destination_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_destination_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_after_running_SOURCES = tests/unit/migrate/after_running.c
tests_unit_migrate_after_running_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_after_running_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_source_SOURCES = tests/unit/migrate/source.c
tests_unit_migrate_source_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_source_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_conclude_SOURCES = tests/unit/migrate/conclude.c
tests_unit_migrate_conclude_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_conclude_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_ram_share_SOURCES = tests/unit/migrate/ram_share.c
tests_unit_migrate_ram_share_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_ram_share_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_device_set_SOURCES = tests/unit/migrate/device_set.c
tests_unit_migrate_device_set_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_device_set_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_endless_SOURCES = tests/unit/migrate/endless.c \
	tests/unit/board/fake_device.c tests/unit/board/fake_device.h
tests_unit_migrate_endless_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_endless_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests_unit_migrate_crew_SOURCES = tests/unit/migrate/crew.c
tests_unit_migrate_crew_CFLAGS = $(UNIT_CFLAGS)
tests_unit_migrate_crew_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
