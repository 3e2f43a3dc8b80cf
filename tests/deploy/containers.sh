#!/usr/bin/env bash
# The services of compose.yaml without a container engine: each with the root, mounts, user, capabilities and command of the file, in one private network.
# Postgres is Debian's, with the file's settings for its image. Called by suite.sh within `sandbox.py net`: containers.sh APP FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/prepare.sh
readonly app=$1 work=$2
mkdir -p "$work"
chmod 711 "$work"
cp -r deploy "$work/deploy"
readonly compose=$work/deploy/compose.yaml
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait' EXIT
sandbox() { exec python3 tests/deploy/sandbox.py "$@"; }
eventually_or_logs() { eventually "$@" || { tail -n 20 "$work"/*.log; return 1; }; }
start() { # name, arguments
  local name=$1
  shift
  (sandbox service "$compose" "$name" --set PUBLIC_ORIGIN=https://localhost:8443 "$@") >"$work/$name.log" 2>&1 &
  pids+=($!)
}

# As in README.md, except for the certificate.
mkdir -m 700 "$work/deploy/secrets" "$work/deploy/tls"
for name in postgres_password redis_password; do openssl rand -hex 24 >"$work/deploy/secrets/$name"; done
chmod 644 "$work"/deploy/secrets/*
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext 'subjectAltName=DNS:localhost' \
  -keyout "$work/deploy/tls/privkey.pem" -out "$work/deploy/tls/fullchain.pem" 2>/dev/null
readonly secret=$(cat "$work/deploy/secrets/redis_password")

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
mkdir "$work/postgres"
install -m 600 "$work/deploy/secrets/postgres_password" "$work/postgres/password"
chown -R postgres "$work/postgres"
as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --)
(cd "$work/postgres" && "${as_postgres[@]}" "$bin/initdb" --pgdata="$work/postgres/data" --username=messaging --auth=scram-sha-256 \
  --pwfile="$work/postgres/password" --encoding=UTF8 --locale=C.UTF-8 >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log"; exit 1; }
"${as_postgres[@]}" "$bin/postgres" -D "$work/postgres/data" -p 5432 -h 127.0.0.1 -k "$work/postgres" >"$work/postgres.log" 2>&1 &
pids+=($!)
start redis
eventually_or_logs "$bin/pg_isready" -q -h 127.0.0.1
PGPASSWORD=$(cat "$work/deploy/secrets/postgres_password") "$bin/createdb" -h 127.0.0.1 -U messaging messaging

# Redis asks for the password of the secret, and no command line shows it.
eventually_or_logs env REDISCLI_AUTH="$secret" redis-cli ping
[[ $(redis-cli ping 2>&1) == NOAUTH* ]] || { echo 'Redis answers without a password'; exit 1; }
if tr '\0' ' ' </proc/"${pids[1]}"/cmdline | grep -F "$secret"; then exit 1; fi

mkdir -m 700 "$work/keys"
chown 1654 "$work/keys"
start node1 --app "$app" --volume keys="$work/keys"
readonly node=${pids[2]}
eventually_or_logs curl -fs http://127.0.0.1:8080/health/ready
[[ $(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0+$' "/proc/$node/status") == 5 ]]
grep -q '^NoNewPrivs:.1' "/proc/$node/status"
[[ $(stat -c %u "/proc/$node") == 1654 ]]
# A node is ready before Redis answers, and reports "degraded" until then.
eventually_or_logs bash -c "curl -fs http://127.0.0.1:8080/health/ready | grep -vE 'unhealthy|degraded'"
[[ $(ls "$work/keys") ]] || { echo 'the keys are not in their volume'; exit 1; }

mkdir "$work/bodies"
start proxy --volume /var/lib/nginx="$work/bodies" -- nginx -g 'daemon off;'
eventually_or_logs curl -fs --cacert "$work/deploy/tls/fullchain.pem" https://localhost:8443/v1/limits
curl -fsS --cacert "$work/deploy/tls/fullchain.pem" https://localhost:8443/v1/auth/sign-up -o /dev/null -H 'content-type: application/json' \
  -d '{"username":"container","email":"container@example.org","password":"a long enough password"}'
