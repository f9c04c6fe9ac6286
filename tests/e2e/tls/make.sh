#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the certificates of tests/e2e/tls.sh anew, in the folders beside this: of two authorities, valid from 2020 to 2100.
# Their keys are here for everybody to read: nothing but this test may ever trust them. Needs openssl(1).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/ca.conf" <<END
[ca]
default_ca = it
[it]
new_certs_dir = $work
database = $work/index
default_md = sha256
rand_serial = yes
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = keyCertSign, cRLSign
[server]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:destination.test, IP:127.0.0.1
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:source.test
END

# sign KEY CERTIFICATE SECTION NAME WORDS...
sign() {
    key=$1 certificate=$2 section=$3 name=$4
    shift 4
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key"
    chmod 600 "$key"
    openssl req -new -key "$key" -subj "/CN=$name" -out "$work/request"
    openssl ca -batch -notext -config "$work/ca.conf" -extensions "$section" -startdate 20200101000000Z \
        -enddate 21000101000000Z -in "$work/request" -out "$certificate" "$@"
}

for authority in ours other; do
    mkdir -p $authority
    : >"$work/index"
    sign "$work/ca-key" $authority/ca-cert.pem authority "$authority, for tests alone" -selfsign -keyfile "$work/ca-key"
    for role in server client; do
        sign $authority/$role-key.pem $authority/$role-cert.pem $role "test $role" -cert $authority/ca-cert.pem \
            -keyfile "$work/ca-key"
    done
done
