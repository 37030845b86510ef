#!/usr/bin/env bats
# What Fluvio's own shell tests expect of the command line on one node, where
# no other file here shows it; docs/compatibility.md has the list.

load lib.bash

setup_file() {
    cluster_up
    # Letters that compress well, as large as records get.
    yes 'the quick brown fox jumps over the lazy dog' |
        head -c 15000000 >"$HOME/15MB"
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

# from_json EXPRESSION COMMAND...: of what it prints, as `d`.
from_json() {
    local expression=$1
    shift
    "$@" -O json |
        python3 -c "import json, sys; d = json.load(sys.stdin); print($expression)"
}

# partitions TOPIC: its rows of the list.
partitions() {
    fluvio partition list | grep "^ *$1 "
}

@test "a new cluster lists one topic and its partition, and nothing else" {
    topic
    run -0 fluvio topic list
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[1]} == *" $TOPIC "* ]]
    run -0 fluvio partition list
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[1]} == *" $TOPIC "* ]]
    [ "$(from_json 'd[0]["name"]' fluvio topic list --system)" = \
        consumer-offset ]
    fluvio topic delete "$TOPIC"
    run -0 fluvio partition list
    [ "$output" = "No partitions found" ]
}

@test "a producer that is connected fills partitions that come later" {
    topic -p 3
    mkfifo "$HOME/typed"
    fluvio produce "$TOPIC" <"$HOME/typed" &
    local producer=$!
    exec 7>"$HOME/typed"
    printf '1\n2\n3\n' >&7
    first_three() { [ "$(fluvio consume "$TOPIC" -B -d | wc -l)" -eq 3 ]; }
    until_true 20 first_three
    run -0 fluvio topic add-partition "$TOPIC"
    [ "${lines[2]}" = " 3          5001 " ]
    # The producer learns of it by a watch, which nothing shows from outside:
    # one record at a time until the new partition has one.
    new_has_one() {
        echo more >&7
        partitions "$TOPIC" | tail -n 1 | grep -Eq ' [1-9][0-9]* +\[\] *$' ||
            [ -n "$(fluvio consume "$TOPIC" -B -d -p 3)" ]
    }
    until_true 20 new_has_one
    exec 7>&-
    ends_with 0 "$producer"
    run -0 partitions "$TOPIC"
    [ "${#lines[@]}" -eq 4 ]
    # HW, then LEO twice, then the replicas besides the leader.
    [[ ${lines[0]} =~ \ ([0-9]+)\ +\1\ +\1\ +0\  ]]
}

@test "deleting a topic deletes its partitions" {
    topic -p 3
    run -0 partitions "$TOPIC"
    [ "${#lines[@]}" -eq 3 ]
    fluvio topic delete "$TOPIC"
    run -1 partitions "$TOPIC"
}

@test "15 MB of lines are sent at once, however long they may linger" {
    topic
    SECONDS=0
    fluvio produce "$TOPIC" --max-request-size 15000000 --linger 30s \
        -f "$HOME/15MB"
    [ "$SECONDS" -lt 20 ]
    fluvio consume "$TOPIC" -B -d --maxbytes 16000000 | head -c 15000000 |
        cmp - "$HOME/15MB"
}

@test "records larger than a batch pass up to the largest request" {
    topic
    for size in 2500000 5000000 4999950 5000100 15000000; do
        head -c "$size" "$HOME/15MB" >"$HOME/record"
        fluvio produce "$TOPIC" --raw -f "$HOME/record" --compression gzip \
            --batch-size 5000000 --max-request-size 100000000
        fluvio consume "$TOPIC" -T 1 -d -O raw | cmp - "$HOME/record"
    done
    # The request holds more than the record.
    head -c 14999000 "$HOME/15MB" >"$HOME/record"
    fluvio produce "$TOPIC" --raw -f "$HOME/record" --compression gzip \
        --batch-size 5000000 --max-request-size 15000000
    run -1 --separate-stderr fluvio produce "$TOPIC" --raw -f "$HOME/15MB" \
        --compression gzip --batch-size 5000000 --max-request-size 15000000
    [[ $stderr == *"exceeded maximum request size"* ]]
    run -0 fluvio partition list
    [[ $output =~ \ $TOPIC\ .*\ 6\ +6\ +6\ +0\  ]]
}

@test "a record of 33 MB passes as it is" {
    topic
    head -c 33000000 /dev/urandom >"$HOME/record"
    fluvio produce "$TOPIC" --raw -f "$HOME/record" --compression none
    fluvio consume "$TOPIC" -B -d -O raw | cmp - "$HOME/record"
    rm "$HOME/record"
}

@test "what no request can hold is refused, whatever size was asked for" {
    topic
    head -c 40000000 /dev/zero | tr '\0' a >"$HOME/40MB"
    for options in "" "--batch-size 50000000" "--max-request-size 100000000"; do
        # shellcheck disable=SC2086
        run -1 --separate-stderr fluvio produce "$TOPIC" --raw \
            -f "$HOME/40MB" $options
        [[ $stderr == *"exceeded maximum request size"* ]]
    done
    rm "$HOME/40MB"
    run -0 fluvio consume "$TOPIC" -B -d
    [ -z "$output" ]
}

@test "records as large as a segment go one to a segment" {
    local line
    line=$(head -c 800 /dev/zero | tr '\0' x)
    for size in 1024 2048 4096; do
        fluvio topic create "$TOPIC-$size" --segment-size "$size"
        for i in 1 2 3 4 5; do
            echo "$line$i" | fluvio produce "$TOPIC-$size"
        done
        run -0 fluvio consume "$TOPIC-$size" -B -d
        [ "${#lines[@]}" -eq 5 ]
        [ "${lines[4]}" = "${line}5" ]
    done
}

@test "a named consumer has an offset in each partition that it read" {
    topic -p 2
    printf '1:1\n2:2\n4:4\n8:8\n' | fluvio produce "$TOPIC" --key-separator :
    run -0 fluvio consume "$TOPIC" --consumer one -p 1 -B -d
    [ "$output" = $'4\n8' ]
    run -0 fluvio consume "$TOPIC" --consumer all -B -d
    [ "$(sort <<<"$output" | tr '\n' ' ')" = "1 2 4 8 " ]
    run -0 from_json \
        'sorted((c["consumer_id"], c["partition"], c["offset"]) for c in d)' \
        fluvio consumer list
    [ "$output" = "[('all', 0, 1), ('all', 1, 1), ('one', 1, 1)]" ]
    run -0 fluvio consumer delete one
    [ "$output" = "consumer \"one\" on topic \"$TOPIC\" and partition \"1\" deleted" ]
    run -0 fluvio consumer delete all
    for partition in 0 1; do
        [[ $output == *"consumer \"all\" on topic \"$TOPIC\" and partition \"$partition\" deleted"* ]]
    done
}

@test "deleting a topic forgets its consumers, a new one starts afresh" {
    topic -p 2
    printf '1:1\n2:2\n1:3\n2:4\n' | fluvio produce "$TOPIC" --key-separator :
    fluvio consume "$TOPIC" --consumer again -B -d >/dev/null
    fluvio topic delete "$TOPIC"
    run -0 fluvio consumer list
    [ "$output" = "No consumers found" ]
    topic -p 2
    printf '1:5\n2:6\n' | fluvio produce "$TOPIC" --key-separator :
    run -0 fluvio consume "$TOPIC" --consumer again -B -d
    [ "$(sort <<<"$output" | tr '\n' ' ')" = "5 6 " ]
}

@test "what a consumer has read up to the end is stored when it ends" {
    topic
    seq 2 | fluvio produce "$TOPIC"
    run -0 fluvio consume "$TOPIC" --consumer ends -B -d
    [ "$output" = $'1\n2' ]
    seq 3 4 | fluvio produce "$TOPIC"
    run -0 fluvio consume "$TOPIC" --consumer ends -d
    [ "$output" = $'3\n4' ]
    [ "$(from_json '[c["offset"] for c in d if c["consumer_id"] == "ends"]' \
        fluvio consumer list)" = "[3]" ]
}

@test "a format escapes nothing and knows key, offset, partition and time" {
    topic
    fluvio produce "$TOPIC" --key "k<&>" <<<'"&"'
    run -0 fluvio consume "$TOPIC" -B -d --format '{{value}}'
    [ "$output" = '"&"' ]
    run -0 fluvio consume "$TOPIC" -B -d --format '{{key}}'
    [ "$output" = 'k<&>' ]
    run -0 fluvio consume "$TOPIC" -B -d -p 0 --format '{{offset}} {{partition}}'
    [ "$output" = "0 0" ]
    run -0 fluvio consume "$TOPIC" -B -d --format '{{time}}'
    [[ $output == "$(date -u +%Y-%m)"* ]]
}

@test "a topic's codec is used unasked, and any of them may be asked for" {
    for codec in gzip snappy lz4 zstd; do
        fluvio topic create "$TOPIC-$codec" --compression-type "$codec"
        fluvio produce "$TOPIC-$codec" <<<"of the topic"
        fluvio produce "$TOPIC-$codec" --compression "$codec" <<<"asked for"
        run -0 fluvio consume "$TOPIC-$codec" -B -d
        [ "$output" = $'of the topic\nasked for' ]
    done
    topic --compression-type any
    for codec in none gzip snappy lz4 zstd; do
        fluvio produce "$TOPIC" --compression "$codec" <<<"$codec"
    done
    run -0 fluvio consume "$TOPIC" -B -d
    [ "$output" = $'none\ngzip\nsnappy\nlz4\nzstd' ]
}

@test "lines of a file are split at the first separator, of any length" {
    topic
    printf 'a||1\nb||2||3\nc||\n' >"$HOME/pairs"
    fluvio produce --file "$HOME/pairs" --key-separator '||' "$TOPIC"
    run -0 fluvio consume "$TOPIC" -B -d -F '{{key}}={{value}}'
    [ "$output" = $'a=1\nb=2||3\nc=' ]
}

@test "lines of a file take turns on ten partitions" {
    topic -p 10 -r 1
    seq 0 19 >"$HOME/turns"
    fluvio produce --file "$HOME/turns" "$TOPIC"
    for partition in $(seq 0 9); do
        run -0 fluvio consume "$TOPIC" -p "$partition" -B -d
        [ "$output" = "$partition"$'\n'"$((partition + 10))" ]
    done
    run -0 fluvio topic describe "$TOPIC"
    [[ $output == *"Partition Count:10 "* ]]
}

@test "sizes are checked before anything is made" {
    run -0 fluvio topic create dry --max-partition-size 10Gb --dry-run
    run -0 fluvio topic create dry --segment-size "2 Ki" --dry-run
    run -1 fluvio topic create dry --max-partition-size 10 --dry-run
    [[ $output == *"max_partition_size 10 is less than minimum 2048"* ]]
    run -1 fluvio topic create dry --segment-size "3 Ki" \
        --max-partition-size "2 Ki" --dry-run
    [[ $output == *"max_partition_size 2048 is less than segment size 3072"* ]]
    run -1 fluvio topic create " " --dry-run
    [[ $output == *"Topic name is required"* ]]
    run -2 fluvio topic create --max-partition-size "2 Ki" \
        --config "$HOME/topic.yaml" --dry-run
    [[ $output == *"error: the argument '--config <PATH>' cannot be used with"* ]]
}

@test "a system topic of one's own is hidden, works, and goes by force" {
    run -0 fluvio topic create "$TOPIC" --system
    [ "$output" = "topic \"$TOPIC\" created" ]
    run -1 partitions "$TOPIC"
    run -0 fluvio partition list --system
    [[ $output == *" $TOPIC "* ]]
    fluvio produce "$TOPIC" <<<kept
    fluvio cluster shutdown >/dev/null
    fluvio cluster start >/dev/null
    run -0 fluvio consume "$TOPIC" -B -d
    [ "$output" = kept ]
    run -1 --separate-stderr fluvio topic delete "$TOPIC"
    [ "$stderr" = "system topic '$TOPIC' can only be deleted forcibly" ]
    run -0 fluvio topic delete "$TOPIC" --system --force
    [ "$output" = "system topic \"$TOPIC\" deleted" ]
    run -0 fluvio topic list --system
    [ "${#lines[@]}" -eq 2 ]
}

@test "resume brings back the SPU, the topics and takes new ones" {
    for name in a b c; do
        fluvio topic create "$TOPIC-$name"
    done
    fluvio cluster shutdown
    run -1 fluvio cluster spu list
    fluvio cluster resume
    run -0 fluvio cluster spu list
    [ "${#lines[@]}" -eq 2 ]
    fluvio topic create "$TOPIC-d"
    run -0 fluvio topic list
    [ "$(grep -c " $TOPIC-" <<<"$output")" -eq 4 ]
    run -0 fluvio partition list
    [ "$(grep -c " $TOPIC-" <<<"$output")" -eq 4 ]
}

@test "SmartModules and compression go together in produce" {
    topic
    fluvio produce "$TOPIC" --compression gzip \
        --smartmodule-path "$FLV_SMARTMODULES/json-field.wasm" -e field=a \
        <<<'{"a": "shaped"}'
    run -0 fluvio consume "$TOPIC" -B -d
    [ "$output" = shaped ]
}

@test "test shows keys, and modules see them" {
    local keys=$FLV_SMARTMODULES/moments.wasm
    run -0 fluvio smartmodule test --wasm-file "$keys" --text 444 --key my-key
    [ "${lines[1]}" = my-key ]
    run -0 fluvio smartmodule test --wasm-file "$keys" --text 444 --key-value
    [[ ${lines[1]} == "[null] no key" ]]
    run -0 fluvio smartmodule test --text 444 --key my-key --key-value \
        --wasm-file "$FLV_SMARTMODULES/contains.wasm" -e text=4
    [ "$output" = "[my-key] 444" ]
}

@test "test gives every kind of module the time of a record" {
    local before
    before=$(date +%s%3N)
    for module in stamp latest moments; do
        run -0 fluvio smartmodule test --text foo -v \
            --wasm-file "$FLV_SMARTMODULES/$module.wasm"
        [[ ${lines[0]} == [12]" records outputted" ]]
        [ "$(grep -oE '^[0-9]{13}' <<<"$output")" -ge "$before" ]
    done
}

@test "a named consumer that goes on stores its offset meanwhile" {
    topic
    seq 3 | fluvio produce "$TOPIC"
    fluvio consume "$TOPIC" --consumer going -B >"$HOME/going" &
    local consumer=$!
    stored() {
        fluvio consumer list | grep -Eq " going +$TOPIC +0 +2 "
    }
    until_true 20 stored
    kill -0 "$consumer"
    kill "$consumer"
    ends_with 0 "$consumer"
}
