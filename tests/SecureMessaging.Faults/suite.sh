#!/usr/bin/env bash
# A short round of every fault on both engines, then the planted bugs. Called by tests/run.sh, which has built everything in Release.
# The last line is "N passed, N failed": one for each row of the report, each written history and each planted bug.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
readonly program=bin/Release/net10.0/SecureMessaging.Faults.dll
[[ -f $program ]] || { echo "$program is missing: dotnet build -c Release"; exit 1; }
passed=0
failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

count() { # what the program was asked
  local status=0
  dotnet "$program" "$@" 2>&1 | tee "$output" || status=$?
  if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    ((status == 0 || BASH_REMATCH[2] > 0)) || failed=$((failed + 1))
  else
    failed=$((failed + 1))
  fi
}

# By time, not by number, so that a slow machine passes too: it only sees fewer sends.
count run --duration 2 --seed "${SECUREMESSAGING_TEST_SEED:-$RANDOM}"
count prove --duration 2 --seed "${SECUREMESSAGING_TEST_SEED:-$RANDOM}"
echo "$passed passed, $failed failed"
((failed == 0))
