# The MQTT source as a person uses it: real brokers (mosquitto), plain and
# with TLS and passwords, and everything that can be wrong with them.

load lib

setup_file() {
    command -v mosquitto >/dev/null || PATH=$PATH:/usr/sbin
    cluster_up
    export MQTT=$HOME/mqtt
    mkdir "$MQTT"
    read -r PORT TLS_PORT < <(free_ports)
    export PORT TLS_PORT
    "$ROOT/tests/pki.sh" "$MQTT/pki"
    passwords
    broker plain "listener $PORT 127.0.0.1" "allow_anonymous true"
    broker tls "listener $TLS_PORT 127.0.0.1" "cafile $MQTT/pki/ca.crt" \
        "certfile $MQTT/pki/server.crt" "keyfile $MQTT/pki/server.key" \
        "require_certificate true" "allow_anonymous false" \
        "password_file $MQTT/passwords" "acl_file $MQTT/acl"
}

teardown_file() {
    kill $(cat "$MQTT"/*.pid) 2>/dev/null || true
    home_down
}

setup() {
    TOPIC=t$BATS_TEST_NUMBER
    fluvio topic create "$TOPIC" >/dev/null
}

teardown() {
    [ -z "${CONNECTOR:-}" ] || kill -9 "$CONNECTOR" 2>/dev/null || true
    fluvio topic delete "$TOPIC" >/dev/null
}

passwords() {
    touch "$MQTT/passwords"
    mosquitto_passwd -b "$MQTT/passwords" ada 'secret:1'
    printf 'user ada\ntopic readwrite open/#\n' >"$MQTT/acl"
    chmod 600 "$MQTT/passwords" "$MQTT/acl"
}

# broker NAME LINE...: mosquitto with that configuration, ready.
broker() {
    local name=$1
    shift
    {
        [ "$(id -u)" -ne 0 ] || echo "user root"
        printf '%s\n' "$@"
    } >"$MQTT/$name.conf"
    mosquitto -c "$MQTT/$name.conf" >"$MQTT/$name.log" 2>&1 3>&- &
    echo $! >"$MQTT/$name.pid"
    until_true 10 grep -q running "$MQTT/$name.log"
}

# connector OPTION...: runs in the background, log in $LOG.
connector() {
    LOG=$HOME/$TOPIC.log
    : >"$LOG" # before the child does: nobody reads what is old
    fluvio-connect-mqtt --fluvio-topic="$TOPIC" --reconnect-max=100ms "$@" \
        >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
}

said() {
    until_true 15 grep -q -- "$1" "$LOG" || {
        cat "$LOG"
        return 1
    }
}

tried_again() {
    [ "$(grep -c retry_ms "$LOG")" -ge 2 ]
}

stop_connector() {
    kill -TERM "$CONNECTOR"
    ends_with 0 "$CONNECTOR"
    CONNECTOR=
}

publish() {
    mosquitto_pub -p "$PORT" -q 1 "$@"
}

publish_tls() {
    mosquitto_pub -h localhost -p "$TLS_PORT" --cafile "$MQTT/pki/ca.crt" \
        --cert "$MQTT/pki/alice.crt" --key "$MQTT/pki/alice.key" \
        -u ada -P 'secret:1' -q 1 "$@"
}

records() {
    fluvio consume "$TOPIC" -B -d "$@"
}

has_records() {
    [ "$(records | wc -l)" -ge "$1" ]
}

@test "the seed's file runs unchanged but for the host" {
    cat >"$HOME/connect.yml" <<YAML
version: latest
name: my-test-mqtt
type: mqtt
topic: my-mqtt
create_topic: true
direction: source
parameters:
  mqtt-url: "127.0.0.1:$PORT"
  mqtt-topic: "/hfp/v2/journey/#"
  fluvio-topic: my-mqtt
YAML
    LOG=$HOME/seed.log
    fluvio-connect-mqtt --config "$HOME/connect.yml" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
    said msg=subscribed
    publish -t /hfp/v2/journey/a -m hi
    TOPIC=my-mqtt until_true 10 has_records 1
    run fluvio consume my-mqtt -B -d
    [ "$output" = '{"mqtt_topic":"/hfp/v2/journey/a","payload":[104,105]}' ]
    stop_connector
}

@test "records take every form, at every quality of service" {
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC/+" --qos=2 \
        --payload-output-type=json
    said msg=subscribed
    local qos
    for qos in 0 1 2; do
        mosquitto_pub -p "$PORT" -t "$TOPIC/$qos" -q $qos -m "{\"q\": $qos}"
        until_true 10 has_records $((qos + 1))
    done
    publish -t "$TOPIC/bad" -m 'not json'
    said 'msg="message skipped"'
    run records
    [ "${lines[0]}" = "{\"mqtt_topic\":\"$TOPIC/0\",\"payload\":{\"q\": 0}}" ]
    [ "${lines[2]}" = "{\"mqtt_topic\":\"$TOPIC/2\",\"payload\":{\"q\": 2}}" ]
    stop_connector
    said "messages=4 invalid=1"
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC/raw" \
        --output=raw
    said msg=subscribed
    publish -t "$TOPIC/raw" -m 'as it is'
    until_true 10 has_records 4
    run records -k
    [ "${lines[3]}" = "[$TOPIC/raw] as it is" ]
    stop_connector
}

@test "a kept session brings what came while the connector was away" {
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" --output=raw
    said msg=subscribed
    stop_connector
    publish -t "$TOPIC" -m one
    publish -t "$TOPIC" -m two
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" --output=raw
    until_true 10 has_records 2
    stop_connector
    run records
    [ "$output" = $'one\ntwo' ]
}

@test "a session that lacks the subscription gets it" {
    # As after a crash before SUBSCRIBE, or with other filters before.
    mosquitto_sub -p "$PORT" -c -i "id-$TOPIC" -q 1 -t elsewhere -E
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" \
        --client-id="id-$TOPIC" --output=raw
    said msg=subscribed
    publish -t "$TOPIC" -m here
    until_true 10 has_records 1
    # And one whose subscription was granted gets no retained message twice.
    publish -t "$TOPIC" -m kept -r
    until_true 10 has_records 2
    stop_connector
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" \
        --client-id="id-$TOPIC" --output=raw
    said msg=subscribed
    publish -t "$TOPIC" -m end
    until_true 10 has_records 3
    stop_connector
    run records
    [ "$output" = $'here\nkept\nend' ]
}

has_all() {
    [ "$(records | sort -nu)" = "$(seq "$1")" ]
}

@test "a named session keeps its old filters until it is ended" {
    local named=(--mqtt-url="127.0.0.1:$PORT" --client-id="named-$TOPIC"
        --output=raw)
    connector "${named[@]}" --mqtt-topic="$TOPIC/old"
    said msg=subscribed
    stop_connector
    connector "${named[@]}" --mqtt-topic="$TOPIC/new"
    said msg=subscribed
    publish -t "$TOPIC/old" -m 1
    publish -t "$TOPIC/new" -m 2
    until_true 10 has_all 2
    stop_connector
    connector "${named[@]}" --mqtt-topic="$TOPIC/new" --session=clean
    said msg=subscribed
    stop_connector
    connector "${named[@]}" --mqtt-topic="$TOPIC/new"
    said msg=subscribed
    publish -t "$TOPIC/old" -m nobody
    publish -t "$TOPIC/new" -m 3
    until_true 10 has_all 3
    [ "$(records)" = "$(seq 3)" ]
    stop_connector
}

@test "receive-max holds where the broker does not know of it" {
    # mosquitto sends 20 ahead to a client of 3.1.1.
    local server n
    server=$(server_pid)
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" --output=raw \
        --protocol=3.1.1 --receive-max=3
    said msg=subscribed
    seq 500 | publish -t "$TOPIC" -l
    until_true 15 has_records 500
    [ "$(records)" = "$(seq 500)" ]
    kill -STOP "$server"
    seq 501 600 | publish -t "$TOPIC" -l
    kill -9 "$CONNECTOR"
    kill -CONT "$server"
    n=$(records | wc -l)
    [ "$n" -le 503 ]
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" --output=raw \
        --protocol=3.1.1 --receive-max=3
    until_true 15 has_all 600
    stop_connector
}

@test "it keeps the connection alive as the broker asks, taking or not" {
    local server port
    server=$(server_pid)
    python3 "$BATS_TEST_DIRNAME/mqtt_alive.py" "$HOME/alive" 3>&- &
    BROKER=$!
    until_true 10 test -s "$HOME/alive"
    port=$(cat "$HOME/alive")
    connector --mqtt-url="127.0.0.1:$port" --mqtt-topic="$TOPIC" --output=raw
    said msg=subscribed
    until_true 15 grep -q idle "$HOME/alive.said"
    kill -STOP "$server"
    until_true 30 grep -q pressed "$HOME/alive.said" || {
        kill -CONT "$server"
        return 1
    }
    kill -CONT "$server"
    run ! grep -q retry_ms "$LOG"
    kill -9 "$CONNECTOR"
    CONNECTOR=
    kill "$BROKER"
}

@test "TLS, client certificate and password" {
    connector --mqtt-url="mqtts://ada:secret%3A1@localhost:$TLS_PORT" \
        --mqtt-topic=open/x --ca-file="$MQTT/pki/ca.crt" --output=raw \
        --cert-file="$MQTT/pki/alice.crt" --key-file="$MQTT/pki/alice.key"
    said msg=subscribed
    publish_tls -t open/x -m "behind TLS"
    until_true 10 has_records 1
    [ "$(records)" = "behind TLS" ]
    stop_connector
    run ! grep -q secret "$LOG"
}

@test "what a broker refuses is said in its words, and tried again" {
    local tls=(--ca-file="$MQTT/pki/ca.crt" --cert-file="$MQTT/pki/alice.crt"
        --key-file="$MQTT/pki/alice.key" --mqtt-topic=open/x)
    connector --mqtt-url="mqtts://ada:wrong@localhost:$TLS_PORT" "${tls[@]}"
    said "refuses the connection: not authorized"
    until_true 10 tried_again
    stop_connector
    run ! grep -q wrong "$LOG"
    # Without a client certificate, and with a host it is not made for.
    connector --mqtt-url="mqtts://localhost:$TLS_PORT" --mqtt-topic=a \
        --ca-file="$MQTT/pki/ca.crt"
    said "retry_ms"
    stop_connector
    connector --mqtt-url="mqtts://127.0.0.1:$TLS_PORT" "${tls[@]}"
    said "mismatch"
    stop_connector
    connector --mqtt-url="mqtts://localhost:$TLS_PORT" --mqtt-topic=a
    said "certificate"
    stop_connector
}

@test "no broker: says so, goes on trying, finds it" {
    read -r port _ < <(free_ports)
    connector --mqtt-url="127.0.0.1:$port" --mqtt-topic="$TOPIC" --output=raw
    said "cannot connect to 127.0.0.1:$port"
    broker late "listener $port 127.0.0.1" "allow_anonymous true"
    said msg=subscribed
    mosquitto_pub -p "$port" -t "$TOPIC" -q 1 -m found
    until_true 10 has_records 1
    # And when it goes, the state is the same again.
    kill "$(cat "$MQTT/late.pid")"
    said "msg=\"no broker, trying again\".*closed"
    stop_connector
}

@test "a broker of 3.1.1 only, and one that is no broker" {
    connector --mqtt-url="127.0.0.1:$PORT" --mqtt-topic="$TOPIC" \
        --protocol=3.1.1 --output=raw
    said msg=subscribed
    publish -t "$TOPIC" -m old
    until_true 10 has_records 1
    stop_connector
    connector --mqtt-url="127.0.0.1:$FLV_SC_PORT" --mqtt-topic="$TOPIC"
    said retry_ms
    stop_connector
}

@test "settings that cannot be are refused in one sentence" {
    run fluvio-connect-mqtt --fluvio-topic=x --mqtt-topic='a#' --mqtt-url=h
    [ "$status" -eq 1 ]
    [[ $output == *'"a#" is not a topic filter'* ]]
    run fluvio-connect-mqtt --fluvio-topic=x --mqtt-topic=a \
        --mqtt-url=mqtt://u:hidden@h:x
    [ "$status" -eq 1 ]
    [[ $output != *hidden* ]]
    run fluvio-connect-mqtt --fluvio-topic=x --mqtt-topic=a --mqtt-url=h \
        --ca-file=/x
    [ "$status" -eq 1 ]
    [[ $output == *mqtts://* ]]
}

@test "a look at the broker, before anything runs" {
    cat >"$HOME/probe.yml" <<YAML
name: probe
type: mqtt
topic: $TOPIC
parameters:
  mqtt-url: "127.0.0.1:$PORT"
  mqtt-topic: "a/#"
YAML
    run fluvio connector check --probe "$HOME/probe.yml"
    [ "$status" -eq 0 ]
    [[ $output == *"grants the subscription"* ]]
    read -r port _ < <(free_ports)
    sed -i "s/:$PORT/:$port/" "$HOME/probe.yml"
    run fluvio connector check --probe "$HOME/probe.yml"
    [ "$status" -ne 0 ]
    [[ $output == *"cannot connect to 127.0.0.1:$port"* ]]
}

listed() {
    fluvio connector list | grep -q "managed-mqtt  *$1"
}

@test "under the manager its state is that of the broker" {
    read -r port _ < <(free_ports)
    cat >"$HOME/managed.yml" <<YAML
version: latest
name: managed-mqtt
type: mqtt
topic: $TOPIC
parameters:
  mqtt-url: "127.0.0.1:$port"
  mqtt-topic: "$TOPIC/#"
  reconnect-max: 100ms
YAML
    fluvio connector create --config "$HOME/managed.yml"
    until_true 10 listed Retrying
    fluvio connector list -O wide | grep -q "cannot connect to 127.0.0.1:$port"
    broker managed "listener $port 127.0.0.1" "allow_anonymous true"
    until_true 10 listed Running
    mosquitto_pub -p "$port" -t "$TOPIC/x" -q 1 -m hi
    until_true 10 has_records 1
    fluvio connector delete managed-mqtt
}
