# SPDX-License-Identifier: GPL-2.0-or-later
# A report of each verdict, printed: against what it looked like, and against the JSON Schema.
check_PROGRAMS += tests/unit/report/sample_report
tests_unit_report_sample_report_SOURCES = \
	tests/unit/report/sample.c tests/unit/report/sample.h \
	tests/unit/report/sample_report.c
tests_unit_report_sample_report_LDADD = $(VMM_LIBS)
dist_check_SCRIPTS += tests/unit/report/formats.sh tests/unit/report/html.sh tests/unit/report/schema.sh tests/unit/report/text.sh
EXTRA_DIST += tests/unit/report/sample.txt
TESTS += tests/unit/report/formats.sh tests/unit/report/html.sh tests/unit/report/schema.sh tests/unit/report/text.sh

if HAVE_CRITERION
check_PROGRAMS += tests/unit/report/report
TESTS += tests/unit/report/report
tests_unit_report_report_SOURCES = \
	tests/unit/report/sample.c tests/unit/report/sample.h \
	tests/unit/report/test_event_log.c \
	tests/unit/report/test_report.c \
	tests/unit/report/test_switchover.c \
	tests/unit/report/test_verdict.c \
	tests/unit/report/test_write.c
tests_unit_report_report_CFLAGS = $(UNIT_CFLAGS)
tests_unit_report_report_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
