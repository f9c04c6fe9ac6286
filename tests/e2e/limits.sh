#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/limits.md has the limits as the source has them; sockets are their owner's alone.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
top=${top_srcdir:-.}

rows=0
while IFS='|' read -r _ name value file _; do
    case $name in *'`'*) ;; *) continue ;; esac
    name=$(echo "$name" | tr -d '` ') file=$(echo "$file" | tr -d '` ')
    value=$(echo "$value" | sed 's/^ *`//;s/` *$//')
    rows=$((rows + 1))
    # The value, then nothing, or a comment.
    grep -F "#define $name $value" "$top/$file" | sed 's|/\*.*||;s/ *$//' | grep -qxF "#define $name $value" ||
        fail "docs/limits.md: $file does not define $name as $value: $(grep "#define $name" "$top/$file")"
done <"$top/docs/limits.md"
[ "$rows" -gt 25 ] || fail "docs/limits.md has only $rows limits"

# Whatever the user's umask lets others do.
umask 0
"$device_server" --socket "$scratch/device" >"$scratch/device.out" 2>&1 &
started="$started $!"
"$stopcopy" dest --from "unix:$scratch/dest" >"$scratch/dest.out" 2>&1 &
started="$started $!"
wait_for "the device server" grep -q listening "$scratch/device.out"
wait_for "the destination" [ -S "$scratch/dest" ]
for socket in device dest; do
    mode=$(stat -c %a "$scratch/$socket")
    [ "$mode" = 600 ] || fail "the socket of $socket has the mode $mode"
done
finish
