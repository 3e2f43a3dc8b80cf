#!/usr/bin/env bash
# Tests the web app, built from the sources, in Chromium with the Release build of the server. Arguments go to Playwright: tests/web/app.sh -g 'first minute'
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
fetched tests/web/app && built_web || { echo "0 passed, 1 failed"; exit 1; }
# The app inside the server's build may be older than the sources.
export APP_TESTS_ROOT="$PWD/src/web/app/dist"
cd tests/web/app || exit 1
APP_TESTS_REPORT=$(mktemp)
export APP_TESTS_REPORT
playwright=
trap '[[ -z $playwright ]] || kill "$playwright" 2>/dev/null; rm -f "$APP_TESTS_REPORT"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome) node_modules/.bin/playwright test "$@" &
playwright=$!
wait "$playwright"
status=$?
playwright=
node -e '
  const { stats } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
  const failed = stats.unexpected + stats.flaky + stats.skipped;
  console.log(`${stats.expected} passed, ${failed || (stats.expected ? 0 : 1)} failed`);
' "$APP_TESTS_REPORT" || echo "0 passed, 1 failed"
exit $status
