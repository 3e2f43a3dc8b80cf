#!/usr/bin/env bash
# The TypeScript SDK against the real server, on each engine. Builds the SDK; the server is the Release build. Needs Node 20 and python3; psql and SECUREMESSAGING_TEST_POSTGRES
# for Postgres, as tests/run.sh brings them.
#   tests/web/interop.sh [later] [recovery] [browser] [sqlite] [postgres]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
server=$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll
passed=0
failed=0
if (($# == 0)); then set -- later recovery browser sqlite postgres; fi

{ [[ -d src/web/node_modules ]] || (cd src/web && npm ci --no-audit --no-fund --loglevel=error); } && (cd src/web && npm run build --loglevel=error >/dev/null) \
  || { echo "0 passed, 1 failed"; exit 1; }
for part in "$@"; do
  SECONDS=0
  output=$(mktemp)
  case $part in
    sqlite | postgres) run=(run.mjs "$part") ;;
    *) run=("$part.mjs") ;;
  esac
  node "tests/web/interop/${run[0]}" "${run[@]:1}" "$server" 2>&1 | tee "$output" | sed -u '$d'
  if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  else
    failed=$((failed + 1))
  fi
  rm -f "$output"
  echo "        $part: ${SECONDS} s"
done
echo "$passed passed, $failed failed"
((failed == 0))
