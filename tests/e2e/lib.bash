# What every file of this folder starts from: a home folder of its own, ports
# of its own, the programs of $FLV_BIN in front of the path.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FLV_BIN=${FLV_BIN:-$ROOT/build/bin}
FLV_SMARTMODULES=${FLV_SMARTMODULES:-$FLV_BIN/../smartmodules}

# Two ports that nobody else takes meanwhile, in one line.
free_ports() {
    python3 "$ROOT/tests/programs/ports.py" 2
}

# A home without a cluster.
home_up() {
    E2E_HOME=$(mktemp -d "${BATS_TMPDIR:-/tmp}/fluvio-e2e.XXXXXX")
    HOME=$E2E_HOME
    read -r FLV_SC_PORT FLV_SPU_PORT < <(free_ports)
    PATH=$FLV_BIN:$PATH
    export E2E_HOME HOME PATH FLV_SC_PORT FLV_SPU_PORT
    unset FLV_PROFILE_PATH RUST_LOG FLUVIO_CLIENT_ID
    # Whatever the machine has: systemd.bats is about the other one.
    export FLV_SUPERVISOR=guard
}

# Ends what runs there and removes it. A teardown runs as well where the setup
# failed before there was such a home: then HOME is still that of whoever runs
# the tests, with a cluster of theirs perhaps.
home_down() {
    local pid guard
    [ -n "${E2E_HOME:-}" ] || return 0
    HOME=$E2E_HOME
    pid=$(server_pid)
    guard=$(guard_pid)
    fluvio cluster delete --force >/dev/null 2>&1 || true
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        kill -9 ${guard:+"$guard"} "$pid"
    fi
    chmod -R u+rwX "$HOME" 2>/dev/null || true
    rm -rf "$HOME"
}

cluster_up() {
    home_up
    fluvio cluster start >"$HOME/start.log" 2>&1 || {
        cat "$HOME/start.log" >&2
        return 1
    }
}

server_pid() {
    cat "$HOME/.fluvio/data/lock" 2>/dev/null || true
}

# A cluster without what fluvio-server adds to the protocol: on $PLAIN_CLUSTER.
plain_up() {
    python3 "$ROOT/tests/e2e/plain.py" "$FLV_SC_PORT" >"$HOME/plain.port" 3>&- &
    PLAIN=$!
    until_true 10 [ -s "$HOME/plain.port" ]
    PLAIN_CLUSTER=127.0.0.1:$(cat "$HOME/plain.port")
}

address() {
    echo "127.0.0.1:$FLV_SC_PORT"
}

# Of server.json; nothing where there is none, because 0 would be everybody here.
guard_pid() {
    sed -n 's/.*"guard":\([1-9][0-9]*\).*/\1/p' \
        "$HOME/.fluvio/data/server.json" 2>/dev/null || true
}

# A power cut for the server and who would bring it back.
server_kill() {
    local both
    both="$(guard_pid) $(server_pid)"
    # shellcheck disable=SC2086
    kill -9 $both
    # shellcheck disable=SC2086
    until_true 10 eval "! kill -0 $both 2>/dev/null"
}

# until_true SECONDS COMMAND...: waits for something that has no event.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        read -rt 0.02 <> <(:) || true
    done
}

# ends_with STATUS PID: a background job ends, and with that exit status.
ends_with() {
    local status=0
    wait "$2" || status=$?
    [ "$status" -eq "$1" ] || {
        echo "pid $2 ended with $status, not $1"
        return 1
    }
}

# fails_soon WORD...: `fluvio WORD...` ends with 1 within two seconds, as after
# `run`. Where the first try is late, three of the next four have to be in time:
# what else the machine does makes one or two late.
fails_soon() {
    local tries soon=0
    for tries in 1 2 3 4 5; do
        run --separate-stderr timeout 2 fluvio "$@" </dev/null
        if [ "$status" -ne 124 ]; then
            [ "$status" -eq 1 ] || return 1
            soon=$((soon + 1))
            [ "$tries" -gt 1 ] && [ "$soon" -lt 3 ] || return 0
        fi
    done
    return 1
}

# lines FILE N: the file has at least N lines.
has_lines() {
    [ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}
