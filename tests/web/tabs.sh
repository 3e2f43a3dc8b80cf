#!/usr/bin/env bash
# Tabs of one Chromium that share a device, with the Release build of the server and another user's client in Node. Builds the SDK.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
built_web || { echo "0 passed, 1 failed"; exit 1; }
node tests/web/tabs/run.mjs "$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll"
