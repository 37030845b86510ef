#!/usr/bin/env bash
# manager_disk.sh BIN_DIR - a full disk under the manager: what cannot be stored
# is refused and changes nothing; with space again the same manager goes on.
set -uo pipefail
BIN=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

disk=$WORK/disk
mkdir "$disk"
if ! mount -t tmpfs -o size=16m tmpfs "$disk" 2>/dev/null; then
    echo "ok 1 - a full disk # SKIP mounting a tmpfs needs root"
    echo "1..1"
    exit 0
fi
MOUNTED=$disk
unset FLV_PROFILE_PATH RUST_LOG
export HOME=$disk FLV_SC_PORT=0 FLV_SPU_PORT=0 FLV_MANAGER_OPTIONS=--no-tcp
manager=$disk/.fluvio/data/manager

api() {
    local method=$1 route=$2
    shift 2
    curl -sS -m 30 -X "$method" -w '\n%{http_code}' \
        --unix-socket "$manager/manager.sock" "$@" "http://manager$route"
}

file() {
    printf 'name: %s\ntype: test-connector\ntopic: t\ncreate_topic: true\n' "$1"
    printf 'parameters: {timeout: 1h}\n'
}

is_running() {
    local i
    for i in $(seq 400); do
        api GET "/connectors/$1/status" | grep -q '"state":"Running"' && return
        read -rt 0.02 <> <(:) || true
    done
    return 1
}

fluvio cluster start >"$WORK/server.log" 2>&1 || cat "$WORK/server.log"
check "with space a connector is made" \
    grep -q '^201$' <(file first | api POST /connectors --data-binary @-)
check "and runs" is_running first
cat /dev/zero >"$disk/ballast" 2>/dev/null
answer=$(file second | api POST /connectors --data-binary @-)
check "on a full disk another one is refused" \
    grep -qE '^(507|503)$' <(tail -n 1 <<<"$answer")
check "and is not there" grep -qx '\["first"\]' <(api GET /connectors)
check "pausing is refused, too" \
    grep -q '^507$' <(api PUT /connectors/first/pause)
check "and what runs goes on" is_running first
rm "$disk/ballast"
check "with space again the same manager makes it" \
    grep -q '^201$' <(file second | api POST /connectors --data-binary @-)
check "and it runs" is_running second
check "all end well" fluvio cluster shutdown
umount "$disk" && MOUNTED=
finish
