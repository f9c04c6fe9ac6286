#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What QEMU's trace and strace say becomes a log, which does to a device what was done then; and lines that are wrong are left out.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_program jq
require_program od
cd "$scratch" || exit 1

expect 0 "a stream" "$stopcopy" state test:model=tally save stream
bytes() { od -An -v -tx1 "$1" | tr -d '\n' | sed 's/ /\\x/g'; }
hex() { printf %s "$1" >hex && bytes hex; }
head -c 100 stream >first
tail -c +101 stream >second
size=$(wc -c <second)

# The destination's end, as both were seen to write it: -xx has the descriptor's name in hex, without it it is plain.
cat >qemu.log <<EOF
2026-11-21T10:00:00Z qemu-system-x86_64: warning: something
900@1763719200.100000:vfio_migration_realize (0000:3b:00.2)
900@1763719200.200000:vfio_migration_set_device_state (0000:3b:00.2) state RESUMING
900@1763719200.200001:vfio_migration_set_device_state (0000:3b:00.3) state RESUMING
900@1763719200.500000:vfio_pci_read_config (0000:3b:00.2, @0x0, len=0x4) 0x25343
900@1763719200.500001:vfio_region_read (0000:3b:00.2:region0+0x0, 4) = 0x0
900@1763719200.600000:vfio_migration_set_state (0000:3b:00.2) state RUNNING
EOF
cat >qemu.strace <<EOF
901 1763719200.300000 write(57<$(hex anon_inode:mlx5vf_mig)>, "$(bytes first)", 100) = 100
901 1763719200.400000 write(57<anon_inode:mlx5vf_mig>, "$(bytes second)", $size) = $size
901 1763719200.410000 write(3<$(hex anon_inode:[eventfd])>, "\x01\x00\x00\x00\x00\x00\x00\x00", 8) = 8
901 1763719200.420000 ioctl(25<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, 0x7ffc0) = 0
901 1763719200.430000 +++ exited with 0 +++
EOF
expect 0 "an import" "$stopcopy" replay --import qemu.strace --import qemu.log --name 0000:3b:00.2
grep -q '7 calls of 0000:3b:00.2, 6 lines left out' err || { fail "$name: the counts"; cat err; }
cp out calls
jq -es 'map(.op) == ["feature","take_session","session_write","session_write","region_read","region_read","feature"]' calls >/dev/null ||
    { fail "$name: the calls or their order"; jq -c .op calls; }
jq -es '[.[] | select(.op == "session_write") | .bytes] | add' calls | grep -qx "$(wc -c <stream)" || fail "$name: the stream's bytes"
sed '/region_read.*"region":0/d' calls >without # a register of another device
expect 0 "it is done to a device" "$stopcopy" replay without test:model=tally
grep -q '6 calls done again, 0 left out, 0 answers were others' out || { fail "$name: the counts"; cat out; }
expect 1 "another kind of device answers otherwise" "$stopcopy" replay without test:model=uart
grep -q 'session_write: the result was' out || { fail "$name: not said"; cat out; }

# The source's: the bytes of strace, or the sizes of the trace where there is no strace.
cat >save.log <<EOF
900@5.1:vfio_migration_set_device_state (a) state STOP_COPY
900@5.3:vfio_save_block (a) data_size 4216
900@5.4:vfio_save_block (a) data_size 0
900@5.5:vfio_migration_set_device_state (a) state STOP
EOF
printf '5.2 read(9<anon_inode:mtty_mig>, "%s", %s) = %s\n' "$(bytes stream)" "$(wc -c <stream)" "$(wc -c <stream)" >save.strace
expect 0 "the source's" "$stopcopy" replay --import save.log --import save.strace
jq -es 'map(.op) == ["feature","take_session","session_read","feature"]' out >/dev/null || { fail "$name: the calls"; cat out; }
cp out calls
expect 0 "the same stream comes" "$stopcopy" replay calls test:model=tally
expect 0 "the trace alone" "$stopcopy" replay --import save.log
jq -es '[.[] | select(.op == "session_read") | .size] == [4216, 0]' out >/dev/null || { fail "$name: the sizes"; cat out; }

# Whatever is in the files, nothing but calls comes out.
{
    printf '%s\n' '' '@' '@:' '1@2:' '1@x:vfio_migration_set_state (a) state STOP' '1@2:vfio_migration_set_state (a) state NONE' \
        '1@2:vfio_migration_set_state (a) state' '1@2:vfio_region_write (a:region0+0x0, 0x0, 99)' '1@2:vfio_region_write (a' \
        '1@2:vfio_region_read (' ':region vfio_region_write (' '1@2:vfio_save_block (a) data_size 99999999999' \
        '5 1.0 write(9<anon_inode:x_mig>, "\x0' '5 1.0 write(9<anon_inode:x_mig>, "\x00"..., 1) = 1' '5 1.0 write(9<anon_inode:x_mig' \
        '5 1.0 write(9<anon_inode:x_mig>, "a", 1) = 1' '5 1.0 read(9<anon_inode:x_mig>, "\x00", 1) = 2' '5 1.0 read(' \
        '5 1.0 read(9<anon_inode:x_mig>, "\x00", 1) = -1 EIO' '5 1.0 write(9<\x>, "", 0) = 0' '1e999 write(' 'nan write('
    printf '1@2:vfio_migration_set_state (%0500d) state STOP\n' 0
    head -c 100000 /dev/urandom
} >bad
expect 2 "nothing of it is a call" "$stopcopy" replay --import bad
expect_error "no line of it is a call" 2
[ ! -s out ] || { fail "$name: calls came of it"; head -c 500 out; }
expect 2 "no such file" "$stopcopy" replay --import none
expect 2 "a log with it" "$stopcopy" replay --import qemu.log calls
finish
