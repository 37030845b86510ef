#!/usr/bin/env bats
# Sinks as a person uses them: http-sink by hand and managed, against an
# endpoint that remembers what it took (tests/fault/http_end.py).

load lib.bash
load manager.bash

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

setup() {
    TOPIC=t$BATS_TEST_NUMBER
    KEYS=$HOME/$TOPIC.keys
    LOG=$HOME/$TOPIC.log
    END_PORT=
    fluvio topic create "$TOPIC" >/dev/null
}

teardown() {
    [ -z "${CONNECTOR:-}" ] || kill -9 "$CONNECTOR" 2>/dev/null || true
    [ -z "${PLAIN:-}" ] || kill -9 "$PLAIN" 2>/dev/null || true
    [ -z "${SERVER:-}" ] || kill -9 "$SERVER" 2>/dev/null || true
    [ -z "${END:-}" ] || kill -9 "$END" 2>/dev/null || true
    fluvio connector delete --all >/dev/null 2>&1 || true
    fluvio topic delete "$TOPIC" >/dev/null 2>&1 || true
}

# endpoint [MOOD]: ready on $END_PORT, the same one when it is there already.
endpoint() {
    rm -f "$HOME/$TOPIC.port" # nobody reads what is old
    python3 "$ROOT/tests/fault/http_end.py" "${END_PORT:-0}" "$KEYS" "$@" \
        >"$HOME/$TOPIC.port" 2>"$HOME/$TOPIC.end" 3>&- &
    END=$!
    until_true 10 [ -s "$HOME/$TOPIC.port" ]
    END_PORT=$(cat "$HOME/$TOPIC.port")
}

no_endpoint() {
    read -r END_PORT _ < <(free_ports)
}

sink() {
    : >"$LOG"
    fluvio-connect-http-sink --fluvio-topic="$TOPIC" \
        --consumer="${CONSUMER:-$TOPIC}" \
        --endpoint="${SCHEME:-http}://localhost:$END_PORT/in" \
        --backoff-min=20ms --backoff-max=100ms "$@" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
}

said() {
    until_true 15 grep -q -- "$1" "$LOG" || {
        cat "$LOG"
        return 1
    }
}

stop_sink() {
    kill -TERM "$CONNECTOR"
    ends_with 0 "$CONNECTOR"
    CONNECTOR=
}

produce() {
    printf '%s\n' "$@" | fluvio produce "$TOPIC"
}

# What was taken: `KEY BODY`, sorted; repetitions in requests do not count.
taken() {
    grep -v '^again ' "$KEYS" 2>/dev/null | sort -V
}

has_taken() {
    [ "$(taken | wc -l)" -ge "$1" ]
}

wait_taken() {
    until_true 60 has_taken "$1" || {
        cat "$LOG" "$KEYS"
        return 1
    }
}

# position N [PARTITION]: the consumer's offset is stored; of partition 0.
position() {
    [ "$(fluvio consumer list -O json | python3 -c '
import json, sys
text = sys.stdin.read()
print([c["offset"] for c in (json.loads(text) if text[:1] == "[" else [])
       if c["consumer_id"] == sys.argv[1] and
       c["partition"] == int(sys.argv[2])])' "${CONSUMER:-$TOPIC}" "${2:-0}")" = "[$1]" ]
}

# has_stages "NAME IN PASSED FAILED"...: of the managed connector.
has_stages() {
    [ "$(api GET "/connectors/$TOPIC/status" | head -n 1 | python3 -c '
import json, sys
for s in json.load(sys.stdin)["stages"]:
    print(s["name"], s["in"], s["passed"], s["failed"])')" = "$(printf '%s\n' "$@")" ]
}

@test "each record is a request with its own key, and none is sent twice" {
    endpoint
    produce one two
    sink --header='X-Token: abc'
    wait_taken 2
    produce three
    wait_taken 3
    stop_sink
    [ "$(taken)" = "$(printf '%s\n' "$TOPIC/0/0 one" "$TOPIC/0/1 two" \
        "$TOPIC/0/2 three")" ]
    grep -q 'in=3 passed=3 filtered=0 failed=0 out=3 acked=3' "$LOG"
    produce four
    sink
    wait_taken 4
    stop_sink
    run -1 grep -q again "$KEYS"
    position 3
}

@test "a start at the end is kept before anything is read" {
    no_endpoint
    sink --start=end
    said 'msg=reads'
    kill -9 "$CONNECTOR"
    produce one two
    sink --start=end
    said 'msg=reads partition=0 offset=0'
    kill -9 "$CONNECTOR"
    endpoint
    sink --start=end
    wait_taken 2
    stop_sink
    CONSUMER=$TOPIC-late sink --start=end
    said 'msg=reads partition=0 offset=2'
    stop_sink
}

@test "on a plain Fluvio cluster positions are kept as well" {
    endpoint
    plain_up
    produce one two
    sink --cluster="$PLAIN_CLUSTER"
    wait_taken 2
    stop_sink
    position 1
    produce three
    sink --cluster="$PLAIN_CLUSTER"
    wait_taken 3
    stop_sink
    position 2
    run -1 grep -q again "$KEYS"
    # A start at the end is durable before anything is read.
    CONSUMER=$TOPIC-late sink --cluster="$PLAIN_CLUSTER" --start=end
    said 'msg=reads partition=0 offset=3'
    kill -9 "$CONNECTOR"
    produce four
    CONSUMER=$TOPIC-late sink --cluster="$PLAIN_CLUSTER" --start=end
    wait_taken 4
    stop_sink
    [ "$(taken | tail -n 1)" = "$TOPIC/0/3 four" ]
}

@test "a record that is refused ends the sink, and the next start begins there" {
    endpoint
    produce one poison three
    sink
    ends_with 1 "$CONNECTOR"
    grep -q "error: record $TOPIC-0@1: http://localhost:$END_PORT/in answers 422" \
        "$LOG"
    grep -q 'it is poison' "$LOG"
    position 0
    sink --on-error=discard
    wait_taken 2
    stop_sink
    [ "$(taken)" = "$(printf '%s\n' "$TOPIC/0/0 one" "$TOPIC/0/2 three")" ]
    grep -q 'failed=1 .*discarded=1' "$LOG"
}

@test "one poison record of many is one letter, the others arrive" {
    endpoint
    seq 1 500 | sed 's/^77$/poison/' | fluvio produce "$TOPIC"
    sink --on-error="dead-letter:$TOPIC-dead"
    wait_taken 499
    until_true 10 position 499
    stop_sink
    [ "$(taken | wc -l)" -eq 499 ]
    fluvio consume "$TOPIC-dead" -B -d >"$HOME/letters"
    [ "$(wc -l <"$HOME/letters")" -eq 1 ]
    [ "$(field "$HOME/letters" 'd["source"]["topic"], d["source"]["offset"]')" = \
        "$TOPIC 76" ]
    [[ $(field "$HOME/letters" 'd["error"]["text"]') == *"422"*"it is poison" ]]
    [ "$(field "$HOME/letters" 'd["record"]["value"]')" = "$(printf poison | base64)" ]
}

@test "a letter is replayed once when its endpoint is mended" {
    endpoint
    produce one poison three
    sink --on-error="dead-letter:$TOPIC-dead"
    wait_taken 2
    until_true 10 position 2
    kill -9 "$END"
    endpoint mended
    # The record is in the topic: others who read it would see it twice.
    run -1 fluvio dead-letter replay "$TOPIC-dead"
    [[ $output == *"where it still is"* ]]
    run -0 fluvio dead-letter replay "$TOPIC-dead" --to "$TOPIC"
    [ "$output" = "replayed 1 letter as 1 record" ]
    wait_taken 3
    run -0 fluvio dead-letter replay "$TOPIC-dead" --to "$TOPIC"
    [ "$output" = "replayed 0 letters as 0 records" ]
    [ "$(fluvio dead-letter list "$TOPIC-dead" --count)" = 0 ]
    until_true 10 position 3
    stop_sink
    [ "$(taken)" = "$(printf '%s\n' "$TOPIC/0/0 one" "$TOPIC/0/2 three" \
        "$TOPIC/0/3 poison")" ]
    run -1 grep -q again "$KEYS"
    [ "$(fluvio consume "$TOPIC-dead" -B -d | grep -c '"refused"')" -eq 1 ]
}

@test "a poison record in a batch is found, whatever the form of the batch" {
    local form
    endpoint
    seq 1 100 | sed 's/^42$/{"a":"poison"}/; s/^60$/no json/' |
        fluvio produce "$TOPIC"
    for form in json-array ndjson; do
        CONSUMER=$TOPIC-$form
        sink --format=$form --batch-records=64 --on-error=discard
        until_true 15 position 99 || {
            cat "$LOG" "$KEYS"
            return 1
        }
        stop_sink
        grep -q 'in=100 passed=98 filtered=0 failed=2' "$LOG" || {
            cat "$LOG" "$KEYS"
            return 1
        }
        rm "$KEYS"
        kill -9 "$END"
        endpoint
    done
}

@test "500 and 429 are tried again, after the time that was asked for" {
    endpoint busy
    produce one two
    local begin=$SECONDS
    sink
    wait_taken 2
    [ $((SECONDS - begin)) -ge 1 ]
    stop_sink
    grep -q 'retries=2' "$LOG"
    [ "$(taken)" = "$(printf '%s\n' "$TOPIC/0/0 one" "$TOPIC/0/1 two")" ]
}

@test "of what its endpoint does not take, a sink takes in its window and no more" {
    local partition out
    endpoint stuck
    fluvio topic add-partition "$TOPIC"
    python3 -c 'for n in range(20000): print(f"\"{n:01000}\"")' \
        >"$HOME/$TOPIC.in"
    for partition in 0 1; do
        fluvio produce "$TOPIC" -p $partition -f "$HOME/$TOPIC.in"
    done
    sink --format=ndjson
    # All of the other partition has come and gone over the same connection:
    # this one could have done so, too.
    until_true 60 position 19999 1
    said 'not delivered, it is tried again'
    stop_sink
    out=$(sed -n 's/.* out=\([0-9]*\) acked=20000 .*/\1/p' "$LOG")
    out=$((out - 20000))
    [ "$out" -gt 0 ] && [ "$out" -le 10000 ] # 8,192 and a fetch
    kill -9 "$END"
    endpoint
    sink --format=ndjson
    until_true 60 position 19999
    stop_sink
    grep -q 'in=20000 passed=20000 filtered=0 failed=0' "$LOG"
}

@test "a slow endpoint costs a repetition, which it knows by the key" {
    endpoint slow
    produce one
    sink --http-request-timeout=2s
    wait_taken 1
    until_true 10 grep -q "again $TOPIC/0/0" "$KEYS"
    until_true 10 position 0
    stop_sink
    grep -q 'transport_errors=1' "$LOG"
}

@test "https with a private CA" {
    cd "$HOME"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=localhost' \
        -addext 'subjectAltName=DNS:localhost' -keyout ca.key -out ca.pem \
        2>/dev/null
    END_CERT=ca.pem END_KEY=ca.key endpoint
    produce one
    SCHEME=https sink
    said 'it is tried again'
    stop_sink
    SCHEME=https sink --ca-file=ca.pem
    wait_taken 1
    stop_sink
}

@test "SmartModules stand between topic and endpoint" {
    endpoint
    produce '["cat","dog"]' '["ant"]' '[]'
    sink --arraymap="$FLV_SMARTMODULES/json-array-split.wasm"
    until_true 10 position 2
    stop_sink
    [ "$(taken)" = "$(printf '%s\n' "$TOPIC/0/0 \"cat\"" \
        "$TOPIC/0/0.1 \"dog\"" "$TOPIC/0/1 \"ant\"")" ] || {
        taken
        cat "$LOG"
        return 1
    }
    produce 'a dog' 'a cat'
    sink --filter="$FLV_SMARTMODULES/contains.wasm" \
        --smartmodule-parameters=text:cat
    until_true 10 position 4
    stop_sink
    grep -q 'in=2 passed=1 filtered=1 failed=0' "$LOG"
    taken | grep -q "^$TOPIC/0/4 a cat$"
}

@test "a cluster that is lost while a sink starts is told like one that is not there" {
    local port
    # It says what there is, and hangs up on whatever comes next.
    coproc LEAVES { python3 -c '
import os, socket, struct, sys, threading
def frame(conn):
    size = conn.recv(4, socket.MSG_WAITALL)
    return size + conn.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)
def meet(client):
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    with client, server:
        server.sendall(frame(client))
        client.sendall(frame(server))
        frame(client)
def greet():
    while True:
        threading.Thread(target=meet, args=(listener.accept()[0],), daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=greet, daemon=True).start()
sys.stdin.read()
os._exit(0)' "$FLV_SC_PORT" 2>/dev/null; }
    read -r port <&"${LEAVES[0]}"
    run -1 fluvio-connect-http-sink --fluvio-topic="$TOPIC" \
        --cluster="127.0.0.1:$port" --endpoint=http://localhost:1/in
    [[ $output == *"error: no Fluvio cluster answers at 127.0.0.1:$port ("*'`fluvio cluster start`'* ]]
    local pid=$LEAVES_PID # bash forgets it when it ends
    eval "exec ${LEAVES[1]}>&-"
    wait "$pid"
}

@test "a sink that is cut off while it asks for positions asks again" {
    local sc spu ready cluster cuts
    read -r sc spu < <(free_ports)
    fluvio-server --data-dir "$HOME/cuts" --sc-port "$sc" --spu-port "$spu" \
        --advertise 127.0.0.2 --log-level error >"$HOME/cuts.ready" 3>&- &
    SERVER=$!
    until_true 20 grep -q ready "$HOME/cuts.ready"
    coproc CUTS { exec python3 "$ROOT/tests/e2e/cuts.py" "$spu" 2>/dev/null; }
    cuts=$CUTS_PID
    read -r -t 20 ready <&"${CUTS[0]}"
    [ "$ready" = ready ]
    cluster=127.0.0.1:$sc
    fluvio -c "$cluster" topic create "$TOPIC"
    endpoint
    sink --cluster="$cluster"
    # At the start, and where a partition comes later.
    said 'msg=reads partition=0 offset=0'
    fluvio -c "$cluster" topic add-partition "$TOPIC"
    said 'msg=reads partition=1 offset=0'
    printf '%s\n' one two | fluvio -c "$cluster" produce "$TOPIC"
    wait_taken 2
    [ "$(grep -c 'the cluster is away, it is tried again' "$LOG")" -ge 2 ]
    [ "$(grep -c 'the cluster is back' "$LOG")" -ge 2 ]
    stop_sink
    eval "exec ${CUTS[1]}>&-"
    wait "$cuts"
    kill -TERM "$SERVER"
    ends_with 0 "$SERVER"
    SERVER=
}

@test "a topic made anew ends the sink that runs, and inherits no position" {
    endpoint
    produce one two
    sink
    wait_taken 2
    until_true 10 position 1
    fluvio topic delete "$TOPIC"
    fluvio topic create "$TOPIC"
    ends_with 1 "$CONNECTOR"
    grep -q "error: .*\"$TOPIC\".*[Tt]opic.* deleted\|was deleted" "$LOG"
    sink
    said 'msg=reads partition=0 offset=0'
    stop_sink
}

@test "a backup that is restored under a sink that runs ends it" {
    local data=$HOME/.fluvio/data
    endpoint
    produce one two
    fluvio cluster shutdown
    cp -a "$data" "$HOME/backup"
    fluvio cluster start
    sink
    produce three four
    wait_taken 4
    fluvio cluster shutdown
    rm -rf "$data"
    mv "$HOME/backup" "$data"
    fluvio cluster start
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    grep -q "error: the position 4 of .* is behind the end of $TOPIC-0 (2)" \
        "$LOG"
}

@test "partitions that come later are read from their beginning" {
    endpoint
    sink --start=end
    said 'msg="Starting Processing"'
    fluvio topic add-partition "$TOPIC"
    produce one two three
    wait_taken 3
    [ "$(taken | grep -c "^$TOPIC/1/")" -ge 1 ]
    stop_sink
    fluvio topic add-partition "$TOPIC" -c 2
    produce four five six seven
    sink --start=end
    wait_taken 7
    stop_sink
    run -1 grep -q again "$KEYS"
}

# The form of file that Fluvio's connector kit has.
file_of() {
    cat >"$HOME/$TOPIC.yml" <<YML
apiVersion: 0.2.0
meta:
  version: 0.1.0
  name: $1
  type: http-sink
  topic:
    meta:
      name: $TOPIC
    partition:
      count: 3
  consumer:
    id: $1
    partition: $2
    offset:
      strategy: auto
      start: beginning
      flush-period:
        secs: 10
        nanos: 0
http:
  endpoint: http://localhost:$END_PORT/in
YML
}

@test "a sink reads the partitions that its file names" {
    endpoint
    fluvio topic delete "$TOPIC"
    file_of one 1
    # It makes the topic, of three partitions: these keys go to 1, 2 and 0.
    fluvio-connect-http-sink --config "$HOME/$TOPIC.yml" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
    said 'msg="Starting Processing"'
    printf '3:3\n2:2\n1:1\n' | fluvio produce "$TOPIC" --key-separator :
    wait_taken 1
    stop_sink
    [ "$(taken)" = "$TOPIC/1/0 1" ]
    file_of two $'\n      - 1\n      - 2'
    fluvio-connect-http-sink --config "$HOME/$TOPIC.yml" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
    wait_taken 2
    stop_sink
    run -1 grep -q "^$TOPIC/0/" "$KEYS"
    # The second time it goes on behind what it had when it was stopped.
    printf '3:4\n2:5\n1:6\n' | fluvio produce "$TOPIC" --key-separator :
    file_of two all
    fluvio-connect-http-sink --config "$HOME/$TOPIC.yml" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
    wait_taken 6
    stop_sink
    grep -q 'in=4 passed=4' "$LOG"
}

@test "managed: away, it is retrying with the cause; back, it runs" {
    no_endpoint
    printf 'TOKEN' | fluvio secret set TOKEN
    produce one two
    cat >"$HOME/$TOPIC.yml" <<YML
apiVersion: 0.2.0
meta:
  name: $TOPIC
  type: http-sink
  version: latest
  topic: $TOPIC
  consumer: {offset: {start: beginning}}
  secrets: [{name: TOKEN}]
http:
  endpoint: http://localhost:$END_PORT/in
  headers: ["Authorization: Bearer \${{ secrets.TOKEN }}"]
  backoff_min: 20ms
  backoff_max: 100ms
on-error: {dead-letter: $TOPIC-dead}
YML
    run -0 fluvio connector check "$HOME/$TOPIC.yml"
    [[ $output == *"of type http-sink"* ]]
    fluvio connector create -c "$HOME/$TOPIC.yml"
    until_true 20 is_state "$TOPIC" Retrying
    run -0 fluvio connector describe "$TOPIC"
    [[ $output == *"http://localhost:$END_PORT/in"* ]]
    [[ $output == *sink* ]]
    endpoint
    until_true 20 is_state "$TOPIC" Running
    wait_taken 2
    produce poison three
    wait_taken 3
    until_true 10 position 3
    until_true 10 has_stages "extract 4 4 0" "protocol 4 3 1"
    run -0 fluvio connector describe "$TOPIC"
    [[ $output == *", failed 1 (discarded 0, dead-lettered 1), confirmed by the far side 3"* ]]
    [[ $output == *"protocol: in 4, passed 3, filtered 0, failed 1"* ]]
    run -0 fluvio connector list -O wide
    [[ $output == *http-sink* ]]
    fluvio connector pause "$TOPIC"
    produce four
    fluvio connector resume "$TOPIC"
    wait_taken 4
    fluvio connector delete "$TOPIC"
    fluvio connector create -c "$HOME/$TOPIC.yml"
    produce five
    wait_taken 5
    run -1 grep -q again "$KEYS"
    fluvio connector delete "$TOPIC"
    fluvio topic delete "$TOPIC-dead"
}

@test "catalogue, schema and description say that it is a sink" {
    run -0 fluvio connector catalog
    [[ $output =~ http-sink\ +sink ]]
    run -0 fluvio connector schema http-sink
    [[ $output == *'"const":"sink"'* || $output == *'"const": "sink"'* ]]
    [[ $(fluvio-connect-http-sink --describe) == *'"direction":"sink"'* ]]
    fluvio-connect-http-sink metadata >"$HOME/metadata"
    [ "$(field "$HOME/metadata" 'd["direction"]')" = Sink ]
    cat >"$HOME/flat.yml" <<YML
version: latest
name: out
type: http
topic: $TOPIC
direction: sink
parameters:
  endpoint: http://localhost:1/in
  consumer: other
YML
    run -0 fluvio-connect-http-sink --check --config "$HOME/flat.yml"
    sed -i 's/consumer: other/start: middle/' "$HOME/flat.yml"
    run -1 fluvio connector check "$HOME/flat.yml"
    [[ $output == *'start "middle"'* ]]
}

@test "a probe looks and sends nothing" {
    endpoint
    run -0 fluvio-connect-http-sink --probe --fluvio-topic="$TOPIC" \
        --endpoint="http://localhost:$END_PORT/in"
    [[ $output == *"is there"* ]]
    [ ! -s "$KEYS" ]
    kill -9 "$END"
    run -3 fluvio-connect-http-sink --probe --fluvio-topic="$TOPIC" \
        --endpoint="http://localhost:$END_PORT/in"
}
