# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	lib/buffer.c lib/buffer.h \
	lib/deadline.c lib/deadline.h \
	lib/error.c lib/error.h \
	lib/fault_bugs.c \
	lib/fault_table.c lib/fault_table.h \
	lib/io.c lib/io.h \
	lib/migration_state.c \
	lib/options.c lib/options.h \
	lib/sandbox.h
if HAVE_SECCOMP
libcommon_a_SOURCES += lib/sandbox.c lib/sandbox_table.c lib/sandbox_table.h
EXTRA_DIST += lib/sandbox_absent.c
else
libcommon_a_SOURCES += lib/sandbox_absent.c
EXTRA_DIST += lib/sandbox.c lib/sandbox_table.c lib/sandbox_table.h
endif
