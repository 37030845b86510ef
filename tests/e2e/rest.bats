#!/usr/bin/env bats
# The manager's REST API, route by route: docs/rest.md.

load lib.bash
load manager.bash

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

teardown() {
    local name
    for name in $(api GET /connectors | head -n 1 | tr -d '[]"' | tr , ' '); do
        api DELETE "/connectors/$name" >/dev/null
    done
}

# json EXPRESSION: of Python, with the answer of the last run in d.
json() {
    python3 -c "import json, sys; d = json.loads(sys.argv[1]); r = $1; print(r)" \
        "${lines[0]}"
}

make() {
    make_file "$@"
    api POST /connectors --data-binary "@$HOME/$1.yml" >/dev/null
    until_true 20 is_state "$1" Running
}

@test "GET / and GET /health say who answers" {
    run -0 api GET /
    [ "${lines[-1]}" = 200 ]
    [ "$(json 'd["cluster"]')" = "$(address)" ]
    run -0 api GET /health
    [ "$(json 'd["status"], d["cluster"]["connected"]')" = "('ok', True)" ]
}

@test "POST /connectors answers with what was made" {
    make_file a
    run -0 api POST /connectors --data-binary "@$HOME/a.yml"
    [ "${lines[-1]}" = 201 ]
    [ "$(json 'd["name"], d["type"], d["result"], d["generation"]')" = \
        "('a', 'source', 'created', 1)" ]
    [ "$(json 'd["config"]["timeout"]')" = 50 ]
    [ "$(json 'd["tasks"]')" = "[{'connector': 'a', 'task': 0}]" ]
}

@test "the same file as JSON does as well" {
    run -0 api POST /connectors --data-binary \
        '{"name":"j","type":"test-connector","topic":"j","create_topic":true,"parameters":{"timeout":100}}'
    [ "${lines[-1]}" = 201 ]
}

@test "Kafka Connect's envelope does, too, and mistakes have their places" {
    run -0 api POST /connectors --json '{"name": "k", "config": {
 "connector.class": "test-connector", "tasks.max": "1", "topic": "k",
 "create_topic": "true", "timeout": "1h"}}'
    [ "${lines[-1]}" = 201 ]
    [ "$(json 'd["config"]["type"], d["config"]["timeout"]')" = \
        "('test-connector', '1h')" ]
    run -0 api POST /connectors --json '{"name": "l", "config": {
 "connector.class": "test-connector", "topic": "k",
 "timeuot": "1h"}}'
    [ "${lines[-1]}" = 400 ]
    [ "$(json '[(p["line"], p["column"], p["hint"]) for p in d["problems"]]')" = \
        "[(3, 2, 'timeout')]" ]
    # What GET says of its settings can be sent back.
    run -0 api GET /connectors/k/config
    run -0 api POST /connectors --json "{\"name\": \"k\", \"config\": ${lines[0]}}"
    [ "${lines[-1]}" = 409 ]
}

@test "a file with mistakes is refused with all of them and their places" {
    run -0 api POST /connectors --data-binary \
        $'name: x\ntype: test-connector\ntopic: x\ncreate_topic: true\nparameters:\n  timeot: 5\n  count: many\n'
    [ "${lines[-1]}" = 400 ]
    [ "$(json 'd["error_code"], len(d["problems"])')" = "(400, 2)" ]
    [ "$(json 'd["problems"][0]["line"], d["problems"][0]["column"]')" = "(6, 3)" ]
    [ "$(json 'd["problems"][0]["hint"]')" = timeout ]
    [ "$(json 'd["problems"][1]["line"]')" = 7 ]
    run -0 api GET /connectors
    [ "${lines[0]}" = '[]' ]
}

@test "GET /connectors lists names, or what expand asks for" {
    make b
    make a
    run -0 api GET /connectors
    [ "${lines[0]}" = '["a","b"]' ]
    run -0 api GET '/connectors?expand=status'
    [ "$(json 'list(d), d["a"]["status"]["state"]')" = "(['a', 'b'], 'Running')" ]
    run -0 api GET '/connectors?expand=status,info'
    [ "$(json 'sorted(d["b"])')" = "['info', 'status']" ]
    run -0 api GET '/connectors?expand=nothing'
    [ "${lines[-1]}" = 400 ]
}

@test "expand may come twice, as Kafka Connect has it" {
    make a
    run -0 api GET '/connectors?expand=status&expand=info'
    [ "$(json 'sorted(d["a"])')" = "['info', 'status']" ]
    run -0 api GET '/connectors?expand=info&expand=nonsense'
    [ "${lines[-1]}" = 400 ]
}

@test "GET status speaks Kafka Connect's words and ours" {
    make a
    run -0 api GET /connectors/a/status
    [ "$(json 'd["connector"]["state"], d["tasks"][0]["state"]')" = \
        "('RUNNING', 'RUNNING')" ]
    [ "$(json 'd["state"], d["desired"], d["topic"], d["process_only"]')" = \
        "('Running', 'running', 'a', False)" ]
    [ "$(json 'd["pid"] > 0 and d["since_ms"] > 0 and d["restarts"] == 0')" = True ]
}

@test "GET config gives settings, or the file as it was given" {
    make a
    run -0 api GET /connectors/a/config
    [ "$(json 'd["type"], d["topic"], d["timeout"]')" = "('test-connector', 'a', '50')" ]
    api GET /connectors/a/config -H 'Accept: application/yaml' |
        head -n -2 >"$HOME/shown.yml"
    run -0 api POST /validate --data-binary "@$HOME/shown.yml"
    [ "$(json 'd["valid"]')" = True ]
    grep -q '^name: a$' "$HOME/shown.yml"
    grep -q 'timeout: 50' "$HOME/shown.yml"
}

@test "PUT config makes, changes, or does nothing" {
    make_file a
    run -0 api PUT '/connectors/a/config?create=false' --data-binary "@$HOME/a.yml"
    [ "${lines[-1]}" = 404 ]
    run -0 api PUT /connectors/a/config --data-binary "@$HOME/a.yml"
    [ "${lines[-1]} $(json 'd["result"]')" = "201 created" ]
    until_true 20 is_state a Running
    run -0 api PUT /connectors/a/config --data-binary "@$HOME/a.yml"
    [ "${lines[-1]} $(json 'd["result"], d["generation"]')" = "200 ('unchanged', 1)" ]
    sed -i 's/timeout: 50/timeout: 60/' "$HOME/a.yml"
    run -0 api PUT /connectors/a/config --data-binary "@$HOME/a.yml"
    [ "${lines[-1]} $(json 'd["result"], d["generation"]')" = "200 ('updated', 2)" ]
    until_true 20 is_state a Running
    run -0 api PUT /connectors/b/config --data-binary "@$HOME/a.yml"
    [ "${lines[-1]}" = 400 ]
}

@test "PUT pause and resume" {
    make a
    run -0 api PUT /connectors/a/pause
    [ "${lines[-1]}" = 202 ]
    until_true 20 is_state a Paused
    run -0 api GET /connectors/a/status
    [ "$(json 'd["connector"]["state"], d["desired"]')" = "('PAUSED', 'paused')" ]
    run -0 api PUT /connectors/a/resume
    [ "${lines[-1]}" = 202 ]
    until_true 20 is_state a Running
}

@test "POST restart takes another process" {
    make a
    run -0 api GET /connectors/a/status
    local pid
    pid=$(json 'd["pid"]')
    run -0 api POST /connectors/a/restart
    [ "${lines[-1]}" = 204 ]
    until_true 20 eval '[ "$(head -n 1 "$(manager)/run/a.lock")" != '"$pid"' ]'
    until_true 20 is_state a Running
    run -0 api GET /connectors/a/status
    [ "$(json 'd["restarts"]')" = 0 ]
}

@test "unknown names, routes and methods" {
    local route
    for route in "GET /connectors/no" "GET /connectors/no/status" \
        "GET /connectors/no/config" "GET /connectors/no/logs" \
        "GET /connectors/no/events" "PUT /connectors/no/pause" \
        "PUT /connectors/no/resume" "POST /connectors/no/restart" \
        "DELETE /connectors/no"; do
        run -0 api ${route% *} "${route#* }"
        [ "${lines[-1]} ${lines[0]}" = \
            '404 {"error_code":404,"message":"Connector not found"}' ]
    done
    run -0 api GET /nothing
    [ "${lines[-1]}" = 404 ]
    run -0 api GET /catalogue/nothing
    [ "${lines[-1]}" = 404 ]
    run -0 api PATCH /connectors
    [ "${lines[-1]}" = 405 ]
}

@test "GET logs has the last lines and follows" {
    make a
    until_true 20 eval 'api GET "/connectors/a/logs?lines=1" | grep -q Hello'
    run -0 api GET '/connectors/a/logs?lines=3'
    [ "${#lines[@]}" = 4 ]
    run -0 api GET '/connectors/a/logs?lines=x'
    [ "${lines[-1]}" = 400 ]
    api GET '/connectors/a/logs?lines=1&follow=true' >"$HOME/followed" &
    local follower=$!
    until_true 20 has_lines "$HOME/followed" 5
    api DELETE /connectors/a >/dev/null
    ends_with 0 "$follower"
}

@test "GET events tells what happened" {
    make a
    api PUT /connectors/a/pause
    run -0 api GET /connectors/a/events
    local kinds
    kinds=$(json '[e["kind"] for e in d]')
    [[ $kinds == *"'created', 'started', 'running', 'paused'"* ]]
    run -0 api GET '/events?limit=2'
    [ "$(json 'len(d)')" = 2 ]
    local id
    id=$(json 'd[0]["id"]')
    run -0 api GET "/events?after=$id"
    [ "$(json 'd[0]["id"]')" = $((id + 1)) ]
}

@test "the catalogue has every type and what it takes" {
    run -0 api GET /catalogue
    [[ "$(json '[t["name"] for t in d]')" == *"'http'"*"'test-connector'"* ]]
    run -0 api GET /catalogue/http
    [ "$(json 'd["direction"], d["control"]')" = "('source', 1)" ]
    [[ "$(json '[o["name"] for o in d["options"]]')" == *endpoint* ]]
    run -0 api GET /connector-plugins
    [[ ${lines[0]} == *'{"class":"http","type":"source","version":'* ]]
}

@test "POST /validate judges and stores nothing" {
    make_file a
    run -0 api POST /validate --data-binary "@$HOME/a.yml"
    [ "${lines[0]}" = '{"valid":true,"problems":[]}' ]
    run -0 api POST /validate --data-binary 'name: x'
    [ "${lines[-1]} $(json 'd["valid"], len(d["problems"]) > 0')" = "200 (False, True)" ]
    run -0 api GET /connectors
    [ "${lines[0]}" = '[]' ]
}

@test "GET /metrics is Prometheus text" {
    make a
    run -0 api GET /metrics
    [[ $output == *'fluvio_connector_state{connector="a",state="Running"} 1'* ]]
    [[ $output == *'fluvio_connector_records_total{connector="a",stage="all",result="in"} '* ]]
    [[ $output == *'# TYPE fluvio_connector_restarts_total counter'* ]]
    [[ $output == *'fluvio_manager_connectors 1'* ]]
}

has_discarded() {
    [[ $(api GET "/connectors/$1/status") =~ \"discarded\":[1-9] ]]
}

@test "GET /metrics and STATUS tell each stage and what became of failed records" {
    fluvio smartmodule create picky --wasm-file "$FLV_SMARTMODULES/json-field.wasm"
    make_file a
    cat >>"$HOME/a.yml" <<YML
transforms:
  - uses: picky
    with: {field: fact}
    on-error: discard
YML
    api POST /connectors --data-binary "@$HOME/a.yml"
    until_true 20 has_discarded a
    run -0 api GET /connectors/a/status
    [ "$(json '[s["name"] for s in d["stages"]]')" = \
        "['protocol', 'extract', 'smartmodule-1']" ]
    [ "$(json 'd["stages"][2]["module"]')" = picky ]
    run -0 api GET /metrics
    [[ $output == *'fluvio_connector_records_total{connector="a",stage="extract",result="passed"} '* ]]
    [[ $output == *'fluvio_connector_records_total{connector="a",stage="smartmodule-1",module="picky",result="failed"} '* ]]
    [[ $output =~ fluvio_connector_discarded_total\{connector=\"a\"\}\ [1-9] ]]
    [[ $output == *'fluvio_connector_dead_lettered_total{connector="a"} 0'* ]]
}

@test "a secret is in no answer, log, argument, environment or file of a connector" {
    local secret=s3cr3t-5f0c
    echo "TOKEN=$secret" >"$(manager)/secrets"
    cat >"$HOME/h.yml" <<'YML'
name: h
type: http
topic: h
create_topic: true
parameters:
  endpoint: http://127.0.0.1:9/x
  interval: 1
  header: "Authorization: ${{ secrets.TOKEN }}"
YML
    run -0 api POST /connectors --data-binary "@$HOME/h.yml"
    [ "${lines[-1]}" = 201 ]
    until_true 20 is_state h Retrying
    local pid route
    pid=$(head -n 1 "$(manager)/run/h.lock")
    for route in /connectors/h /connectors/h/config /connectors/h/status \
        /connectors/h/logs /connectors/h/events /metrics '/connectors?expand=info'; do
        run -0 api GET "$route"
        [[ $output != *"$secret"* ]]
    done
    run -1 grep -rqs "$secret" "$(manager)/run" "$(manager)/log" \
        "$HOME/.fluvio/log" "/proc/$pid/cmdline" "/proc/$pid/environ"
    sed -i s/TOKEN/NOWHERE/ "$HOME/h.yml"
    run -0 api PUT /connectors/h/config --data-binary "@$HOME/h.yml"
    [ "${lines[-1]}" = 400 ]
    [[ ${lines[0]} == *NOWHERE* ]]
}

@test "values of a file's own secrets are shown to nobody" {
    make_file a
    printf 'secrets:\n  NAME: hush-77\n' >>"$HOME/a.yml"
    run -0 api POST /connectors --data-binary "@$HOME/a.yml"
    [ "${lines[-1]}" = 201 ]
    until_true 20 is_state a Running
    local route
    for route in /connectors/a /connectors/a/config /connectors/a/status \
        /connectors/a/logs /connectors/a/events; do
        run -0 api GET "$route"
        [[ $output != *hush-77* ]]
    done
    api GET /connectors/a/config -H 'Accept: application/yaml' >"$HOME/shown"
    run -1 grep hush-77 "$HOME/shown"
    grep -q 'REDACTED' "$HOME/shown"
    run -1 grep -qs hush-77 "/proc/$(head -n 1 "$(manager)/run/a.lock")/environ"
    head -n -2 "$HOME/shown" >"$HOME/b.yml"
    run -0 api PUT /connectors/a/config --data-binary "@$HOME/b.yml"
    [ "${lines[-1]}" = 400 ]
    [[ ${lines[0]} == *"is hidden here"* ]]
}
