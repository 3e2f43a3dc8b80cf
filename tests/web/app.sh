#!/usr/bin/env bash
# The web app, as its sources are, in Debian's Chromium, against the Release build of the server. Arguments go to Playwright: tests/web/app.sh -g 'first minute'
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
{ [[ -d src/web/node_modules ]] || (cd src/web && npm ci --no-audit --no-fund --loglevel=error); } && (cd src/web && npm run build --loglevel=error >/dev/null) \
  || { echo "0 passed, 1 failed"; exit 1; }
# The app that the server holds is as old as its build.
export APP_TESTS_ROOT="$PWD/src/web/app/dist"
cd tests/web/app || exit 1
[[ -d node_modules ]] || npm ci --no-audit --no-fund --loglevel=error || { echo "0 passed, 1 failed"; exit 1; }
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
