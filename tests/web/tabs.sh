#!/usr/bin/env bash
# The tabs of one Chromium that share a device, against the real server (the Release build) and another person's client in Node. Builds the SDK.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
{ [[ -d src/web/node_modules ]] || (cd src/web && npm ci --no-audit --no-fund --loglevel=error); } && (cd src/web && npm run build --loglevel=error >/dev/null) \
  || { echo "0 passed, 1 failed"; exit 1; }
node tests/web/tabs/run.mjs "$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll"
