#!/usr/bin/env bash
# Checks that the protos break no client, in protobuf or in JSON, against BASE.
#
# Without BASE, the base is where this work left main: the merge base with
# origin/main or main. On main itself that is HEAD, so uncommitted protos are
# compared with HEAD, and a clean tree, as in CI, with the commit before it.
# A base without protos has no clients to break.
set -euo pipefail
cd "$(dirname "$0")/.."

default_base() {
  local main base
  for main in origin/main main; do
    git rev-parse --verify --quiet "$main^{commit}" >/dev/null && break
  done
  base=$(git merge-base HEAD "$main" 2>/dev/null || true)
  if [[ -z $base || $base == "$(git rev-parse HEAD)" ]]; then
    base=HEAD
    if [[ -z $(git status --porcelain -- proto/guildhall) ]]; then
      base=HEAD~1
    fi
  fi
  echo "$base"
}

if ! git rev-parse --verify --quiet HEAD >/dev/null; then
  echo "breaking: no commit yet, nothing to compare with"
  exit 0
fi
base=${BASE:-$(default_base)}
if ! commit=$(git rev-parse --verify --quiet "$base^{commit}"); then
  if [[ -n ${BASE:-} ]]; then
    echo "breaking: $BASE is no commit" >&2
    exit 1
  fi
  if [[ $(git rev-parse --is-shallow-repository) == true ]]; then
    echo "breaking: this clone is shallow and lacks $base; fetch more of it," >&2
    echo "  or name a commit that is here: make breaking BASE=…" >&2
    exit 1
  fi
  echo "breaking: HEAD is the first commit, nothing to compare with"
  exit 0
fi
if [[ -z $(git ls-tree -r --name-only "$commit" -- proto/guildhall) ]]; then
  echo "breaking: ${commit:0:12} has no protos, nothing to break"
  exit 0
fi

against=$(mktemp -d)
trap 'rm -rf "$against"' EXIT
git archive "$commit" buf.yaml proto | tar -x -C "$against"
# The imported protos are in no commit: both sides are compiled with ours.
mkdir -p "$against/.deps"
cp -R .deps/proto "$against/.deps/proto"
.bin/buf breaking --against "$against"
echo "breaking: nothing broken since ${commit:0:12}"
