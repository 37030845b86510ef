#!/usr/bin/env bats
# SmartModules that were written in Rust, with the public crate, wherever
# SmartModules run: FLV_RUST_SMARTMODULES is the folder that
# scripts/rust-smartmodules prints.

load ../e2e/lib

setup_file() {
    FLV_RUST_SMARTMODULES=${FLV_RUST_SMARTMODULES:-$(
        "$ROOT/scripts/rust-smartmodules"
    )}
    export FLV_RUST_SMARTMODULES
    cluster_up
    fluvio topic create words
    fluvio topic create numbers
    printf 'apple\nmelon\npear\n' | fluvio produce words
    printf '4\n3\n10\n12\n' | fluvio produce numbers
}

teardown_file() {
    home_down
}

module() {
    echo "$FLV_RUST_SMARTMODULES/rust_$1.wasm"
}

# consumed TOPIC OPTION...: its records, to the end.
consumed() {
    run -0 fluvio consume "$@" -B -d
}

@test "consume takes every kind along, from a file" {
    consumed words --smartmodule-path "$(module filter)"
    [ "$output" = $'apple\npear' ]
    consumed words --smartmodule-path "$(module filter_wasi)"
    [ "$output" = $'apple\npear' ]
    consumed words --smartmodule-path "$(module filter_init)" -e word=el
    [ "$output" = melon ]
    consumed words --smartmodule-path "$(module map)"
    [ "$output" = $'APPLE\nMELON\nPEAR' ]
    consumed words --smartmodule-path "$(module array_map)"
    [ "$output" = $'apple\nmelon\npear' ]
    consumed numbers --smartmodule-path "$(module filter_map)"
    [ "$output" = $'2\n5\n6' ]
    consumed numbers --smartmodule-path "$(module aggregate)" \
        --aggregate-initial 100
    [ "$output" = $'104\n107\n117\n129' ]
    consumed words --smartmodule-path "$(module aggregate_init)" -e glue=+
    [ "${lines[2]}" = apple+melon+pear ]
}

@test "a map sees the offset and the time of each record" {
    local before
    before=$(date +%s%3N)
    consumed words --smartmodule-path "$(module map_record)" -k
    [ "${#lines[@]}" -eq 3 ]
    for i in 0 1 2; do
        [[ ${lines[i]} =~ ^\[$i\]\ $i\ ([0-9]+)\  ]]
        [ "${BASH_REMATCH[1]}" -le "$before" ]
        [ "${BASH_REMATCH[1]}" -gt $((before - 600000)) ]
    done
}

@test "consume finds them by name, alone and in a chain" {
    fluvio smartmodule create has --wasm-file "$(module filter_init)"
    fluvio smartmodule create capitals --wasm-file "$(module map)"
    consumed words --smartmodule has -e word=p
    [ "$output" = $'apple\npear' ]
    consumed words \
        --transforms-line '{"uses": "has", "with": {"word": "ea"}}' \
        --transforms-line '{"uses": "capitals"}'
    [ "$output" = PEAR ]
    run -1 --separate-stderr fluvio consume words -B -d --smartmodule has
    [[ $stderr == *"the parameter word is missing"* ]]
}

@test "a record that fails ends the stream, with what the module said" {
    run -1 --separate-stderr fluvio consume words -B -d --smartmodule-path \
        "$(module filter_map)"
    [ -z "$output" ]
    [[ $stderr == *"invalid digit found in string"* ]]
}

@test "look_back sees what the topic holds, as far back as it is asked to" {
    fluvio topic create rising
    printf '7\n42\n8\n' | fluvio produce rising
    fluvio smartmodule create rises --wasm-file "$(module look_back)"
    consumed rising --smartmodule rises
    [ "$output" = $'7\n42' ]
    consumed rising \
        --transforms-line '{"uses": "rises", "lookback": {"last": 1}}'
    [ "$output" = 42 ]
    consumed rising \
        --transforms-line '{"uses": "rises", "lookback": {"last": 3}}'
    [ -z "$output" ]
    run -0 fluvio smartmodule test --smartmodule rises --record 42 \
        --lookback-last 1 --text 41 --text 43
    [ "$output" = 43 ]
}

@test "produce runs them before it sends" {
    fluvio topic create made
    printf 'one two\nthree\n' |
        fluvio produce made --smartmodule-path "$(module array_map)"
    printf '6\n7\n' |
        fluvio produce made --smartmodule-path "$(module filter_map)"
    consumed made
    [ "$output" = $'one\ntwo\nthree\n3' ]
}

@test "a connector runs them by path and by name, and keeps its policy" {
    cat >"$HOME/connect.yml" <<YAML
version: v1
name: rusty
type: test-connector
topic: rusty
create_topic: true
direction: source
parameters:
  count: 4
  timeout: 0
transforms:
  - uses: $(module map)
  - uses: letters
    with:
      word: "- 2"
YAML
    fluvio smartmodule create letters --wasm-file "$(module filter_init)"
    fluvio-connect-test-connector --config "$HOME/connect.yml"
    consumed rusty
    [ "$output" = "HELLO, FLUVIO! - 2" ]
    run -0 --separate-stderr fluvio-connect-test-connector --count 3 \
        --timeout 0 --fluvio-topic rusty --filter-map "$(module filter_map)" \
        --on-error discard
    [[ $stderr == *"in=3 passed=0 filtered=0 failed=3"* ]]
    run -1 --separate-stderr fluvio-connect-test-connector --count 3 \
        --timeout 0 --fluvio-topic rusty --filter-map "$(module filter_map)"
    [[ $stderr == *"invalid digit found in string"* ]]
    consumed rusty
    [ "$output" = "HELLO, FLUVIO! - 2" ]
}
