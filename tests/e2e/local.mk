# SPDX-License-Identifier: GPL-2.0-or-later
check_PROGRAMS += tests/e2e/stream-proxy tests/e2e/socket-pair tests/e2e/hurt-pair tests/e2e/tcp tests/e2e/inject
tests_e2e_stream_proxy_SOURCES = tests/e2e/stream-proxy.c
tests_e2e_socket_pair_SOURCES = tests/e2e/socket-pair.c
tests_e2e_inject_SOURCES = tests/e2e/inject.c
tests_e2e_tcp_SOURCES = tests/e2e/tcp.c
tests_e2e_hurt_pair_SOURCES = tests/e2e/hurt-pair.c

E2E_TESTS = \
	tests/e2e/arc-failures.sh \
	tests/e2e/baseline.sh \
	tests/e2e/bringup.sh \
	tests/e2e/bench.sh \
	tests/e2e/by-hand.sh \
	tests/e2e/check.sh \
	tests/e2e/completion.sh \
	tests/e2e/dist.sh \
	tests/e2e/docs.sh \
	tests/e2e/errors.sh \
	tests/e2e/faults.sh \
	tests/e2e/hurt.sh \
	tests/e2e/import.sh \
	tests/e2e/inspect.sh \
	tests/e2e/install.sh \
	tests/e2e/keep.sh \
	tests/e2e/kill.sh \
	tests/e2e/limits.sh \
	tests/e2e/man.sh \
	tests/e2e/migrate.sh \
	tests/e2e/orders.sh \
	tests/e2e/p2p.sh \
	tests/e2e/precopy.sh \
	tests/e2e/readme.sh \
	tests/e2e/repeat.sh \
	tests/e2e/same-device.sh \
	tests/e2e/sandbox.sh \
	tests/e2e/saved.sh \
	tests/e2e/share.sh \
	tests/e2e/state.sh \
	tests/e2e/steps.sh \
	tests/e2e/suite.sh \
	tests/e2e/tally.sh \
	tests/e2e/tls.sh \
	tests/e2e/uapi-log.sh \
	tests/e2e/uart.sh \
	tests/e2e/workloads.sh
dist_check_SCRIPTS += $(E2E_TESTS)
TESTS += $(E2E_TESTS)
EXTRA_DIST += tests/e2e/lib.sh
dist_check_SCRIPTS += tests/e2e/kill-cell.sh
EXTRA_DIST += tests/e2e/kill-matrix.txt
EXTRA_DIST += tests/e2e/tls/make.sh tests/e2e/tls/ours tests/e2e/tls/other

# The README's demonstration.
demo: all
	@$(srcdir)/tests/demo.sh ./stopcopy
.PHONY: demo
dist_noinst_SCRIPTS += tests/demo.sh
