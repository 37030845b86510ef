#!/usr/bin/env bats
# What keeps a server running and says how it is.

load lib.bash

setup() {
    home_up
    cd "$HOME"
}

teardown() {
    cd /
    home_down
}

metrics_url() {
    local port
    port=$(sed 's/.*"metrics_port":\([0-9]*\).*/\1/' "$HOME/.fluvio/data/server.json")
    echo "http://127.0.0.1:$port/metrics"
}

# metric NAME{LABELS}: its value now.
metric() {
    curl -sf "$(metrics_url)" | awk -v name="$1" '
        index($0, name " ") == 1 { print $NF; found = 1 }
        END { exit !found }'
}

metric_is() {
    [ "$(metric "$1")" = "$2" ]
}

@test "without --metrics-addr no HTTP library is loaded" {
    fluvio cluster start
    run ! grep -E 'microhttpd|gnutls|curl' "/proc/$(server_pid)/maps"
}

@test "metrics count what goes in and out, by topic and partition" {
    fluvio cluster start --metrics-addr 127.0.0.1:0
    fluvio topic create two -p 2
    seq 100 | fluvio produce two
    fluvio consume two -p 1 -B -d >/dev/null
    metric_is 'fluvio_partition_records_in_total{topic="two",partition="0"}' 50
    metric_is 'fluvio_partition_records_out_total{topic="two",partition="0"}' 0
    metric_is 'fluvio_partition_records_out_total{topic="two",partition="1"}' 50
    metric_is 'fluvio_partition_end_offset{topic="two",partition="1"}' 50
    metric_is 'fluvio_partition_healthy{topic="two",partition="1"}' 1
    metric_is 'fluvio_server_topics' 1
    metric_is 'fluvio_server_partitions' 2
    [ "$(metric 'fluvio_partition_bytes_in_total{topic="two",partition="0"}')" -gt 100 ]
    [ "$(metric fluvio_server_sync_seconds_count)" -ge 2 ]
    metric_is 'fluvio_server_sync_seconds_bucket{le="+Inf"}' \
        "$(metric fluvio_server_sync_seconds_count)"
    [ "$(metric fluvio_server_disk_free_bytes)" -gt 0 ]
    # What is gone has no samples.
    fluvio topic delete two
    run ! metric 'fluvio_partition_healthy{topic="two",partition="1"}'
}

@test "metrics tell open streams, and consumers with their lag" {
    fluvio cluster start --metrics-addr 127.0.0.1:0
    fluvio topic create t
    seq 10 | fluvio produce t
    fluvio consume t -B -d --consumer c1 >/dev/null
    metric_is 'fluvio_consumer_lag{topic="t",partition="0",consumer="c1"}' 0
    seq 5 | fluvio produce t
    metric_is 'fluvio_consumer_lag{topic="t",partition="0",consumer="c1"}' 5
    metric_is 'fluvio_consumer_offset{topic="t",partition="0",consumer="c1"}' 9
    fluvio consume t >out 3>&- &
    until_true 10 metric_is 'fluvio_partition_streams{topic="t",partition="0"}' 1
    metric_is fluvio_server_streams 1
    kill %1
    until_true 10 metric_is fluvio_server_streams 0
}

@test "metrics count what a filter lets through, and what a SmartModule ends" {
    fluvio cluster start --metrics-addr 127.0.0.1:0
    fluvio topic create t
    printf '{"fact":"a"}\n{"fact":"b"}\nno json\n' | fluvio produce t
    fluvio smartmodule create field --wasm-file "$FLV_SMARTMODULES/json-field.wasm"
    run fluvio consume t -B -d --smartmodule field --params field=fact
    metric_is fluvio_server_smartmodules 1
    [ "$(metric fluvio_server_smartmodule_failures_total)" -ge 1 ]
    metric_is 'fluvio_partition_records_out_total{topic="t",partition="0"}' 2
}

@test "only GET /metrics is answered there" {
    fluvio cluster start --metrics-addr 127.0.0.1:0
    run -0 curl -s -o /dev/null -w '%{http_code}' "$(metrics_url)x"
    [ "$output" = 404 ]
    run -0 curl -s -o /dev/null -w '%{http_code}' -X POST -d x "$(metrics_url)"
    [ "$output" = 405 ]
}
