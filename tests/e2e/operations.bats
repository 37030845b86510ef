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
    # A system topic that a person made is one like others.
    fluvio topic create --system own
    echo kept | fluvio produce own
    metric_is 'fluvio_partition_records_in_total{topic="own",partition="0"}' 1
    metric_is 'fluvio_server_partitions' 3
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

# ---- one screen ----

@test "status tells version, age, partitions, disk" {
    fluvio cluster start
    fluvio topic create t -p 3
    run -0 fluvio cluster status
    [[ ${lines[4]} =~ ^\ +Server\ [0-9.]+\ \(Fluvio\ platform\ [0-9.]+\),\ pid\ $(server_pid),\ up\ [0-9] ]]
    [[ ${lines[5]} == *"All 3 partitions are healthy" ]]
    [[ ${lines[6]} =~ [0-9.]+\ [KMGT]i?B\ of\ [0-9.]+\ [KMGT]i?B\ are\ free\ on\ the\ disk\ of\ $HOME/.fluvio/data$ ]]
}

@test "status names a partition that cannot be opened, and why" {
    fluvio cluster start
    fluvio topic create t -p 2
    fluvio cluster shutdown
    mv "$HOME/.fluvio/data/topics/2/1" "$HOME/away"
    fluvio cluster start
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"Partition t-1 is offline: "*"/topics/2/1"* ]]
    run -0 fluvio partition list
    [[ ${lines[1]} == *" Online "* ]]
    [[ ${lines[2]} == *" Offline "* ]]
}

# ---- files ----

open_logs() {
    find "/proc/$(server_pid)/fd" -lname "$HOME/.fluvio/data/topics/*" | wc -l
}

@test "an empty partition has 0 B, and files stay few whatever the segments" {
    fluvio cluster start
    fluvio topic create t --segment-size 4096
    run -0 fluvio partition list
    [[ ${lines[1]} == *" 0 B "* ]]
    for _ in $(seq 30); do
        head -c 3000 /dev/zero | tr '\0' x | fluvio produce t --raw
    done
    [ "$(find "$HOME/.fluvio/data/topics" -name '*.log' | wc -l)" -ge 30 ]
    fluvio consume t -B -d >out
    [ "$(wc -l <out)" = 30 ]
    # The newest, eight old ones, and one that is being made.
    [ "$(open_logs)" -le 10 ]
    run -0 fluvio partition list
    [[ ${lines[1]} =~ \ 9[0-9.]+\ KB|\ 9[0-9.]+\ KiB|\ 8[0-9.]+\ Ki?B ]]
}

# ---- the guard ----

# is_new PID: another server than that one serves.
is_new() {
    local pid
    pid=$(server_pid)
    [ -n "$pid" ] && [ "$pid" != "$1" ] && kill -0 "$pid" 2>/dev/null &&
        fluvio topic list >/dev/null 2>&1
}

# Nothing is left of server and guard.
all_gone() {
    ! pgrep -f "fluvio-server --data-dir $HOME/" >/dev/null
}

@test "a server that is killed comes back by itself, with its ports and data" {
    export FLV_SC_PORT=0 FLV_SPU_PORT=0
    fluvio cluster start --metrics-addr 127.0.0.1:0
    local pid url
    pid=$(server_pid)
    url=$(metrics_url)
    fluvio topic create t
    echo kept | fluvio produce t
    kill -9 "$pid"
    until_true 20 is_new "$pid"
    run -0 fluvio consume t -B -d
    [ "$output" = kept ]
    [ "$(metrics_url)" = "$url" ]
    metric_is fluvio_server_restarts_total 1
    run -0 grep -F 'the server died and is started again' "$HOME/.fluvio/log/fluvio-server.log"
    [[ $output == *'why="ended by signal 9'* ]]
    run -0 fluvio cluster status
    [[ $output == *"Server died "*" ago and was brought back: ended by signal 9"* ]]
    fluvio cluster shutdown
    until_true 5 all_gone
    [ ! -e "$HOME/.fluvio/data/guard.json" ]
}

# pending_term PID: SIGTERM waits for that process.
pending_term() {
    local mask
    mask=$(awk '/^ShdPnd/ { print $2 }' "/proc/$1/status")
    ((0x$mask & 1 << 14))
}

@test "what was told to end does not come back" {
    fluvio cluster start
    kill -TERM "$(server_pid)"
    until_true 20 all_gone
    fluvio cluster start
    kill -TERM "$(guard_pid)"
    until_true 20 all_gone
    fluvio cluster start
    kill -STOP "$(server_pid)"
    kill -TERM "$(server_pid)"
    kill -INT "$(server_pid)"
    kill -CONT "$(server_pid)"
    until_true 20 all_gone
}

@test "a signal to the whole group ends the server in good order" {
    fluvio cluster start
    local pid
    pid=$(server_pid)
    # As a terminal's Ctrl-C, or systemd: and the guard passes it on once more.
    kill -STOP "$pid"
    kill -INT "$pid"
    kill -TERM "$(guard_pid)"
    until_true 10 pending_term "$pid"
    kill -CONT "$pid"
    until_true 20 all_gone
    run -0 cat "$HOME/.fluvio/log/fluvio-server.log"
    [[ $output == *stopped* ]]
    [[ $output != *"second signal"* ]]
}

@test "a server that cannot start again is given up, with its reason" {
    fluvio cluster start
    fluvio topic create t
    # The next start finds nonsense.
    mv "$HOME/.fluvio/data/meta.db" "$HOME/meta.db"
    mkdir "$HOME/.fluvio/data/meta.db"
    kill -9 "$(server_pid)"
    until_true 30 all_gone
    run -0 grep -F 'the server died 8 times in a row and is not started again' \
        "$HOME/.fluvio/log/fluvio-server.log"
    [[ $output == *meta.db* ]]
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"SC is not reachable"* ]]
    [[ $stderr == *"Server died 8 times in a row and was given up "*meta.db* ]]
    # A start that fails changes nothing about that, one that does not does.
    run -1 fluvio cluster start
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"Server died 8 times in a row and was given up "*meta.db* ]]
    rmdir "$HOME/.fluvio/data/meta.db"
    mv "$HOME/meta.db" "$HOME/.fluvio/data/meta.db"
    fluvio cluster start
    run -0 fluvio topic list
    [[ $output == *" t "* ]]
    run -0 fluvio cluster status
    [[ $output != *"Server died"* ]]
}

@test "shutdown ends a guard whose server is dead just now" {
    fluvio cluster start
    local guard
    guard=$(guard_pid)
    mv "$HOME/.fluvio/data/meta.db" "$HOME/meta.db"
    mkdir "$HOME/.fluvio/data/meta.db"
    kill -9 "$(server_pid)"
    # In its last and longest wait.
    until_true 20 grep -q 'in_a_row=7' "$HOME/.fluvio/log/fluvio-server.log"
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"runs already: pid $guard"* ]]
    run -0 fluvio cluster shutdown
    ! kill -0 "$guard" 2>/dev/null
    all_gone
}

# ---- the scrub ----

# flip FILE PART: one bit of the byte that far (0 to 1) into the file.
flip() {
    python3 - "$1" "$2" <<'PY'
import os, sys
path, part = sys.argv[1], float(sys.argv[2])
with open(path, "r+b") as f:
    at = int(os.path.getsize(path) * part)
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 1]))
PY
}

@test "a flipped byte is reported although nobody reads it" {
    export FLV_SERVER_OPTIONS="--scrub-after 0s --scrub-every 100ms --scrub-rate 1Gi"
    fluvio cluster start --metrics-addr 127.0.0.1:0
    fluvio topic create t -p 2
    # Each record its own group, so that what lies before the damage is served.
    for i in 1 2 3 4; do
        echo "record $i" | fluvio produce t -p 0
    done
    local sick='fluvio_partition_trouble{topic="t",partition="0",kind="damaged"}'
    run ! metric "$sick"
    # In the third; half of the file may be room for groups to come.
    flip "$HOME/.fluvio/data/topics/2/0/00000000000000000000.log" 0.4
    until_true 20 metric_is "$sick" 1
    metric_is 'fluvio_partition_healthy{topic="t",partition="0"}' 0
    metric_is 'fluvio_partition_healthy{topic="t",partition="1"}' 1
    [ "$(metric fluvio_server_scrub_passes_total)" -ge 1 ]
    # Once, with file and place.
    [ "$(grep -c 'stored records are damaged' "$HOME/.fluvio/log/fluvio-server.log")" = 1 ]
    grep 'stored records are damaged' "$HOME/.fluvio/log/fluvio-server.log" |
        grep -E 'partition=t-0 .*/topics/2/0/00000000000000000000.log at byte [0-9]+'
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"Partition t-0 is damaged: "*" at byte "* ]]
    [[ $stderr == *"1 partitions are in trouble"* ]]
    [[ $output == *"Connector manager is ok"* ]]
    run -0 fluvio partition list
    [[ ${lines[1]} == *" Damaged "* ]]
    [[ ${lines[2]} == *" Online "* ]]
    # Producers go on, and what lies before it is served; it is not.
    echo more | fluvio produce t -p 0
    run -1 fluvio consume t -p 0 -B -d
    [ "${lines[0]}" = "record 1" ]
    [[ ${lines[-1]} == *"at byte "* ]]
}

passes_are() {
    [ "$(metric fluvio_server_scrub_passes_total)" -ge "$1" ]
}

@test "many damaged segments are logged once each, and counted" {
    export FLV_SERVER_OPTIONS="--scrub-after 0s --scrub-every 100ms --scrub-rate 1Gi"
    fluvio cluster start --metrics-addr 127.0.0.1:0
    fluvio topic create t --segment-size 4096
    for _ in $(seq 14); do
        head -c 3000 /dev/zero | tr '\0' x | fluvio produce t --raw
    done
    local file passes
    local many='fluvio_partition_damaged_segments{topic="t",partition="0"}'
    run ! metric "$many"
    for file in $(find "$HOME/.fluvio/data/topics/2" -name '*.log' | sort | head -12); do
        flip "$file" 0.6
    done
    until_true 20 metric_is "$many" 12
    passes=$(metric fluvio_server_scrub_passes_total)
    until_true 20 passes_are "$((passes + 3))"
    for _ in 1 2 3; do
        run -1 fluvio consume t -B -d
    done
    [ "$(grep -c 'stored records are damaged' "$HOME/.fluvio/log/fluvio-server.log")" = 12 ]
    run ! grep 'cannot read' "$HOME/.fluvio/log/fluvio-server.log"
}
