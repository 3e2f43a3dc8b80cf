#!/usr/bin/env bash
# Everything that is written in TypeScript: builds the SDK, runs its unit tests, then the other scripts of this folder. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
passed=0
failed=0
count() { # "N passed, N failed", or whatever else was the last line; of what
  if [[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  else
    echo "FAILED  ${2:-} ended with: $1"
    failed=$((failed + 1))
  fi
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd src/web && npm ci --no-audit --no-fund --loglevel=error && npm run build --loglevel=error) || { echo "0 passed, 1 failed"; exit 1; }
if (cd src/web/sdk && npx tsc -p test/api); then count '1 passed, 0 failed'; else echo 'FAILED  tsc -p test/api'; count '0 passed, 1 failed'; fi
if (cd src/web/app && npx tsc -p test); then count '1 passed, 0 failed'; else echo 'FAILED  tsc -p test'; count '0 passed, 1 failed'; fi
for part in sdk app; do
  (cd "src/web/$part" && npx vitest run --reporter=dot --reporter=json --outputFile.json="$work/$part.json")
  count "$(node -e 'const r = JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(`${r.numPassedTests} passed, ${r.numTotalTests - r.numPassedTests} failed`)' "$work/$part.json")" "the unit tests of the $part"
done
for script in tests/web/*.sh; do
  [[ $script != tests/web/suite.sh && -x $script ]] || continue
  "$script" 2>&1 | tee "$work/output" | sed -u '$d'
  count "$(tail -n 1 "$work/output")" "$script"
done
echo "$passed passed, $failed failed"
((failed == 0))
