#!/usr/bin/env bash
# Certificates for tests, valid for two days.
#
#     tests/pki.sh DIR
#
# Makes in DIR: ca.crt; server.crt for localhost, fluvio.test and all names
# below that; alice.crt and bob.crt, clients; other-ca.crt, whom nobody trusts,
# and mallory.crt of it; and the .key of each.
set -euo pipefail

mkdir -p "$1"
cd "$1"
exec >log 2>&1

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

# sign NAME CA ALTERNATIVE-NAMES
sign() {
    openssl req "${key[@]}" -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" \
        -CAcreateserial -days 2 -out "$1.crt" \
        -extfile <(echo "subjectAltName=$3")
}

for ca in ca other-ca; do
    openssl req -x509 "${key[@]}" -days 2 -subj "/CN=$ca" -keyout "$ca.key" \
        -out "$ca.crt"
done
sign server ca "DNS:localhost,DNS:fluvio.test,DNS:*.fluvio.test"
sign alice ca DNS:alice
sign bob ca DNS:bob
sign mallory other-ca DNS:mallory
