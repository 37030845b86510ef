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

# A connector that ends well as soon as the file named by `until` is there.
mkdir "$WORK/types"
cat >"$WORK/types/fluvio-connect-until" <<'SH'
#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"name":"until","direction":"source","version":"1.0.0",' \
        '"summary":"Ends when it may","options":[{"name":"until",' \
        '"type":"string","help":"The file that ends it"}]}'
    exit 0
fi
file=$(sed -n 's/.*until: *\([^} ]*\).*/\1/p' "$2")
while [ ! -e "$file" ]; do sleep 0.02; done
SH
chmod +x "$WORK/types/fluvio-connect-until"
PATH=$WORK/types:$PATH

# file UNTIL
file() {
    printf 'name: c\ntype: until\ntopic: t\ncreate_topic: true\n'
    printf 'parameters: {until: %s}\n' "$1"
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
file "$WORK/over" | api POST /connectors --data-binary @- >/dev/null
check "a finite connector runs" awaited is_state Running
touch "$WORK/hold"
file "$WORK/never" |
    api PUT /connectors/c/config --data-binary @- >"$WORK/answer" &
put=$!
check "its update waits for the disk" awaited test -e "$WORK/hold.held"
touch "$WORK/over"
check "it completes meanwhile" awaited is_state Completed
check "another change has to wait its turn" \
    grep -q '^409$' <(api PUT /connectors/c/pause)
check "nobody was told that the update is done" test ! -s "$WORK/answer"
rm "$WORK/hold"
wait "$put"
rm "$WORK/hold.held"
check "the update is done" grep -q '^200$' "$WORK/answer"
check "and the new one runs" awaited is_state Running
pid=$(manager_pid)
kill -9 "$pid"
check "a killed manager is back" awaited is_another "$pid"
check "and the connector runs as it was updated" awaited is_state Running
check "with the new file" grep -q '"until":"[^"]*/never"' \
    <(api GET /connectors/c/config)

touch "$WORK/hold"
api PUT /connectors/c/pause >"$WORK/answer" &
put=$!
check "a pause waits for the disk" awaited test -e "$WORK/hold.held"
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
