#!/usr/bin/env bash
# Writes the secret files that docker-compose.yml names, each once: a file that
# is there already is kept, because its secret is in use.
#
# The folder is closed to other users, the files in it are readable: containers
# read them under a user id of their own.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p secrets
chmod 0700 secrets

# keep FILE writes standard input to a file unless it is there.
keep() {
  if [[ -e secrets/$1 ]]; then
    echo "secrets/$1 is kept"
    return
  fi
  cat >"secrets/$1.new"
  chmod 0444 "secrets/$1.new"
  mv "secrets/$1.new" "secrets/$1"
  echo "secrets/$1 is written"
}

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

random | keep cluster_key
random | keep postgres_password
printf 'postgres:5432:*:guildhall:%s\n' "$(cat secrets/postgres_password)" | keep pgpass
