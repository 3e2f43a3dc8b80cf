#!/usr/bin/env bash
# Tabs of one Chromium that share a device, with the Release build of the server and another user's client in Node: once with keys and connection in a
# worker of each tab, once in its page. Builds the SDK.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
built_web || { echo "0 passed, 1 failed"; exit 1; }
passed=0
failed=0
for place in worker page; do
  report=$(node tests/web/tabs/run.mjs "$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll" "$place")
  echo "$report" | head -n -1
  read -r ok _ bad _ <<<"$(tail -n 1 <<<"$report")"
  [[ $ok =~ ^[0-9]+$ && $bad =~ ^[0-9]+$ ]] || { echo "FAILED  the tabs with keys in the $place wrote no result"; ok=0 bad=1; }
  passed=$((passed + ok))
  failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
((failed == 0))
