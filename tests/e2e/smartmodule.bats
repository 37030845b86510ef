#!/usr/bin/env bats
# SmartModules on the cluster: the texts and columns that scripts match.

load lib.bash

setup_file() {
    cluster_up
    cp "$FLV_SMARTMODULES/contains.wasm" "$HOME/filter.wasm"
    cp "$FLV_SMARTMODULES/json-field.wasm" "$HOME/map.wasm"
}

teardown_file() {
    home_down
}

py() {
    python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"
}

@test "create, list, describe, download and delete" {
    cd "$HOME"
    run -0 fluvio smartmodule list
    [ "$output" = "no smartmodules" ]
    run -0 fluvio smartmodule create refuser --wasm-file filter.wasm
    [ "$output" = 'smartmodule "refuser" has been created.' ]
    run -0 fluvio sm list
    [[ ${lines[0]} =~ ^\ \ SMARTMODULE\ \ SIZE\ +$ ]]
    [[ ${lines[1]} =~ ^\ \ refuser\ {6}[0-9.]+\ (B|KB|KiB)\ + ]]
    [ "${#lines[@]}" -eq 2 ]
    run -0 fluvio smartmodule list -O json
    [ "$(py 'd[0]["name"]' <<<"$output")" = refuser ]
    [ "$(py 'd[0]["spec"]["summary"]["wasmLength"]' <<<"$output")" -gt 50 ]
    run -0 fluvio smartmodule list --filter other
    [ "$output" = "no smartmodules" ]
    run -0 fluvio smart-module describe refuser
    [[ $output == *"Name:refuser "* ]]
    [[ $output == *"Kind:filter "* ]]
    [[ $output == *"SHA-256:$(sha256sum filter.wasm | cut -c1-64) "* ]]
    run -0 fluvio smartmodule describe refuser -O json
    [ "$(py 'd["module"]["size"]' <<<"$output")" = "$(wc -c <filter.wasm)" ]
    run -0 fluvio smartmodule download refuser
    [ "$output" = 'smartmodule "refuser" downloaded to refuser.wasm' ]
    cmp refuser.wasm filter.wasm
    run -1 fluvio smartmodule download refuser
    [[ $output == *"refuser.wasm is there already"* ]]
    run -0 fluvio smartmodule download refuser -o refuser.wasm
    fluvio smartmodule download refuser -o - | cmp - filter.wasm
    run -0 fluvio smartmodule delete refuser
    [ "$output" = 'smartmodule "refuser" deleted' ]
    run -0 fluvio smartmodule list
    [ "$output" = "no smartmodules" ]
    [ ! -e refuser.wasm.* ]
}

@test "create refuses what is no SmartModule, with the reason" {
    cd "$HOME"
    : >empty.wasm
    echo "no module" >text.wasm
    printf '\0asm\1\0\0\0' >bare.wasm
    head -c 60 filter.wasm >cut.wasm
    for file in empty text bare cut; do
        run -1 --separate-stderr fluvio smartmodule create x \
            --wasm-file $file.wasm
        [[ $stderr == "$file.wasm: "* ]]
        [ "${#stderr}" -gt 30 ]
        [ -z "$output" ]
    done
    run -1 --separate-stderr fluvio smartmodule create x --wasm-file missing
    [[ $stderr == "cannot open missing"* ]]
    run -2 fluvio smartmodule create x
    run -0 fluvio smartmodule list
    [ "$output" = "no smartmodules" ]
}

@test "creating again replaces, also with a file that is gzip already" {
    cd "$HOME"
    fluvio smartmodule create again --wasm-file filter.wasm
    gzip -k9f map.wasm
    fluvio smartmodule create again --wasm-file map.wasm.gz
    run -0 fluvio smartmodule describe again
    [[ $output == *"Kind:map "* ]]
    run -0 fluvio smartmodule describe again -O json
    [ "$(py 'd["spec"]["summary"]["wasmLength"]' <<<"$output")" = \
        "$(wc -c <map.wasm.gz)" ]
    fluvio smartmodule delete again
}

@test "what is missing is said in one sentence" {
    for verb in delete describe download; do
        run -1 --separate-stderr fluvio smartmodule $verb nothing
        [ "$stderr" = "SmartModule not found: nothing" ]
        [ -z "$output" ]
    done
}

@test "watch prints what is there and each change" {
    cd "$HOME"
    fluvio smartmodule create one --wasm-file filter.wasm
    fluvio smartmodule watch >watch.log &
    local pid=$!
    until_true 10 has_lines watch.log 1
    fluvio smartmodule create two --wasm-file filter.wasm
    until_true 10 has_lines watch.log 2
    fluvio smartmodule delete one two
    until_true 10 has_lines watch.log 4
    kill -INT $pid
    ends_with 0 $pid
    [[ $(sed -n 1p watch.log) == 'smartmodule "one" exists, '* ]]
    [[ $(sed -n 2p watch.log) == 'smartmodule "two" stored, '* ]]
    [ "$(sed -n 3p watch.log)" = 'smartmodule "one" deleted' ]
    [ "$(sed -n 4p watch.log)" = 'smartmodule "two" deleted' ]
}

@test "watch says that the cluster is lost, and that it is back" {
    cd "$HOME"
    fluvio smartmodule create one --wasm-file filter.wasm
    fluvio smartmodule watch >watch.log 2>watch.err &
    local pid=$!
    until_true 10 has_lines watch.log 1
    server_kill
    until_true 10 has_lines watch.err 1
    # The loss is told, not each attempt to mend it.
    fluvio cluster resume >/dev/null || fluvio cluster start >/dev/null
    until_true 20 has_lines watch.err 2
    until_true 10 has_lines watch.log 2
    kill -INT $pid
    ends_with 0 $pid
    [ "$(wc -l <watch.err)" -eq 2 ]
    [[ $(sed -n 1p watch.err) == "the cluster is lost; it is tried again: $(address): "* ]]
    [ "$(sed -n 2p watch.err)" = "the cluster at $(address) is there again" ]
    fluvio smartmodule delete one
}

@test "SmartModules survive a kill of the server" {
    cd "$HOME"
    fluvio smartmodule create kept --wasm-file filter.wasm
    server_kill
    fluvio cluster resume >/dev/null || fluvio cluster start >/dev/null
    fluvio smartmodule download kept -o - | cmp - filter.wasm
    fluvio smartmodule delete kept
}

# ---- in produce ----

# produced TOPIC: what it holds, one record a line.
produced() {
    fluvio consume "$1" -B -d
}

@test "produce sends what its SmartModules leave, in order" {
    cd "$HOME"
    fluvio topic create shaped
    fluvio smartmodule create words --wasm-file filter.wasm
    printf 'one\ncat two\nthree\ncat four\n' |
        fluvio produce shaped --smartmodule words -e text=cat
    printf '{"a": 1}\n{"a": "x"}\n' |
        fluvio produce shaped --smartmodule-path map.wasm -e field=a
    printf '[1,2]\n[]\n["three"]\n' |
        fluvio produce shaped --array-map "$FLV_SMARTMODULES/json-array-split.wasm"
    printf '5\n6\n' | fluvio produce shaped --aggregate \
        "$FLV_SMARTMODULES/sum.wasm" --aggregate-initial 10
    printf 'a cat\na dog\n' | fluvio produce shaped -v --filter filter.wasm \
        -e text=cat >verbose.log
    [ "$(cat verbose.log)" = '[null] a cat' ]
    run -0 produced shaped
    [ "$output" = $'cat two\ncat four\n1\nx\n1\n2\n"three"\n15\n21\na cat' ]
    fluvio smartmodule delete words
    fluvio topic delete shaped
}

@test "produce takes chains from a file and from lines" {
    cd "$HOME"
    fluvio topic create chained
    fluvio smartmodule create words --wasm-file filter.wasm
    fluvio smartmodule create fields --wasm-file map.wasm
    cat >transforms.yaml <<'YAML'
transforms:
  - uses: words
    with:
      text: cat
  - uses: fields
    with:
      field: a
YAML
    printf '{"a": "cat"}\n{"a": "dog"}\n' | fluvio produce chained -t transforms.yaml
    printf '{"a": "cat 2"}\n{"b": "cat"}\n{"a": "cat 3"}\n' >lines.txt
    run -1 --separate-stderr fluvio produce chained -f lines.txt \
        --transforms-line '{"uses": "words", "with": {"text": "cat"}}' \
        --transforms-line '{"uses": "fields", "with": {"field": "a"}}'
    [[ $stderr == "line 2: "* ]]
    run -0 produced chained
    [ "$output" = $'cat\ncat 2' ]
    run -1 --separate-stderr fluvio produce chained --smartmodule nothing </dev/null
    [[ $stderr == *"SmartModule nothing was not found"* ]]
    run -1 --separate-stderr fluvio produce chained --smartmodule fields </dev/null
    [[ $stderr == *field* ]]
    echo 'uses: words' >bare.yaml
    run -1 --separate-stderr fluvio produce chained -t bare.yaml </dev/null
    [[ $stderr == "bare.yaml has no transforms"* ]]
    printf 'transforms:\n  - uses: words\n    on-error: discard\n' >policy.yaml
    run -1 --separate-stderr fluvio produce chained -t policy.yaml </dev/null
    [[ $stderr == "policy.yaml: on-error is for connectors"* ]]
    printf 'transforms:\n  - uses: words\n    budget: { fuel: 1000 }\n' >budget.yaml
    run -1 --separate-stderr fluvio consume chained -B -d -t budget.yaml
    [[ $stderr == "words: a budget cannot be told a server"* ]]
    fluvio smartmodule delete words fields
    fluvio topic delete chained
}

# ---- test ----

@test "test shows what a SmartModule makes of texts, lines and files" {
    cd "$HOME"
    run -0 fluvio smartmodule test --wasm-file filter.wasm -e text=cat \
        --text "a cat" --text "a dog"
    [ "$output" = "a cat" ]
    run -0 --separate-stderr fluvio smartmodule test --wasm-file filter.wasm \
        -e text=cat --text "a cat" --key k -k -v
    [ "$output" = $'1 records outputted\n[k] a cat' ]
    [[ ${stderr_lines[0]} == "1 records in, 1 outputted, 0 filtered, 0 failed" ]]
    [[ ${stderr_lines[1]} =~ ^filter.wasm\ \(filter\):\ 1\ records.*fuel\ a\ record,\ memory ]]
    printf 'x\ncat\n' >lines.txt
    run -0 fluvio smartmodule test --wasm-file filter.wasm -e text=cat --file lines.txt
    [ "$output" = cat ]
    run -0 fluvio smartmodule test --wasm-file filter.wasm -e text=cat --stdin <lines.txt
    [ "$output" = cat ]
    run -0 fluvio smartmodule test --wasm-file filter.wasm -e text=cat --file lines.txt --raw
    [ "$output" = $'x\ncat' ]
    run -0 fluvio smartmodule test --wasm-file "$FLV_SMARTMODULES/sum.wasm" \
        --aggregate-initial 100 --text 1 --text 2
    [ "$output" = $'101\n103' ]
    run -1 --separate-stderr fluvio smartmodule test --wasm-file map.wasm -e field=a \
        --text '{"a": 1}' --text 'no json' --text '{"a": 2}'
    [ "$output" = $'1\n2' ]
    [[ $stderr == "record 2: "* ]]
    run -2 fluvio smartmodule test --wasm-file filter.wasm
    run -2 fluvio smartmodule test --text x
}

@test "test runs over a topic's records from an offset" {
    cd "$HOME"
    fluvio topic create tested
    printf 'cat 0\ndog 1\ncat 2\ncat 3\n' | fluvio produce tested
    fluvio smartmodule create words --wasm-file filter.wasm
    run -0 fluvio smartmodule test --smartmodule words -e text=cat \
        --topic tested --offset 1
    [ "$output" = $'cat 2\ncat 3' ]
    run -0 fluvio smartmodule test --smartmodule words -e text=cat --topic tested -v
    [ "${lines[0]}" = "3 records outputted" ]
    fluvio smartmodule delete words
    fluvio topic delete tested
}

# ---- in consume ----

@test "consume shows what the server's SmartModules leave" {
    cd "$HOME"
    fluvio topic create seen
    printf '{"a": "cat 0"}\n{"a": "dog 1"}\n{"a": "cat 2"}\n' | fluvio produce seen
    fluvio smartmodule create words --wasm-file filter.wasm
    fluvio smartmodule create fields --wasm-file map.wasm
    run -0 fluvio consume seen -B -d --smartmodule words -e text=cat
    [ "$output" = $'{"a": "cat 0"}\n{"a": "cat 2"}' ]
    run -0 fluvio consume seen -B -d --smartmodule-path map.wasm -e field=a
    [ "$output" = $'cat 0\ndog 1\ncat 2' ]
    fluvio topic create summed
    printf '1\n2\n' | fluvio produce summed
    run -0 fluvio consume summed -B -d --aggregate-initial 10 \
        --smartmodule-path "$FLV_SMARTMODULES/sum.wasm"
    [ "$output" = $'11\n13' ]
    run -0 fluvio consume summed -B -d --aggregate-initial 10 \
        --aggregate "$FLV_SMARTMODULES/sum.wasm"
    [ "$output" = $'11\n13' ]
    run -0 fluvio consume seen -B -d --filter filter.wasm -e text=dog
    [ "$output" = '{"a": "dog 1"}' ]
    run -0 fluvio consume seen -B -d --map fields -e field=a
    [ "$output" = $'cat 0\ndog 1\ncat 2' ]
    cat >chain.yaml <<'YAML'
transforms:
  - uses: words
    with:
      text: cat
  - uses: fields
    with:
      field: a
YAML
    run -0 fluvio consume seen -B -d --transforms-file chain.yaml
    [ "$output" = $'cat 0\ncat 2' ]
    run -0 fluvio consume seen -B -d \
        --transforms-line '{"uses": "words", "with": {"text": "2"}}'
    [ "$output" = '{"a": "cat 2"}' ]
}

@test "consume says which record a SmartModule failed on, and why" {
    cd "$HOME"
    fluvio topic create bad
    printf '{"a": 0}\nno json\n{"a": 2}\n' | fluvio produce bad
    run -1 --separate-stderr fluvio consume bad -B -d --smartmodule-path map.wasm \
        -e field=a
    [ "$output" = 0 ]
    [[ $stderr == *"offset 1"* ]]
    [[ $stderr == *"no json"* ]]
    run -1 --separate-stderr fluvio consume bad -B -d --smartmodule nothing
    [[ $stderr == *"SmartModule nothing was not found"* ]]
}

@test "test shows past records to a module that looks back" {
    cd "$HOME"
    local above=$FLV_SMARTMODULES/above.wasm
    run -0 fluvio smartmodule test --wasm-file "$above" --text 5 --text 7 \
        -r 6 -r 3 --lookback-last 1
    [ "$output" = $'5\n7' ]
    run -0 fluvio smartmodule test --wasm-file "$above" --text 5 --text 7 \
        -r 6 -r 3 --lookback-last 2
    [ "$output" = 7 ]
    fluvio topic create past
    run -1 --separate-stderr fluvio produce past --transforms-line \
        '{"uses": "above", "lookback": {"last": 1}}' </dev/null
    [[ $stderr == *"above was not found"* ]]
    fluvio smartmodule create above --wasm-file "$above"
    run -1 --separate-stderr fluvio produce past --transforms-line \
        '{"uses": "above", "lookback": {"last": 1}}' </dev/null
    [[ $stderr == *"remove lookback"* ]]
    printf '6\n3\n5\n7\n' | fluvio produce past
    run -0 fluvio consume past -B -d --smartmodule above
    [ "$output" = $'6\n7' ]
    # What it sees first are the last records of the topic, as in Fluvio.
    run -0 fluvio consume past -B -d --transforms-line \
        '{"uses": "above", "lookback": {"last": 2}}'
    [ -z "$output" ]
}
