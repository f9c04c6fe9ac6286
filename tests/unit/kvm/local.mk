# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += tests/unit/kvm/guest_code.s
if HAVE_CRITERION
check_PROGRAMS += tests/unit/kvm/kvm_test
TESTS += tests/unit/kvm/kvm_test
tests_unit_kvm_kvm_test_SOURCES = \
	tests/unit/kvm/fixture.c tests/unit/kvm/fixture.h \
	tests/unit/kvm/guest_code.c \
	tests/unit/kvm/test_dirty_log.c \
	tests/unit/kvm/test_irq.c \
	tests/unit/kvm/test_record.c \
	tests/unit/kvm/test_state.c \
	tests/unit/kvm/test_vcpu.c
tests_unit_kvm_kvm_test_CFLAGS = $(UNIT_CFLAGS) -Wa,-I$(top_srcdir)
tests_unit_kvm_kvm_test_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
tests/unit/kvm/kvm_test-guest_code.$(OBJEXT): tests/unit/kvm/guest_code.s
endif
