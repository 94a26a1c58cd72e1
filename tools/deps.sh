#!/bin/sh
# Installs what the tests run against where it is missing: the Redis and
# PostgreSQL servers, Node.js for the TypeScript client, curl for the README's
# tour. Does nothing, and needs no network, when all of it is there.
# Tests start private instances of their own; no system service is needed.
set -eu

have() {
	command -v "$1" >/dev/null 2>&1 && return 0
	for program in /usr/lib/postgresql/*/bin/"$1" /usr/sbin/"$1" /usr/local/bin/"$1"; do
		[ -x "$program" ] && return 0
	done
	return 1
}

missing() {
	have redis-server || echo redis-server
	{ have postgres && have initdb; } || echo postgresql
	have node || echo nodejs
	have npm || echo npm
	have curl || echo curl
}

packages=$(missing | tr '\n' ' ')
packages=${packages% }
if [ -z "$packages" ]; then
	exit 0
fi

fail() {
	echo "deps: the tests need: $packages" >&2
	echo "deps: $1" >&2
	exit 1
}

command -v apt-get >/dev/null 2>&1 ||
	fail "this machine has no apt-get: install the servers its own way, so that redis-server, postgres, initdb, node, npm and curl are in PATH"

root=
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		root="sudo -n"
	else
		fail "installing needs root: run as root or with sudo:  apt-get install -y --no-install-recommends $packages"
	fi
fi

echo "deps: installing $packages with apt-get"
# shellcheck disable=SC2086 # both are lists of words
install_all() {
	$root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $packages >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists of a fresh image are absent or old; update only then.
install_all || { $root apt-get update -qq >"$log" 2>&1 && install_all; } || {
	cat "$log" >&2
	fail "apt-get could not install them; it needs the Debian mirror, or these packages in its cache"
}

packages=$(missing | tr '\n' ' ')
[ -z "$packages" ] || fail "apt-get installed them, and they are still not found"
