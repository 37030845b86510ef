#!/usr/bin/env bash
# manager_slow.sh BIN_DIR - a disk that takes its time under the manager: what
# happens while a change is on its way to it does not undo the change.
set -uo pipefail
BIN=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

if [ ! -f "$BIN/libfailsync.so" ]; then
    echo "ok 1 - a slow disk # SKIP libfailsync.so was not built"
    echo "1..1"
    exit 0
fi
unset FLV_PROFILE_PATH RUST_LOG
export FLV_SC_PORT=0 FLV_SPU_PORT=0 FLV_MANAGER_OPTIONS=--no-tcp
manager=$WORK/.fluvio/data/manager

api() {
    local method=$1 route=$2
    shift 2
    curl -sS -m 30 -X "$method" -w '\n%{http_code}' \
        --unix-socket "$manager/manager.sock" "$@" "http://manager$route"
}

# file PARAMETERS
file() {
    printf 'name: c\ntype: test-connector\ntopic: t\ncreate_topic: true\n'
    printf 'parameters: {%s}\n' "$1"
}

# awaited COMMAND...: true within ten seconds.
awaited() {
    local i
    for i in $(seq 500); do
        "$@" && return
        read -rt 0.02 <> <(:) || true
    done
    return 1
}

is_state() {
    api GET /connectors/c/status 2>/dev/null | grep -q "\"state\":\"$1\""
}

manager_pid() {
    sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$manager/manager.json"
}

is_another() {
    [ -n "$(manager_pid)" ] && [ "$(manager_pid)" != "$1" ]
}

env LD_PRELOAD="$BIN/libfailsync.so" FLV_HOLDSYNC="$WORK/hold" \
    fluvio cluster start >"$WORK/server.log" 2>&1 || cat "$WORK/server.log"
file "count: 5, timeout: 100ms" | api POST /connectors --data-binary @- >/dev/null
check "a finite connector runs" awaited is_state Running
touch "$WORK/hold"
file "timeout: 1h" |
    api PUT /connectors/c/config --data-binary @- >"$WORK/answer" &
put=$!
check "it completes while its update waits for the disk" \
    awaited is_state Completed
check "another change has to wait its turn" \
    grep -q '^409$' <(api PUT /connectors/c/pause)
check "nobody was told that the update is done" test ! -s "$WORK/answer"
rm "$WORK/hold"
wait "$put"
check "the update is done" grep -q '^200$' "$WORK/answer"
check "and the new one runs" awaited is_state Running
pid=$(manager_pid)
kill -9 "$pid"
check "a killed manager is back" awaited is_another "$pid"
check "and the connector runs as it was updated" awaited is_state Running
check "with the new file" grep -q '"timeout":"1h"' \
    <(api GET /connectors/c/config)

touch "$WORK/hold"
api PUT /connectors/c/pause >"$WORK/answer" &
put=$!
check "a pause waits for the disk" awaited test -n "$(jobs -p)"
check "and changes nothing before" is_state Running
rm "$WORK/hold"
wait "$put"
check "then it is paused" awaited is_state Paused
pid=$(manager_pid)
kill -9 "$pid"
check "a killed manager is back again" awaited is_another "$pid"
check "and it is still paused" awaited is_state Paused
check "all end well" fluvio cluster shutdown
finish
