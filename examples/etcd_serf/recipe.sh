#!/bin/sh
# Starts and stops the programs of this example's hosts; each program's pid and log are in $DIR.
#
#     recipe.sh etcd                 the registry, at 127.90.0.1
#     recipe.sh host NAME ADDRESS    a web application and its serf agent
#     recipe.sh balancer             serf agent, Lighthouse and HAProxy, at 127.90.0.2
#     recipe.sh kill NAME            kill all programs on a host at once
#     recipe.sh stop                 stop everything
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${DIR:=/tmp/lighthouse-etcd-serf}" "${NET:=127.90.0}"
mkdir -p "$DIR"

# Starts a program in the background: NAME PROGRAM ARGUMENT...
start() {
  name=$1
  shift
  # shellcheck disable=SC2016
  setsid sh -c 'echo $$ >"$0.pid"; exec "$@" >>"$0.log" 2>&1 </dev/null' "$DIR/$name" "$@" &
}

# Starts a serf agent that joins through the balancer's agent: NAME ADDRESS TAG=VALUE
agent() {
  start "$1.serf" serf agent -node="$1" -bind="$2:7946" -rpc-addr="$2:7373" -profile=local -tag "$3" \
    -retry-join="$NET.2:7946" -retry-interval=1s
}

# Sends a signal to the programs whose pid files match: SIGNAL FILE...
signal() {
  sig=$1
  shift
  for file in "$@"; do
    [ -e "$file" ] || continue
    kill "-$sig" "$(cat "$file")" 2>/dev/null || :
    rm -f "$file"
  done
}

case ${1:-} in
etcd)
  start etcd etcd --name one --data-dir "$DIR/etcd" \
    --listen-client-urls "http://$NET.1:2379" --advertise-client-urls "http://$NET.1:2379" \
    --listen-peer-urls "http://$NET.1:2380" --initial-advertise-peer-urls "http://$NET.1:2380" \
    --initial-cluster "one=http://$NET.1:2380"
  ;;
host)
  start "$2.web" deno run --no-prompt --allow-net="$3" "$here/web.ts" "$3" 8080
  agent "$2" "$3" role=web
  ;;
balancer)
  cp -r "$here/configs" "$DIR/config"
  find "$DIR/config" -name '*.yaml' -exec sed -i "s#/run/lighthouse#$DIR#; s#127\.90\.0#$NET#" {} +
  agent balancer "$NET.2" role=balancer
  start writer deno task --quiet --cwd "$here/../.." lighthouse writer "$DIR/config"
  ;;
kill)
  signal KILL "$DIR/$2".*.pid
  ;;
stop)
  signal TERM "$DIR"/writer.pid "$DIR"/bridge.pid "$DIR"/*.serf.pid "$DIR"/*.web.pid "$DIR"/etcd.pid
  signal USR1 "$DIR"/haproxy.pid
  ;;
*)
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
