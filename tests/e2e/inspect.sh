#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stopcopy inspect: what is in a saved guest and in a device's own stream, what is taken out of it, and files that are wrong.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
saved=$scratch/saved

expect 0 "save" "$stopcopy" source --to "file:$saved" --memory 64M --vcpus 2 --at-ops 1000 --device test:memory=1M \
    --device test:model=uart
expect 0 "inspect" "$stopcopy" inspect "$saved" --json --records --extract "$scratch/parts"
name="a saved guest"
expect_json '.format == "migration" and .wrong == [] and .version == 4 and .board == {"vcpus": 2, "memory": 67108864, "devices": 2}' "$scratch/out"
expect_json '.vcpus.count == 2 and .ram.bytes > 0 and .ram.digests == 16384 and (.list | length) == .records' "$scratch/out"
expect_json '[.devices[].model] == ["dma", "uart"] and ([.devices[0].sections[].name] | contains(["identity", "queue", "end"]))' "$scratch/out"
expect_json ".bytes == $(stat -c %s "$saved")" "$scratch/out"
bytes=$(jq '.devices[0].bytes' "$scratch/out")
[ "$(stat -c %s "$scratch/parts/device-0.bin")" -eq "$bytes" ] || fail "device-0.bin has not the device's bytes"
for file in board.dtb vm.bin vcpu-0.bin vcpu-1.bin board-state.bin device-1.bin device-0.vmm.bin; do
    [ -s "$scratch/parts/$file" ] || fail "--extract left out $file"
done
jq -e length "$scratch/parts/log.json" >/dev/null || fail "log.json is none"
expect 0 "the part is the device's own stream" "$stopcopy" state --stay test:memory=1M load "$scratch/parts/device-0.bin"
expect 2 "nothing is written over" "$stopcopy" inspect "$saved" --extract "$scratch/parts"
expect_error "File exists"
expect 0 "text" "$stopcopy" inspect "$saved"
grep -q "nothing is wrong" "$scratch/out" || fail "$name: does not say so"

# A device's own.
expect 0 "own" "$stopcopy" inspect --json "$scratch/parts/device-0.bin"
expect_json '.format == "device" and .model == "dma" and (.wrong | not) and .bytes == '"$bytes" "$scratch/out"
head -c $((bytes - 5)) "$scratch/parts/device-0.bin" >"$scratch/cut"
expect 1 "own, cut off" "$stopcopy" inspect --json "$scratch/cut"
expect_json '.wrong | contains("cut off")' "$scratch/out"
{ cat "$scratch/parts/device-0.bin"; echo; } >"$scratch/long"
expect 1 "own, longer" "$stopcopy" inspect --json "$scratch/long"
expect_json '.wrong | contains("goes on")' "$scratch/out"
cp "$scratch/parts/device-0.bin" "$scratch/changed"
printf '\377\376' | dd of="$scratch/changed" bs=1 seek=40 conv=notrunc 2>/dev/null
expect 1 "own, changed" "$stopcopy" inspect --json "$scratch/changed"
expect_json '.wrong_at == 16 and (.wrong | contains("checksum"))' "$scratch/out"
echo "something else" >"$scratch/other"
expect 0 "not ours" "$stopcopy" inspect --json "$scratch/other"
expect_json '.bytes == 15 and (.model | not)' "$scratch/out"

# A migration's, wrong in each way: the byte is named.
size=$(stat -c %s "$saved")
for cut in 10 100 $((size / 2)) $((size - 1)); do
    head -c "$cut" "$saved" >"$scratch/cut"
    expect 1 "cut off at $cut" "$stopcopy" inspect --json "$scratch/cut"
    expect_json ".wrong[-1].text | contains(\"cut off\")" "$scratch/out"
    expect_json ".wrong[-1].at <= $cut" "$scratch/out"
done
cp "$saved" "$scratch/changed"
printf '\377\376\375' | dd of="$scratch/changed" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
expect 1 "changed" "$stopcopy" inspect --json "$scratch/changed"
expect_json ".wrong[0].at <= $((size / 2)) and (.wrong[0].text | contains(\"checksum\"))" "$scratch/out"
{ cat "$saved"; echo; } >"$scratch/long"
expect 1 "longer" "$stopcopy" inspect "$scratch/long"
grep -q "WRONG.*at byte $size: it goes on" "$scratch/out" || fail "$name: the place"
expect 2 "no file" "$stopcopy" inspect "$scratch/nothing"
expect_error "$scratch/nothing"
finish
