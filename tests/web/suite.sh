#!/usr/bin/env bash
# TypeScript without a server: types, lint, format, and the unit tests of the SDK and of the app. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetched tests/web/app && built_web || { echo "0 passed, 1 failed"; exit 1; }

check() { # command, in src/web
  if (cd src/web && "$@" >"$work/output" 2>&1); then
    passed=$((passed + 1))
    echo "ok      $*"
  else
    failed=$((failed + 1))
    cat "$work/output"
    echo "FAILED  $*"
  fi
}
check npm run --silent lint:built
check npm run --silent format:check
check env -C sdk node scripts/api.mjs --check
for types in app app/sw sdk/test sdk/test/api app/test ../../tests/web/app; do check npx tsc -p "$types"; done
for part in sdk app; do
  # The bounds are for tests that hang, not for slow machines: other suites run at the same time.
  (cd "src/web/$part" && npx vitest run --testTimeout=60000 --hookTimeout=60000 --reporter=dot --reporter=json --outputFile.json="$work/$part.json")
  read -r ok bad < <(node -e 'const r = JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(r.numPassedTests, r.numTotalTests - r.numPassedTests)' "$work/$part.json") \
    || { ok=0 bad=1; echo "FAILED  the unit tests of the $part wrote no report"; }
  passed=$((passed + ok))
  failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
((failed == 0))
