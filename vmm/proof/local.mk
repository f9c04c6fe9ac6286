# SPDX-License-Identifier: GPL-2.0-or-later
libvmm_a_SOURCES += \
	vmm/proof/arithmetic.h \
	vmm/proof/blackout.c \
	vmm/proof/catch_up.c vmm/proof/catch_up.h \
	vmm/proof/chains.c \
	vmm/proof/judge.c vmm/proof/judge.h \
	vmm/proof/model.c vmm/proof/model.h \
	vmm/proof/model_clock.c \
	vmm/proof/model_cpu.c \
	vmm/proof/model_dma.c \
	vmm/proof/model_edu.c \
	vmm/proof/model_memory.c \
	vmm/proof/model_tally.c \
	vmm/proof/model_uart.c \
	vmm/proof/proof.h \
	vmm/proof/read.c \
	vmm/proof/workload.c vmm/proof/workload.h
