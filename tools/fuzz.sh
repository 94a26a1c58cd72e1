#!/usr/bin/env bash
# Runs every fuzz target of the repository for FUZZTIME each (default 10s), one
# after the other, because `go test -fuzz` takes one target of one package.
# A failing input is kept under testdata/fuzz: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-10s}
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# fuzz runs one target and prints what it says. A worker that is still busy when
# its time is up makes `go test` end with "context deadline exceeded"
# (go.dev/issue/75804, mended in Go 1.27): that is no finding, which would have
# left a failing input, and is not printed as one.
fuzz() {
  local result=0
  # -run of nothing: the ordinary tests have their own gate.
  go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" >"$said" 2>&1 || result=$?
  if ((result)) && grep -qx ' *context deadline exceeded' "$said" && ! grep -q 'Failing input' "$said"; then
    grep '^fuzz:' "$said" || true
    echo 'a worker was busy when its time was up: nothing found'
    return
  fi
  cat "$said"
  return $result
}

failed=()
count=0
while IFS=: read -r file line; do
  package=./$(dirname "$file")
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/' <<<"$line")
  count=$((count + 1))
  echo "fuzz $package $target"
  fuzz "$package" "$target" || failed+=("$package $target")
done < <(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' \
  pkg proto gateway services | sort)

if ((${#failed[@]} > 0)); then
  printf 'fuzzing failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "$count fuzz targets, $fuzztime each: nothing found"
