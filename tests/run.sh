#!/usr/bin/env bash
# The one test command: brings up a Postgres and a Redis of its own, builds once, runs every suite under tests/, and cleans up.
#   tests/run.sh                                   everything
#   tests/run.sh -method '*Eight_nodes*' [...]     only the .NET tests that the xunit filter selects
# A suite is a test project (one that refers to xunit.v3), or a folder under tests/ with an executable suite.sh whose last line
# is "N passed, N failed". So is the last line of this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly configuration=Release
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
# Most of what the tests cost is compiling: hundreds of servers start and soon end. What the compiler would learn for a long life is not worth its time here.
export DOTNET_TieredPGO=0

die() { echo "tests/run.sh: $*" >&2; exit 1; }
say() { printf '\n==> %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

work=$(mktemp -d /tmp/sm-tests.XXXXXX)
chmod 711 "$work"
groups=()   # process groups that we started
policy=     # a file that keeps apt from starting services, while it exists

clean_up() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  for group in ${groups[@]+"${groups[@]}"}; do kill -TERM -- "-$group" 2>/dev/null || true; done
  for _ in $(seq 100); do
    local left=
    for group in ${groups[@]+"${groups[@]}"}; do kill -0 -- "-$group" 2>/dev/null && left=1; done
    [[ $left ]] || break
    sleep 0.1
  done
  for group in ${groups[@]+"${groups[@]}"}; do kill -KILL -- "-$group" 2>/dev/null || true; done
  [[ -z $policy ]] || as_root rm -f "$policy"
  rm -rf "$work" 2>/dev/null || as_root rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In a session of its own, so that all its descendants can be stopped with it.
start() {
  setsid "$@" &
  started=$!
  groups+=("$started")
}

run() { # runs in a group of its own and waits; the exit status is the command's
  start "$@"
  wait "$started" && return 0 || return $?
}

# As run, and what the command prints goes to a file too. Not by a pipe, which anything that the command leaves behind would hold open.
run_logged() { # file, command
  local output=$1 command status=0
  shift
  : >"$output"
  start "$@" >"$output" 2>&1
  command=$started
  start tail -n +1 -f --pid="$command" "$output"
  wait "$command" || status=$?
  wait "$started" || true
  return "$status"
}

# 1. What the tests need from the system.
as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true; }

packages=()
[[ -n $(postgres_bin) ]] || packages+=(postgresql)
have redis-server || packages+=(redis-server)
have chromium || have chromium-browser || have google-chrome || packages+=(chromium)
have git || packages+=(git)
have nginx || [[ -x /usr/sbin/nginx ]] || packages+=(nginx)
have openssl || packages+=(openssl)
have curl || packages+=(curl)
have jq || packages+=(jq)
have systemd-analyze || packages+=(systemd)
python3 -c 'import yaml' 2>/dev/null || /usr/bin/python3 -c 'import yaml' 2>/dev/null || packages+=(python3-yaml)
if ((${#packages[@]})); then
  have apt-get || die "install ${packages[*]} first; this machine has no apt"
  say "installing ${packages[*]}"
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends ${packages[*]}" >"$work/apt.log" 2>&1 \
    || { tail -n 20 "$work/apt.log" >&2; die "apt could not install ${packages[*]}"; }
  [[ -z $policy ]] || { as_root rm -f "$policy"; policy=; }
fi
have dotnet || die "the .NET 10 SDK is missing (https://dot.net)"
have node && have npm || die "Node.js with npm is missing (https://nodejs.org)"
bin=$(postgres_bin)
[[ -n $bin ]] || die "Postgres is missing"
export PATH="$bin:$PATH"

# 2. Services of our own: free ports, loopback only, everything in a directory that goes away.
taken=" "
free_port() {
  while :; do
    port=$((RANDOM % 12000 + 20000))
    [[ $taken == *" $port "* ]] && continue
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    taken+="$port "
    return
  done
}
wait_for() {
  local what=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  die "$what did not come up: $(tail -n 5 "$work/$what.log")"
}

say "starting Postgres and Redis"
mkdir -m 711 "$work/postgres"
as_postgres=()
if [[ $(id -u) == 0 ]]; then
  chown postgres "$work/postgres"
  as_postgres=(runuser -u postgres --)
fi
(cd "$work/postgres" && ${as_postgres[@]+"${as_postgres[@]}"} initdb --pgdata="$work/postgres/data" --username=tester --auth=trust --encoding=UTF8 --locale=C.UTF-8) >"$work/initdb.log" 2>&1 \
  || { cat "$work/initdb.log" >&2; die "initdb failed"; }
free_port
readonly postgres_port=$port
start ${as_postgres[@]+"${as_postgres[@]}"} postgres -D "$work/postgres/data" -p "$postgres_port" -h 127.0.0.1 -k "$work/postgres" \
  -c fsync=on -c max_connections=800 -c logging_collector=off >"$work/postgres.log" 2>&1
free_port
readonly redis_port=$port
start redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1
wait_for postgres pg_isready -q -h 127.0.0.1 -p "$postgres_port" -U tester
wait_for redis redis-cli -p "$redis_port" ping

export SECUREMESSAGING_TEST_POSTGRES="Host=127.0.0.1;Port=$postgres_port;Username=tester;Database=postgres"
export SECUREMESSAGING_TEST_REDIS="127.0.0.1:$redis_port"
export SECUREMESSAGING_TEST_SEED=${SECUREMESSAGING_TEST_SEED:-$RANDOM}

# 3. One build. What .NET leaves in the temporary directory goes away with ours.
export TMPDIR="$work/tmp"
mkdir "$TMPDIR"
say "building ($configuration)"
SECONDS=0
run dotnet build SecureMessaging.sln -c "$configuration" -p:UseSharedCompilation=false -p:Analyze=true -v quiet -nologo >"$work/build.log" 2>&1 \
  || { grep -E 'error|warning' "$work/build.log" | sort -u | head -n 40 >&2 || cat "$work/build.log" >&2; die "the build failed"; }
echo "    ${SECONDS} s"

# What the JavaScript of the tests needs, in the versions of its lock file.
for lock in tests/web/*/package-lock.json; do
  say "npm ci in $(dirname "$lock")"
  run npm ci --prefix "$(dirname "$lock")" --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1 \
    || { tail -n 20 "$work/npm.log" >&2; die "npm could not install what $(dirname "$lock") needs"; }
done

# 4. The suites.
passed=0
failed=0
executed=0
findings="$work/findings" # what suites with failures said of them
: >"$findings"
add() { # name, seconds, passed, failed
  passed=$((passed + $3))
  failed=$((failed + $4))
  executed=$((executed + 1))
  printf '    %s: %d passed, %d failed, %d s\n' "$1" "$3" "$4" "$2"
  (($4 == 0)) || find_failures "$1" "$work/$1.out" >>"$findings"
}
find_failures() { # name, output
  local marks='\[FAIL\]| FAIL |FAILED|VIOLATED|MISSED|✘|^ +[0-9]+\) '
  echo "in $1:"
  grep -aE "$marks" "$2" || tail -n 40 "$2"
  echo
  grep -aE -A 15 "$marks" "$2" | sed -n 1,150p || true
}
count() { sed -nE "s/.*<assembly [^>]* $1=\"([0-9]+)\".*/\1/p" "$2"; } # attribute, report

xunit_suite() { # name, arguments for the runner
  local name=$1 output="$work/$1.out" report="$work/$1.xml" status=0 ok=0 bad=0
  shift
  say "$name (SECUREMESSAGING_TEST_SEED=$SECUREMESSAGING_TEST_SEED)"
  SECONDS=0
  # More at a time than cores, since many wait for clocks of their own.
  run_logged "$output" dotnet "tests/$name/bin/$configuration/net10.0/$name.dll" -noLogo -noColor -failSkips -maxThreads 2x -xml "$report" "$@" || status=$?
  if [[ -s $report ]]; then
    ok=$(count passed "$report")
    bad=$(($(count failed "$report") + $(count errors "$report") + $(count skipped "$report")))
  fi
  # A runner that crashed, or that found nothing to run, has failed.
  if ((bad == 0 && (status != 0 || ok == 0))); then bad=1; fi
  add "$name" "$SECONDS" "$ok" "$bad"
}

script_suite() { # folder
  local name=$1 output="$work/$1.out" status=0 ok=0 bad=0
  say "$name"
  SECONDS=0
  run_logged "$output" "tests/$name/suite.sh" || status=$?
  if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    ok=${BASH_REMATCH[1]}
    bad=${BASH_REMATCH[2]}
  fi
  if ((bad == 0 && (status != 0 || ok == 0))); then bad=1; fi
  add "$name" "$SECONDS" "$ok" "$bad"
}

for project in tests/*/*.csproj; do
  grep -q '"xunit\.v3"' "$project" || continue
  xunit_suite "$(basename "$project" .csproj)" "$@"
done
if (($# == 0)); then
  for suite in tests/*/suite.sh; do
    [[ -x $suite ]] || continue
    script_suite "$(basename "$(dirname "$suite")")"
  done
fi

((executed > 0)) || failed=1
if [[ -s $findings ]]; then
  say "what failed, once more"
  cat "$findings"
fi
echo
echo "$passed passed, $failed failed"
((failed == 0))
