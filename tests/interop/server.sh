#!/bin/sh
# One fluvio-server for the interop tests; state lives in $FLV_INTEROP.
#
#   server.sh start    (again on the same ports and data; waits until ready)
#   server.sh stop     SIGTERM, waits for the end, fails unless it exits with 0
#   server.sh kill     SIGKILL
#
# $FLV_BIN is the folder of fluvio-server.
set -eu

state=${FLV_INTEROP:?}
case ${1:-} in
start)
    sc=0 spu=0
    [ ! -f "$state/ports" ] || read -r sc spu <"$state/ports"
    rm -f "$state/ready" "$state/status"
    mkfifo "$state/ready"
    (
        "${FLV_BIN:?}/fluvio-server" --data-dir "$state/data" \
            --sc-port "$sc" --spu-port "$spu" --ready-fd 3 \
            3>"$state/ready" >>"$state/server.log" 2>&1 &
        echo $! >"$state/pid"
        status=0
        wait $! || status=$?
        echo "$status" >"$state/status.new"
        mv "$state/status.new" "$state/status"
    ) </dev/null >/dev/null 2>&1 &
    # "ready sc=PORT spu=PORT pid=PID", or end of file when it did not start.
    line=
    read -r line <"$state/ready" || true
    rm -f "$state/ready"
    case $line in
    ready*) ;;
    *)
        echo "fluvio-server did not start:" >&2
        tail -n 5 "$state/server.log" >&2
        exit 1
        ;;
    esac
    sc=${line#*sc=} spu=${line#*spu=}
    echo "${sc%% *} ${spu%% *}" >"$state/ports"
    cat >"$state/profile" <<EOF
version = "2.0"
current_profile = "interop"

[profile.interop]
cluster = "interop"

[cluster.interop]
endpoint = "127.0.0.1:${sc%% *}"
EOF
    ;;
stop | kill)
    signal=TERM
    [ "$1" = stop ] || signal=KILL
    kill -s "$signal" "$(cat "$state/pid")"
    # The subshell of `start` leaves the exit status behind.
    tries=0
    until [ -f "$state/status" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "server does not end" >&2; exit 1; }
        sleep 0.05
    done
    [ "$1" = kill ] || [ "$(cat "$state/status")" = 0 ]
    ;;
*)
    echo "usage: server.sh start|stop|kill" >&2
    exit 2
    ;;
esac
