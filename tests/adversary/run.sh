#!/usr/bin/env bash
# The hostile server and the hostile member against real clients. README.md lists the attacks. Needs the .NET SDK, Node 20, python3, and for Postgres also psql and
# SECUREMESSAGING_TEST_POSTGRES, which tests/run.sh sets. Builds the SDK, and the server when there is no Release build.
#   tests/adversary/run.sh [--json FILE] [--only NAME] [--list] [--engine sqlite|postgres] [--every-engine] [--no-controls]
set -uo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
arguments=()
json=
list=
for argument; do
  if [[ $json && $argument != /* ]]; then argument=$here/$argument; fi
  if [[ $argument == --json=* && $argument != --json=/* ]]; then argument=--json=$here/${argument#--json=}; fi
  json=
  [[ $argument != --json ]] || json=1
  [[ $argument != --list && $argument != --help ]] || list=1
  arguments+=("$argument")
done
fetched src/web || { echo '0 passed, 1 failed'; exit 1; }
if [[ ! $list ]]; then
  [[ -f src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll ]] \
    || dotnet build src/SecureMessaging.Server -c Release -p:WebApp=false -v quiet -nologo || { echo '0 passed, 1 failed'; exit 1; }
  [[ ${SECUREMESSAGING_TEST_BUILT:-} || ${ADVERSARY_BUILT:-} ]] || npm run build -w sdk --prefix src/web --loglevel=error >/dev/null \
    || { echo '0 passed, 1 failed'; exit 1; }
fi
exec node tests/adversary/main.mjs ${arguments[@]+"${arguments[@]}"}
