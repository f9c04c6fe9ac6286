# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzzers of what comes from outside. In each build they are programs that go through the corpus (tests/fuzz/replay.c), which
# is a test; configured with --enable-fuzzers CC=clang they are libFuzzer's, which find more for it: make fuzz.
FUZZERS = tests/fuzz/stream tests/fuzz/server tests/fuzz/client tests/fuzz/device tests/fuzz/guest
check_PROGRAMS += $(FUZZERS)
FUZZ_COMMON = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
if FUZZERS
FUZZ_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
else
FUZZ_COMMON += tests/fuzz/replay.c
FUZZ_LDFLAGS = $(AM_LDFLAGS)
endif
FUZZ_MACHINE = tests/unit/board/fake_device.c tests/unit/board/fake_device.h tests/unit/board/fake_vm.c \
	tests/unit/board/fake_vm.h
tests_fuzz_stream_SOURCES = $(FUZZ_COMMON) $(FUZZ_MACHINE) tests/fuzz/fuzz_stream.c tests/fuzz/fuzz_vm.c
tests_fuzz_stream_LDADD = $(VMM_LIBS)
tests_fuzz_stream_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_stream_CFLAGS = $(AM_CFLAGS)
tests_fuzz_guest_SOURCES = $(FUZZ_COMMON) $(FUZZ_MACHINE) tests/fuzz/fuzz_guest.c tests/fuzz/fuzz_vm.c
tests_fuzz_guest_LDADD = $(VMM_LIBS)
tests_fuzz_guest_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_guest_CFLAGS = $(AM_CFLAGS)
tests_fuzz_client_SOURCES = $(FUZZ_COMMON) tests/fuzz/fuzz_client.c
tests_fuzz_client_LDADD = $(VMM_LIBS)
tests_fuzz_client_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_server_SOURCES = $(FUZZ_COMMON) tests/fuzz/fuzz_server.c
tests_fuzz_server_LDADD = $(DEVICES_LIBS)
tests_fuzz_server_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_device_SOURCES = $(FUZZ_COMMON) tests/fuzz/fuzz_device.c
tests_fuzz_device_LDADD = $(DEVICES_LIBS)
tests_fuzz_device_LDFLAGS = $(FUZZ_LDFLAGS)

dist_check_SCRIPTS += tests/fuzz/corpus.sh
TESTS += tests/fuzz/corpus.sh
EXTRA_DIST += tests/fuzz/replay.c tests/fuzz/corpus

# FUZZ_SECONDS of each, with what it finds in build/tests/fuzz/found; crashes end it.
FUZZ_SECONDS = 600
fuzz: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do \
		name=$${fuzzer##*/}; mkdir -p tests/fuzz/found/$$name; \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=tests/fuzz/crash-$$name- tests/fuzz/found/$$name $(srcdir)/tests/fuzz/corpus/$$name || exit 1; \
	done
# The inputs of the corpus and of what was found that reach all that they reach together.
fuzz-merge: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do \
		name=$${fuzzer##*/}; mkdir -p tests/fuzz/merged/$$name; \
		$$fuzzer -merge=1 -max_len=1024 tests/fuzz/merged/$$name $(srcdir)/tests/fuzz/corpus/$$name \
			tests/fuzz/found/$$name || exit 1; \
	done
.PHONY: fuzz fuzz-merge
