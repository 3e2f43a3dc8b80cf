#!/usr/bin/env bash
# deploy/: the files are well formed. The cluster of cluster.sh carries messages over wss, also while a node fails, and leaves no files behind.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/sm-deploy.XXXXXX")
chmod 711 "$work"
readonly app=$work/app unit=deploy/secure-messaging.service
export CLUSTER_DIR=$work/cluster CLUSTER_SERVER=$app/SecureMessaging.Server.dll
free_port
CLUSTER_PORT=$port
export CLUSTER_PORT PATH="$PATH:/usr/sbin"
readonly origin=https://localhost:$CLUSTER_PORT secmsg=$PWD/src/SecureMessaging.Cli/bin/Release/net10.0/secmsg.dll
export SECMSG_PASSWORD='a long enough password' SECUREMESSAGING_ADMIN_PASSWORD='a long enough password' XDG_DATA_HOME=$work/data
passed=0
failed=0
pids=()

clean_up() {
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null; done
  deploy/cluster.sh down --purge >/dev/null 2>&1
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

check() { # what, command
  local what=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $what"
  else
    failed=$((failed + 1))
    echo "FAILED  $what"
    tail -n 20 "$work/out"
  fi
}
call() { dotnet "$secmsg" --server "$origin" "$@"; }

# 1. Files.
compose_is_sound() {
  local python
  for python in python3 /usr/bin/python3; do "$python" -c 'import yaml' 2>/dev/null && break; done
  "$python" - <<'PYTHON'
import yaml
compose = yaml.safe_load(open("deploy/compose.yaml"))
services = compose["services"]
assert set(services) == {"node1", "node2", "proxy", "postgres", "redis"}, set(services)
assert [name for name, service in services.items() if "ports" in service] == ["proxy"], "only the proxy is reached from outside"
for name, service in services.items():
    assert "image" in service, name
    assert all(secret in compose["secrets"] for secret in service.get("secrets", [])), name
    assert all(network in compose["networks"] for network in service["networks"]), name
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in compose["volumes"] or source.startswith((".", "$")), volume
    assert all(other in services for other in service.get("depends_on", {})), name
    # Other users of the machine can read the command line after exec. Redis overwrites its own at the start, so /proc shows it only briefly.
    for words in (service.get("command"), service.get("entrypoint")):
        text = words if isinstance(words, str) else " ".join(words or [])
        assert "/run/secrets" not in text.partition("exec ")[2], f"{name}: a secret on a command line"
PYTHON
}
unit_is_sound() {
  sed 's#^ExecStart=/usr/bin/dotnet#ExecStart=/bin/true#' deploy/secure-messaging.service >"$work/secure-messaging.service"
  local said
  said=$(systemd-analyze verify "$work/secure-messaging.service" 2>&1)
  echo "$said"
  [[ -z $said ]]
}
dockerfile_is_sound() { # what the last stage must say, and that it copies what there is
  local source stage last
  last=$(sed -n '/^FROM/h; /^FROM/!H; ${x;p}' deploy/Dockerfile)
  grep -q '^USER \$APP_UID' <<<"$last" && grep -q '^HEALTHCHECK' <<<"$last" && [[ $last == FROM\ mcr.microsoft.com/dotnet/aspnet:* ]] || return 1
  for stage in $(sed -n 's/^COPY --from=\([^ ]*\).*/\1/p' deploy/Dockerfile); do grep -q "^FROM .* AS $stage\$" deploy/Dockerfile || { echo "there is no stage $stage"; return 1; }; done
  # The npm packages in the server's project come from the stage that fetches them.
  grep -q '^COPY --from=playground .* src/web/playground/$' deploy/Dockerfile || return 1
  for source in $(grep '^COPY [^-]' deploy/Dockerfile | sed 's/^COPY //; s/ [^ ]*$//'); do [[ -e $source ]] || { echo "$source is missing"; return 1; }; done
}
check 'compose.yaml' compose_is_sound
check 'systemd unit' unit_is_sound
check 'Dockerfile' dockerfile_is_sound
check '.env.example has what compose.yaml asks for' bash -c 'for name in $(grep -oE "\\$\{[A-Z_]+" deploy/compose.yaml | tr -d "\${"); do grep -q "^$name=" deploy/.env.example || exit 1; done'

# 2. The published files, under the restrictions of the unit and of compose.yaml.
check 'dotnet publish' dotnet publish src/SecureMessaging.Server -c Release --no-build -o "$app" -v quiet -nologo
one_platform() { [[ $(find "$app" -path '*/native/*' -name '*.so' | wc -l) -ge 2 && $(ls "$app/runtimes" | wc -l) == 1 && -z $(find "$app" -name '*.dylib' -o -path '*win-*') ]]; }
check 'published is one platform' one_platform
sandbox() { exec python3 tests/deploy/sandbox.py "$@"; }
unit_said() { sed -n "s/^$1=//p" "$unit"; } # the unit's value of a setting
start_unit() { # file; the server as systemd would start it: $pid, $port
  free_port
  (sandbox unit "$1" --app "$app" --state "$work/state" --set ASPNETCORE_URLS="http://127.0.0.1:$port" --set Management__Url=) >"$work/unit.log" 2>&1 &
  pid=$!
  pids+=("$pid")
  eventually unit_is_up
}
unit_is_up() { curl -fs -o /dev/null "http://127.0.0.1:$port/health/ready" || ! kill -0 "$pid" 2>/dev/null; }
unit_serves() {
  start_unit "$unit"
  curl -fsS "http://127.0.0.1:$port/v1/auth/sign-up" -o /dev/null -H 'content-type: application/json' \
    -d "{\"username\":\"unit\",\"email\":\"unit@example.org\",\"password\":\"$SECMSG_PASSWORD\"}" || { cat "$work/unit.log"; return 1; }
  eventually grep -qE "^(Open|Listening on) http://127.0.0.1:$port" "$work/unit.log" || return 1
  # The restrictions apply to the process that answered. All its files are private and in the unit's StateDirectory.
  grep -q '^Seccomp:.2' "/proc/$pid/status" && grep -q '^NoNewPrivs:.1' "/proc/$pid/status" || return 1
  [[ $(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0+$' "/proc/$pid/status") == 5 ]] || return 1
  [[ -f $work/state/secure-messaging.db && -d $work/state/keys && -z $(find "$work/state" -perm /077) ]]
}
unit_stops() {
  local status=0 since=$SECONDS
  kill "-$(unit_said KillSignal)" "$pid"
  wait "$pid" || status=$?
  ((SECONDS - since <= $(unit_said TimeoutStopSec) && (status == 0 || status == 143))) || { echo "status $status after $((SECONDS - since)) s"; return 1; }
}
unit_forbids() { # each of these would succeed for root outside
  local attempt
  for attempt in 'touch /etc/x' 'touch /usr/x' 'touch /opt/secure-messaging/x' 'touch /var/x' 'touch /root/x' 'ls /home' 'ls /root' 'cat /proc/meminfo' 'ls /proc/1' \
    'unshare --user true' 'hostname x' 'date --set=now' 'chmod u+s "$STATE_DIRECTORY"' 'chown 0 "$STATE_DIRECTORY"' 'chrt --rr 1 true' 'cat /dev/kmsg' 'ls /dev/mem'; do
    (sandbox unit "$unit" --app "$app" --state "$work/state" -- /bin/sh -c "$attempt") >/dev/null 2>&1 && { echo "succeeded: $attempt"; return 1; }
  done
  (sandbox unit "$unit" --app "$app" --state "$work/state" -- /bin/sh -c 'touch "$STATE_DIRECTORY/x" /tmp/x && rm "$STATE_DIRECTORY/x"')
}
unit_too_strict() { # planted: the runtime needs calls of @resources, and is killed or does not start
  sed "/^SystemCallErrorNumber/d; s/^SystemCallFilter=~.*/& @resources/" "$unit" >"$work/strict.service"
  start_unit "$work/strict.service"
  local status=0
  wait "$pid" || status=$?
  [[ $status == 159 ]] || { echo "status $status, not that of SIGSYS"; return 1; }
}
check 'the unit: the server answers under its restrictions' unit_serves
check 'the unit: it stops in time' unit_stops
check 'the unit: what it forbids fails' unit_forbids
check 'the unit: a call too few is seen' unit_too_strict

check 'the services of compose.yaml: roots read-only, few rights, the password in no command line' python3 tests/deploy/sandbox.py net -- tests/deploy/containers.sh "$app" "$work/containers"

# 3. The cluster, with the few open files of a login shell. A program that needs more raises the limit itself.
ulimit -Sn 1024
export RateLimits__Enabled=false # thousands of clients come from one address
check 'cluster.sh up' deploy/cluster.sh up
check 'up again changes nothing' deploy/cluster.sh up
check 'status' eventually deploy/cluster.sh status
export SSL_CERT_FILE=$CLUSTER_DIR/tls/fullchain.pem
hidden() {
  local path
  for path in health health/ready health/live HEALTH/ready Health/Ready/ %68ealth/ready %48EALTH/ready //health/ready ./health/ready x/../health/ready health%2fready health/ready?x \
    'health;x/ready' %2568ealth/ready metrics METRICS health/../metrics; do
    [[ $(curl -s --path-as-is -o /dev/null -w '%{http_code}' --cacert "$SSL_CERT_FILE" "$origin/$path") == 404 ]] || { echo "$path"; return 1; }
  done
}
check 'the proxy hides health and metrics' hidden
check 'create-admin' deploy/cluster.sh create-admin root root@example.org
check 'an administrator signs in' call -p root sign-in root
dotnet "$secmsg" --server "$origin" -p root logs --follow >"$work/logs" 2>"$work/logs.state" &
pids+=($!)
check 'watching the logs' eventually grep -q following "$work/logs.state"
check 'sign up' bash -c "dotnet '$secmsg' --server $origin -p anna sign-up anna --email anna@example.org && dotnet '$secmsg' --server $origin -p ben sign-up ben --email ben@example.org"
check 'create a room' bash -c "dotnet '$secmsg' --server $origin -p anna create lunch ben >'$work/invite'"
check 'join it' bash -c "tail -n 1 '$work/invite' | dotnet '$secmsg' --server $origin -p ben join"
mkfifo "$work/quiet"
sleep 300 >"$work/quiet" &
pids+=($!)
dotnet "$secmsg" --server "$origin" -p ben chat lunch <"$work/quiet" >"$work/received" 2>&1 &
pids+=($!)
say() { seq -f "$1 %g" 1 50 | dotnet "$secmsg" --server "$origin" -p anna chat lunch --exit-on-eof; }
received() { [[ $(grep -cE "anna[^:]*: $1 [0-9]+\$" "$work/received") == 50 ]]; }
check 'send through the proxy' say calm
check 'every message arrives' eventually received calm
read -r node_pid _ <"$CLUSTER_DIR/run/node1.pid"
check 'a node dies' kill -KILL "$node_pid"
node_is_missing() { local said; said=$(deploy/cluster.sh status) && return 1; [[ $said == *'node1: stopped'* ]]; }
check 'status tells' eventually node_is_missing
check 'send while one node is missing' say storm
check 'every message arrives' eventually received storm
check 'up brings the node back' deploy/cluster.sh up
received_once() { [[ $(grep -oE 'anna[^:]*: (calm|storm) [0-9]+$' "$work/received" | sed 's/^[^:]*: //') == "$(seq -f 'calm %g' 1 50; seq -f 'storm %g' 1 50)" ]]; }
check 'once, and in order' received_once
log_everywhere() { # the proxy takes turns, so some of these reach either node
  local token
  token=$(curl -sS --cacert "$SSL_CERT_FILE" -H 'content-type: application/json' -d "{\"username\":\"root\",\"password\":\"$SECMSG_PASSWORD\"}" "$origin/v1/auth/token" \
    | sed -E 's/.*"accessToken":"([^"]+)".*/\1/')
  for _ in $(seq 6); do curl -fsS --cacert "$SSL_CERT_FILE" -X POST -H "Authorization: Bearer $token" "$origin/v1/admin/users/ben/enable" || return; done
}
log_from_both() { log_everywhere && sleep 1 && grep -q '"node":"node1"' "$work/logs" && grep -q '"node":"node2"' "$work/logs"; }
check 'logs of both nodes came in one stream' eventually log_from_both

# Wrong requests, and requests while a node is missing, leave neither the client's address nor its ticket in any file.
stranger() { # bytes as of printf; from an address that nothing else has
  python3 - "$CLUSTER_PORT" "$(printf "$1" | base64 -w0)" <<'PYTHON'
import base64, socket, sys
client = socket.socket()
client.bind(("127.0.0.77", 0))
client.connect(("127.0.0.1", int(sys.argv[1])))
client.sendall(base64.b64decode(sys.argv[2]))
client.shutdown(socket.SHUT_WR)
client.settimeout(5)
while client.recv(4096):
    pass
PYTHON
}
damaged_hellos() {
  stranger '\x16\x03\x01\x00\x05hello' && stranger '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage' && stranger 'GET /hubs/chat?ticket=secret HTTP/1.1\r\n\r\n' && stranger '\x00\x00\x00\x00'
}
check 'damaged handshakes' damaged_hellos
crowd() { timeout 150 python3 tests/deploy/sockets.py "$origin" "$SSL_CERT_FILE" 8000; }
check 'a message reaches 8,000 sockets through the proxy' crowd
without_nodes() {
  local pid
  for node in node1 node2; do read -r pid _ <"$CLUSTER_DIR/run/$node.pid" && kill -KILL "$pid" 2>/dev/null; done
  [[ $(curl -s -o /dev/null -w '%{http_code}' --interface 127.0.0.77 --cacert "$SSL_CERT_FILE" "$origin/hubs/chat?ticket=secret") == 502 ]]
}
check 'a request while no node runs' eventually without_nodes
proxy_counts() {
  # The proxy writes a line after it has sent its answer.
  local log=$CLUSTER_DIR/log/proxy.log
  eventually grep -qE '^[^ ]+ 502 of [a-z0-9_.:, -]+: [0-9, -]*502' "$log" || { tail -n 20 "$log"; return 1; }
  ! grep -E '127\.0\.0\.77|ticket|secret|client' "$log"
}
check "the proxy's log counts it, and names no client, no address and no ticket" proxy_counts
check 'no log holds an address, a token or a password' bash -c "! grep -rE '127\.0\.0\.1:[0-9]+ - |access_token|ticket=|$SECMSG_PASSWORD' '$CLUSTER_DIR/log'"

# 4. The end.
for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
pids=()
nothing_left() { [[ ! -e $CLUSTER_DIR ]] && ! pgrep -f "$work" && ! pgrep -f "$origin"; }
check 'cluster.sh down --purge' deploy/cluster.sh down --purge
check 'nothing is left' nothing_left
echo "$passed passed, $failed failed"
((failed == 0))
