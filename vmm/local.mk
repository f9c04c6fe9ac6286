# SPDX-License-Identifier: GPL-2.0-or-later
# Everything of the VMM but main is a library, so that the unit tests can link it.
noinst_LIBRARIES += libvmm.a
libvmm_a_SOURCES =
libvmm_a_CFLAGS = $(AM_CFLAGS)
VMM_LIBS = libvmm.a libcommon.a $(JANSSON_LIBS) $(XXHASH_LIBS) $(ISAL_LIBS) $(YAML_LIBS) $(FDT_LIBS) $(GNUTLS_LIBS) $(SECCOMP_LIBS) -lm

include vmm/kvm/local.mk
include vmm/board/local.mk
include vmm/vfio/local.mk
include vmm/migrate/local.mk
include vmm/proof/local.mk
include vmm/check/local.mk
include vmm/report/local.mk
include vmm/campaign/local.mk
include vmm/cmd/local.mk
