#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.sh sets them
# stopcopy probe and stopcopy state, on test devices and on a server at a socket.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_program jq

all=test:features=stop-copy+p2p+pre-copy

expect_output() {
    grep -qE -- "$1" "$scratch/out" || { fail "$name: the output does not have '$1':"; sed 's/^/    /' "$scratch/out"; }
}

name="probe"
expect 0 "$name" "$stopcopy" probe test:queues=3,window=64K
expect_output 'PCI 5343:0001'
expect_output 'region 2 \(BAR2\): 0x10000 bytes, rw, 0x10000 at 0x0 can be mapped'
expect_output 'interrupt 2 \(MSI-X\): 3, eventfd'
expect_output 'migration: flags 0x3 STOP_COPY P2P, state RUNNING'
expect_output 'missing: no PRE_COPY'

name="probe as JSON"
expect 0 "$name" "$stopcopy" probe --json "$all,window=0"
expect_json '.backend == "vfio-user" and .pci.vendor == 21315 and .vfio_user.stopcopy' "$scratch/out"
expect_json '.migration.flags == 7 and .migration.state == "RUNNING" and .migration.data_size > 0' "$scratch/out"
expect_json '.regions[2].size == 0 and .regions[7].size >= 256 and .missing == []' "$scratch/out"

# compare STATUS NAME FILTER FROM TO: in words and as JSON, where the filter is true.
compare() {
    expect "$1" "$2" "$stopcopy" probe --compare "$4" "$5"
    name=$2
    expect "$1" "$2, as JSON" "$stopcopy" probe --compare --json "$4" "$5" && expect_json "$3" "$scratch/out"
}
compare 0 "two of a kind" '.possible and .reasons == [] and .differences == [] and .from == "test" and (.try | contains("load"))' test test
expect 0 "two of a kind, in words" "$stopcopy" probe --compare test test
expect_output '^test to test: yes'
expect_output 'stopcopy state test save FILE && stopcopy state test load FILE'
compare 0 "PRE_COPY at one end" '.differences == ["only the source has PRE_COPY: the way back is after the stop alone"]' "$all" test
compare 1 "another BAR" '(.possible | not) and (.try | not) and ([.reasons[] | select(contains("BAR 2 size is 0x10000, and 0x20000"))] | length) == 1' \
    test:window=64K test:window=128K
compare 1 "another device" '(.reasons | length) > 3' test test:model=uart
compare 1 "no migration at either end" '[.reasons[] | select(contains("has not the feature MIGRATION"))] | length == 2' \
    test:features=none test:features=none
expect 2 "one device to compare" "$stopcopy" probe --compare test
expect_error "takes two devices" 2

name="probe of a device without migration"
expect 0 "$name" "$stopcopy" probe test:features=none
expect_output 'missing: it cannot be migrated'

name="states one after the other"
expect 0 "$name" "$stopcopy" state "$all" get set pre-copy precopy-info set PRE_COPY_P2P,STOP_COPY,5 reset get size
expect_output '^RUNNING \(2\)$'
expect_output '^PRE_COPY \(6\), [0-9.]+ ms$'
expect_output '^initial_bytes [1-9][0-9]*, dirty_bytes [0-9]+'
expect_output '^RUNNING_P2P \(5\), [0-9.]+ ms$'

name="save and load"
expect 0 "$name" "$stopcopy" state test:window=1M save "$scratch/stream" get
expect_output '^RUNNING \(2\)$'
[ "$(wc -c <"$scratch/stream")" -gt 0 ] || fail "$name: nothing was saved"
expect 0 "$name" "$stopcopy" state --stay test:window=1M load "$scratch/stream" get
expect_output '^STOP \(1\)$'
[ "$(find "$scratch" -name 'stream*' | wc -l)" -eq 1 ] || fail "$name: temporary files are left"

name="save into a pipe"
mkfifo "$scratch/pipe"
cat "$scratch/pipe" >"$scratch/piped" &
reader=$!
started="$started $reader"
expect 0 "$name" "$stopcopy" state test:window=1M save "$scratch/pipe"
wait "$reader"
[ -p "$scratch/pipe" ] || fail "$name: the pipe was replaced"
cmp -s "$scratch/stream" "$scratch/piped" || fail "$name: another stream came out of it"

name="a stream that is cut off"
head -c 100 "$scratch/stream" >"$scratch/cut"
expect 1 "$name" "$stopcopy" state test:window=1M load "$scratch/cut"
expect_error "the device is in"

name="nowhere to save to"
expect 1 "$name" "$stopcopy" state test save "$scratch/none/stream"
expect_error "$scratch/none/stream"

name="arcs that there are not"
expect 1 "$name" "$stopcopy" state test set ERROR
expect_error "SET ERROR: the server refused"
expect 1 "$name" "$stopcopy" state test set 8
expect_error "the device is in RUNNING"
expect 1 "$name" "$stopcopy" state "$all" set STOP_COPY,PRE_COPY
expect_error "the device is in STOP_COPY"

name="command lines that are wrong"
expect 2 "$name" "$stopcopy" state
expect_error "DEVICE" 2
expect 2 "$name" "$stopcopy" state test wobble
expect_error "there are get, set, save"
expect 2 "$name" "$stopcopy" state test get save
expect_error "FILE is missing"
expect 2 "$name" "$stopcopy" state test set NOWHERE
expect_error "there are STOP, RUNNING"
expect 2 "$name" "$stopcopy" probe
expect_error "DEVICE is missing" 2
expect 2 "$name" "$stopcopy" probe test test
expect_error "one DEVICE" 2
expect 2 "$name" "$stopcopy" probe test:memroy=1M
expect_error "no option 'memroy'; there are"
expect 2 "$name" "$stopcopy" probe test:fault=none-such
expect_error "ended with status 2" 4
expect 2 "$name" "$stopcopy" probe vfio:ffff:ff:1f.7
expect_error "this host has no PCI device ffff:ff:1f.7"
expect 2 "$name" "$stopcopy" probe --device-program "$scratch/none" test
expect_error "$scratch/none"

name="a server at a socket"
"$device_server" --socket "$scratch/socket" --features stop-copy >"$scratch/listening" &
server=$!
started="$started $server"
wait_for "the server" grep -q listening "$scratch/listening"
expect 0 "$name" "$stopcopy" probe "vfio-user:$scratch/socket"
expect_output 'migration: flags 0x1 STOP_COPY,'
expect 0 "$name" "$stopcopy" state "vfio-user:$scratch/socket,dma=message" save "$scratch/other" set STOP,RUNNING
kill "$server"
wait "$server"

expect_nothing_left
finish
