#!/usr/bin/env bash
# Generates a client from the OpenAPI document of a running server, checks the
# types of the tour against it and takes the tour.
#
#   GUILDHALL_URL            the gateway, as in http://127.0.0.1:7780
#   GUILDHALL_PASSWORD       the administrator's password
#   GUILDHALL_NEW_PASSWORD   sets it in the first login; needed for a one-time one
#   GUILDHALL_ORGANIZATION   guildhall
#   GUILDHALL_ACCOUNT        organizations/$GUILDHALL_ORGANIZATION/staff/admin
set -euo pipefail
cd "$(dirname "$0")"
: "${GUILDHALL_URL:?the URL of the gateway}"
[[ -d node_modules ]] || npm ci --no-audit --no-fund
npx openapi-typescript "$GUILDHALL_URL/openapi.json" --output src/api.d.ts
npx tsc
[[ ${1:-} == --types-only ]] || node dist/tour.js
