# The HTTP source on endpoints that stream, as a person uses it: a real HTTP
# server that ends, breaks, stalls, refuses and is killed.

load lib
load far_side

ALWAYS=--proxy=

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

# end_up [PORT]: the far side, see far_side_up.
end_up() {
    far_side_up http "${1:-0}" python3 "$BATS_TEST_DIRNAME/stream_end.py"
}

@test "a stream is cut into records and opened again when it ends" {
    end_up
    connector --endpoint="$URL/lines?count=3" --stream
    until_true 15 has_records 6
    stop_connector
    [ "$(records | head -6)" = "$(seq -f 'line %.0f' 6)" ]
    said 'msg="stream opened"'
    said 'the stream ended.*retry_ms='
    said 'polls=0 http_errors=0 transport_errors=0 oversized=0 streams=([2-9]|[1-9][0-9])'
}

@test "the keys of Fluvio's own files are understood" {
    end_up
    cat >"$HOME/stream.yml" <<YAML
apiVersion: 0.1.0
meta:
  version: 0.3.3
  name: updates
  type: http-source
  topic: $TOPIC
http:
  endpoint: "$URL/events?count=2&end=stall"
  method: GET
  stream: true
  delimiter: "\n\n"
YAML
    connector --config "$HOME/stream.yml"
    until_true 15 has_records 8
    stop_connector
    [ "$(records)" = "$(printf '%s\n' ': hello' 'retry: 20' \
        'id: 1' 'event: tick' 'data: event 1' \
        'id: 2' 'event: tick' 'data: event 2')" ]
}

@test "full records carry the stream's status and headers" {
    end_up
    connector --endpoint="$URL/lines?count=1&end=stall" --stream \
        --output-parts=full --output-type=json
    until_true 15 has_records 1
    stop_connector
    records | python3 -c 'import json, sys
d = json.loads(sys.stdin.readline())
assert d["status"] == {"version": "HTTP/1.1", "code": 200, "string": "OK"}, d
assert d["header"]["content-type"] == "text/plain", d
assert d["body"] == "line 1", d'
}

@test "what follows the last delimiter is a record only of a whole answer" {
    end_up
    connector --endpoint="$URL/lines?count=1&end=cut" --stream
    until_true 15 has_records 2
    stop_connector
    [ "$(records | head -2)" = "$(printf 'line 1\nhalf')" ]
    local halves
    halves=$(records | grep -c half)
    end_down
    end_up
    connector --endpoint="$URL/lines?count=1&end=abort" --stream
    said 'broke off inside of a record'
    said 'no stream, trying again.*retry_ms='
    stop_connector
    said 'transport_errors=[1-9].*cut_off=[1-9]'
    [ "$(records | grep -c half)" -eq "$halves" ]
}

@test "a server that is killed is found again when it is back" {
    end_up
    connector --endpoint="$URL/lines?count=2&end=stall" --stream
    until_true 15 has_records 2
    end_down
    said 'no stream, trying again'
    said "onnection refused|Couldn't connect|connect to"
    end_up "$PORT"
    until_true 15 has_records 4
    stop_connector
}

@test "an answer that is no stream is named, waited out, and comes right" {
    end_up
    connector --endpoint="$URL/refuse?times=2&code=401&end=stall" --stream
    until_true 15 has_records 3
    stop_connector
    said '/refuse answers 401 Unauthorized'
    said 'http_errors=2'
}

@test "a refusal ends the connector where that is asked for" {
    end_up
    connector --endpoint="$URL/refuse?times=1&code=403" --stream \
        --on-http-error=fail
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    said '/refuse answers 403 Forbidden, and on-http-error is fail'
}

@test "redirects are followed to the stream" {
    end_up
    connector --endpoint="$URL/redirect" --stream
    until_true 15 has_records 3
    stop_connector
}

@test "garbage, silence and unwanted codings are tried again with their cause" {
    end_up
    connector --endpoint="$URL/garbage" --stream
    said 'no stream, trying again.*error=.*/garbage'
    stop_connector
    connector --endpoint="$URL/silent" --stream --timeout=100ms
    said 'no stream, trying again.*error=.*timed out'
    stop_connector
    connector --endpoint="$URL/gzip" --stream
    said 'in the coding gzip, which was not offered'
    stop_connector
    connector --endpoint="$URL/lines?end=stall" --stream --idle-timeout=100ms
    said 'the stream is silent for [0-9]+ ms'
    until_true 15 has_records 6
    stop_connector
}

@test "a record above the ceiling is skipped and counted, or ends it all" {
    end_up
    connector --endpoint="$URL/big?bytes=3000000" --stream \
        --max-response-bytes=100000
    until_true 15 has_records 2
    stop_connector
    [ "$(records)" = "$(printf 'before\nafter')" ]
    said 'larger than max-response-bytes, 100000 bytes'
    said 'oversized=1'
    connector --endpoint="$URL/big?bytes=3000000" --stream \
        --max-response-bytes=100000 --on-oversized=fail
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
}

@test "a stream is read no faster than the topic takes it" {
    end_up
    connector --endpoint="$URL/flood?bytes=200000000" --stream
    until_true 15 has_records 1
    kill -STOP "$(server_pid)"
    flooded() { curl -s --noproxy '*' "$URL/flooded"; }
    stands_still() {
        local before
        before=$(flooded)
        read -rt 0.5 <> <(:) || true
        [ "$(flooded)" = "$before" ]
    }
    until_true 20 stands_still
    [ "$(flooded)" -lt 150000 ]
    local kb
    kb=$(awk '/VmHWM/ { print $2 }' "/proc/$CONNECTOR/status")
    kill -CONT "$(server_pid)"
    echo "peak $kb KiB, $(flooded) records of 200000"
    [ "$kb" -lt 400000 ]
    kill -9 "$CONNECTOR"
    CONNECTOR=
}

@test "events become records, and reconnecting goes on behind the last safe one" {
    end_up
    connector --endpoint="$URL/events?count=3&end=abort" --stream=events
    until_true 15 has_records 9
    stop_connector
    # However often it broke: each event once, none missing.
    local n
    n=$(records | wc -l)
    [ "$(records)" = "$(seq -f 'event %.0f' "$n")" ]
    [ "$(head -1 "$SEEN")" = "GET /events?count=3&end=abort " ]
    grep -q 'abort 3$' "$SEEN"
    grep -q 'abort 6$' "$SEEN"
}

@test "a killed connector goes on behind the last event that was safe" {
    end_up
    local file=$HOME/$TOPIC.position n
    connector --endpoint="$URL/events?count=50&end=open" --stream=events \
        --position-file="$file"
    until_true 15 test -s "$file"
    kill -9 "$CONNECTOR"
    [ "$(sed -n 2p "$file")" = "$URL/events" ]
    n=$(records | wc -l)
    [ "$(sed -n 3p "$file")" -le "$n" ]
    connector --endpoint="$URL/events?count=50&end=open" --stream=events \
        --position-file="$file"
    until_true 15 has_records $((n + 50))
    stop_connector
    # None is missing; a stop leaves the file at the very last one.
    n=$(records | sort -u | wc -l)
    [ "$(records | sort -u -V)" = "$(seq -f 'event %.0f' "$n")" ]
    [ "$(sed -n 3p "$file")" -eq "$n" ]
    run -1 fluvio-connect-http --fluvio-topic="$TOPIC" --endpoint="$URL/lines" \
        --stream --position-file="$file"
    [[ $output == *"position-file: only events have ids to keep"* ]]
}

@test "an id that the far side takes back is not asked for again" {
    end_up
    local file=$HOME/$TOPIC.position url=$URL/takes_back query
    # It comes with a name of its own, or takes back that of the file.
    for query in '?id=6' ''; do
        printf 'fluvio-http-position 1\n%s\n5\n' "$url" >"$file"
        connector --endpoint="$url$query" --stream=events \
            --position-file="$file"
        until_true 15 eval '[ -z "$(sed -n 3p "$file")" ]'
        stop_connector
        [ "$(cat "$file")" = "$(printf 'fluvio-http-position 1\n%s\n' "$url")" ]
        [ "$(wc -l <"$file")" = 3 ]
        [ "$(tail -1 "$SEEN")" = "GET /takes_back$query 5" ]
    done
    connector --endpoint="$url?id=6" --stream=events --position-file="$file"
    until_true 15 has_records 4
    stop_connector
    [ "$(tail -1 "$SEEN")" = "GET /takes_back?id=6 " ]
}

@test "the id of a killed connector's last safe event can be handed on" {
    end_up
    connector --endpoint="$URL/events?count=5&end=stall" --stream=events \
        --header='Last-Event-ID: 100' --output-type=json
    until_true 15 has_records 5
    stop_connector
    [ "$(records | head -1)" = \
        '{"event":"tick","id":"101","body":"event 101"}' ]
}

@test "an event stream that is none is named; one without more ends it all" {
    end_up
    connector --endpoint="$URL/lines" --stream=events
    said 'answers with text/plain, not with server-sent events'
    stop_connector
    connector --endpoint="$URL/refuse?times=1&code=204" --stream=events
    ends_with 0 "$CONNECTOR"
    CONNECTOR=
    said 'there is no more'
}

@test "while the cluster is away no event is asked for again or lost" {
    end_up
    connector --endpoint="$URL/events?count=2&end=abort" --stream=events
    until_true 15 has_records 4
    kill -STOP "$(server_pid)"
    local before
    requests() { wc -l <"$SEEN"; }
    stands_still() {
        before=$(requests)
        read -rt 0.5 <> <(:) || true
        [ "$(requests)" = "$before" ]
    }
    until_true 15 stands_still
    kill -CONT "$(server_pid)"
    until_true 15 has_records 12
    stop_connector
    [ "$(records)" = "$(seq -f 'event %.0f' "$(records | wc -l)")" ]
}

@test "https:// streams trust whom they are told to" {
    "$ROOT/tests/pki.sh" "$HOME/pki"
    export END_CERT=$HOME/pki/server.crt END_KEY=$HOME/pki/server.key
    end_up
    unset END_CERT END_KEY
    connector --endpoint="https://localhost:$PORT/lines?end=stall" --stream \
        --ca-file="$HOME/pki/ca.crt"
    until_true 15 has_records 3
    stop_connector
    connector --endpoint="https://localhost:$PORT/lines" --stream
    said 'no stream, trying again.*certificate'
    stop_connector
}

@test "a stream is looked at before it is used" {
    end_up
    run -0 fluvio-connect-http --fluvio-topic="$TOPIC" --proxy= --probe \
        --endpoint="$URL/lines?end=stall" --stream
    [[ $output == *"answers 200 with a stream of text/plain"* ]]
    run -1 fluvio-connect-http --fluvio-topic="$TOPIC" --stream \
        --endpoint="$URL/lines" --delimiter='\q'
    [[ $output == *'delimiter: "\q" stands for no byte'* ]]
}
