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

@test "SmartModules survive a kill of the server" {
    cd "$HOME"
    fluvio smartmodule create kept --wasm-file filter.wasm
    kill -9 "$(server_pid)"
    fluvio cluster resume >/dev/null || fluvio cluster start >/dev/null
    fluvio smartmodule download kept -o - | cmp - filter.wasm
    fluvio smartmodule delete kept
}
