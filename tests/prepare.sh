# Sourced by tests/run.sh and by the suites: packages of npm, ports that no other suite uses, and a server for a suite.

# Fetches the packages of a folder's package-lock.json, unless they are there.
fetched() { # folder
  local have=$1/node_modules/.package-lock.json
  [[ -f $have && ! $1/package-lock.json -nt $have ]] || { npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error && touch "$have"; }
}

# Builds the SDK and the app, unless tests/run.sh has built them.
built_web() {
  [[ ${SECUREMESSAGING_TEST_BUILT:-} ]] || { fetched src/web && npm run build --prefix src/web --loglevel=error >/dev/null; }
}

# Sets $port. tests/run.sh gives each suite its own range (SECUREMESSAGING_TEST_PORTS=FIRST-LAST), so that no other suite takes the port of a server that is
# restarting.
free_port() {
  local range=${SECUREMESSAGING_TEST_PORTS:-20000-31999} first
  first=${range%-*}
  while port=$((RANDOM % (${range#*-} - first + 1) + first)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
}

# The bound for the start of a server process, in all suites. It is for processes that hang: on a machine that runs several suites, a healthy start can take
# a minute.
start_seconds=180

# Repeats a command until it succeeds. The failure says what the command printed last.
eventually() { # command
  local said='' attempts=0 until=$((SECONDS + start_seconds))
  while ((SECONDS < until)); do
    attempts=$((attempts + 1))
    said=$("$@" 2>&1) && return
    sleep 0.2
  done
  echo "not within $start_seconds s, in $attempts attempts: $*. The last one printed: $said"
  return 1
}

# Waits until a server answers. Fails at once when its process has ended.
until_ready() { # address, process
  eventually answers_or_ended "$@" && kill -0 "$2" 2>/dev/null
}
answers_or_ended() { curl -fsS -o /dev/null --max-time 5 "$1" || ! kill -0 "$2" 2>/dev/null; }

# Runs the suite.mjs of the current folder with a server of its own, which must still run at the end and must have logged no error. The server is the Release
# build. The last line is "N passed, N failed".
suite_with_server() { # settings of the server
  local server=$PWD/../../src/SecureMessaging.Server/bin/${CONFIGURATION:-Release}/net10.0/SecureMessaging.Server.dll management passed failed status=0
  [[ -f $server ]] || { echo "$server is missing: dotnet build -c Release"; echo '0 passed, 1 failed'; exit 1; }
  work=$(mktemp -d "${TMPDIR:-/tmp}/sm-suite.XXXXXX")
  pid=
  trap '[[ -z $pid ]] || kill "$pid" 2>/dev/null; wait; rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  fetched . >"$work/npm.log" 2>&1 || { cat "$work/npm.log"; echo '0 passed, 1 failed'; exit 1; }
  free_port
  management=$port
  while free_port && [[ $port == "$management" ]]; do :; done
  dotnet "$server" --urls="http://127.0.0.1:$port" --Server:DataDirectory="$work/data" --Management:Url="http://127.0.0.1:$management" \
    --Drain:Stagger=00:00:00.1 --Drain:Patience=00:00:01 "$@" >"$work/server.log" 2>&1 &
  pid=$!
  until_ready "http://127.0.0.1:$port/v1/limits" "$pid" || tail -n 20 "$work/server.log"
  node suite.mjs "http://127.0.0.1:$port" "http://127.0.0.1:$management" "$work" || { tail -n 20 "$work/server.log"; status=1; }
  read -r passed failed 2>/dev/null <"$work/count" || { passed=0; failed=1; }
  if kill -0 "$pid" 2>/dev/null && ! grep -E '"@l":"(Error|Fatal)"' "$work/server.log"; then
    echo 'ok      the server lives and logged no error'
    passed=$((passed + 1))
  else
    echo 'FAILED  the server lives and logged no error'
    failed=$((failed + 1))
  fi
  echo "$passed passed, $failed failed"
  ((failed == 0 && status == 0))
}
