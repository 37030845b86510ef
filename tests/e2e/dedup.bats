#!/usr/bin/env bats
# Topics that drop records which they have had lately.

load lib.bash

setup_file() {
    cluster_up
    fluvio smartmodule create dedup --wasm-file "$FLV_SMARTMODULES/dedup.wasm"
}

teardown_file() {
    home_down
}

# topic NAME COUNT [MORE...]: a file for it, more lines behind `uses`.
topic() {
    local name=$1 count=$2
    shift 2
    cat <<YAML
version: 0.1.0
meta:
  name: $name
partition:
  count: 1
deduplication:
  bounds:
    count: $count
    age: 1h
  filter:
    transform:
      uses: dedup
$(printf '      %s\n' "$@")
YAML
}

send() {
    printf '%s\n' "${@:2}" | fluvio produce "$1"
}

values() {
    fluvio consume "$1" -B -d
}

@test "a topic from a file drops what it has had, across restarts" {
    topic events 100 >"$HOME/topic.yaml"
    run -0 fluvio topic create --config "$HOME/topic.yaml"
    [ "$output" = 'topic "events" created' ]
    send events a b a c
    send events b d a
    [ "$(values events | tr '\n' ' ')" = "a b c d " ]
    server_kill
    fluvio cluster start >"$HOME/again.log" 2>&1
    send events d e a
    fluvio cluster shutdown
    fluvio cluster start >"$HOME/again.log" 2>&1
    send events e f b
    [ "$(values events | tr '\n' ' ')" = "a b c d e f " ]
    fluvio topic delete events
}

@test "describe and lists show filter and bounds" {
    topic shown 100 'with: {by: value}' >"$HOME/topic.yaml"
    fluvio topic create --config "$HOME/topic.yaml"
    run -0 fluvio topic describe shown
    [[ $output == *"Deduplication Filter:dedup "* ]]
    [[ $output == *"Deduplication Count Bound:100 "* ]]
    [[ $output == *"Deduplication Age Bound:1h "* ]]
    run -0 fluvio topic list
    [[ ${lines[1]} =~ shown\ +computed\ +1\ +1\ +7days\ +any\ +dedup\  ]]
    run -0 bash -c 'fluvio topic list -O json; echo ,
        fluvio partition list -O json'
    python3 - "[$output]" <<'PY'
import json, sys
(topic,), (part,) = json.loads(sys.argv[1])
want = {"bounds": {"count": 100, "age": "1h"},
        "filter": {"transform": {"uses": "dedup", "with": {"by": "value"}}}}
assert topic["spec"]["deduplication"] == want, topic
assert part["spec"]["deduplication"] == want, part
PY
    run -0 fluvio topic describe shown -O yaml
    [[ $output == *"deduplication:"*"count: 100"*"uses: dedup"* ]]
    fluvio topic delete shown
}

@test "a file with all that Fluvio's have makes a topic" {
    cat >"$HOME/topic.yaml" <<'YAML'
version: 0.1.0
meta:
  name: whole
partition:
  count: 1
  max_size: 20 KB
  replication: 1
  ignore_rack_assignment: true
retention:
  time: 5m
  segment_size: 4.0 KB
compression:
  type: Zstd
deduplication:
  bounds:
    count: 50
    age: 2m
  filter:
    transform:
      uses: dedup
YAML
    run -0 fluvio topic create --config "$HOME/topic.yaml" --dry-run
    run -0 fluvio topic create --config "$HOME/topic.yaml"
    [ "$output" = 'topic "whole" created' ]
    run -0 fluvio topic describe whole
    [[ $output == *"Deduplication Filter:dedup"* ]]
    [[ $output == *"Deduplication Count Bound:50"* ]]
    [[ $output == *"Deduplication Age Bound:2m"* ]]
    send whole a a
    [ "$(values whole)" = a ]
    fluvio topic delete whole
}

@test "the key makes a repetition, and the value where there is none" {
    topic keyed 100 >"$HOME/topic.yaml"
    fluvio topic create --config "$HOME/topic.yaml"
    printf '%s\n' k1:a k2:a k1:b k3:c | fluvio produce keyed --key-separator :
    send keyed a a
    [ "$(values keyed | tr '\n' ' ')" = "a a c a " ]
    fluvio topic delete keyed
    topic valued 100 'with: {by: value}' >"$HOME/topic.yaml"
    fluvio topic create --config "$HOME/topic.yaml"
    printf '%s\n' k1:a k2:a k1:b k3:c | fluvio produce valued --key-separator :
    [ "$(values valued | tr '\n' ' ')" = "a b c " ]
    fluvio topic delete valued
}

@test "options make such a topic, and count and age bound it" {
    fluvio topic create few --dedup --dedup-filter dedup --dedup-count 2 --dedup-age 1h
    send few a b a b c a
    [ "$(values few | tr '\n' ' ')" = "a b c a " ]
    run -0 fluvio topic describe few
    [[ $output == *"Deduplication Count Bound:2 "*"Deduplication Age Bound:1h"* ]]
    fluvio topic delete few
    fluvio topic create brief --dedup --dedup-filter dedup --dedup-age 1ms
    send brief a
    read -rt 0.05 <> <(:) || true # what has to pass is time
    send brief a
    [ "$(values brief | tr '\n' ' ')" = "a a " ]
    fluvio topic delete brief
    run -2 --separate-stderr fluvio topic create x --dedup-count 3
    [[ $stderr == *"--dedup-count needs --dedup"* ]]
}

@test "mistakes in a file name the file, the line and the fix" {
    topic bad 0 >"$HOME/bad.yaml"
    run -1 --separate-stderr fluvio topic create -c "$HOME/bad.yaml"
    [[ $stderr == *"bad.yaml:8:12: count must be non-zero"* ]]
    topic bad 5 'wth: {a: b}' >"$HOME/bad.yaml"
    run -1 --separate-stderr fluvio topic create -c "$HOME/bad.yaml"
    [[ $stderr == *"bad.yaml:13:7: \`wth\` does not belong into"*'`with`'* ]]
    topic bad 5 | sed 's/uses: dedup/uses: other/' >"$HOME/bad.yaml"
    run -1 --separate-stderr fluvio topic create -c "$HOME/bad.yaml"
    [[ $stderr == "Deduplication SmartModule not loaded: "*other*"fluvio smartmodule create"* ]]
    run -1 --separate-stderr fluvio topic create -c "$HOME/bad.yaml" --dry-run
    run -1 --separate-stderr fluvio topic create bad --dedup
    [[ $stderr == *"fluvio/dedup-bloom-filter@0.1.0"* ]]
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "without its module a topic takes nothing and says so" {
    fluvio smartmodule create mine --wasm-file "$FLV_SMARTMODULES/dedup.wasm"
    fluvio topic create lonely --dedup --dedup-filter mine --dedup-age 1h
    send lonely a
    fluvio smartmodule delete mine
    run -1 --separate-stderr send lonely a b
    [[ $stderr == *"SmartModule mine was not found"* ]]
    fluvio smartmodule create mine --wasm-file "$FLV_SMARTMODULES/dedup.wasm"
    send lonely a b
    [ "$(values lonely | tr '\n' ' ')" = "a b " ]
    fluvio topic delete lonely
}
