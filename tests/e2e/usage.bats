#!/usr/bin/env bats
# The command line itself: help, usage errors, plugins, no cluster.

load lib.bash

setup() {
    home_up
}

teardown() {
    home_down
}

@test "help lists the commands and every command has help" {
    run -0 fluvio
    [[ $output == *"Usage: fluvio [OPTIONS] <COMMAND>"* ]]
    for words in consume produce topic "topic create" "topic list" \
        "topic describe" "topic delete" "partition list" cluster \
        "cluster start" "cluster shutdown" "cluster delete" "cluster status" \
        "cluster spu list" "cluster connector list" "connector create" \
        "connector check" "secret set" profile "profile sync" version completions \
        "topic add-partition" "cluster check" "cluster diagnostics" \
        "benchmark producer" "benchmark consumer"; do
        # shellcheck disable=SC2086
        run -0 fluvio $words --help
        [[ $output == *"Usage: fluvio $words"* ]]
    done
    run -0 fluvio help topic create
    [[ $output == *"--retention-time <time>"* ]]
}

@test "usage errors exit with 2 on stderr and say what was meant" {
    run -2 --separate-stderr fluvio topic crate x
    [ -z "$output" ]
    [[ $stderr == *"a similar subcommand exists: 'create'"* ]]
    run -2 --separate-stderr fluvio topic create x --partition 3
    [[ $stderr == *"a similar option exists: '--partitions'"* ]]
    run -2 fluvio topic create x -p many
    run -2 --separate-stderr fluvio topic create x -p -1
    [[ $stderr == *"for '--partitions <partitions>', and '-1' is none"* ]]
    run -2 --separate-stderr fluvio connector restart
    [[ $stderr == *"names of connectors are missing, or '--all'"* ]]
    run -2 fluvio topic describe
    for words in "topic list" "topic describe x" "profile list" "dead-letter list" "secret list"; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr fluvio $words -O toml
        [[ $stderr == *"'toml' is none of table, json, yaml"* ]]
    done
    run -2 fluvio consume t -B -T 3
    run -2 fluvio consume t -O nonsense
    run -2 fluvio consume t -p 0 -A
    run -2 --separate-stderr fluvio produce t --key-separator ''
    [[ $stderr == *"must be non-empty"* ]]
    run -2 fluvio produce t --raw --key-separator :
    run -2 fluvio produce t --compression best
}

@test "--config stands alone" {
    run -2 --separate-stderr fluvio topic create x --config topic.yaml
    [[ $stderr == *"error: the argument '--config <PATH>' cannot be used with"* ]]
}

@test "an unknown command is a plugin, or a sentence and exit 1" {
    run -1 --separate-stderr fluvio nonsense
    [[ ${stderr_lines[0]} == "Unable to find plugin 'fluvio-nonsense'"* ]]
    for word in hub cloud remote home install update; do
        run -1 --separate-stderr fluvio $word list
        [[ $stderr == "fluvio $word: "* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
    mkdir "$HOME/plugins"
    printf '#!/bin/sh\necho "$# $1 $2"\nexit 7\n' >"$HOME/plugins/fluvio-greet"
    chmod +x "$HOME/plugins/fluvio-greet"
    PATH=$HOME/plugins:$PATH run -7 fluvio greet --loud "two words"
    [ "$output" = "2 --loud two words" ]
}

@test "SmartModule options that make no sense are refused in a sentence" {
    for cmd in consume produce; do
        for words in "--smartmodule m --smartmodule-path f" "--sm m -t f" \
            "--map a --filter-map b" "-e a=b" "--sm m -e a" \
            "--aggregate-initial 1" "--transform {} -e a=b"; do
            # shellcheck disable=SC2086
            run -2 --separate-stderr fluvio $cmd t $words
            [ -n "$stderr" ]
        done
        for words in "--smartmodule-path missing" "--sm_path missing" \
            "-t missing" "--transforms missing" "--transform {}"; do
            # shellcheck disable=SC2086
            run -1 --separate-stderr fluvio $cmd t $words
            [[ $stderr == *missing* || $stderr == *uses* ]]
        done
    done
    run -1 --separate-stderr fluvio consume t --join f
    [[ $stderr == *"joins and derived streams"* ]]
}

@test "without a cluster every command says so within 2 seconds" {
    fluvio profile add gone "$(address)"
    for words in "topic list" "topic create x" "topic describe x" \
        "topic delete x" "partition list" "produce x" "consume x" \
        "consumer list" "cluster spu list" "cluster status"; do
        # shellcheck disable=SC2086
        fails_soon $words
        [[ $stderr == *"$(address)"* ]]
        [[ $stderr == *'`fluvio cluster start`'* ]]
    done
    # It hashes itself, which takes a sanitized program its time.
    run -0 timeout 5 fluvio version
    [[ $output == *"Not available"* ]]
}

@test "who only looks for a cluster does not wait for a silent one" {
    local port words
    # Nobody takes the connection from the kernel, which has accepted it.
    coproc SILENT { python3 -c '
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(50)
print(s.getsockname()[1], flush=True)
sys.stdin.read()'; }
    read -r port <&"${SILENT[0]}"
    run -0 timeout 6 fluvio -c "127.0.0.1:$port" version
    [[ $output == *"Not available"* ]]
    for words in "topic names" "smartmodule names" "table-format names"; do
        # shellcheck disable=SC2086
        run -0 timeout 6 fluvio -c "127.0.0.1:$port" $words
        [ -z "$output" ]
    done
    local pid=$SILENT_PID # bash forgets it when it ends
    eval "exec ${SILENT[1]}>&-"
    wait "$pid"
}

# hostile MANNER: a listener that accepts, hears a request, and is silent, says
# garbage, closes within a frame, or closes. Sets port; ends with its input.
hostile() {
    coproc HOSTILE { python3 -c '
import os, socket, sys, threading
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(16)
print(s.getsockname()[1], flush=True)
says = {"garbage": bytes(i * 37 % 251 + 1 for i in range(512)),
        "cuts": bytes([0, 0, 0, 100, 0, 0, 0, 1, 0, 0])}

def meet(c):
    c.recv(512)
    while sys.argv[1] == "silent" and c.recv(512):
        pass
    c.sendall(says.get(sys.argv[1], b""))
    c.close()

def greet():
    while True:
        threading.Thread(target=meet, args=(s.accept()[0],), daemon=True).start()
threading.Thread(target=greet, daemon=True).start()
sys.stdin.read()
os._exit(0)' "$1"; }
    read -r port <&"${HOSTILE[0]}"
}

ASKING=("topic list" "produce x" "consume x -B -d" "partition list"
    "cluster status" "consumer list" "smartmodule list" "table-format list"
    "dead-letter list" "cluster spu list")

hostile_ends() {
    local pid=$HOSTILE_PID
    eval "exec ${HOSTILE[1]}>&-"
    wait "$pid"
}

@test "whatever answers in a cluster's place is named" {
    local manner words
    for manner in garbage cuts closes; do
        hostile "$manner"
        for words in "${ASKING[@]}"; do
            # shellcheck disable=SC2086
            run -1 --separate-stderr timeout 10 \
                fluvio -c "127.0.0.1:$port" $words </dev/null
            [[ $stderr == *"127.0.0.1:$port"* ]] ||
                { echo "$manner, $words: $stderr" && false; }
        done
        hostile_ends
    done
}

@test "what accepts in a cluster's place and is silent is given up after 10 seconds" {
    local i pids=()
    hostile silent
    for i in "${!ASKING[@]}"; do # side by side: each waits for the whole time
        # shellcheck disable=SC2086
        timeout 25 fluvio -c "127.0.0.1:$port" ${ASKING[i]} </dev/null \
            >/dev/null 2>"$HOME/silent$i" 3>&- &
        pids+=($!)
    done
    for i in "${!ASKING[@]}"; do
        ends_with 1 "${pids[i]}"
        grep -q "127.0.0.1:$port accepted the connection but did not answer within 10000 ms" \
            "$HOME/silent$i" || { echo "${ASKING[i]}:" && cat "$HOME/silent$i" && false; }
        # Only a terminal is told that it waits.
        run -1 grep "is given" "$HOME/silent$i"
    done
    hostile_ends
}

@test "without a profile the first sentence offers a cluster" {
    run -1 --separate-stderr fluvio topic list
    [[ $stderr == "No active profile set in config"*'`fluvio cluster start`'* ]]
    run -1 --separate-stderr fluvio -P nobody topic list
    [[ $stderr == "Profile not found in config: nobody"* ]]
}

@test "global options that contradict one another are refused" {
    run -1 --separate-stderr fluvio -c localhost:1 -P x topic list
    [[ $stderr == *"cluster addr is not valid when profile is used"* ]]
    run -1 --separate-stderr fluvio --tls topic list
    [[ $stderr == *"tls is only valid if cluster addr is used"* ]]
}

@test "a full disk behind stdout is an error" {
    run -1 bash -c 'fluvio version >/dev/full'
    [[ $output == *"cannot write to standard output: No space left"* ]]
}

@test "closed standard streams are errors, and nobody's files" {
    for close in '<&-' '2>&-' '<&- 2>&-' '<&- >&- 2>&-'; do
        run -1 bash -c "fluvio -c 127.0.0.1:1 topic list $close"
    done
    run -1 bash -c 'fluvio version >&-'
    [[ $output == "cannot write to standard output: Bad file descriptor" ]]
    fluvio-server --data-dir "$HOME/streams" --sc-port "$FLV_SC_PORT" \
        --spu-port "$FLV_SPU_PORT" <&- >&- 2>&- 3>&- &
    local pid=$!
    until_true 20 fluvio -c "$(address)" topic list
    fluvio -c "$(address)" topic create streams
    fluvio -c "$(address)" produce streams <<<one
    kill "$pid"
    wait "$pid"
    fluvio-server --check "$HOME/streams"
}

@test "names of topics, SmartModules and profiles complete" {
    complete() {
        bash -c '. "$HOME/names.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fluvio; echo "${COMPREPLY[@]}"' - "$@"
    }
    fluvio completions bash >"$HOME/names.bash"
    # Without a cluster: nothing, and no complaint.
    run -0 complete fluvio consume complete-
    [ -z "$output" ]
    fluvio cluster start
    fluvio topic create complete-one
    fluvio topic create complete-two
    run -0 complete fluvio consume complete-
    [ "$output" = "complete-one complete-two" ]
    run -0 complete fluvio topic delete complete-t
    [ "$output" = complete-two ]
    run -0 complete fluvio profile switch lo
    [ "$output" = local ]
    fluvio smartmodule create complete-module \
        --wasm-file "$FLV_SMARTMODULES/contains.wasm"
    run -0 complete fluvio sm describe complete-
    [ -z "$output" ] # aliases are not followed
    run -0 complete fluvio smartmodule describe complete-
    [ "$output" = complete-module ]
    run -0 complete fluvio consume t --sm complete-
    [ "$output" = complete-module ]
    run -0 complete fluvio -P lo
    [ "$output" = local ]
    echo 'name: complete-format' >"$HOME/tf.yml"
    fluvio table-format create -c "$HOME/tf.yml"
    run -0 complete fluvio consume t --table-format comp
    [ "$output" = complete-format ]
    run -0 complete fluvio table-format delete complete-
    [ "$output" = complete-format ]
    fluvio cluster delete --force
}

@test "completions are scripts that their shells accept" {
    fluvio completions bash >"$HOME/c.bash"
    bash -n "$HOME/c.bash"
    run -0 bash -c "source '$HOME/c.bash'
        COMP_WORDS=(fluvio topic cr) COMP_CWORD=2; _fluvio
        echo \"\${COMPREPLY[*]}\""
    [ "$output" = create ]
    run -0 bash -c "source '$HOME/c.bash'
        COMP_WORDS=(fluvio consume cats --disable-c) COMP_CWORD=3; _fluvio
        echo \"\${COMPREPLY[*]}\""
    [ "$output" = --disable-continuous ]
    run -0 fluvio completions zsh
    [[ $output == "#compdef fluvio"* ]]
    run -0 fluvio completions fish
    [[ $output == *"complete -c fluvio"* ]]
}

@test "a bad isolation level is a usage error of both sides" {
    for side in produce consume; do
        run -2 --separate-stderr fluvio $side cats --isolation nothing
        [[ $stderr == "error: "*"read_committed"* ]]
    done
}

@test "version has the rows that scripts read" {
    run -0 fluvio version
    for row in "Fluvio CLI" "Fluvio CLI Arch" "Fluvio Platform" "Git Commit" \
        "OS Details"; do
        [[ $output =~ (^|$'\n')" $row"\ +":  " ]]
    done
    hash=$(sha256sum "$FLV_BIN/fluvio")
    [[ $output =~ "Fluvio CLI SHA256 :  ${hash%% *}" ]]
    FLUVIO_RELEASE_CHANNEL=stable run -0 fluvio version
    [[ $output =~ "Release Channel"\ +":  stable" ]]
    run -0 bash -c 'fluvio version -j | python3 -c "
import json, sys
d = json.load(sys.stdin)
assert d[\"name\"] == \"Fluvio CLI\" and d[\"version\"], d
assert len(d[\"Fluvio CLI SHA256\"]) == 64, d
print(d[\"Fluvio Platform\"])"'
    [ -n "$output" ]
}
