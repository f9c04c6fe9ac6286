# SPDX-License-Identifier: GPL-2.0-or-later
# What a switchover costs, against the floor, raw sockets and QEMU: docs/bench.md. No part of `make check`, which has no time for
# it and no quiet machine; its programs are built there, and tests/e2e/bench.sh tries the smallest of it.
bench_tools = tests/bench/floor tests/bench/rate
check_PROGRAMS += $(bench_tools)
tests_bench_floor_SOURCES = tests/bench/floor.c
tests_bench_floor_LDADD = $(VMM_LIBS)
tests_bench_rate_SOURCES = tests/bench/rate.c
tests_bench_rate_LDADD = $(VMM_LIBS)
dist_noinst_SCRIPTS += tests/bench/bench.py
EXTRA_DIST += tests/bench/qemu.py

# BENCH=quick takes about a minute, BENCH=full its time; BENCH_JSON=FILE keeps the numbers.
BENCH = full
bench: all $(bench_tools)
	@$(srcdir)/tests/bench/bench.py --builddir . $(if $(filter quick,$(BENCH)),--quick) $(if $(BENCH_JSON),--json $(BENCH_JSON))
.PHONY: bench
