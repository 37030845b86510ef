# Shared by the fault scripts: a server of their own, TAP lines.
# Expects BIN (folder of the programs); makes WORK, sets HOME and the profile.

WORK=$(mktemp -d "${TMPDIR:-/tmp}/fluvio-fault.XXXXXX")
export HOME=$WORK FLV_PROFILE_PATH=$WORK/config PATH=$BIN:$PATH
read -r SC_PORT SPU_PORT < <(
    python3 "$(dirname "${BASH_SOURCE[0]}")/../programs/ports.py" 2
)
TESTS=0
FAILED=0
SERVER=

cleanup() {
    [ -z "$SERVER" ] || kill -9 "$SERVER" 2>/dev/null || true
    [ -z "${MOUNTED:-}" ] || umount "$MOUNTED" 2>/dev/null || true
    if [ "$FAILED" -eq 0 ]; then
        rm -rf "$WORK"
    else
        echo "# kept $WORK"
    fi
}
trap cleanup EXIT

# check NAME COMMAND...: one TAP line by the command's exit status.
check() {
    local name=$1
    shift
    TESTS=$((TESTS + 1))
    if "$@"; then
        echo "ok $TESTS - $name"
    else
        FAILED=$((FAILED + 1))
        echo "not ok $TESTS - $name"
        tail -n 5 "$WORK/server.log" 2>/dev/null | sed 's/^/# /'
    fi
}

finish() {
    echo "1..$TESTS"
    [ "$FAILED" -eq 0 ]
}

# start_server DATA_DIR [ENV=VALUE...]: ready when it returns; writes a profile.
start_server() {
    local data=$1
    shift
    local fifo=$WORK/ready.$RANDOM
    mkfifo "$fifo"
    env "$@" fluvio-server --data-dir "$data" --sc-port "$SC_PORT" \
        --spu-port "$SPU_PORT" --ready-fd 7 7>"$fifo" \
        >>"$WORK/server.log" 2>&1 &
    SERVER=$!
    if ! timeout 20 cat "$fifo" | grep -q .; then
        echo "# server did not start"
        tail -n 5 "$WORK/server.log" | sed 's/^/# /'
        rm -f "$fifo"
        return 1
    fi
    rm -f "$fifo"
    cat >"$FLV_PROFILE_PATH" <<EOF
version = "2.0"
current_profile = "t"
[profile.t]
cluster = "t"
[cluster.t]
endpoint = "127.0.0.1:$SC_PORT"
EOF
}

stop_server() {
    kill -TERM "$SERVER"
    wait "$SERVER"
    local rc=$?
    SERVER=
    return $rc
}
