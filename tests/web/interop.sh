#!/usr/bin/env bash
# The TypeScript SDK with the Release build of the server, on each engine. Builds the SDK. Needs Node 20 and python3, and for Postgres also psql and
# SECUREMESSAGING_TEST_POSTGRES, which tests/run.sh sets.
#   tests/web/interop.sh [tokens] [later] [recovery] [browser] [sqlite] [postgres]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
server=$PWD/src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll
passed=0
failed=0
if (($# == 0)); then set -- tokens later recovery browser sqlite postgres; fi

built_web || { echo "0 passed, 1 failed"; exit 1; }
output=$(mktemp -d)
declare -A beside=() # parts that run beside the others because they mostly wait, and their processes
trap 'for part in "${!beside[@]}"; do kill "${beside[$part]}" 2>/dev/null; done; rm -rf "$output"' EXIT
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
started=$SECONDS
begin() { # name, program, which of how many
  INTEROP_PART=$3 node "tests/web/interop/$2.mjs" "$server" >"$output/$1" 2>&1 &
  beside[$1]=$!
}
for part in "$@"; do
  case $part in
    tokens) begin tokens tokens 1/1 ;;
    recovery)
      begin recovery recovery 1/2
      begin recovery-2 recovery 2/2
      ;;
  esac
done
for part in "$@"; do
  begun=$SECONDS
  case $part in
    tokens | recovery) continue ;;
    sqlite | postgres) run=(run.mjs "$part") ;;
    *) run=("$part.mjs") ;;
  esac
  node "tests/web/interop/${run[0]}" "${run[@]:1}" "$server" 2>&1 | tee "$output/$part" | sed -u '$d'
  count "$part" $((SECONDS - begun))
done
for part in "${!beside[@]}"; do
  wait "${beside[$part]}"
  unset "beside[$part]"
  sed '$d' "$output/$part"
  count "$part" $((SECONDS - started))
done
echo "$passed passed, $failed failed"
((failed == 0))
