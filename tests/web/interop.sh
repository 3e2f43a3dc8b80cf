#!/usr/bin/env bash
# The TypeScript SDK against the real server, on each engine. Builds the SDK; the server is the Release build. Needs Node 20 and python3; psql and SECUREMESSAGING_TEST_POSTGRES
# for Postgres, as tests/run.sh brings them.
#   tests/web/interop.sh [tokens] [later] [recovery] [browser] [sqlite] [postgres]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
server=$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll
passed=0
failed=0
if (($# == 0)); then set -- tokens later recovery browser sqlite postgres; fi

{ [[ -d src/web/node_modules ]] || (cd src/web && npm ci --no-audit --no-fund --loglevel=error); } && (cd src/web && npm run build --loglevel=error >/dev/null) \
  || { echo "0 passed, 1 failed"; exit 1; }
output=$(mktemp -d)
waiting= # programs that wait most of their time, beside the others
trap 'for process in $waiting; do kill "$process" 2>/dev/null; done; rm -rf "$output"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
count() { # part, seconds
  if [[ $(tail -n 1 "$output/$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  else
    failed=$((failed + 1))
  fi
  echo "        $1: $2 s"
}
for part in "$@"; do
  [[ $part == tokens ]] || continue
  node tests/web/interop/tokens.mjs "$server" >"$output/tokens" 2>&1 &
  waiting=$!
done
started=$SECONDS
for part in "$@"; do
  begun=$SECONDS
  case $part in
    tokens) continue ;;
    sqlite | postgres) run=(run.mjs "$part") ;;
    *) run=("$part.mjs") ;;
  esac
  node "tests/web/interop/${run[0]}" "${run[@]:1}" "$server" 2>&1 | tee "$output/$part" | sed -u '$d'
  count "$part" $((SECONDS - begun))
done
for process in $waiting; do
  wait "$process"
  sed '$d' "$output/tokens"
  count tokens $((SECONDS - started))
done
waiting=
echo "$passed passed, $failed failed"
((failed == 0))
