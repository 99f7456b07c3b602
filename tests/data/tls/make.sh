#!/usr/bin/env bash
# Makes the certificates of the tests. Valid for a hundred years, but `expired`, which never was. Test keys: they protect nothing.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key.pem"; }

# An authority: name, text.
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key.pem" -days 36500 -subj "/CN=$2" -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# A certificate by the authority `ca`: name, subject, alternative names, first day, last day.
certificate() {
  key "$1"
  openssl req -new -key "$1.key.pem" -subj "$2" -out "$work/$1.csr"
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$work/ext"
  : > "$work/index"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nrand_serial=yes\nnew_certs_dir=%s\npolicy=p\ndefault_md=sha256\nunique_subject=no\n[p]\ncommonName=supplied\n' \
    "$work/index" "$work" > "$work/ca.conf"
  openssl ca -batch -notext -config "$work/ca.conf" -cert ca.pem -keyfile ca.key.pem -in "$work/$1.csr" \
    -extfile "$work/ext" -startdate "$4" -enddate "$5" -out "$1.pem"
}

authority ca 'selvedge test authority'
authority other-ca 'another test authority'
certificate server '/CN=selvedge test server' 'DNS:localhost,IP:127.0.0.1,IP:::1' 20250101000000Z 21250101000000Z
certificate renewed '/CN=selvedge test server, renewed' 'DNS:localhost,IP:127.0.0.1,IP:::1' 20250101000000Z 21250101000000Z
certificate elsewhere '/CN=selvedge test server, elsewhere' 'DNS:elsewhere.example' 20250101000000Z 21250101000000Z
certificate expired '/CN=selvedge test server, expired' 'DNS:localhost,IP:127.0.0.1' 20200101000000Z 20210101000000Z
certificate client '/CN=selvedge test client' 'DNS:ada.users.example,URI:spiffe://example/ada' 20250101000000Z 21250101000000Z
# As openssl makes it by default: an authority by its own signature; and somebody else's, for the same name.
for name in self-signed same-name; do
  key "$name"
  openssl req -x509 -new -key "$name.key.pem" -days 36500 -subj /CN=localhost -out "$name.pem" \
    -addext subjectAltName=DNS:localhost
done

# And as it makes it by default: its name stands in CN alone.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout no-names.key.pem -days 36500 \
  -subj /CN=localhost -out no-names.pem
# Nothing is signed with them any more.
rm ca.key.pem other-ca.key.pem
