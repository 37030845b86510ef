#!/usr/bin/env bats
# What one measures and mends with: benchmark, cluster check, diagnostics.

load lib.bash

setup() {
    home_up
    cd "$HOME"
}

teardown() {
    cd /
    home_down
}

@test "a teardown without a set-up touches nobody's home" {
    local ours=$HOME
    mkdir -p "$ours/somebody/.fluvio/data"
    echo letter >"$ours/somebody/letter"
    sleep 60 &
    echo $! >"$ours/somebody/.fluvio/data/lock"
    (
        unset E2E_HOME
        HOME=$ours/somebody home_down
    )
    kill $!
    [ "$(cat "$ours/somebody/letter")" = letter ]
}

up() {
    fluvio cluster start >start.log 2>&1 || { cat start.log && false; }
}

@test "a producer benchmark tells throughput and latencies and cleans up" {
    up
    run -0 --separate-stderr fluvio benchmark producer --num-records 500 \
        --record-size 100 --num-producers 3 -p 2 -c lz4 \
        --record-key-allocation-strategy random-key
    [ -z "$stderr" ]
    [ "${lines[0]}" = "Benchmark started" ]
    [[ $output =~ latencies:\ [0-9.]+(ns|us|ms|s)\ min,\ [0-9.]+(ns|us|ms|s)\ avg,\ [0-9.]+(ns|us|ms|s)\ max,\ [0-9.]+(ns|us|ms|s)\ p0.50,\ .*\ p0.95,\ .*\ p0.99 ]]
    [[ $output =~ 500\ total\ records\ sent,\ [0-9]+\ records/sec:\ \([0-9.]+\ [KMG]?i?B/sec\),\ total\ time: ]]
    [[ $output == *"| Variable | p0.00 "* ]]
    [ "${lines[-1]}" = "Benchmark completed" ]
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "a benchmark leaves a topic that was there, and a kept one" {
    up
    fluvio topic create mine
    fluvio bench producer --num-records 20 --record-size 64 -t mine
    fluvio benchmark producer --num-records 30 --record-size 64 -t kept -k
    run -0 bash -c "fluvio consume mine -B -d | wc -l"
    [ "$output" -eq 20 ]
    run -0 bash -c "fluvio consume kept -B -d | awk '{ print length }' | sort | uniq -c"
    [[ $output =~ ^\ *30\ 64$ ]]
    run -1 --separate-stderr fluvio benchmark consumer -t mine
    [[ $stderr == *"a topic of its own"* ]]
}

@test "a consumer benchmark receives all that is sent" {
    up
    run -0 fluvio benchmark consumer --num-records 400 --record-size 1kib -p 3
    [[ $output == *"400 total records received, "* ]]
    [[ $output == *"Consumed Throughput"* ]]
    run -2 fluvio benchmark consumer --record-size 15
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "an interrupted benchmark removes its topic too" {
    up
    fluvio benchmark producer --num-records 100000000 -t long >out 2>err &
    local pid=$!
    until_true 20 grep -q "records sent" out
    kill -INT "$pid"
    ends_with 130 "$pid"
    grep -q "total records sent" out
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "a benchmark without a cluster and with a missing topic says why" {
    run -1 --separate-stderr fluvio benchmark producer --num-records 1
    [[ $stderr == *"fluvio cluster start"* ]]
    run -2 fluvio benchmark producer --num-producers 0
    run -2 fluvio benchmark producer --compression best
}

@test "cluster check finds a fit machine fit, and says what is in the way" {
    run -0 fluvio cluster check
    [ "${lines[0]}" = "Running pre-startup checks..." ]
    [[ $output == *"ok: fluvio-server is "* ]]
    [[ $output == *"port $FLV_SC_PORT of the SC is free"* ]]
    [[ $output == *"All checks passed!"*"fluvio cluster start"* ]]
    [ ! -e .fluvio/data ]
    fluvio cluster check --fix >/dev/null
    [ -d .fluvio/data ]
    up
    run -0 fluvio cluster check
    [[ $output == *"a cluster runs: process $(server_pid), port $FLV_SC_PORT"* ]]
    # Somebody else's server has the port that another cluster would need.
    run -1 --separate-stderr fluvio cluster check --data-dir "$HOME/other"
    [[ $output == *"failed: port $FLV_SC_PORT of the SC: Address already in use"* ]]
    [[ $stderr == "Some pre-flight check failed!"* ]]
    touch plain
    run -1 fluvio cluster check --data-dir "$HOME/plain/data"
    [[ $output == *"failed: data folder $HOME/plain/data: cannot write"* ]]
}

@test "diagnostics have logs, checks and topics, and no secret" {
    up
    fluvio topic create mine
    {
        echo 'token=sesame1 "password":"sesame2" \"secret\":\"sesame3\"'
        echo 'Authorization: Bearer sesame4, https://me:sesame5@host/path'
        echo '-----BEGIN PRIVATE KEY----- sesame6'
    } >>.fluvio/log/fluvio-server.log
    mkdir here
    cd here
    run -0 fluvio cluster diagnostics --quiet
    local file=("$PWD"/diagnostics-*.tar.gz)
    [ "$output" = "Wrote diagnostics to ${file[0]}" ]
    [ "$(stat -c %a "${file[0]}")" = 600 ]
    tar xzf "${file[0]}"
    grep -q '^topic mine: 1 partitions' diagnostics/cluster.txt
    grep -q '^spu 5001 online' diagnostics/cluster.txt
    grep -q 'ok: fluvio-server is' diagnostics/checks.txt
    grep -q 'meta.db' diagnostics/files.txt
    grep -q 'https://\*\*\*@host/path' diagnostics/fluvio-server.log
    ! grep -rq sesame diagnostics
    # Without a cluster there is still all that this machine knows.
    fluvio cluster shutdown >/dev/null
    rm -r ./*
    run -0 fluvio cluster diagnostics
    tar xzf diagnostics-*.tar.gz
    grep -q 'no cluster answers' diagnostics/cluster.txt
}
