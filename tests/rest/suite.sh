#!/usr/bin/env bash
# The REST door against tools that others wrote: a linter and a client generator for its OpenAPI document, a browser for the playgrounds and for the official SignalR client.
# Called by tests/run.sh, which has built the server in Release; starts a server of its own. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
readonly server=$PWD/../../src/SecureMessaging.Server/bin/${CONFIGURATION:-Release}/net10.0/SecureMessaging.Server.dll
[[ -f $server ]] || { echo "$server is missing: dotnet build -c Release"; echo '0 passed, 1 failed'; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/sm-rest.XXXXXX")
pid=
clean_up() {
  if [[ $pid ]]; then
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$work/npm.log" 2>&1 || { cat "$work/npm.log"; echo '0 passed, 1 failed'; exit 1; }
port=$((RANDOM % 10000 + 20000))
management=$((port + 1))
dotnet "$server" --urls="http://127.0.0.1:$port" --Server:DataDirectory="$work/data" --Management:Url="http://127.0.0.1:$management" --Drain:Stagger=00:00:00.1 --Drain:Patience=00:00:01 >"$work/server.log" 2>&1 &
pid=$!
for _ in $(seq 600); do
  curl -fs "http://127.0.0.1:$port/v1/limits" >/dev/null && break
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
node suite.mjs "http://127.0.0.1:$port" "http://127.0.0.1:$management" "$work" || { tail -n 20 "$work/server.log"; status=1; }
# Whatever was thrown at it, it lives, and it has logged no failure of its own.
lives() { kill -0 "$pid" 2>/dev/null && ! grep -E '"@l":"(Error|Fatal)"' "$work/server.log"; }
read -r passed failed 2>/dev/null <"$work/count" || { passed=0; failed=1; }
if lives; then echo 'ok      the server lives and logged no error'; passed=$((passed + 1)); else echo 'FAILED  the server lives and logged no error'; failed=$((failed + 1)); fi
echo "$passed passed, $failed failed"
((failed == 0 && ${status:-0} == 0))
