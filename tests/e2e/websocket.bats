# The HTTP source on WebSockets, as a person uses it: a real server (Python's
# websockets), plain and with TLS, that closes, breaks, stalls and lies.

load lib
load far_side

setup_file() {
    cluster_up
    "$ROOT/tests/pki.sh" "$HOME/pki"
    # The library may belong to Debian's own Python only.
    for PYTHON in python3 /usr/bin/python3; do
        ! "$PYTHON" -c 'import websockets' 2>/dev/null || break
    done
    export PYTHON
}

teardown_file() {
    home_down
}

# end_up [PORT]: the far side, see far_side_up.
end_up() {
    far_side_up ws "${1:-0}" "$PYTHON" "$BATS_TEST_DIRNAME/ws_end.py"
}

seen() {
    until_true 15 grep -qE -- "$1" "$SEEN" || {
        cat "$SEEN"
        return 1
    }
}

@test "messages become records, and a closed socket is opened again" {
    end_up
    connector --endpoint="$URL/messages?count=3&end=close"
    until_true 15 has_records 6
    stop_connector
    [ "$(records | head -6)" = "$(seq -f 'message %.0f' 6)" ]
    said 'the server closes: 1001, that is all.*retry_ms='
    seen 'CLOSED 1001'
}

@test "a stop closes the socket as the standard has it" {
    end_up
    connector --endpoint="$URL/messages?end=open"
    until_true 15 has_records 5
    stop_connector
    seen 'CLOSED 1000'
}

@test "a socket that breaks, and a server that is killed, are found again" {
    end_up
    connector --endpoint="$URL/messages?count=2&end=abort"
    until_true 15 has_records 4
    end_down
    said 'refused'
    end_up "$PORT"
    until_true 15 has_records 8
    stop_connector
    said 'transport_errors=[1-9].*streams=[1-9]'
}

@test "fragments are put together, pings between them are answered" {
    end_up
    connector --endpoint="$URL/fragments"
    until_true 15 has_records 1
    [ "$(records)" = "one two three" ]
    stop_connector
    connector --endpoint="$URL/ping"
    until_true 15 has_records 4
    stop_connector
}

@test "binary messages are records byte for byte" {
    end_up
    connector --endpoint="$URL/binary"
    until_true 15 has_records 1
    stop_connector
    run -0 bash -c 'fluvio consume "$1" -B -d -O raw | od -An -tx1' _ "$TOPIC"
    [[ $output == " ff 00 fe"* ]]
}

@test "the keys of Fluvio's own files are understood, in their order" {
    end_up
    cat >"$HOME/ws.yml" <<YAML
apiVersion: 0.1.0
meta:
  version: 0.5.0
  name: socket
  type: http-source
  topic: $TOPIC
http:
  endpoint: $URL/echo
  headers:
    - "X-Test: here"
  user_agent: me
  websocket_config:
    subscription_message: first
    subscription_messages:
      - '{"op":"subscribe"}'
      - third
    ping_interval_ms: 50
YAML
    fluvio-connect-http --config "$HOME/ws.yml" --check
    connector --config "$HOME/ws.yml"
    until_true 15 has_records 5
    stop_connector
    [ "$(records)" = "$(printf '%s\n' here me first '{"op":"subscribe"}' third)" ]
}

@test "refusals are named, waited out, and come right" {
    end_up
    connector --endpoint="$URL/refuse?times=2&end=stall"
    said '/refuse answers 503 Service Unavailable'
    until_true 15 has_records 3
    stop_connector
    said 'http_errors=2'
    connector --endpoint="$URL/auth"
    said '/auth answers 401 Unauthorized'
    stop_connector
    connector --endpoint="ws://ada:secret@127.0.0.1:$PORT/auth?end=stall"
    until_true 15 has_records 6
    stop_connector
    ! grep -q secret "$LOG"
    connector --endpoint="$URL/redirect" --on-http-error=fail
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    said 'answers 302 Found, see wss://elsewhere.example/x, and on-http-error'
}

@test "servers that break the standard are told how and tried again" {
    end_up
    connector --endpoint="$URL/raw?hex=8302"
    said 'breaks RFC 6455: a frame has an operation code that is reserved'
    seen 'CLOSED 1002'
    stop_connector
    connector --endpoint="$URL/raw?hex=8102c328"
    said 'a text message is not UTF-8'
    seen 'CLOSED 1007'
    stop_connector
    connector --endpoint="$URL/raw?hex=c10568656c6c6f"
    said 'uses an extension'
    stop_connector
}

@test "silence is noticed: in the handshake, of pongs, of messages" {
    end_up
    connector --endpoint="$URL/silent" --timeout=100ms
    said 'does not answer the handshake.*retry_ms='
    stop_connector
    connector --endpoint="$URL/messages?end=stall" --ping-interval=50ms
    until_true 15 has_records 3
    kill -STOP "$END"
    said 'does not answer a ping.*retry_ms='
    kill -CONT "$END"
    until_true 15 has_records 6
    stop_connector
    connector --endpoint="$URL/messages?end=stall" --idle-timeout=200ms
    said 'no message came within idle-timeout'
    stop_connector
}

@test "a server that pings and reads nothing is left, also when it breaks off" {
    end_up
    connector --endpoint="$URL/deluge?then=abort&end=stall" --ping-interval=0
    seen STUCK
    until_true 15 has_records 3
    stop_connector
    end_down
    end_up
    connector --endpoint="$URL/deluge?then=silence&end=stall" \
        --ping-interval=100ms
    said 'does not answer a ping.*retry_ms='
    until_true 15 has_records 6
    stop_connector
}

@test "a message above the ceiling is skipped and counted, or ends it all" {
    end_up
    connector --endpoint="$URL/big?bytes=1000000" --max-response-bytes=100000
    until_true 15 has_records 2
    stop_connector
    [ "$(records)" = "$(printf 'before\nafter')" ]
    said 'larger than max-response-bytes, 100000 bytes'
    said 'oversized=1'
    connector --endpoint="$URL/big?bytes=1000000" --max-response-bytes=100000 \
        --on-oversized=fail
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    seen 'CLOSED 1001'
}

@test "a socket is read no faster than the topic takes it" {
    end_up
    connector --endpoint="$URL/flood" --ping-interval=100ms
    until_true 15 has_records 1
    kill -STOP "$(server_pid)"
    flooded() { curl -s --noproxy '*' "http://127.0.0.1:$PORT/flooded"; }
    stands_still() {
        local before
        before=$(flooded)
        read -rt 0.5 <> <(:) || true
        [ -n "$before" ] && [ "$(flooded)" = "$before" ]
    }
    until_true 30 stands_still
    local kb
    kb=$(awk '/VmHWM/ { print $2 }' "/proc/$CONNECTOR/status")
    echo "peak $kb KiB, $(flooded) messages"
    [ "$(flooded)" -lt 150000 ]
    [ "$kb" -lt 400000 ]
    # We are the silent one: that is no reason to hang up.
    ! grep -q 'ping' "$LOG"
    kill -CONT "$(server_pid)"
    kill -9 "$CONNECTOR"
    CONNECTOR=
}

@test "wss:// trusts whom it is told to, and looks at the name" {
    export END_CERT=$HOME/pki/server.crt END_KEY=$HOME/pki/server.key
    end_up
    unset END_CERT END_KEY
    connector --endpoint="wss://localhost:$PORT/messages?end=stall" \
        --ca-file="$HOME/pki/ca.crt"
    until_true 15 has_records 3
    stop_connector
    connector --endpoint="wss://localhost:$PORT/messages"
    said 'no stream, trying again.*certificate'
    stop_connector
    connector --endpoint="wss://127.0.0.1:$PORT/messages" \
        --ca-file="$HOME/pki/ca.crt"
    said 'no stream, trying again.*(certificate|name|mismatch)'
    stop_connector
    run -1 fluvio-connect-http --fluvio-topic="$TOPIC" \
        --endpoint="wss://localhost:$PORT/" --ca-file=/nowhere.pem
    [[ $output == *"/nowhere.pem"* ]]
}

@test "a socket is looked at before it is used, and settings are checked" {
    end_up
    run -0 fluvio-connect-http --fluvio-topic="$TOPIC" --probe \
        --endpoint="$URL/messages?end=stall"
    [[ $output == *"opens a WebSocket in "* ]]
    run -3 fluvio-connect-http --fluvio-topic="$TOPIC" --probe \
        --endpoint="$URL/auth"
    [[ $output == *"answers 401 Unauthorized"* ]]
    run -1 fluvio-connect-http --fluvio-topic="$TOPIC" --endpoint="$URL" \
        --body=x
    [[ $output == *"body: a WebSocket has none"* ]]
    run -1 fluvio-connect-http --fluvio-topic="$TOPIC" --endpoint="$URL" \
        --header='Sec-WebSocket-Key: x'
    [[ $output == *'a WebSocket makes it itself'* ]]
}
