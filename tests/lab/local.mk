# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's own VFIO under QEMU: docs/lab.md. LAB_CACHE may name a folder that several build folders share.
LAB_CACHE ?= $(abs_top_builddir)/lab
LAB_RESULTS = $(abs_top_builddir)/lab/check-lab.tap
check-lab: all
	@$(MKDIR_P) lab
	@{ top_builddir='$(abs_top_builddir)' LAB_CACHE='$(LAB_CACHE)' $(srcdir)/tests/lab/run.sh; echo $$? >lab/status; } | \
		tee $(LAB_RESULTS); exit $$(cat lab/status)
.PHONY: check-lab

LAB_CASES = \
	tests/lab/cases/check-edu.sh \
	tests/lab/cases/check-mtty.sh \
	tests/lab/cases/edu.sh \
	tests/lab/cases/edu-dirty.sh \
	tests/lab/cases/edu-migration.sh \
	tests/lab/cases/failures.sh \
	tests/lab/cases/kernel.sh \
	tests/lab/cases/mtty.sh \
	tests/lab/cases/reference.sh \
	tests/lab/cases/refusals.sh \
	tests/lab/cases/vfio-edu.sh \
	tests/lab/cases/vfio-mtty.sh \
	tests/lab/cases/vfio-nvme.sh
dist_noinst_SCRIPTS += tests/lab/kernel.sh tests/lab/run.sh
EXTRA_DIST += $(LAB_CASES) tests/lab/init tests/lab/lib.sh tests/lab/kernel.config tests/lab/kernel-debug.config \
	tests/lab/machines/functions tests/lab/machines/iommu tests/lab/machines/plain \
	$(addprefix tests/lab/modules/edu_migration/,Kbuild edu.h fail.c log.c main.c registers.c state.c) \
	tests/lab/known/edu_migration tests/lab/known/mtty \
	tests/lab/modules/lab_aer/Kbuild tests/lab/modules/lab_aer/lab_aer.c \
	tests/lab/modules/lab_warn/Kbuild tests/lab/modules/lab_warn/lab_warn.c

# The runner alone, against a QEMU that is not one.
dist_check_SCRIPTS += tests/lab/runner.sh
TESTS += tests/lab/runner.sh
