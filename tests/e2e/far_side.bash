# What the tests of the HTTP source on endless answers share: a topic, a far
# side that is a program of ours, and the connector, all of one test.

setup() {
    TOPIC=t$BATS_TEST_NUMBER
    fluvio topic create "$TOPIC" >/dev/null
}

teardown() {
    [ -z "${CONNECTOR:-}" ] || kill -9 "$CONNECTOR" 2>/dev/null || true
    [ -z "${END:-}" ] || kill -9 "$END" 2>/dev/null || true
    fluvio topic delete "$TOPIC" >/dev/null
}

# far_side_up SCHEME PORT PROGRAM...: PROGRAM gets the port (0: any) and a file
# for what it sees, and prints its port. Its address in $URL, that file in $SEEN.
far_side_up() {
    local scheme=$1 port=$2
    shift 2
    SEEN=$HOME/$TOPIC.seen
    : >"$HOME/$TOPIC.port"
    "$@" "$port" "$SEEN" >"$HOME/$TOPIC.port" 2>"$HOME/$TOPIC.end" 3>&- &
    END=$!
    until_true 15 test -s "$HOME/$TOPIC.port" || {
        cat "$HOME/$TOPIC.end"
        return 1
    }
    PORT=$(cat "$HOME/$TOPIC.port")
    URL=$scheme://127.0.0.1:$PORT
}

end_down() {
    kill -9 "$END"
    wait "$END" 2>/dev/null || true
    END=
}

# connector OPTION...: runs in the background, log in $LOG. $ALWAYS is an option
# that all connectors of the file have.
connector() {
    LOG=$HOME/$TOPIC.log
    : >"$LOG"
    fluvio-connect-http --fluvio-topic="$TOPIC" --reconnect-min=20ms \
        --reconnect-max=100ms ${ALWAYS:+"$ALWAYS"} "$@" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
}

said() {
    until_true 15 grep -qE -- "$1" "$LOG" || {
        tail -5 "$LOG"
        return 1
    }
}

stop_connector() {
    kill -TERM "$CONNECTOR"
    ends_with 0 "$CONNECTOR"
    CONNECTOR=
}

records() {
    fluvio consume "$TOPIC" -B -d "$@"
}

has_records() {
    [ "$(records | wc -l)" -ge "$1" ]
}
