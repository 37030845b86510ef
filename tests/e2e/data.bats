#!/usr/bin/env bats
# Records: produce and consume as people and scripts do.

load lib.bash

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

# A topic of this test's own.
setup() {
    TOPIC=t$BATS_TEST_NUMBER
}

topic() {
    fluvio topic create "$TOPIC" "$@" >/dev/null
}

@test "100,000 records come out as they went in" {
    topic
    seq 100000 >"$HOME/in"
    fluvio produce "$TOPIC" <"$HOME/in" >"$HOME/said" 2>&1
    [ ! -s "$HOME/said" ]
    fluvio consume "$TOPIC" -B -d >"$HOME/out"
    cmp "$HOME/in" "$HOME/out"
}

@test "a pipeline of two topics keeps order, compressed with each codec" {
    topic
    seq 20000 >"$HOME/in"
    for codec in none gzip snappy lz4 zstd; do
        fluvio topic create "$TOPIC-$codec" >/dev/null
        fluvio produce "$TOPIC-$codec" --compression "$codec" -f "$HOME/in"
        fluvio consume "$TOPIC-$codec" -B -d >"$HOME/out"
        cmp "$HOME/in" "$HOME/out"
    done
    fluvio consume "$TOPIC-gzip" -B -d | fluvio produce "$TOPIC"
    fluvio consume "$TOPIC" -B -d >"$HOME/out"
    cmp "$HOME/in" "$HOME/out"
}

@test "lines: the last without an end counts, empty ones and CRLF stay" {
    topic
    printf 'a\r\n\nb' | fluvio produce "$TOPIC"
    fluvio consume "$TOPIC" -B -d >"$HOME/out"
    printf 'a\r\n\nb\n' | cmp - "$HOME/out"
}

@test "no input is no record" {
    topic
    run -0 fluvio produce "$TOPIC" </dev/null
    run -0 fluvio consume "$TOPIC" -B -d
    [ -z "$output" ]
}

@test "-B -d on an empty topic ends at once" {
    topic -p 3
    run -0 timeout 10 fluvio consume "$TOPIC" -B -d
    [ -z "$output" ]
}

@test "ranges: --start, --end, --head, --tail and the spellings of 0.9" {
    topic
    seq 0 9 | fluvio produce "$TOPIC"
    run -0 --separate-stderr fluvio consume "$TOPIC" --start 3 --end 5
    [ "$output" = $'3\n4\n5' ]
    [ "${stderr_lines[0]}" = "End-offset has been reached; exiting" ]
    [ "${stderr_lines[1]}" = "Consumer stream has closed" ]
    run -0 fluvio consume "$TOPIC" -o 8 -d
    [ "$output" = $'8\n9' ]
    run -0 --separate-stderr fluvio consume "$TOPIC" -B --end-offset 1
    [ "$output" = $'0\n1' ]
    run -0 fluvio consume "$TOPIC" -H 7 -d
    [ "$output" = $'7\n8\n9' ]
    run -0 fluvio consume "$TOPIC" -B 7 -d
    [ "$output" = $'7\n8\n9' ]
    run -0 fluvio consume "$TOPIC" --tail 2 -d
    [ "$output" = $'8\n9' ]
    run -0 fluvio consume "$TOPIC" -T -d
    [ "${#lines[@]}" -eq 10 ]
    run -0 fluvio consume -B "$TOPIC" -d
    [ "${#lines[@]}" -eq 10 ]
    run -0 fluvio consume "$TOPIC" --tail 100 -d
    [ "${#lines[@]}" -eq 10 ]
    run -1 --separate-stderr fluvio consume "$TOPIC" --start 5 --end 3
    [ "$stderr" = "Argument end-offset must be greater than or equal to specified start offset" ]
}

@test "without a start only new records are shown" {
    topic
    echo old | fluvio produce "$TOPIC"
    fluvio consume "$TOPIC" >"$HOME/new" &
    local consumer=$!
    # Nothing tells from outside that the stream is open: offer records until
    # one arrives.
    until_true 20 eval 'echo new | fluvio produce "$TOPIC"; has_lines "$HOME/new" 1'
    kill "$consumer"
    ends_with 0 "$consumer"
    [ "$(sort -u "$HOME/new")" = new ]
}

@test "keys choose the partitions that Fluvio chooses" {
    topic -p 3
    printf '1:one\n2:two\n3:three\n' | fluvio produce "$TOPIC" --key-separator :
    run -0 fluvio consume "$TOPIC" -B -d -p 0 -k
    [ "$output" = "[3] three" ]
    run -0 fluvio consume "$TOPIC" -B -d -p 1 -k
    [ "$output" = "[1] one" ]
    run -0 fluvio consume "$TOPIC" -B -d -p 2 -k
    [ "$output" = "[2] two" ]
    run -0 fluvio consume "$TOPIC" -B -d -p 0 -p 1 -p 0
    [ "${#lines[@]}" -eq 2 ]
}

@test "without keys partitions take turns, -p names one" {
    topic -p 2
    seq 4 | fluvio produce "$TOPIC"
    echo here | fluvio produce "$TOPIC" -p 1
    run -0 fluvio consume "$TOPIC" -B -d -p 0
    [ "$output" = $'1\n3' ]
    run -0 fluvio consume "$TOPIC" -B -d -p 1
    [ "$output" = $'2\n4\nhere' ]
    run -1 fluvio produce "$TOPIC" -p 7 <<<x
}

@test "one key for all, verbose" {
    topic
    run -0 fluvio produce "$TOPIC" --key k -v <<<$'a\nb'
    [ "$output" = $'[k] a\n[k] b' ]
    run -0 fluvio produce "$TOPIC" -v <<<c
    [ "$output" = "[null] c" ]
    run -0 fluvio consume "$TOPIC" -B -d --key-value
    [ "$output" = $'[k] a\n[k] b\n[null] c' ]
}

@test "a line without the separator is named and skipped" {
    topic
    run -1 --separate-stderr fluvio produce "$TOPIC" --key-separator = \
        <<<$'a=1\nnothing\nb=2=3'
    [[ $stderr == "line 2: Failed to find separator '='"* ]]
    run -0 fluvio consume "$TOPIC" -B -d -k
    [ "$output" = $'[a] 1\n[b] 2=3' ]
}

@test "raw input is one record, byte for byte" {
    topic
    head -c 100000 /dev/urandom >"$HOME/blob"
    fluvio produce "$TOPIC" --raw -f "$HOME/blob"
    fluvio produce "$TOPIC" --raw <"$HOME/blob"
    fluvio consume "$TOPIC" -B -d -O raw >"$HOME/out"
    cat "$HOME/blob" "$HOME/blob" | cmp - "$HOME/out"
}

@test "output forms" {
    topic
    printf '{"b":1.10,"a":[]}\n' | fluvio produce "$TOPIC"
    run -0 fluvio consume "$TOPIC" -B -d -O json
    [ "$output" = $'{\n  "b": 1.10,\n  "a": []\n}' ]
    run -0 fluvio consume "$TOPIC" -B -d -O JSON
    run -0 fluvio consume "$TOPIC" -B -d -O table
    [[ ${lines[0]} =~ ^\ a\ +b ]]
    [[ ${lines[1]} =~ ^\ \[\]\ +1.10 ]]
    run -0 fluvio consume "$TOPIC" -B -d -F '{{offset}}/{{partition}} {{key}} <{{value}}>'
    [ "$output" = '0/0 null <{"b":1.10,"a":[]}>' ]
    run -0 fluvio consume "$TOPIC" -B -d -F '{{time}}'
    [[ $output =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z$ ]]
    run -1 fluvio consume "$TOPIC" -B -d -F '{{what}}'
    printf 'a\0b' | fluvio produce "$TOPIC" --raw
    run -0 fluvio consume "$TOPIC" --start 1 -d -O text
    [ "$output" = "binary: (3 bytes)" ]
    run -0 fluvio consume "$TOPIC" --start 1 -d
    [[ ${lines[0]} == "00000000  61 00 62 "*"|a b             |" ]]
    run -0 fluvio consume "$TOPIC" --start 1 -d -O json
    [[ $output == *'"error": '* ]]
    run -0 fluvio consume "$TOPIC" --start 1 -d -O json --suppress-unknown
    [ -z "$output" ]
}

@test "long lines pass up to the limit, beyond it the line is named" {
    topic
    head -c 1500000 /dev/zero | tr '\0' x >"$HOME/long"
    echo >>"$HOME/long"
    fluvio produce "$TOPIC" -f "$HOME/long"
    fluvio consume "$TOPIC" -B -d >"$HOME/out"
    cmp "$HOME/long" "$HOME/out"
    printf 'ok\n%01000d\nnever\n' 7 >"$HOME/limit"
    run -1 --separate-stderr fluvio produce "$TOPIC" --max-request-size 500 -f "$HOME/limit"
    [[ $stderr == "line 2: Producer error: record size ("*"), exceeded maximum request size"* ]]
    run -0 fluvio consume "$TOPIC" -T 1 -d
    [ "$output" = ok ]
}

@test "unknown topics and partitions are errors" {
    run -1 --separate-stderr fluvio produce nowhere <<<x
    [[ $stderr == *"Topic not found: nowhere"* ]]
    run -1 --separate-stderr fluvio consume nowhere -B -d
    [[ $stderr == *"Topic not found: nowhere"* ]]
    topic
    run -1 --separate-stderr fluvio consume "$TOPIC" -B -d -p 9
    [[ $stderr == *9* ]]
    run -1 --separate-stderr fluvio produce "$TOPIC" -f "$HOME/missing"
    [[ $stderr == *"$HOME/missing"* ]]
    run -1 --separate-stderr fluvio produce "$TOPIC" -f "$HOME"
    [[ $stderr == *"$HOME"* ]]
}

@test "a codec that the topic does not allow is an error" {
    topic --compression-type gzip
    run -1 fluvio produce "$TOPIC" --compression lz4 <<<x
    run -0 fluvio produce "$TOPIC" --compression gzip <<<y
    run -0 fluvio consume "$TOPIC" -B -d
    [ "$output" = y ]
}

@test "a reader that goes away is no failure" {
    topic
    seq 200000 | fluvio produce "$TOPIC"
    run -0 bash -c "set -o pipefail
        timeout 20 fluvio consume '$TOPIC' -B 2>&1 | head -n 2"
    [ "$output" = $'1\n2' ]
}

@test "a full disk behind consume is an error" {
    topic
    echo x | fluvio produce "$TOPIC"
    run -1 bash -c "fluvio consume '$TOPIC' -B -d >/dev/full"
    [[ $output == *"cannot write to standard output"* ]]
}

@test "signals end a consumer cleanly, also one whose reader is stuck" {
    topic
    seq 300000 | fluvio produce "$TOPIC"
    for signal in INT TERM; do
        mkfifo "$HOME/stuck.$signal"
        # Reads one line and then holds the pipe open.
        (exec <"$HOME/stuck.$signal"
         read -r _
         touch "$HOME/read.$signal"
         exec sleep 30) &
        local reader=$!
        # A background job of a script ignores SIGINT unless told otherwise.
        python3 -c 'import signal, os, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
            fluvio consume "$TOPIC" -B >"$HOME/stuck.$signal" &
        local consumer=$!
        until_true 20 test -e "$HOME/read.$signal"
        kill -"$signal" "$consumer"
        SECONDS=0
        ends_with 0 "$consumer"
        [ "$SECONDS" -lt 5 ]
        kill "$reader"
    done
}

@test "SIGTERM lets a producer send what it has read" {
    topic
    mkfifo "$HOME/feed"
    fluvio produce "$TOPIC" --linger 60s -v <"$HOME/feed" >"$HOME/sent" &
    local producer=$!
    exec 7>"$HOME/feed"
    seq 10 >&7
    # The records linger; the signal flushes them.
    until_true 20 has_lines "$HOME/sent" 10
    run -0 fluvio consume "$TOPIC" -B -d
    [ -z "$output" ]
    kill -TERM "$producer"
    ends_with 143 "$producer"
    exec 7>&-
    run -0 fluvio consume "$TOPIC" -B -d
    [ "$output" = "$(seq 10)" ]
}

@test "consumer offsets: continue where the last one stopped" {
    topic
    seq 5 | fluvio produce "$TOPIC"
    run -0 fluvio consume "$TOPIC" -c me -B -d
    [ "$output" = "$(seq 5)" ]
    seq 6 8 | fluvio produce "$TOPIC"
    run -0 fluvio consume "$TOPIC" -c me -B -d
    [ "$output" = "$(seq 6 8)" ]
    run -0 fluvio consumer list
    [[ ${lines[0]} =~ ^\ +CONSUMER\ +TOPIC\ +PARTITION\ +OFFSET\ +LAST\ SEEN ]]
    [[ $output =~ \ me\ +$TOPIC\ +0\ +7\  ]]
    run -0 fluvio consume "$TOPIC" -c another -Bd
    run -0 fluvio consumer list
    [[ ${lines[1]} == "  another "* ]]
    fluvio consumer delete another
    run -0 fluvio consumer delete me
    [ "$output" = "consumer \"me\" on topic \"$TOPIC\" and partition \"0\" deleted" ]
    run -0 fluvio consumer delete me
    [ "$output" = "no consumers found" ]
}

@test "a consumer of a deleted topic ends with an error" {
    topic
    echo x | fluvio produce "$TOPIC"
    fluvio consume "$TOPIC" -B >"$HOME/deleted" 2>"$HOME/deleted.err" &
    local consumer=$!
    until_true 20 has_lines "$HOME/deleted" 1
    fluvio topic delete "$TOPIC"
    ends_with 1 "$consumer"
    [ -s "$HOME/deleted.err" ]
}

@test "isolation and delivery in every spelling" {
    topic
    for word in read_committed ReadCommitted read_uncommitted ReadUncommitted; do
        echo "$word" | fluvio produce "$TOPIC" --isolation "$word"
        run -0 fluvio consume "$TOPIC" -T 1 -d --isolation "$word"
        [ "$output" = "$word" ]
    done
    for word in at-least-once at_least_once AtLeastOnce at-most-once AtMostOnce; do
        echo "$word" | fluvio produce "$TOPIC" --delivery-semantic "$word"
        run -0 fluvio consume "$TOPIC" -T 1 -d
        [ "$output" = "$word" ]
    done
    run -2 fluvio produce "$TOPIC" --isolation sometimes <<<x
    run -2 fluvio produce "$TOPIC" --delivery-semantic sometimes <<<x
}

@test "a crash in the middle of produce loses and repeats nothing" {
    topic
    seq 150000 >"$HOME/in"
    fluvio consume "$TOPIC" -B >"$HOME/live" 2>"$HOME/live.err" &
    local consumer=$!
    fluvio produce "$TOPIC" --batch-size 2000 -f "$HOME/in" &
    local producer=$!
    until_true 30 has_lines "$HOME/live" 2000
    kill -9 "$(server_pid)"
    ends_with 0 "$producer"
    fluvio consume "$TOPIC" -B -d >"$HOME/out"
    cmp "$HOME/in" "$HOME/out"
    until_true 30 has_lines "$HOME/live" 150000
    until_true 20 has_lines "$HOME/live.err" 2
    kill "$consumer"
    ends_with 0 "$consumer"
    cmp "$HOME/in" "$HOME/live"
    [[ $(sed -n 1p "$HOME/live.err") == "the cluster is lost; it is tried again: $(address): "* ]]
    [ "$(sed -n 2p "$HOME/live.err")" = "the cluster at $(address) is there again" ]
}
