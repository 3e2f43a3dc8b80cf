#!/usr/bin/env bash
# A short round of every fault on both engines, and the planted bugs. Called by tests/run.sh, which has built everything in Release.
# The last line is "N passed, N failed": one for each row of the report, each written history and each planted bug.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
readonly program=bin/Release/net10.0/SecureMessaging.Faults.dll
[[ -f $program ]] || { echo "$program is missing: dotnet build -c Release"; exit 1; }
seed=${SECUREMESSAGING_TEST_SEED:-$RANDOM}
work=$(mktemp -d)
pids=()
trap 'for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# By time, not by number, so that a slow machine passes too: it only sees fewer sends.
# Side by side, because each waits half of its time for what it has stopped or killed. The ports of each are its own.
first=${SECUREMESSAGING_TEST_PORTS:-20000-31999}
last=${first#*-}
first=${first%-*}
readonly share=$(((last - first + 1) / 4))
begin() { # number, what the program is asked
  local from=$((first + share * $1))
  SECUREMESSAGING_TEST_PORTS="$from-$((from + share - 1))" dotnet "$program" "${@:2}" --duration 2 --seed "$seed" >"$work/$1" 2>&1 &
  pids+=($!)
}
faults() { dotnet "$program" --list | awk -v nodes="$1" '$2 ~ /postgres/ && ($3 == 1) == (nodes == 1) { print $1 }' | paste -sd , -; } # of one node, or of several
begin 0 run --engine postgres --faults "$(faults 1)"
begin 1 run --engine postgres --faults "$(faults 2)"
begin 2 run --engine sqlite
begin 3 prove

passed=0
failed=0
for number in "${!pids[@]}"; do
  status=0
  wait "${pids[number]}" || status=$?
  cat "$work/$number"
  if [[ $(tail -n 1 "$work/$number") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    ((status == 0 || BASH_REMATCH[2] > 0)) || failed=$((failed + 1))
  else
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
((failed == 0))
