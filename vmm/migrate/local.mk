# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/migrate/channel.c vmm/migrate/channel.h \
	vmm/migrate/channel_file.c vmm/migrate/channel_file.h \
	vmm/migrate/crew.c vmm/migrate/crew.h \
	vmm/migrate/destination.c \
	vmm/migrate/device_load.c vmm/migrate/device_load.h \
	vmm/migrate/device_set.c vmm/migrate/device_set.h \
	vmm/migrate/dirty_tracking.c vmm/migrate/dirty_tracking.h \
	vmm/migrate/fault.c vmm/migrate/fault.h \
	vmm/migrate/handover.h \
	vmm/migrate/hello.c \
	vmm/migrate/page_set.c vmm/migrate/page_set.h \
	vmm/migrate/precopy.c vmm/migrate/precopy.h \
	vmm/migrate/ram.c vmm/migrate/ram.h \
	vmm/migrate/ram_share.c vmm/migrate/ram_share.h \
	vmm/migrate/source.c vmm/migrate/source_private.h vmm/migrate/source_send.c \
	vmm/migrate/source_log.c vmm/migrate/source_log.h \
	vmm/migrate/stop_watch.c vmm/migrate/stop_watch.h \
	vmm/migrate/step.c vmm/migrate/step.h \
	vmm/migrate/stream.c vmm/migrate/stream.h \
	vmm/migrate/tls.h \
	vmm/migrate/verification.c vmm/migrate/verification.h
if HAVE_GNUTLS
libvmm_a_SOURCES += vmm/migrate/tls.c vmm/migrate/tls_credentials.c vmm/migrate/tls_credentials.h
EXTRA_DIST += vmm/migrate/tls_absent.c
else
libvmm_a_SOURCES += vmm/migrate/tls_absent.c
EXTRA_DIST += vmm/migrate/tls.c vmm/migrate/tls_credentials.c vmm/migrate/tls_credentials.h
endif
