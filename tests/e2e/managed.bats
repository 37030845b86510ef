#!/usr/bin/env bats
# The manager beside the server: started, shown, brought back, ended with it.

load lib.bash
load manager.bash

setup() {
    home_up
}

teardown() {
    home_down
}

@test "the manager starts with the cluster, is shown, and ends with it" {
    run -0 fluvio cluster start
    [[ $output == *"Connector manager launched"* ]]
    run -0 fluvio cluster status
    [[ $output == *"Connector manager is ok"* ]]
    local pid
    pid=$(field "$(manager)/manager.json" 'd["pid"]')
    kill -0 "$pid"
    run -0 fluvio cluster shutdown
    run -1 kill -0 "$pid"
    [ ! -e "$(manager)/manager.json" ]
}

@test "files of the manager are nobody else's business" {
    fluvio cluster start
    [ "$(stat -c %a "$(manager)")" = 700 ]
    [ "$(stat -c %a "$(manager)/token")" = 600 ]
    [ "$(stat -c %a "$(manager)/manager.db")" = 600 ]
}

@test "a connector is created, runs, is listed and deleted; its topic stays" {
    fluvio cluster start
    make_file cats
    run -0 api POST /connectors --data-binary "@$HOME/cats.yml"
    [ "${lines[-1]}" = 201 ]
    until_true 10 is_state cats Running
    run -0 api GET /connectors
    [ "${lines[0]}" = '["cats"]' ]
    run -0 api POST /connectors --data-binary "@$HOME/cats.yml"
    [ "${lines[-1]}" = 409 ]
    [[ ${lines[0]} == *'"Connector already exists"'* ]]
    until_true 10 eval '[ -n "$(fluvio consume cats -B -d)" ]'
    run -0 fluvio consume cats -B -d
    [ "${lines[0]}" = "Hello, Fluvio! - 1" ]
    run -0 api DELETE /connectors/cats
    [ "${lines[-1]}" = 204 ]
    run -0 api GET /connectors
    [ "${lines[0]}" = '[]' ]
    run -0 api DELETE /connectors/cats
    [ "${lines[-1]}" = 404 ]
    run -0 fluvio topic list
    [[ $output == *cats* ]]
    run -1 pgrep -f "config $(manager)/run/cats.yml"
}

@test "a missing topic is an error and nothing is created" {
    fluvio cluster start
    make_file cats
    sed -i /create_topic/d "$HOME/cats.yml"
    run -0 api POST /connectors --data-binary "@$HOME/cats.yml"
    [ "${lines[-1]}" = 400 ]
    [[ ${lines[0]} == *"does not exist"*"create_topic"* ]]
    run -0 api GET /connectors
    [ "${lines[0]}" = '[]' ]
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
    fluvio topic create cats
    run -0 api POST /connectors --data-binary "@$HOME/cats.yml"
    [ "${lines[-1]}" = 201 ]
}

@test "a killed manager is back and finds its connector running" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local manager_pid connector_pid
    manager_pid=$(field "$(manager)/manager.json" 'd["pid"]')
    connector_pid=$(head -n 1 "$(manager)/run/cats.lock")
    kill -9 "$manager_pid"
    until_true 10 eval '[ "$(field "$(manager)/manager.json" "d[\"pid\"]")" != '"$manager_pid"' ]'
    until_true 10 is_state cats Running
    [ "$(head -n 1 "$(manager)/run/cats.lock")" = "$connector_pid" ]
    kill -0 "$connector_pid"
    run -0 api GET /connectors/cats/events
    [[ $output == *'"adopted"'* ]]
}

@test "a hangup ends neither manager nor server" {
    fluvio cluster start
    local pid server name log=$HOME/.fluvio/log
    pid=$(field "$(manager)/manager.json" 'd["pid"]')
    server=$(server_pid)
    for name in manager server; do
        [ -f "$log/fluvio-$name.log" ]
    done
    # To each, and to its guard, which passes it on.
    kill -HUP "$pid" "$(field "$(manager)/manager.json" 'd["guard"]')" \
        "$server" "$(guard_pid)"
    until_true 10 grep -q 'has nothing to read again' "$log/fluvio-manager.log"
    until_true 10 grep -q 'read certificates and policy again' "$log/fluvio-server.log"
    [ "$(field "$(manager)/manager.json" 'd["pid"]')" = "$pid" ]
    [ "$(server_pid)" = "$server" ]
    run ! grep 'died and is started again' "$log"/*.log
}

# Neither manager nor guard.
no_manager() {
    ! pgrep -f "fluvio-manager --data-dir $(manager) " >/dev/null
}

@test "a manager that found its port taken is told to end and does not come back" {
    # By us or by whoever has it.
    coproc TAKEN { python3 -c '
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind(("127.0.0.1", 9020))
    s.listen(5)
except OSError:
    pass
print("up", flush=True)
sys.stdin.read()'; }
    read -r <&"${TAKEN[0]}"
    fluvio cluster start
    kill -TERM "$(field "$(manager)/manager.json" 'd["pid"]')"
    until_true 20 no_manager
    run ! grep -E 'cannot listen|died' "$HOME/.fluvio/log/fluvio-manager.log"
    local pid=$TAKEN_PID # bash forgets it when it ends
    eval "exec ${TAKEN[1]}>&-"
    wait "$pid"
}

# Nobody may be there to bury it: a zombie has no command line.
is_gone() {
    [ -z "$(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null)" ]
}

@test "shutdown ends connectors whose manager and guard were killed" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local connector_pid guard_pid pid
    connector_pid=$(head -n 1 "$(manager)/run/cats.lock")
    guard_pid=$(field "$(manager)/manager.json" 'd["guard"]')
    pid=$(field "$(manager)/manager.json" 'd["pid"]')
    kill -9 "$guard_pid" "$pid"
    until_true 10 is_gone "$guard_pid"
    until_true 10 is_gone "$pid"
    run ! is_gone "$connector_pid"
    run -0 fluvio cluster shutdown
    is_gone "$connector_pid"
    fluvio cluster start
    until_true 10 is_state cats Running
    run -0 api GET /connectors/cats/status
    [[ $output == *'"restarts":0'* ]]
}

@test "a signal that comes twice at once is one: connectors are drained" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local connector_pid pid
    connector_pid=$(head -n 1 "$(manager)/run/cats.lock")
    pid=$(field "$(manager)/manager.json" 'd["pid"]')
    kill "$(field "$(manager)/manager.json" 'd["guard"]')" "$pid"
    until_true 20 eval "! kill -0 $pid 2>/dev/null"
    run -1 kill -0 "$connector_pid"
}

@test "a killed connector runs again and counts on" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local pid
    pid=$(head -n 1 "$(manager)/run/cats.lock")
    kill -9 "$pid"
    until_true 10 eval '[ "$(head -n 1 "$(manager)/run/cats.lock")" != '"$pid"' ]'
    until_true 10 is_state cats Running
    run -0 api GET /connectors/cats/status
    [[ $output == *'"restarts":1'* ]]
}

@test "connectors come back with the cluster" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    fluvio cluster shutdown
    run -1 pgrep -f "config $(manager)/run/cats.yml"
    fluvio cluster start
    until_true 10 is_state cats Running
}

@test "a deleted connector takes along what a killed program was writing" {
    fluvio cluster start
    make_file cats
    fluvio connector create -c "$HOME/cats.yml"
    until_true 10 is_state cats Running
    touch "$(manager)/run/cats.exit.new" "$(manager)/run/cats.yml.new"
    fluvio connector delete cats
    until_true 10 eval '[ -z "$(find "$(manager)/run" -name "cats.*")" ]'
}

@test "after a killed server the same command brings it back under the manager" {
    fluvio cluster start
    local manager_pid
    manager_pid=$(field "$(manager)/manager.json" 'd["pid"]')
    server_kill
    run -0 fluvio cluster start
    [ "$(field "$(manager)/manager.json" 'd["pid"]')" = "$manager_pid" ]
    run -0 fluvio cluster status
}

@test "an idle connector says that its server is gone, and that it is back" {
    fluvio cluster start
    make_file cats
    sed -i 's/timeout: .*/timeout: 1h/' "$HOME/cats.yml"
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local connector_pid
    connector_pid=$(head -n 1 "$(manager)/run/cats.lock")
    server_kill
    until_true 5 is_state cats Retrying
    run -0 fluvio connector list -O wide
    [[ $output == *"Retrying"*"$(address)"* ]]
    run -0 api GET /health
    [[ $output == *'"connected":false'* ]]
    fluvio cluster start
    until_true 5 is_state cats Running
    [ "$(head -n 1 "$(manager)/run/cats.lock")" = "$connector_pid" ]
}

@test "delete takes the connectors along" {
    fluvio cluster start
    make_file cats
    api POST /connectors --data-binary "@$HOME/cats.yml"
    until_true 10 is_state cats Running
    local folder
    folder=$(manager)
    run -0 fluvio cluster delete --force
    [ ! -e "$folder" ]
    run -1 pgrep -f "config $folder/run/cats.yml"
}

@test "TCP asks for the token" {
    fluvio cluster start
    local port url
    port=$(field "$(manager)/manager.json" 'd["port"]')
    url="http://127.0.0.1:$port/connectors"
    run -0 curl -sS -m 10 -o /dev/null -w '%{http_code}' "$url"
    [ "$output" = 401 ]
    run -0 curl -sS -m 10 -o /dev/null -w '%{http_code}' \
        -H "Authorization: Bearer 0$(cat "$(manager)/token")" "$url"
    [ "$output" = 401 ]
    run -0 curl -sS -m 10 -H "Authorization: Bearer $(cat "$(manager)/token")" "$url"
    [ "$output" = '[]' ]
    # A body is not even waited for.
    run -0 timeout 5 python3 - "$port" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"POST /connectors HTTP/1.1\r\nHost: h\r\n"
          b"Content-Length: 1000000\r\n\r\n")
print(s.recv(100).split()[1].decode())
PY
    [ "$output" = 401 ]
    run -0 curl -sS -m 10 "http://127.0.0.1:$port/health"
    [[ $output == *'"status":"ok"'* ]]
}

@test "a program in another language is supervised all the same" {
    PATH=$ROOT/examples/python:$PATH fluvio cluster start
    run -0 api POST /connectors --data-binary "@$ROOT/examples/python/clock.yml"
    [ "${lines[-1]}" = 201 ]
    until_true 20 is_state wall-clock Running
    run -0 api GET /connectors/wall-clock/status
    [[ $output == *'"process_only":true'* ]]
    until_true 20 eval '[ -n "$(fluvio consume time -B -d)" ]'
    local pid
    pid=$(head -n 1 "$(manager)/run/wall-clock.lock")
    kill -9 "$pid"
    until_true 20 eval '[ "$(head -n 1 "$(manager)/run/wall-clock.lock")" != '"$pid"' ]'
    run -0 api DELETE /connectors/wall-clock
    [ "${lines[-1]}" = 204 ]
    run -1 pgrep -f "config $(manager)/run/wall-clock.yml"
}

@test "a program in another language gets the secrets it says it takes" {
    mkdir "$HOME/types"
    sed 's/"features": .*/"features": [],/' \
        "$ROOT/examples/python/fluvio-connect-clock" >"$HOME/types/fluvio-connect-plain"
    sed -i 's/"name": "clock"/"name": "plain"/' "$HOME/types/fluvio-connect-plain"
    chmod +x "$HOME/types/fluvio-connect-plain"
    PATH=$HOME/types:$ROOT/examples/python:$PATH fluvio cluster start
    fluvio secret set FORM <<<zx81-%H
    { cat "$ROOT/examples/python/clock.yml"
      echo '  format: ${{ secrets.FORM }}'; } >"$HOME/clock.yml"
    run -0 api POST /connectors --data-binary "@$HOME/clock.yml"
    [ "${lines[-1]}" = 201 ]
    until_true 20 eval '[[ $(fluvio consume time -B -d) == *zx81-[012]* ]]'
    pid=$(head -n 1 "$(manager)/run/wall-clock.lock")
    run -1 grep -aF zx81 "/proc/$pid/cmdline" "/proc/$pid/environ"
    sed 's/^type: .*/type: plain/; s/^name: .*/name: other/' "$HOME/clock.yml" >"$HOME/plain.yml"
    run -0 api POST /connectors --data-binary "@$HOME/plain.yml"
    [ "${lines[-1]}" = 400 ]
    [[ ${lines[0]} == *'\"plain\" takes no secrets'* ]]
}
