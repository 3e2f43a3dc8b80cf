#!/usr/bin/env bash
# The one test command: builds once, runs the suites side by side, and stops what it started. `tests/run.sh --help` lists the modes and the suites.
# A suite is a test project (one that refers to xunit.v3), or a script whose last line is "N passed, N failed". So is the last line of this script;
# the lines before it are a table of the suites with their times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly configuration=Release
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
# Most of what the tests cost is compiling: hundreds of servers start and soon end. What the compiler would learn for a long life is not worth its time here.
export DOTNET_TieredPGO=0
readonly since=$EPOCHSECONDS

die() { echo "tests/run.sh: $*" >&2; exit 1; }
say() { printf '\n==> %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
source tests/prepare.sh

# 1. What to run. The order of the suites is that of their starts: the long ones first. One that is not named here comes last.
readonly order=(SecureMessaging.Tests web/app adversary SecureMessaging.Faults web/interop web/tabs deploy documents format rest web graphql)
readonly quick_suites=(SecureMessaging.Tests web)
is_project() { [[ -f tests/$1/$1.csproj ]] && grep -q '"xunit\.v3"' "tests/$1/$1.csproj"; }
script_of() { # suite
  if [[ $1 == */* ]]; then echo "tests/$1.sh"; else echo "tests/$1/suite.sh"; fi
}
is_suite() { is_project "$1" || [[ -x $(script_of "$1") ]]; }
all_suites() {
  local name path
  {
    for name in "${order[@]}"; do if is_suite "$name"; then echo "$name"; fi; done
    for path in tests/*/; do
      name=$(basename "$path")
      if is_suite "$name"; then echo "$name"; fi
    done
  } | awk '!seen[$0]++'
}
mapfile -t suites < <(all_suites)

usage() {
  cat <<USAGE
tests/run.sh                      every suite: what continuous integration runs
tests/run.sh --quick              the checks for each edit: unit tests, API tests on SQLite, types, lint. No browser, Postgres or Redis.
tests/run.sh --only NAME          one suite. --only may be repeated.
tests/run.sh -class '*RoomTests*' the .NET tests that xunit's filters select: -class, -method, -namespace, -trait, -filter. With --quick too.
tests/run.sh --help               this text

Suites: ${suites[*]}
USAGE
}

quick=
only=()
filters=()
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --quick) quick=1 ;;
    --only=*) only+=("${1#--only=}") ;;
    --only) (($# > 1)) || die "--only needs the name of a suite: ${suites[*]}."; only+=("$2"); shift ;;
    --*) die "$1 is not an option. --help lists the options." ;;
    -?*) filters+=("$1") ;;
    *) ((${#filters[@]})) || die "'$1' is not an option. A suite is chosen with --only NAME, a .NET test with -class, -method or another of xunit's filters."; filters+=("$1") ;;
  esac
  shift
done
for name in ${only[@]+"${only[@]}"}; do
  [[ " ${suites[*]} " == *" $name "* && $name != *' '* && $name ]] || die "'$name' is not a suite. Suites: ${suites[*]}."
done
[[ ! $quick || ${#only[@]} == 0 ]] || die "--quick and --only exclude each other."
if ((${#only[@]})); then
  mapfile -t suites < <(printf '%s\n' "${suites[@]}" | grep -xF "$(printf '%s\n' "${only[@]}")")
elif [[ $quick ]]; then
  suites=("${quick_suites[@]}")
fi
if ((${#filters[@]})); then
  chosen=()
  for name in "${suites[@]}"; do
    if is_project "$name"; then chosen+=("$name"); else ((${#only[@]} == 0)) || die "$name has no xunit tests, so ${filters[0]} selects nothing in it."; fi
  done
  suites=("${chosen[@]}")
fi
dotnet_only=1 # whether nothing but test projects runs
for name in "${suites[@]}"; do is_project "$name" || dotnet_only=; done

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

# 2. What the tests need from the system.
as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true; }
install_packages() {
  local packages=()
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
  ((${#packages[@]})) || return 0
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
}
[[ $quick ]] || install_packages
have dotnet || die "the .NET 10 SDK is missing (https://dot.net)"
have node && have npm || die "Node.js with npm is missing (https://nodejs.org)"

# 3. Services of our own: free ports, loopback only, everything in a directory that goes away.
wait_for() {
  local what=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  die "$what did not come up: $(tail -n 5 "$work/$what.log")"
}
start_services() {
  local bin postgres_port redis_port as_postgres=()
  bin=$(postgres_bin)
  [[ -n $bin ]] || die "Postgres is missing"
  export PATH="$bin:$PATH"
  say "starting Postgres and Redis"
  mkdir -m 711 "$work/postgres"
  if [[ $(id -u) == 0 ]]; then
    chown postgres "$work/postgres"
    as_postgres=(runuser -u postgres --)
  fi
  (cd "$work/postgres" && ${as_postgres[@]+"${as_postgres[@]}"} initdb --pgdata="$work/postgres/data" --username=tester --auth=trust --encoding=UTF8 --locale=C.UTF-8) >"$work/initdb.log" 2>&1 \
    || { cat "$work/initdb.log" >&2; die "initdb failed"; }
  free_port
  postgres_port=$port
  # No suite kills this Postgres, so nothing depends on its flushes: SecureMessaging.Faults cuts the power of Postgres processes of its own.
  start ${as_postgres[@]+"${as_postgres[@]}"} postgres -D "$work/postgres/data" -p "$postgres_port" -h 127.0.0.1 -k "$work/postgres" \
    -c fsync=off -c max_connections=800 -c logging_collector=off >"$work/postgres.log" 2>&1
  while free_port && [[ $port == "$postgres_port" ]]; do :; done
  redis_port=$port
  start redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1
  wait_for postgres pg_isready -q -h 127.0.0.1 -p "$postgres_port" -U tester
  wait_for redis redis-cli -p "$redis_port" ping
  export SECUREMESSAGING_TEST_POSTGRES="Host=127.0.0.1;Port=$postgres_port;Username=tester;Database=postgres"
  export SECUREMESSAGING_TEST_REDIS="127.0.0.1:$redis_port"
}
# Without services, a test that needs one fails.
unset SECUREMESSAGING_TEST_POSTGRES SECUREMESSAGING_TEST_REDIS
[[ $quick ]] || start_services
export SECUREMESSAGING_TEST_SEED=${SECUREMESSAGING_TEST_SEED:-$RANDOM}

# 4. One build, and one fetch of each package of npm. What .NET leaves in the temporary directory goes away with ours.
export TMPDIR="$work/tmp"
mkdir "$TMPDIR"
say "building ($configuration)"
SECONDS=0
build() { # what, settings
  run dotnet build "$@" -c "$configuration" -p:UseSharedCompilation=false -v quiet -nologo >"$work/build.log" 2>&1 \
    || { grep -E 'error|warning' "$work/build.log" | sort -u | head -n 40 >&2 || cat "$work/build.log" >&2; die "the build failed"; }
}
if [[ $quick ]]; then
  # The analyzers take two thirds of the compiler's time. They run in the IDE and in the full run.
  build tests/SecureMessaging.Tests
else
  # Beside the compiler. The build of the server fetches and bundles src/web.
  locks=(tests/web/plain-client/package-lock.json)
  [[ $dotnet_only ]] || locks=(tests/*/package-lock.json tests/web/*/package-lock.json)
  start bash -c 'source tests/prepare.sh; for lock; do fetched "$(dirname "$lock")" || exit; done' fetch "${locks[@]}" >"$work/npm.log" 2>&1
  fetching=$started
  build SecureMessaging.sln -p:Analyze=true
  wait "$fetching" || { tail -n 20 "$work/npm.log" >&2; die "npm could not install what ${locks[*]} name"; }
fi
[[ -f src/web/app/dist/index.html && ! src/web/package-lock.json -nt src/web/node_modules/.package-lock.json ]] || die "npm could not install what src/web needs"
export SECUREMESSAGING_TEST_BUILT=1
echo "    ${SECONDS} s"

# 5. The suites, as many at a time as there are processors.
declare -A names=() begun=() followers=() # by process
lanes=$(nproc)
first_port=11000 # below the ports of outgoing connections, and none that browsers refuse; each suite has its own
results="$work/results"
findings="$work/findings" # what suites with failures printed
: >"$results"
: >"$findings"
output_of() { echo "$work/${1//\//-}.out"; } # suite

launch() { # suite
  local name=$1 output ports=300 command
  output=$(output_of "$name")
  if is_project "$name"; then
    # More at a time than cores, since many wait for clocks of their own.
    command=(dotnet "tests/$name/bin/$configuration/net10.0/$name.dll" -noLogo -noColor -failSkips -maxThreads 2x -xml "$work/$name.xml")
    [[ ! $quick ]] || command+=(-class- '*OnPostgres' -trait- 'Ring=Full')
    command+=(${filters[@]+"${filters[@]}"})
  else
    command=("$(script_of "$name")")
  fi
  [[ $name != SecureMessaging.* ]] || ports=2500
  say "$name (SECUREMESSAGING_TEST_SEED=$SECUREMESSAGING_TEST_SEED)"
  : >"$output"
  SECUREMESSAGING_TEST_PORTS="$first_port-$((first_port + ports - 1))" start "${command[@]}" >"$output" 2>&1
  first_port=$((first_port + ports))
  names[$started]=$name
  begun[$started]=$EPOCHSECONDS
  local process=$started prefix=
  ((${#suites[@]} == 1)) || prefix=$(printf '%-*s | ' 22 "$name")
  # A follower of the file, not a pipe, which anything that the command leaves behind would hold open.
  start bash -c 'tail -n +1 -f --pid="$1" "$2" | sed -u "s#^#$3#"' follow "$process" "$output" "$prefix"
  followers[$process]=$started
}
find_failures() { # name, output
  local marks='\[FAIL\]| FAIL |FAILED|VIOLATED|MISSED|✘|^ +[0-9]+\) '
  echo "in $1:"
  grep -aE "$marks" "$2" || tail -n 40 "$2"
  echo
  grep -aE -A 15 "$marks" "$2" | sed -n 1,150p || true
}
count() { sed -nE "s/.*<assembly [^>]* $1=\"([0-9]+)\".*/\1/p" "$2"; } # attribute, report
finish() { # process, exit status
  local process=$1 status=$2 name=${names[$1]} seconds=$((EPOCHSECONDS - begun[$1])) ok=0 bad=0 output report
  output=$(output_of "$name")
  report="$work/$name.xml"
  unset "names[$process]"
  wait "${followers[$process]}" || true
  if is_project "$name"; then
    if [[ -s $report ]]; then
      ok=$(count passed "$report")
      bad=$(($(count failed "$report") + $(count errors "$report") + $(count skipped "$report")))
    fi
    # A filter may select nothing in a project. Then the project is not counted.
    if ((${#filters[@]} && status == 0 && ok == 0 && bad == 0)); then return 0; fi
  elif [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    ok=${BASH_REMATCH[1]}
    bad=${BASH_REMATCH[2]}
  fi
  # A suite that crashed, or that found nothing to run, has failed.
  if ((bad == 0 && (status != 0 || ok == 0))); then bad=1; fi
  printf '%-22s %7d %7d %5d s\n' "$name" "$ok" "$bad" "$seconds" | tee -a "$results"
  ((bad == 0)) || find_failures "$name" "$output" >>"$findings"
}

waiting=("${suites[@]}")
while ((${#waiting[@]} || ${#names[@]})); do
  while ((${#waiting[@]} && ${#names[@]} < lanes)); do
    launch "${waiting[0]}"
    waiting=("${waiting[@]:1}")
  done
  status=0
  wait -n -p ended "${!names[@]}" || status=$?
  finish "$ended" "$status"
done

passed=$(awk '{ n += $2 } END { print n + 0 }' "$results")
failed=$(awk '{ n += $3 } END { print n + 0 }' "$results")
if [[ -s $findings ]]; then
  say "what failed, once more"
  cat "$findings"
fi
[[ -s $results ]] || { echo; echo "tests/run.sh: no test matches ${filters[*]}"; failed=1; }
printf '\n%-22s %7s %7s %7s\n' suite passed failed time
cat "$results"
printf '%-22s %7d %7d %5d s, with build and services\n' all "$passed" "$failed" "$((EPOCHSECONDS - since))"
echo "$passed passed, $failed failed"
((failed == 0))
