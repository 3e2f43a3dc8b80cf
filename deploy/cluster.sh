#!/usr/bin/env bash
# The topology of compose.yaml from Debian packages on one machine: nginx with TLS, two nodes, Postgres, Redis.
#   deploy/cluster.sh up          starts what is not running and returns when both nodes are ready
#   deploy/cluster.sh status      says what runs; exit status 0 when everything does
#   deploy/cluster.sh down        stops it and keeps the data; down --purge removes the data too
#   deploy/cluster.sh create-admin USERNAME EMAIL
# CLUSTER_DIR: where data, keys and logs lie. CLUSTER_PORT: the port of the proxy (8443). CLUSTER_SERVER: a built SecureMessaging.Server.dll.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
if [[ $(id -u) == 0 ]]; then default_dir=/var/lib/secure-messaging-cluster; else default_dir=${XDG_STATE_HOME:-$HOME/.local/state}/secure-messaging-cluster; fi
readonly dir=${CLUSTER_DIR:-$default_dir}
readonly services=(postgres redis node1 node2 proxy)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

die() { echo "cluster.sh: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true; }
as_postgres() { if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi; }

# A pid may be reused by another process; pid and start time together identify ours. A zombie does not count.
started_at() { sed -nE 's/^[0-9]+ \(.*\) ([^Z].*)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
running() { # service
  local pid since
  read -r pid since 2>/dev/null <"$dir/run/$1.pid" || return 1
  [[ -n $since && $(started_at "$pid") == "$since" ]] && echo "$pid"
}
start() { # service, command
  local name=$1
  shift
  setsid "$@" >>"$dir/log/$name.log" 2>&1 </dev/null &
  echo "$! $(started_at $!)" >"$dir/run/$name.pid"
  disown $!
}
stop() { # service, signal
  local pid
  pid=$(running "$1") || { rm -f "$dir/run/$1.pid"; return 0; }
  kill -"$2" "$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    running "$1" >/dev/null || break
    sleep 0.1
  done
  if running "$1" >/dev/null; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
  rm -f "$dir/run/$1.pid"
}
wait_for() { # service, command
  local name=$1
  shift
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    running "$name" >/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$dir/log/$name.log" >&2
  die "$name did not come up; its log is $dir/log/$name.log"
}
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

# Once: ports, passwords, certificate, database. Settings are kept, so that down and up find the same cluster.
create() {
  mkdir -p "$dir"
  chmod 711 "$dir"
  mkdir -p "$dir/run" "$dir/log" "$dir/tls" "$dir/keys" "$dir/node1" "$dir/node2" "$dir/tmp"
  chmod 700 "$dir/run" "$dir/log" "$dir/keys" "$dir/node1" "$dir/node2"
  [[ ! -f $dir/settings ]] || return 0
  (
    umask 077
    for name in postgres_port redis_port node1_port node2_port; do
      free_port
      echo "$name=$port"
    done
    echo "https_port=${CLUSTER_PORT:-8443}"
    echo "postgres_password=$(openssl rand -hex 24)"
    echo "redis_password=$(openssl rand -hex 24)"
  ) >"$dir/settings.new"
  chmod 600 "$dir/settings.new"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
    -keyout "$dir/tls/privkey.pem" -out "$dir/tls/fullchain.pem" 2>/dev/null
  chmod 600 "$dir/tls/privkey.pem"
  mv "$dir/settings.new" "$dir/settings"
}

node_environment() { # name; the settings of a node, in its environment because other users can read arguments
  export ConnectionStrings__Postgres="Host=127.0.0.1;Port=$postgres_port;Database=messaging;Username=messaging;Password=$postgres_password"
  export ConnectionStrings__Redis="127.0.0.1:$redis_port,password=$redis_password"
  export Server__DataDirectory=$dir/$1 Server__KeyDirectory=$dir/keys Server__NodeName=$1 Management__Url=
  export Server__KnownProxies__0=127.0.0.1
  export Server__AllowedOrigins__0=https://localhost:$https_port Server__AllowedOrigins__1=https://127.0.0.1:$https_port
}

server() { # the assembly to run; built here unless CLUSTER_SERVER names one
  if [[ -n ${CLUSTER_SERVER:-} ]]; then
    echo "$CLUSTER_SERVER"
    return
  fi
  [[ -f $dir/app/SecureMessaging.Server.dll ]] \
    || dotnet publish "$here/../src/SecureMessaging.Server" -c Release -o "$dir/app" -v quiet -nologo >"$dir/log/build.log" 2>&1 || die "the build failed: $dir/log/build.log"
  echo "$dir/app/SecureMessaging.Server.dll"
}

up() {
  export PATH="$(postgres_bin):$PATH:/usr/sbin"
  for needed in initdb redis-server nginx openssl dotnet curl; do have "$needed" || die "$needed is missing: install postgresql redis-server nginx openssl curl and the .NET 10 runtime"; done
  create
  # shellcheck disable=SC1091
  source "$dir/settings"
  local dll
  dll=$(server)

  if ! running postgres >/dev/null; then
    if [[ ! -f $dir/postgres/data/PG_VERSION ]]; then
      mkdir -p "$dir/postgres"
      (umask 077; echo "$postgres_password" >"$dir/postgres/password")
      [[ $(id -u) != 0 ]] || chown -R postgres "$dir/postgres"
      (cd "$dir/postgres" && as_postgres initdb --pgdata="$dir/postgres/data" --username=messaging --auth=scram-sha-256 --pwfile="$dir/postgres/password" --encoding=UTF8 --locale=C.UTF-8) \
        >"$dir/log/initdb.log" 2>&1 || die "initdb failed: $dir/log/initdb.log"
      rm -f "$dir/postgres/password"
    fi
    local command=("$(command -v postgres)" -D "$dir/postgres/data" -p "$postgres_port" -h 127.0.0.1 -k "$dir/postgres" -c fsync=on -c synchronous_commit=on)
    # setpriv replaces itself, so that the pid is Postgres's own.
    [[ $(id -u) != 0 ]] || command=(setpriv --reuid=postgres --regid=postgres --init-groups -- "${command[@]}")
    start postgres "${command[@]}"
    wait_for postgres pg_isready -q -h 127.0.0.1 -p "$postgres_port" -U messaging
    export PGPASSWORD=$postgres_password
    [[ $(psql -h 127.0.0.1 -p "$postgres_port" -U messaging -d postgres -Atc "select 1 from pg_database where datname = 'messaging'") == 1 ]] \
      || createdb -h 127.0.0.1 -p "$postgres_port" -U messaging messaging
    unset PGPASSWORD
  fi

  if ! running redis >/dev/null; then
    (umask 077; printf 'port %s\nbind 127.0.0.1\ndir %s\nsave ""\nappendonly no\nrequirepass %s\n' "$redis_port" "$dir/tmp" "$redis_password" >"$dir/redis.conf")
    start redis redis-server "$dir/redis.conf"
    wait_for redis env REDISCLI_AUTH="$redis_password" redis-cli -p "$redis_port" ping
  fi

  local name node_port
  for name in node1 node2; do
    running "$name" >/dev/null && continue
    node_port=${name}_port
    (
      node_environment "$name"
      export ASPNETCORE_URLS=http://127.0.0.1:${!node_port}
      start "$name" dotnet "$dll" serve
    )
  done
  for name in node1 node2; do
    node_port=${name}_port
    wait_for "$name" curl -fsS --max-time 5 "http://127.0.0.1:${!node_port}/health/ready"
  done

  if ! running proxy >/dev/null; then
    # The same file that compose.yaml mounts, with this machine's ports, paths and limit of files. Where nginx keeps bodies by default, only root may write.
    local kind bodies= files
    files=$(ulimit -Hn)
    [[ $files != unlimited ]] && ((files < 65536)) || files=65536
    for kind in client_body proxy fastcgi uwsgi scgi; do bodies+=" ${kind}_temp_path tmp/$kind;"; done
    sed -e "s#node1:8080#127.0.0.1:$node1_port#; s#node2:8080#127.0.0.1:$node2_port#; s#listen 8443#listen 127.0.0.1:$https_port#" \
      -e "s#worker_rlimit_nofile .*#worker_rlimit_nofile $files;#; s#/etc/nginx/tls/#$dir/tls/#; s#/run/nginx.pid#$dir/run/nginx#; s#/dev/stderr#$dir/log/proxy.log#; s#server_tokens off;#&$bodies#" \
      "$here/nginx.conf" >"$dir/nginx.conf"
    nginx -t -q -e "$dir/log/proxy.log" -p "$dir" -c "$dir/nginx.conf" || die "nginx refuses its configuration: $dir/log/proxy.log"
    start proxy nginx -e "$dir/log/proxy.log" -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;'
    wait_for proxy curl -fsS --max-time 5 --cacert "$dir/tls/fullchain.pem" "https://localhost:$https_port/v1/limits"
  fi
  echo "https://localhost:$https_port (certificate: $dir/tls/fullchain.pem)"
}

down() {
  stop proxy TERM
  # The second node takes the clients of the first.
  stop node1 TERM
  stop node2 TERM
  stop redis TERM
  stop postgres INT
  if [[ ${1:-} == --purge ]]; then
    [[ -f $dir/settings || ! -e $dir ]] || die "$dir is not a cluster's directory"
    rm -rf "$dir"
  fi
}

status() {
  local name pid port all=0
  # shellcheck disable=SC1091
  source "$dir/settings" 2>/dev/null || true
  for name in "${services[@]}"; do
    port=${name}_port
    if ! pid=$(running "$name"); then
      echo "$name: stopped"
      all=1
    elif [[ $name == node* ]]; then
      # The proxy hides health, so a node says it itself.
      echo "$name: running ($pid) http://127.0.0.1:${!port}/health/ready $(curl -s --max-time 4 "http://127.0.0.1:${!port}/health/ready" || echo 'does not answer')"
    else
      echo "$name: running ($pid)"
    fi
  done
  return "$all"
}

create_admin() {
  [[ $# == 2 ]] || die "usage: create-admin USERNAME EMAIL"
  # shellcheck disable=SC1091
  source "$dir/settings" 2>/dev/null || die "there is no cluster in $dir: run up first"
  node_environment node1
  dotnet "$(server)" admin create "$@"
}

case ${1:-} in
  up) up ;;
  down) down "${2:-}" ;;
  status) status ;;
  create-admin) shift; create_admin "$@" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
