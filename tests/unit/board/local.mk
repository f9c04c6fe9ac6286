# SPDX-License-Identifier: GPL-2.0-or-later
if HAVE_CRITERION
# Everything without KVM: fake_vm.c stands for vmm/kvm/.
check_PROGRAMS += tests/unit/board/board
TESTS += tests/unit/board/board
tests_unit_board_board_SOURCES = \
	tests/unit/board/fake_device.c tests/unit/board/fake_device.h \
	tests/unit/board/fake_vm.c tests/unit/board/fake_vm.h \
	tests/unit/board/guest.c tests/unit/board/guest.h \
	tests/unit/board/test_config.c \
	tests/unit/board/test_elf.c \
	tests/unit/board/test_intx.c \
	tests/unit/board/test_layout.c \
	tests/unit/board/test_msix.c \
	tests/unit/board/test_peers.c \
	tests/unit/board/test_ports.c \
	tests/unit/board/test_tree.c
tests_unit_board_board_CFLAGS = $(UNIT_CFLAGS)
tests_unit_board_board_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/unit/board/machine
TESTS += tests/unit/board/machine
tests_unit_board_machine_SOURCES = \
	tests/unit/board/fake_device.c tests/unit/board/fake_device.h \
	tests/unit/board/test_machine.c
tests_unit_board_machine_CFLAGS = $(UNIT_CFLAGS)
tests_unit_board_machine_LDADD = $(VMM_LIBS) $(CRITERION_LIBS)
endif
