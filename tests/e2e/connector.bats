#!/usr/bin/env bats
# Managed connectors as a person uses them: the real manager, real connectors.

load lib.bash

setup() {
    home_up
    cd "$HOME"
}

teardown() {
    if [ -n "${web:-}" ]; then
        kill "$web" 2>/dev/null || true
    fi
    cd /
    home_down
}

# A web server of our own; its port in $port.
serve() {
    mkdir -p www
    echo '{"fact":"Cats sleep 70% of their lives.","length":30}' >www/fact
    python3 -u -c '
import http.server, os
os.chdir("www")
server = http.server.HTTPServer(("127.0.0.1", 0),
                                http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()' >port 2>requests &
    web=$!
    until_true 10 has_lines port 1
    port=$(cat port)
}

http_file() {
    cat <<EOF
version: v1
name: cat-facts
type: http
topic: cat-facts
create_topic: true
direction: source
parameters:
  endpoint: http://127.0.0.1:$port/fact
  interval: 10
EOF
}

test_file() {
    cat <<EOF
version: latest
name: my-test-connector
type: test-connector
topic: my-test-connector
create_topic: true
direction: source
parameters:
  topic: my-test-connector
EOF
}

is_state() {
    [ "$(fluvio connector list | awk -v n="$1" '$1 == n {print $2}')" = "$2" ]
}

holds() {
    grep -q "$2" "$1"
}

@test "the first page works word for word" {
    serve
    http_file >connect.yml
    run -0 fluvio cluster start
    run -0 fluvio connector list
    [ "$output" = "no managed connectors" ]
    run -0 fluvio connector create --config=./connect.yml
    [ -z "$output" ]
    until_true 10 is_state cat-facts Running
    run -0 fluvio connector list
    [ "$output" = " NAME       STATUS  
 cat-facts  Running " ]
    run -0 fluvio consume cat-facts -B -d
    [[ $output == *"Cats sleep 70%"* ]]
    run -0 fluvio connector delete cat-facts
    [ -z "$output" ]
    run -0 fluvio connector list
    [ "$output" = "no managed connectors" ]
    run -0 fluvio topic list
    [[ $output == *cat-facts* ]]
}

@test "the second page works word for word" {
    fluvio cluster start
    test_file >my-connector-config.yaml
    run -0 fluvio cluster connector create --config my-connector-config.yaml
    test_file | sed 's/^name: .*/name: my-test-mqtt/' |
        fluvio cluster connector create --config -
    until_true 10 is_state my-test-connector Running
    until_true 10 is_state my-test-mqtt Running
    run -0 fluvio cluster connector list
    [ "$output" = "-------------
 NAME               STATUS  
 my-test-connector  Running 
      my-test-mqtt  Running " ]
    run -0 fluvio cluster connector delete my-test-connector
    run -0 fluvio cluster connector -h
    [[ $output == *create* && $output == *delete* && $output == *list* ]]
}

@test "texts and exit codes are those of old" {
    fluvio cluster start
    test_file >t.yml
    fluvio connector create -c t.yml
    run -1 --separate-stderr fluvio connector create -c t.yml
    [ "$stderr" = "Connector already exists" ]
    run -1 --separate-stderr fluvio connector delete nope
    [ "$stderr" = "Connector not found" ]
    run -1 --separate-stderr fluvio connector logs nope
    [ "$stderr" = "Connector nope does not exist" ]
    run -1 --separate-stderr fluvio connector config nope
    [ "$stderr" = "Connector not found" ]
    sed 's/^name: .*/name: nope/' t.yml >nope.yml
    run -1 --separate-stderr fluvio connector update --config nope.yml
    [ "$stderr" = "nope - does not exist." ]
    run -0 fluvio connector config my-test-connector
    [ "${lines[0]}" = "---" ]
    [ "${lines[1]}" = "name: my-test-connector" ]
    [ "${lines[2]}" = "type: test-connector" ]
    [ "${lines[3]}" = "topic: my-test-connector" ]
    [ "${lines[4]}" = "version: latest" ]
    run -0 fluvio connector config my-test-connector -o out.yml
    run -0 fluvio connector update -c out.yml
    run -2 fluvio connector create
    run -2 fluvio connector delete
    run -2 fluvio connector delete a --all
    run -1 fluvio connector create -c missing.yml
}

@test "a file is checked before anything is stored" {
    fluvio cluster start
    test_file | sed 's/topic: my-test-connector$/topic: other/; s/^name.*/name: N/' |
        sed 's/create_topic: true/create_topic: maybe/' >bad.yml
    run -1 --separate-stderr fluvio connector create -c bad.yml
    [[ $stderr == *"bad.yml:2:7: error:"* ]]
    [[ $stderr == *"bad.yml:5:15: error:"* ]]
    [ -z "$output" ]
    run -0 fluvio connector list
    [ "$output" = "no managed connectors" ]
    run -0 fluvio topic list
    [[ $output != *other* ]]
    test_file | sed '/create_topic/d' >no-topic.yml
    run -1 --separate-stderr fluvio connector create -c no-topic.yml
    [[ $stderr == *my-test-connector*create_topic* ]]
    run -0 fluvio connector list
    [ "$output" = "no managed connectors" ]
    fluvio topic create my-test-connector
    run -0 fluvio connector create -c no-topic.yml
    sed 's/source/sink/' no-topic.yml >sink.yml
    run -1 --separate-stderr fluvio connector update -c sink.yml
    [[ $stderr == *"the direction is sink"* ]]
}

@test "apply may be repeated and says what it did" {
    fluvio cluster start
    test_file >t.yml
    run -0 fluvio connector apply -c t.yml
    [ "$output" = 'connector "my-test-connector" created' ]
    run -0 fluvio connector apply -c t.yml
    [ "$output" = 'connector "my-test-connector" unchanged' ]
    echo '  timeout: 5s' >>t.yml
    run -0 fluvio connector apply -c t.yml
    [ "$output" = 'connector "my-test-connector" updated' ]
}

@test "what a file warns of is said when it is given" {
    fluvio cluster start
    test_file | sed 's/^topic/colour: red\ntopic/' >odd.yml
    run -0 --separate-stderr fluvio connector create -c odd.yml
    [ -z "$output" ]
    [[ $stderr == "odd.yml:4:1: warning: the key \"colour\" is unknown and ignored" ]]
}

@test "pause, resume, restart, describe, events, logs tell one story" {
    fluvio cluster start
    test_file >t.yml
    echo '  timeout: 50ms' >>t.yml
    fluvio connector create -c t.yml
    until_true 10 is_state my-test-connector Running
    run -0 fluvio connector pause my-test-connector
    until_true 10 is_state my-test-connector Paused
    run -0 fluvio connector resume --all
    until_true 10 is_state my-test-connector Running
    run -0 fluvio connector restart my-test-connector
    until_true 10 is_state my-test-connector Running
    run -0 fluvio connector events my-test-connector
    [[ $output == *created* && $output == *paused* && $output == *resumed* ]]
    run -0 fluvio connector events -O json
    python3 -c 'import json,sys; assert json.loads(sys.argv[1])' "$output"
    run -0 fluvio connector describe my-test-connector
    [[ $output == *" Status      Running"* ]]
    run -0 fluvio connector describe my-test-connector -O yaml
    [[ $output == *"state: Running"* ]]
    run -0 fluvio connector logs my-test-connector
    [[ $output == *"Starting Processing"*"Starting Processing"* ]]
    fluvio connector logs -f my-test-connector >followed &
    local follower=$!
    until_true 10 holds followed 'Hello, Fluvio! - 20$'
    fluvio connector delete my-test-connector
    ends_with 0 "$follower"
    run -0 fluvio connector list -O json
    [ "$output" = "[]" ]
}

@test "several names: one that is not there does not keep the others" {
    fluvio cluster start
    for name in a b c; do
        test_file | sed "s/^name: .*/name: $name/" |
            fluvio connector create -c -
    done
    run -1 --separate-stderr fluvio connector delete a nope b
    [ "$stderr" = "nope: Connector not found" ]
    run -0 fluvio connector names
    [ "$output" = c ]
    run -0 fluvio connector delete --all
    run -0 fluvio connector list
    [ "$output" = "no managed connectors" ]
}

@test "wide and documents have what scripts need" {
    fluvio cluster start
    test_file >t.yml
    echo '  count: 5' >>t.yml
    echo '  timeout: 0' >>t.yml
    fluvio connector create -c t.yml
    until_true 10 is_state my-test-connector Completed
    run -0 fluvio connector list -O wide
    [[ ${lines[0]} =~ ^\ NAME\ +STATUS\ +TYPE\ +VERSION\ +TOPIC\ +SINCE\ +IN\ +OUT\ +FAILED\ +DISCARDED\ +DEAD-LETTERED\ +RESTARTS\ +REASON ]]
    [[ ${lines[1]} =~ Completed\ +test-connector\ +.*my-test-connector ]]
    run -0 fluvio connector list -O json
    python3 - "$output" <<'PY'
import json, sys
one, = json.loads(sys.argv[1])
assert one["name"] == one["spec"]["name"] == "my-test-connector", one
assert one["spec"]["type"] == "test-connector", one
assert one["spec"]["parameters"]["count"] == "5", one
assert one["status"]["resolution"] == "Completed", one
assert one["status"]["in"] == one["status"]["out"] == 5, one
PY
    run -0 fluvio connector list -O yaml
    [[ $output == *"resolution: Completed"* ]]
}

@test "without a manager one sentence within two seconds names the command" {
    local start=$SECONDS
    for words in list "create -c t.yml" "delete a" "logs a" "config a" \
        "pause a" "events" "describe a" "update -c t.yml" "apply -c t.yml"; do
        test_file >t.yml
        # shellcheck disable=SC2086
        run -1 --separate-stderr fluvio connector $words
        [[ $stderr == *'`fluvio cluster start`'* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
    [ $((SECONDS - start)) -lt 20 ]
    fluvio cluster start
    fluvio cluster shutdown
    run -1 --separate-stderr fluvio connector list
    [[ $stderr == *'`fluvio cluster start`'* ]]
}

@test "another cluster's profile is not answered by this manager" {
    fluvio cluster start
    fluvio profile add far 192.0.2.1:9003
    fluvio profile switch far
    run -1 --separate-stderr fluvio connector list
    [[ $stderr == *192.0.2.1:9003* ]]
    run -0 fluvio --profile local connector list
    run -0 fluvio -c "$(address)" connector list
}

@test "secrets: set from stdin, listed by name, deleted" {
    run -1 --separate-stderr fluvio secret set TOKEN <<<x
    [[ $stderr == *"no local cluster"* ]]
    fluvio cluster start
    run -0 fluvio secret list
    [ "$output" = "no secrets" ]
    run -0 fluvio secret set TOKEN <<<hunter2
    [ "$output" = 'secret "TOKEN" set' ]
    run -0 fluvio secret set OTHER <<<'a=b c'
    run -0 fluvio secret list
    [ "$output" = " NAME  
 TOKEN 
 OTHER " ]
    [ "$(stat -c %a .fluvio/data/manager/secrets)" = 600 ]
    [ "$(cat .fluvio/data/manager/secrets)" = "TOKEN=hunter2
OTHER=a=b c" ]
    run -2 --separate-stderr fluvio secret set TOKEN hunter3
    [[ $stderr == *"standard input"* && $stderr != *hunter3* ]]
    run -1 fluvio secret set 1x <<<v
    run -1 fluvio secret set X </dev/null
    run -1 fluvio secret set X <<<$'two\nlines'
    run -0 fluvio secret delete TOKEN
    run -1 --separate-stderr fluvio secret delete TOKEN
    [ "$stderr" = 'secret "TOKEN" not found' ]
    run -0 fluvio secret list -O json
    [[ $output == *OTHER* && $output != *"a=b c"* ]]
}

# Every place where somebody could read the value.
leaks() {
    grep -rlaF "$1" "$HOME/.fluvio" --exclude=secrets || true
    local f
    for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
        if grep -qaF "$1" "$f" 2>/dev/null; then
            echo "$f"
        fi
    done
    local sock=$HOME/.fluvio/data/manager/manager.sock path
    for path in / /connectors "/connectors?expand=status&expand=info" \
        /connectors/cat-facts /connectors/cat-facts/config \
        /connectors/cat-facts/status /connectors/cat-facts/events \
        /connectors/cat-facts/logs /events /metrics /catalogue /health; do
        if curl -s --unix-socket "$sock" "http://m$path" | grep -qF "$1"; then
            echo "GET $path"
        fi
    done
    if curl -s --unix-socket "$sock" -H 'Accept: application/yaml' \
        http://m/connectors/cat-facts/config | grep -qF "$1"; then
        echo "GET the file"
    fi
    for path in "list -O wide" "list -O json" "describe cat-facts" \
        "config cat-facts" "logs cat-facts" events; do
        # shellcheck disable=SC2086
        if fluvio connector $path | grep -qF "$1"; then
            echo "fluvio connector $path"
        fi
    done
}

@test "a secret reaches the far side and nobody else" {
    serve
    fluvio cluster start
    { http_file && echo '  header: ["X-Token: ${{ secrets.TOKEN }}"]' &&
        echo '  user-agent: ${{ secrets.TOKEN }}'; } |
        sed "s|/fact|/fact?t=\${{ secrets.TOKEN }}|; s/interval: 10/interval: 100ms/" >s.yml
    run -1 --separate-stderr fluvio connector create -c s.yml
    [[ $stderr == *"s.yml:8:13: error: value not found for secret name TOKEN"* ]]
    fluvio secret set TOKEN <<<zx81hunter2
    fluvio connector create -c s.yml
    until_true 10 is_state cat-facts Running
    until_true 10 holds requests t=zx81hunter2
    fluvio connector restart cat-facts
    until_true 10 is_state cat-facts Running
    rm s.yml
    run -0 leaks zx81hunter2
    [ -z "$output" ]
}

@test "what is secret in a file is shown by no answer" {
    serve
    fluvio cluster start
    { http_file && echo '  header: ["X-Token: zx81hunter3"]' &&
        echo 'secrets:' && echo '  PLAIN: zx81hunter3'; } >s.yml
    fluvio connector create -c s.yml
    until_true 10 is_state cat-facts Running
    rm s.yml
    run -0 leaks zx81hunter3
    # The file itself is kept in the database and beside the process, for
    # nobody but its owner.
    [ "$(grep -v 'manager.db\|run/cat-facts.yml$' <<<"$output")" = "" ]
    [ "$(find .fluvio/data/manager -type f ! -perm 600)" = "" ]
    run -0 fluvio connector config cat-facts
    [[ $output == *REDACTED* ]]
}

@test "completion asks for the names of connectors" {
    fluvio cluster start
    test_file >t.yml
    fluvio connector create -c t.yml
    fluvio completions bash >c.bash
    run -0 bash -c '. ./c.bash; COMP_WORDS=(fluvio connector delete my); COMP_CWORD=3; _fluvio; echo "${COMPREPLY[@]}"'
    [ "$output" = my-test-connector ]
    run -0 bash -c '. ./c.bash; COMP_WORDS=(fluvio connector catalog ht); COMP_CWORD=3; _fluvio; echo "${COMPREPLY[@]}"'
    [ "$output" = "http http-sink" ]
    run -0 bash -c '. ./c.bash; COMP_WORDS=(fluvio connector ap); COMP_CWORD=2; _fluvio; echo "${COMPREPLY[@]}"'
    [ "$output" = apply ]
}

@test "every verb completes, in every shell" {
    local shell verb
    for shell in bash zsh fish; do
        fluvio completions "$shell" >script
        for verb in create apply update delete list describe config logs \
            events pause resume restart catalog check schema; do
            grep -q "fluvio connector $verb[\"']" script
        done
        for verb in create list delete; do
            grep -q "fluvio cluster connector $verb[\"']" script
        done
        for verb in delete describe config logs events pause resume restart; do
            grep "fluvio connector $verb[\"']" script |
                grep -q 'fluvio connector names'
        done
        grep "fluvio secret delete[\"']" script | grep -q 'fluvio secret names'
    done
    run -0 bash -n <(fluvio completions bash)
}

@test "every verb has help" {
    for verb in create apply update delete list describe config logs events \
        pause resume restart catalog check schema; do
        run -0 fluvio connector $verb --help
        [[ $output == *"Usage: fluvio connector $verb"* ]]
    done
    for verb in set list delete; do
        run -0 fluvio secret $verb --help
    done
    for verb in create list delete; do
        run -0 fluvio cluster connector $verb --help
    done
}

@test "check, catalog and schema work without a cluster" {
    serve
    http_file >connect.yml
    run -0 fluvio connector check connect.yml
    [[ $output == "connect.yml: OK"* ]]
    run -0 fluvio connector check --probe connect.yml
    [[ $output == *"/fact answers 200 with"* ]]
    kill "$web"
    run -3 fluvio connector check --probe connect.yml
    [[ $output == *"probe failed"* ]]
    sed -i 's/endpoint/endpont/' connect.yml
    run -1 fluvio connector check connect.yml
    [[ $output == *"connect.yml:8:3: error:"*'did you mean "endpoint"?'* ]]
    [[ $output == *"for example: endpoint:"* ]]
    run -1 fluvio connector check - <connect.yml
    run -2 fluvio connector check
    run -1 fluvio connector check missing.yml
    run -0 fluvio connector catalog
    [[ $output == *http*test-connector* ]]
    for type in http mqtt test-connector; do
        fluvio connector catalog $type | sed -n '/^version: latest/,$p' >ex.yml
        run -0 fluvio connector check ex.yml
        fluvio connector schema $type |
            python3 -c 'import json,sys; json.load(sys.stdin)'
    done
    run -1 --separate-stderr fluvio connector catalog nix
    [[ $stderr == *"installed: "*http* ]]
}
