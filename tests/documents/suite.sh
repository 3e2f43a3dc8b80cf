#!/usr/bin/env bash
# Every fenced block of every README and of /llms.txt, carried out in its own language, as a reader would who copies it. The last line is "N passed, N failed".
#   tests/documents/suite.sh [expression for the stories' names]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for needed in src/SecureMessaging.Server/bin/${CONFIGURATION:-Release}/net10.0/SecureMessaging.Server.dll src/SecureMessaging.Cli/bin/${CONFIGURATION:-Release}/net10.0/secmsg.dll; do
  [[ -f $needed ]] || { echo "$needed is missing: dotnet build -c Release"; echo '0 passed, 1 failed'; exit 1; }
done
npm() { command npm "$@" --ignore-scripts --no-audit --no-fund --loglevel=error; }
{ [[ -d src/web/node_modules ]] || npm ci --prefix src/web; } && { [[ -d tests/rest/node_modules ]] || npm ci --prefix tests/rest; } && npm run build --prefix src/web -w sdk >/dev/null \
  || { echo '0 passed, 1 failed'; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/sm-documents.XXXXXX")
program=
trap '[[ -z $program ]] || kill "$program" 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
node tests/documents/suite.mjs "$work" "$@" &
program=$!
wait "$program"
