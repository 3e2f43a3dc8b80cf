#!/usr/bin/env bash
# What a newcomer waits for: clones what is committed, starts the server as README.md says, signs up in a browser, and prints how long it took. No test: the time
# depends on the machine (two quiet cores and warm caches of NuGet and npm: 45 s at most). FIRST_RUN_PORT: where the server listens (a free port).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/sm-first-run.XXXXXX")
server=
clean_up() {
  if [[ $server ]]; then kill -TERM -- "-$server" 2>/dev/null; wait "$server" 2>/dev/null; fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
die() { echo "first-run.sh: $*" >&2; exit 1; }

[[ -d tests/web/app/node_modules ]] || npm ci --prefix tests/web/app --ignore-scripts --no-audit --no-fund --loglevel=error
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || die "Chromium is missing"
port=${FIRST_RUN_PORT:-$((RANDOM % 10000 + 30000))}
readonly origin=http://127.0.0.1:$port
# The compilers of earlier builds do not help.
dotnet build-server shutdown >/dev/null 2>&1 || true
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 ASPNETCORE_URLS=$origin Server__DataDirectory=$work/data Management__Url=

started=$(date +%s%N)
seconds() { local tenths=$((($(date +%s%N) - started) / 100000000)); echo "$((tenths / 10)).$((tenths % 10))"; }
git clone -q . "$work/clone"
: >"$work/output"
(cd "$work/clone" && exec setsid dotnet run --project src/SecureMessaging.Server) >"$work/output" 2>&1 &
server=$!
shown=0
show() { # what the newcomer sees, with the second at which it came
  local lines
  lines=$(wc -l <"$work/output")
  ((lines > shown)) || return 0
  sed -n "$((shown + 1)),${lines}p" "$work/output" | while read -r line; do printf '%6s s  %.140s\n' "$(seconds)" "$line"; done
  shown=$lines
}
until curl -fs --max-time 2 "$origin/" 2>/dev/null | grep -q '<script'; do
  kill -0 "$server" 2>/dev/null || { show; die "the server ended"; }
  [[ $(seconds) != 6[0-9][0-9].* ]] || { show; die "no page within 600 s"; }
  show
  sleep 0.1
done
answered=$(seconds)
until [[ $(tail -n 1 "$work/output") == "Open $origin" ]]; do
  [[ $(seconds) != 3[0-9][0-9].* ]] || die "the last line is not the address: $(tail -n 1 "$work/output")"
  sleep 0.1
done
show

ORIGIN=$origin CHROMIUM=$chromium node --input-type=module - <<'JAVASCRIPT'
import { createRequire } from 'node:module';
const { chromium } = createRequire(`${process.cwd()}/tests/web/app/`)('@playwright/test');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
const page = await browser.newPage();
await page.goto(process.env.ORIGIN);
await page.getByLabel('Username', { exact: true }).fill('newcomer');
await page.getByLabel('E-mail').fill('newcomer@example.org');
await page.getByLabel('Password', { exact: true }).fill('a long enough password');
await page.getByRole('button', { name: 'Create account' }).click();
await page.getByRole('heading', { name: 'Conversations' }).waitFor();
await browser.close();
JAVASCRIPT
printf '%6s s  signed up in a browser\n' "$(seconds)"
[[ -z $(git -C "$work/clone" status --porcelain) ]] || die "the build changed what is committed: $(git -C "$work/clone" status --porcelain)"
echo "from a clean clone to an answering page: $answered s (load $(cut -d ' ' -f 1 /proc/loadavg) on $(nproc) cores)"
