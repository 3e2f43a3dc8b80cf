#!/usr/bin/env bash
# Runs every code block of every README and of /llms.txt, as a reader who copies it does. The last line is "N passed, N failed".
#   tests/documents/suite.sh [expression for the stories' names]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
for needed in src/SecureMessaging.Server/bin/${CONFIGURATION:-Release}/net10.0/SecureMessaging.Server.dll src/SecureMessaging.Cli/bin/${CONFIGURATION:-Release}/net10.0/secmsg.dll; do
  [[ -f $needed ]] || { echo "$needed is missing: dotnet build -c Release"; echo '0 passed, 1 failed'; exit 1; }
done
fetched tests/rest && built_web || { echo '0 passed, 1 failed'; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/sm-documents.XXXXXX")
program=
trap '[[ -z $program ]] || kill "$program" 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
node tests/documents/suite.mjs "$work" "$@" &
program=$!
wait "$program"
