#!/usr/bin/env bats
# Topics and partitions, with the texts and columns that scripts match.

load lib.bash

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

py() {
    python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"
}

@test "create, list, describe and delete" {
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
    run -0 fluvio partition list
    [ "$output" = "No partitions found" ]
    run -0 fluvio topic create one -p 2
    [ "$output" = 'topic "one" created' ]
    run -0 fluvio topic list
    [[ ${lines[0]} =~ ^\ +NAME\ +TYPE\ +PARTITIONS\ +REPLICAS\ +RETENTION\ TIME\ +COMPRESSION\ +DEDUPLICATION\ +STATUS\ +REASON ]]
    [[ ${lines[1]} =~ ^\ +one\ +computed\ +2\ +1\ +7days\ +any\ +none\ +resolution::provisioned ]]
    run -0 fluvio topic describe one
    [ "${lines[0]}" = "   Name:one                     " ]
    [[ $output == *"Partition Count:2 "* ]]
    [[ $output == *"Ignore Rack Assignment:false"* ]]
    [[ $output == *"Status:provisioned"* ]]
    run -0 fluvio partition list
    [ "${#lines[@]}" -eq 3 ]
    [[ ${lines[1]} =~ ^\ +one\ +0\ +5001\ +\[\]\ +Online ]]
    [[ ${lines[2]} =~ ^\ +one\ +1\ +5001\ +\[\]\ +Online ]]
    run -0 fluvio topic delete one
    [ "$output" = 'topic "one" deleted' ]
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "what a hostile server says does nothing to a terminal" {
    local words port pid
    fluvio topic create cats-dogs
    coproc REWRITE { python3 "$ROOT/tests/e2e/rewrite.py" "$FLV_SC_PORT" \
        cats-dogs .fluvio/data; }
    pid=$REWRITE_PID
    read -r port <&"${REWRITE[0]}"
    for words in "topic list" "topic list -O json" "topic list -O yaml" \
        "topic describe cats-dogs" "topic names" "topic create cats-dogs" \
        "partition list" "cluster status"; do
        # shellcheck disable=SC2086
        fluvio -c "127.0.0.1:$port" $words >"$HOME/said" 2>&1 || true
        [ -s "$HOME/said" ] || [ "$words" = "topic names" ]
        if LC_ALL=C grep -nP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' \
            "$HOME/said" >"$HOME/bad"; then
            echo "$words:" && od -c "$HOME/bad" && false
        fi
    done
    run -1 fluvio -c "127.0.0.1:$port" topic describe cats-dogs
    run -0 fluvio -c "127.0.0.1:$port" cluster status
    [[ $output == *"are free on the disk of "*" [2J"* ]]
    eval "exec ${REWRITE[1]}>&-"
    wait "$pid"
    fluvio topic delete cats-dogs
}

@test "mistakes have Fluvio's texts and exit 1" {
    fluvio topic create twice
    run -1 --separate-stderr fluvio topic create twice
    [ "$stderr" = "Topic already exists" ]
    [ -z "$output" ]
    run -1 --separate-stderr fluvio topic delete nothing
    [ "$stderr" = "Topic not found" ]
    for name in "''" ''; do
        run -1 --separate-stderr bash -c "fluvio topic create $name"
        [[ $stderr == *"Topic name is required"* ]]
    done
    for name in Upper under_score -dash dash- 'a b'; do
        run -1 --separate-stderr fluvio topic create -- "$name"
        [[ $stderr == *"Invalid Topic name $name"* ]]
    done
    run -1 --separate-stderr fluvio topic create "$(printf 'x%.0s' {1..64})"
    [[ $stderr == *"Name exceeds max characters allowed 63" ]]
    run -1 --separate-stderr fluvio topic create big --max-partition-size 10
    [[ $stderr == *"max_partition_size 10 is less than minimum 2048"* ]]
    run -1 --separate-stderr fluvio topic create big --max-partition-size 2048 --segment-size '3 Ki'
    [[ $stderr == *"max_partition_size 2048 is less than segment size 3072"* ]]
    run -1 --separate-stderr fluvio topic describe nothing
    [[ $stderr == *"Topic not found"* ]]
    fluvio topic delete twice
}

@test "options arrive at the cluster" {
    run -0 fluvio topic create opts -p 3 --retention-time 1h --segment-size 2mb \
        --max-partition-size 10mb --compression-type lz4
    [ "$output" = 'topic "opts" created' ]
    fluvio topic list -O json >"$HOME/list.json"
    run -0 py 'd[0]["name"], d[0]["spec"]["replicas"]["computed"]["partitions"]' <"$HOME/list.json"
    [ "$output" = "('opts', 3)" ] || [ "$output" = "opts 3" ]
    run -0 py 'd[0]["spec"]["compressionType"]' <"$HOME/list.json"
    [ "$output" = Lz4 ]
    run -0 py 'd[0]["status"]["replicaMap"]["2"][0]' <"$HOME/list.json"
    [ "$output" = 5001 ]
    run -0 fluvio topic list
    [[ ${lines[1]} =~ \ 1h\ +lz4\  ]]
    run -0 fluvio topic describe opts -O yaml
    [[ $output == *"name: opts"* ]]
    [[ $output == *"  '0':"* ]]
    fluvio topic delete opts
}

@test "a dry run creates nothing" {
    run -0 fluvio topic create dry --dry-run
    [ "$output" = 'topic "dry" created' ]
    run -0 fluvio topic list
    [ "$output" = "No topics found" ]
}

@test "partitions and SPUs have the JSON keys of Fluvio" {
    fluvio topic create keyed --segment-size 1Mb --retention-time 1h
    run -0 bash -c 'fluvio partition list -O json; echo ,
        fluvio cluster spu list -O json'
    python3 - "[$output]" <<'PY'
import json, sys
(part,), (spu,) = json.loads(sys.argv[1])
spec, status = part["spec"], part["status"]
assert spec["cleanupPolicy"] == {"segment": {"timeInSeconds": 3600}}, spec
assert spec["storage"] == {"segmentSize": 1000000,
                           "maxPartitionSize": None}, spec
assert spec["compressionType"] == "Any" and spec["deduplication"] is None, spec
assert status["baseOffset"] == 0 and status["isBeingDeleted"] is False, status
public = spu["spec"]["publicEndpoint"]
assert public["ingress"] == [{"hostname": "localhost", "ip": None}], public
assert public["encryption"] == "PLAINTEXT" and public["port"] > 0, public
PY
    fluvio topic delete keyed
}

@test "what one node does not have is said in a sentence" {
    run -0 fluvio cluster spg list
    [ "$output" = "no groups" ]
    while read -r words; do
        run -1 --separate-stderr fluvio $words
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr != *error:* ]]
    done <<'COMMANDS'
cluster spg create g -r 2 --min-id 3 --rack r --storage-size 10
cluster spg delete g
cluster spu register -i 7 -p a:1 -v a:2 -l a:3 -n n -r r
cluster spu unregister -i 7
cluster upgrade --force
topic add-mirror t r --home-to-remote
topic create t --mirror
COMMANDS
}

@test "several topics are deleted, with and without stopping at an error" {
    fluvio topic create a1
    fluvio topic create a2
    run -1 fluvio topic delete a1 missing a2
    [[ $output == *'topic "a1" deleted'* ]]
    [[ $output != *'topic "a2" deleted'* ]]
    run -1 fluvio topic delete -c missing a2
    [[ $output == *'topic "a2" deleted'* ]]
    [[ $output == *"Failed deleting topic(s). Check previous errors."* ]]
}

@test "a topic from a configuration file" {
    cat >"$HOME/topic.yaml" <<'YAML'
version: 0.1.0
meta:
  name: from-file
partition:
  count: 2
retention:
  time: 2m
compression:
  type: Gzip
YAML
    run -0 fluvio topic create --config "$HOME/topic.yaml"
    [ "$output" = 'topic "from-file" created' ]
    run -0 fluvio topic list
    [[ ${lines[1]} =~ from-file\ +computed\ +2\ +1\ +2m\ +gzip ]]
    fluvio topic delete from-file
    printf 'meta:\n  name: x\npartition:\n  count: many\n' >"$HOME/bad.yaml"
    run -1 --separate-stderr fluvio topic create -c "$HOME/bad.yaml"
    [[ $stderr == *"bad.yaml:4:"* ]]
    run -1 fluvio topic create -c "$HOME/missing.yaml"
}

@test "a topic from a replica assignment" {
    echo '[{"id":0,"replicas":[5001]},{"id":1,"replicas":[5001]}]' >"$HOME/map.json"
    run -0 fluvio topic create assigned -f "$HOME/map.json"
    run -0 fluvio topic list
    [[ ${lines[1]} =~ assigned\ +assigned\ +2 ]]
    fluvio topic delete assigned
    run -2 fluvio topic create assigned -f "$HOME/map.json" -p 2
}

@test "system topics are shown and deleted on request only" {
    run -0 fluvio topic list --system
    [[ $output == *"consumer-offset"* ]]
    run -1 --separate-stderr fluvio topic delete consumer-offset
    [[ $stderr == *"system topic 'consumer-offset' can only be deleted forcibly"* ]]
    run -1 --separate-stderr fluvio topic delete --system --force consumer-offset
    [[ $stderr == *"the server keeps its system topic 'consumer-offset'"* ]]
}

@test "partition JSON has the fields that scripts read" {
    fluvio topic create j
    fluvio partition list -O json >"$HOME/p.json"
    run -0 py 'd[0]["status"]["size"]' <"$HOME/p.json"
    [ "$output" = 0 ]
    run -0 fluvio partition list
    [[ ${lines[1]} =~ \ 0\ B\  ]]
    seq 5 | fluvio produce j
    fluvio partition list -O json >"$HOME/p.json"
    run -0 py 'd[0]["name"], d[0]["status"]["leader"]["leo"], d[0]["status"]["leader"]["hw"], d[0]["status"]["leader"]["spu"]' <"$HOME/p.json"
    [ "$output" = "('j-0', 5, 5, 5001)" ] || [ "$output" = "j-0 5 5 5001" ]
    run -0 fluvio partition list
    [[ ${lines[1]} =~ \ 5\ +5\ +5\ +0\  ]]
    fluvio topic delete j
}

# base TOPIC: the first offset that partition 0 still has.
base() {
    fluvio partition list -O json |
        py "[p['status']['baseOffset'] for p in d if p['name'] == '$1-0'][0]"
}

base_is() {
    [ "$(base "$1")" -eq "$2" ]
}

@test "retention by size removes the oldest" {
    fluvio topic create small --segment-size '2 Ki' --max-partition-size '8 Ki'
    for i in $(seq 300); do printf 'record %03d %0100d\n' "$i" 0; done |
        fluvio produce small --batch-size 1000
    base_moved() { [ "$(base small)" -gt 200 ]; }
    until_true 20 base_moved
    run -0 fluvio consume small -B -d
    [ "${#lines[@]}" -lt 100 ]
    [[ ${lines[-1]} == "record 300 "* ]]
    run -0 fluvio consume small --start 299 -d
    [[ $output == "record 300 "* ]]
}

@test "retention by time goes by the clock of the server and outlives it" {
    fluvio topic create hour --retention-time 1h --segment-size '2 Ki'
    fluvio topic create week --segment-size '2 Ki'
    for i in $(seq 60); do printf 'record %03d %0100d\n' "$i" 0; done |
        tee >(fluvio produce week --batch-size 1000) |
        fluvio produce hour --batch-size 1000
    week_full() { [ "$(fluvio consume week -B -d | wc -l)" -eq 60 ]; }
    until_true 20 week_full
    run -0 fluvio consume hour -B -d
    [ "${#lines[@]}" -eq 60 ]
    fluvio cluster shutdown
    find "$HOME/.fluvio/data/topics" -name '*.log' \
        -exec touch -d '2 hours ago' {} +
    fluvio cluster start
    # All of it: the newest segment is closed, too, though nobody writes.
    until_true 20 base_is hour 60
    run -0 fluvio consume hour -B -d
    [ -z "$output" ]
    [ "$(base week)" -eq 0 ]
    echo next | fluvio produce hour
    run -0 fluvio consume hour -B -d -F '{{offset}} {{value}}'
    [ "$output" = "60 next" ]
    # Without a retention time of its own: a week, and the newest part stays.
    fluvio cluster shutdown
    find "$HOME/.fluvio/data/topics" -name '*.log' \
        -exec touch -d '8 days ago' {} +
    fluvio cluster start
    week_moved() { [ "$(base week)" -gt 30 ]; }
    until_true 20 week_moved
    run -0 fluvio consume week -B -d
    [ "${#lines[@]}" -gt 0 ]
    [[ ${lines[-1]} == "record 060 "* ]]
}

@test "a topic gets more partitions, and they take records" {
    run -1 --separate-stderr fluvio topic add-partition nothing
    [ "$stderr" = 'topic "nothing" not found' ]
    run -2 fluvio topic add-partition nothing --count 0
    fluvio topic create growing
    run -0 fluvio topic add-partition growing
    [ "${lines[0]}" = 'added new partitions to topic: "growing"' ]
    [ "${lines[1]}" = " PARTITION  SPU  " ]
    [ "${lines[2]}" = " 1          5001 " ]
    [ "${#lines[@]}" -eq 3 ]
    run -0 fluvio topic add-partition growing -c 2
    [ "${lines[2]}" = " 2          5001 " ]
    [ "${lines[3]}" = " 3          5001 " ]
    [ "${#lines[@]}" -eq 4 ]
    printf 'a\nb\nc\nd\n' | fluvio produce growing --linger 0ms --batch-size 1
    run -0 bash -c "fluvio consume growing --all-partitions -B -d | sort | tr '\\n' ' '"
    [ "$output" = "a b c d " ]
    run -1 --separate-stderr fluvio topic add-partition growing -c 1000
    [[ $stderr == "add partition failed: "*"at most 1000 partitions"* ]]
    fluvio topic delete growing
}
