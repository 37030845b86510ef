#!/usr/bin/env bats
# A local cluster from start to delete, through crashes and mistakes.

load lib.bash

setup() {
    home_up
}

teardown() {
    home_down
}

@test "the walkthrough works word for word" {
    run -0 fluvio cluster start
    [[ $output == *"Successfully installed Local Fluvio cluster"* ]]
    [[ $output == *"$HOME/.fluvio/data"* ]]
    [[ $output == *"$HOME/.fluvio/log/fluvio-server.log"* ]]
    run -0 fluvio topic create cat-facts
    [ "$output" = 'topic "cat-facts" created' ]
    echo '{"fact":"Cats sleep 70% of their lives.","length":30}' |
        fluvio produce cat-facts
    fluvio consume cat-facts -B >"$HOME/out" &
    local consumer=$!
    until_true 20 has_lines "$HOME/out" 1
    echo '{"fact":"A cat cannot taste sweet things.","length":33}' |
        fluvio produce cat-facts
    until_true 20 has_lines "$HOME/out" 2
    kill "$consumer"
    ends_with 0 "$consumer"
    [ "$(head -n 1 "$HOME/out")" = \
        '{"fact":"Cats sleep 70% of their lives.","length":30}' ]
    run -0 fluvio cluster shutdown
    [ "$output" = "Uninstalled fluvio local components" ]
}

@test "--local means the same and the profile becomes the active one" {
    fluvio profile add other 127.0.0.1:1
    run -0 fluvio cluster start --local
    run -0 fluvio profile
    [ "$output" = local ]
    run -0 fluvio profile list
    [[ $output =~ \*\ +local\ +local\ +$(address)\ +Disabled\ +local ]]
}

@test "status tells what is up" {
    fluvio cluster start
    run -0 fluvio cluster status
    [ "${lines[0]}" = "Running cluster status checks with profile local" ]
    [[ ${lines[1]} == *"SC is ok" ]]
    [[ ${lines[2]} == *"(1/1) SPUs are online" ]]
    [[ ${lines[3]} == *"No topics present" ]]
    fluvio topic create t
    run -0 fluvio cluster status
    [[ ${lines[3]} == *"1 topics using "* ]]
    fluvio cluster shutdown
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"SC is not reachable"* ]]
    [[ $stderr == *'`fluvio cluster start`'* ]]
}

@test "a second start names the first" {
    fluvio cluster start
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"runs already: pid $(server_pid), port $FLV_SC_PORT"* ]]
    run -0 fluvio cluster status
}

@test "after kill -9 of server and guard the same command brings the data back" {
    fluvio cluster start
    fluvio topic create t
    seq 1000 | fluvio produce t
    local pid
    pid=$(server_pid)
    server_kill
    fails_soon topic list
    [[ $stderr == *'`fluvio cluster start`'* ]]
    run -0 fluvio cluster start
    fluvio consume t -B -d >"$HOME/out"
    seq 1000 | cmp - "$HOME/out"
    [ "$(server_pid)" != "$pid" ]
}

@test "shutdown keeps the data, delete removes them" {
    fluvio cluster start
    fluvio topic create t
    echo kept | fluvio produce t
    fluvio cluster shutdown
    run -0 --separate-stderr fluvio cluster shutdown
    [[ $stderr == "no local cluster runs"* ]]
    fluvio cluster start
    run -0 fluvio consume t -B -d
    [ "$output" = kept ]
    run -1 --separate-stderr fluvio cluster delete </dev/null
    [[ $stderr == *"add --force" ]]
    run -0 fluvio consume t -B -d
    run -0 fluvio cluster delete --force
    [ ! -e "$HOME/.fluvio/data" ]
    run -0 --separate-stderr fluvio cluster delete --force
    [[ $stderr == "there is no local cluster"* ]]
    fluvio cluster start
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "resume starts a cluster that was shut down" {
    fluvio cluster start
    fluvio topic create t
    fluvio cluster shutdown
    run -0 fluvio cluster resume
    run -0 fluvio topic list
    [[ $output == *" t "* ]]
}

@test "shutdown and delete find the folder of the last start" {
    fluvio cluster start --data-dir "$HOME/elsewhere" --log-dir "$HOME/logs"
    [ -s "$HOME/logs/fluvio-server.log" ]
    [ ! -e "$HOME/.fluvio/data" ]
    run -0 fluvio cluster shutdown
    [ -e "$HOME/elsewhere/VERSION" ]
    run -0 fluvio cluster delete --force
    [ ! -e "$HOME/elsewhere" ]
}

@test "a folder of somebody else is neither used nor removed" {
    mkdir "$HOME/photos"
    echo cat >"$HOME/photos/cat.jpg"
    run -1 --separate-stderr fluvio cluster start --data-dir "$HOME/photos"
    [[ $stderr == *"did not start"*"$HOME/photos"* ]]
    run -1 --separate-stderr fluvio cluster delete --force --data-dir "$HOME/photos"
    [[ $stderr == *"nothing was removed" ]]
    [ "$(cat "$HOME/photos/cat.jpg")" = cat ]
}

@test "a port in use is named" {
    coproc TAKEN { python3 -c '
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(5)
print("up", flush=True)
sys.stdin.read()' "$FLV_SC_PORT"; }
    read -r <&"${TAKEN[0]}"
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"did not start"*"$FLV_SC_PORT"* ]]
    local pid=$TAKEN_PID # bash forgets it when it ends
    eval "exec ${TAKEN[1]}>&-"
    wait "$pid"
    run -0 fluvio cluster start
}

@test "a folder that cannot be written is named" {
    [ "$(id -u)" -ne 0 ] || skip "root writes everywhere"
    mkdir "$HOME/sealed"
    chmod 500 "$HOME/sealed"
    run -1 --separate-stderr fluvio cluster start --data-dir "$HOME/sealed/data"
    [[ $stderr == *"$HOME/sealed"* ]]
}

@test "what is not supported is said in a sentence" {
    run -1 --separate-stderr fluvio cluster start --k8
    [[ $stderr == *"Kubernetes"* ]]
    run -1 --separate-stderr fluvio cluster start --spu 3
    [[ $stderr == *"one SPU"* ]]
    run -1 --separate-stderr fluvio cluster start --sc-pub-addr nonsense
    [[ $stderr == *"HOST:PORT"* ]]
    [ -z "$(server_pid)" ]
}

@test "an address beyond this machine needs --insecure" {
    run -1 --separate-stderr fluvio cluster start --sc-pub-addr "0.0.0.0:$FLV_SC_PORT"
    [[ $stderr == *"--insecure"* ]]
}

@test "the server outlives the terminal that started it" {
    setsid -w bash -c 'fluvio cluster start >/dev/null; kill -HUP 0' || true
    run -0 fluvio cluster status
}

@test "of two starts at once one wins and the other says why" {
    fluvio cluster start >"$HOME/a" 2>&1 &
    local a=$!
    fluvio cluster start >"$HOME/b" 2>&1 &
    local b=$! failed=0
    wait "$a" || failed=$((failed + 1))
    wait "$b" || failed=$((failed + 1))
    [ "$failed" -eq 1 ]
    cat "$HOME/a" "$HOME/b" | grep -q "runs already"
    run -0 fluvio cluster status
}

@test "a broken profile file is found before anything starts" {
    mkdir -p "$HOME/.fluvio"
    echo '[profile' >"$HOME/.fluvio/config"
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"$HOME/.fluvio/config"* ]]
    [ -z "$(server_pid)" ]
}

@test "a stale server.json misleads nobody" {
    fluvio cluster start
    server_kill
    # The pid now belongs to a process that must not be signalled.
    sleep 60 &
    local innocent=$!
    echo "$innocent" >"$HOME/.fluvio/data/lock"
    run -0 fluvio cluster shutdown # of the manager, which runs on
    kill -0 "$innocent"
    run -0 --separate-stderr fluvio cluster shutdown
    [[ $stderr == "no local cluster runs"* ]]
    kill -0 "$innocent"
    kill "$innocent"
}

@test "the SPU list has Fluvio's columns" {
    fluvio cluster start
    run -0 fluvio cluster spu list
    [[ ${lines[0]} =~ ^\ +ID\ +NAME\ +STATUS\ +TYPE\ +RACK\ +PUBLIC\ +PRIVATE ]]
    [[ ${lines[1]} =~ ^\ +5001\ +custom-spu-5001\ +Online\ +\"custom\"\ +-\ +localhost:$FLV_SPU_PORT ]]
    run -0 bash -c 'fluvio cluster spu list -O json | python3 -c "import json, sys; print(json.load(sys.stdin)[0][\"spec\"][\"spuId\"])"'
    [ "$output" = 5001 ]
}
