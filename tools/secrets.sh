#!/usr/bin/env bash
# Writes the secret files that docker-compose.yml names, each once: a file that
# is there already is kept, because its secret is in use.
#
# Guildhall refuses secrets that others than their owner can read, so the files
# belong to the user that the containers run as. Giving a file away takes root.
set -euo pipefail
cd "$(dirname "$0")/.."

owner=65532:65532
if ((EUID != 0)); then
  echo "secrets.sh: must run as root to give the files to user $owner of the containers" >&2
  exit 1
fi

umask 077
mkdir -p secrets

# keep FILE writes standard input to a file unless it is there. The file appears
# whole or not at all.
keep() {
  if [[ -e secrets/$1 ]]; then
    echo "secrets/$1 is kept"
    return
  fi
  cat >"secrets/$1.new"
  chown "$owner" "secrets/$1.new"
  mv "secrets/$1.new" "secrets/$1"
  echo "secrets/$1 is written"
}

# random writes 32 random bytes in base64.
random() { head -c 32 /dev/urandom | base64; }

# password writes the same as hexadecimal digits, which need quoting nowhere.
password() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

random | keep cluster_key
random | keep seal_kek
password | keep redis_password
password | keep postgres_password
printf 'postgres:5432:*:guildhall:%s\n' "$(cat secrets/postgres_password)" | keep pgpass
