#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A stream over TCP under TLS: who has the key or a certificate is let in, and nobody else, however he goes about it; and no
# guest goes to another host without.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
tcp=$top_builddir/tests/e2e/tcp
cp -r "${top_srcdir:-.}/tests/e2e/tls/ours" "${top_srcdir:-.}/tests/e2e/tls/other" "$scratch"
chmod -R u+w "$scratch"
chmod 600 "$scratch"/*/*-key.pem
echo "move:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" >"$scratch/key"
echo "move:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" >"$scratch/wrong"
echo "other:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" >"$scratch/stranger"
chmod 600 "$scratch/key" "$scratch/wrong" "$scratch/stranger"
guest="--memory 64M --workload cpu --at-ops 100"

"$stopcopy" dest --tls-psk "$scratch/key" --from tcp:127.0.0.1:x 2>"$scratch/err"
grep -q "built without GnuTLS" "$scratch/err" && skip "this build has no TLS"

# start_destination WORDS...: its port is $port then.
start_destination() {
    rm -f "$scratch/port"
    "$tcp" listen "$scratch/port" "$stopcopy" dest --from fd:3 "$@" --report "json:$scratch/dest.json" \
        >"$scratch/dest.out" 2>"$scratch/dest.err" &
    destination=$!
    started="$started $destination"
    wait_for "the destination's port" [ -s "$scratch/port" ]
    port=$(cat "$scratch/port")
}

# destination_ends STATUS TEXT: it said it, in one line.
destination_ends() {
    wait "$destination"
    status=$?
    [ "$status" -eq "$1" ] || { fail "$name: the destination ended with $status where $1 was due"; cat "$scratch/dest.err"; }
    [ -z "$2" ] || grep -q -- "$2" "$scratch/dest.err" || { fail "$name: the destination does not say '$2'"; cat "$scratch/dest.err"; }
    [ "$(wc -l <"$scratch/dest.err")" -le 1 ] || { fail "$name: more than a line"; cat "$scratch/dest.err"; }
}

# source_sends STATUS WORDS...
source_sends() {
    wanted=$1
    shift
    # shellcheck disable=SC2086
    expect "$wanted" "$name" "$stopcopy" source $guest --to "tcp:127.0.0.1:$port" "$@" --report "json:$scratch/report.json"
}

refused='[.findings[].rule] == ["stream/not-authenticated"]'

# Both ends have what they need.
name="a key that both have"
start_destination --tls-psk "$scratch/key"
source_sends 0 --tls-psk "$scratch/key"
destination_ends 0 ""
expect_json '.verdict == "pass"' "$scratch/dest.json"

name="certificates, the destination's by its address"
start_destination --tls-x509 "$scratch/ours"
source_sends 0 --tls-x509 "$scratch/ours"
destination_ends 0 ""

name="certificates by name"
start_destination --tls-x509 "$scratch/ours" --tls-peer source.test
source_sends 0 --tls-x509 "$scratch/ours" --tls-peer destination.test
destination_ends 0 ""

expect 0 "migrate, with devices, in rounds" "$stopcopy" migrate --memory 64M --device test:features=stop-copy+p2p+pre-copy \
    --mode pre-copy --at-ops 500 --repeat 2 --channel tcp --tls-psk "$scratch/key"

# One of the ends is not who it should be: no guest comes, and none is lost.
for key in wrong stranger; do
    name="another key: $key"
    start_destination --tls-psk "$scratch/key"
    source_sends 3 --tls-psk "$scratch/$key"
    expect_json "$refused"
    destination_ends 3 "TLS handshake"
    expect_json "$refused" "$scratch/dest.json"
done
name="a source of another authority"
mkdir "$scratch/mixed"
cp "$scratch"/other/* "$scratch/mixed"
cp "$scratch/ours/ca-cert.pem" "$scratch/mixed"
start_destination --tls-x509 "$scratch/ours"
source_sends 3 --tls-x509 "$scratch/mixed"
expect_json "$refused"
destination_ends 3 "certificate of fd:3 is refused"

name="a destination of another authority"
start_destination --tls-x509 "$scratch/other"
source_sends 3 --tls-x509 "$scratch/ours"
expect_error "certificate of tcp:127.0.0.1:$port is refused"
expect_json "$refused"
destination_ends 3 "TLS handshake"

name="a destination of another name"
start_destination --tls-x509 "$scratch/ours"
source_sends 3 --tls-x509 "$scratch/ours" --tls-peer another.test
expect_error "for the name another.test"
destination_ends 3 "TLS handshake"

name="a source of another name"
start_destination --tls-x509 "$scratch/ours" --tls-peer another.test
source_sends 3 --tls-x509 "$scratch/ours"
destination_ends 3 "for the name another.test"

name="a certificate that is none of a server's"
mkdir "$scratch/swapped"
cp "$scratch"/ours/ca-cert.pem "$scratch/swapped"
for end in cert key; do
    cp "$scratch/ours/client-$end.pem" "$scratch/swapped/server-$end.pem"
done
start_destination --tls-x509 "$scratch/swapped"
source_sends 3 --tls-x509 "$scratch/ours" --tls-peer source.test
expect_json "$refused"
destination_ends 3 "TLS handshake"

name="a key where certificates are due"
start_destination --tls-x509 "$scratch/ours"
source_sends 3 --tls-psk "$scratch/key"
expect_json "$refused"
destination_ends 3 "TLS handshake"

name="a source without TLS"
start_destination --tls-psk "$scratch/key"
source_sends 3
destination_ends 3 "TLS handshake"
expect_json "$refused" "$scratch/dest.json"

name="a destination without TLS"
start_destination
source_sends 3 --tls-psk "$scratch/key"
expect_json "$refused"
destination_ends 3 ""

# Whoever has no key and is no VMM: cut off, silent, or saying again what somebody else has said.
rm -f "$scratch/port"
name="a session that is recorded"
start_destination --tls-psk "$scratch/key"
"$tcp" record "$scratch/between" "$port" >"$scratch/session" &
started="$started $!"
wait_for "the recorder's port" [ -s "$scratch/between" ]
port=$(cat "$scratch/between")
source_sends 0 --tls-psk "$scratch/key"
destination_ends 0 ""
[ "$(wc -c <"$scratch/session")" -gt 100000 ] || fail "$name: there is nothing in it"
grep -q "flattened\|stopcopy" "$scratch/session" && fail "$name: it can be read"

name="a session that is replayed"
start_destination --tls-psk "$scratch/key"
"$tcp" talk "$port" hold <"$scratch/session"
destination_ends 3 "TLS handshake"

head -c 100 "$scratch/session" >"$scratch/cut"
name="a handshake that is cut off"
start_destination --tls-psk "$scratch/key"
"$tcp" talk "$port" end <"$scratch/cut"
destination_ends 3 "TLS handshake"

for input in /dev/null "$scratch/cut"; do
    name="a handshake that stalls after $(wc -c <"$input") bytes"
    start_destination --tls-psk "$scratch/key" --timeout 300ms
    "$tcp" talk "$port" hold <"$input"
    destination_ends 3 "TLS handshake: waiting to read"

    name="a destination that stalls after $(wc -c <"$input") bytes"
    rm -f "$scratch/port"
    "$tcp" answer "$scratch/port" hold <"$input" &
    started="$started $!"
    wait_for "the port" [ -s "$scratch/port" ]
    port=$(cat "$scratch/port")
    source_sends 3 --tls-psk "$scratch/key" --timeout 300ms
    expect_error "in the TLS handshake: waiting to read"
done

# Without TLS no guest leaves this host, unless the user says so.
expect 2 "to another host" "$stopcopy" source --to tcp:192.0.2.1:7000 --timeout 1s
expect_error "--tls-psk"
expect 2 "from other hosts" "$stopcopy" dest --from tcp:0.0.0.0:0 --timeout 100ms
expect_error "--insecure"
expect 2 "from other hosts by IPv6" "$stopcopy" dest --from "tcp:[::]:0" --timeout 100ms
expect_error "--insecure"
expect 2 "--insecure" "$stopcopy" dest --from tcp:0.0.0.0:0 --timeout 100ms --insecure
expect_error "waiting for the source"
expect 2 "a key" "$stopcopy" dest --from tcp:0.0.0.0:0 --timeout 100ms --tls-psk "$scratch/key"
expect_error "waiting for the source"

# What cannot be meant.
expect 2 "both" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-psk "$scratch/key" --tls-x509 "$scratch/ours"
expect_error "one of them"
expect 2 "TLS over a UNIX socket" "$stopcopy" dest --from "unix:$scratch/socket" --tls-psk "$scratch/key"
expect_error "TLS is for"
expect 2 "TLS for migrate's UNIX sockets" "$stopcopy" migrate --tls-psk "$scratch/key"
expect_error "--channel tcp"
expect 2 "TLS and --insecure" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-psk "$scratch/key" --insecure
expect_error "--insecure"
expect 2 "a name without certificates" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-psk "$scratch/key" --tls-peer a
expect_error "--tls-x509"
expect 2 "a name that nobody gave" "$stopcopy" source --to fd:3 --tls-x509 "$scratch/ours" 3</dev/null
expect_error "--tls-peer"
expect 2 "no folder" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-x509 "$scratch/none"
expect_error "$scratch/none/ca-cert.pem"
chmod 644 "$scratch/wrong"
expect 2 "a key that everybody can read" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-psk "$scratch/wrong"
expect_error "chmod 600"
chmod 644 "$scratch/other/server-key.pem"
expect 2 "a certificate's key that everybody can read" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-x509 "$scratch/other"
expect_error "chmod 600"
bad() {
    printf '%b' "$2" >"$scratch/bad"
    chmod 600 "$scratch/bad"
    expect 2 "a file of keys: $1" "$stopcopy" dest --from tcp:127.0.0.1:0 --tls-psk "$scratch/bad"
    expect_error "$scratch/bad"
}
bad "empty" ""
bad "no name" ":00112233445566778899aabbccddeeff"
bad "no key" "move:"
bad "a short key" "move:00112233"
bad "no hex" "move:0011223344556677889900112233445z"
bad "two lines" "a:00112233445566778899aabbccddeeff\nb:00112233445566778899aabbccddeeff\n"
bad "a NUL" "move:00112233445566778899aabbccddeeff\n\0"
finish
