#!/usr/bin/env bats
# Dead letters: what connectors leave, seen, replayed and discarded.

load lib.bash

setup_file() {
    cluster_up
    cp "$FLV_SMARTMODULES/"{picky,contains,json-field,json-array-split,sum}.wasm \
        "$HOME"
}

teardown_file() {
    home_down
}

setup() {
    cd "$HOME"
}

py() {
    python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"
}

# letters TOPIC LETTERS VALUE...: a topic of letters of a source that fills
# TOPIC. KEY=VALUE gives a key.
letters() {
    fluvio topic create "$2" >/dev/null
    python3 - "$1" "${@:3}" <<'PY' | fluvio produce "$2"
import base64, json, sys
def b64(text):
    return base64.b64encode(text.encode()).decode()
for n, text in enumerate(sys.argv[2:]):
    key, sign, value = text.partition("=")
    record = {"key": b64(key), "value": b64(value)} if sign else \
        {"value": b64(text)}
    print(json.dumps({
        "version": 1, "time": "2026-01-01T12:00:00.000Z",
        "connector": {"name": "odd" if n % 2 else "even", "type": "http",
                      "topic": sys.argv[1]},
        "stage": 1 + n % 3,
        "module": {"name": "m.wasm", "sha256": "9f86", "kind": "map"},
        "error": {"cause": "user-error", "text": f"bad {n}", "hint": "bad"},
        "source": {"number": n + 1}, "record": record}))
PY
}

start_is_above_0() {
    [ "$(fluvio partition list -O json |
        py "[p['status']['baseOffset'] for p in d if p['name'] == '$1-0'][0]")" -gt 0 ]
}

values() {
    fluvio consume "$1" -B -d
}

@test "one poison record in 10,000 is one letter, and replays to 10,000" {
    fluvio topic create hello
    fluvio-connect-test-connector --fluvio-topic hello --count 10000 \
        --timeout 0 --on-error dead-letter:poison \
        --transform '{"uses":"picky.wasm","with":{"poison":" 5000"}}' \
        >connector.log 2>&1
    [ "$(values hello | wc -l)" -eq 9999 ]
    run -0 fluvio dead-letter list poison -O json
    [ "$(py 'len(d)' <<<"$output")" -eq 1 ]
    [ "$(py 'd[0]["cause"]' <<<"$output")" = user-error ]
    [[ "$(py 'd[0]["error"]' <<<"$output")" == *"cannot stand this"* ]]
    [ "$(py 'd[0]["source_number"]' <<<"$output")" -eq 5000 ]
    [ "$(fluvio dead-letter show poison 0 --raw)" = "Hello, Fluvio! - 5000" ]
    # The same module fails on it again, and it stays.
    run -1 fluvio dead-letter replay poison --with picky.wasm \
        --params poison=5000
    [[ $output == *"letter 0 fails again: "*"cannot stand this"* ]]
    [[ $output == *"replayed 0 letters as 0 records, 1 stay"* ]]
    run -0 fluvio dead-letter replay poison --with contains.wasm \
        --params text=Fluvio
    [ "$output" = "replayed 1 letter as 1 record" ]
    [ "$(values hello | wc -l)" -eq 10000 ]
    [ "$(values hello | sort -u | wc -l)" -eq 10000 ]
    run -0 fluvio dead-letter replay poison
    [ "$output" = "replayed 0 letters as 0 records" ]
    [ "$(values hello | wc -l)" -eq 10000 ]
}

@test "list shows open letters, by range, connector and stage" {
    letters to listed a b c d e f
    run -0 --separate-stderr fluvio dead-letter list listed
    [[ ${lines[0]} =~ ^\ \ OFFSET\ +TIME\ +CONNECTOR\ +STAGE\ +MODULE ]]
    [[ ${lines[1]} =~ ^\ \ 0\ +2026-01-01T12:00:00.000Z\ +even\ +1\ +m.wasm\ +number\ 1\ +user-error\ +1\ +bad\ 0 ]]
    [ "$stderr" = "6 open letters" ]
    [ "$(fluvio dead-letter list listed --count)" = 6 ]
    [ "$(fluvio dead-letter list listed --count --start 2 --end 4)" = 3 ]
    [ "$(fluvio dead-letter list listed --count --connector odd)" = 3 ]
    [ "$(fluvio dead-letter list listed --count --stage 3)" = 2 ]
    [ "$(fluvio dead-letter list listed --count --stage 3 --connector odd)" = 1 ]
    fluvio dead-letter discard listed --start 1 --end 1 --yes
    [ "$(fluvio dead-letter list listed -O json | py '[e["offset"] for e in d]')" = "[0, 2, 3, 4, 5]" ]
    run -0 fluvio dead-letter list listed --all -O yaml
    [ "$(grep -c 'state: settled' <<<"$output")" -eq 1 ]
    [ "$(grep -c 'state: open' <<<"$output")" -eq 5 ]
}

@test "list without a topic finds those that hold letters" {
    letters to found a b c
    fluvio topic create other
    fluvio produce other <<<hello
    fluvio dead-letter discard found --end 0 --yes
    run -0 fluvio dead-letter list
    [[ ${lines[0]} =~ ^\ \ TOPIC\ +OPEN\ +IN\ REPLAY\ +SETTLED ]]
    grep -q '^  found  *2  *0  *1 ' <<<"$output"
    [[ $output != *other* ]]
    run -0 fluvio dead-letter list -O json
    [ "$(py '[e for e in d if e["topic"] == "found"][0]["open"]' <<<"$output")" = 2 ]
    run -2 fluvio dead-letter list --stage 1
    [[ $output == *"'--stage' needs the topic of dead letters"* ]]
}

@test "a topic that cannot be read is named, and hides no other" {
    letters to beside a b
    fluvio topic create sick
    fluvio produce sick <<<hello
    local id
    id=$(ls -t "$HOME/.fluvio/data/topics" | head -1)
    fluvio cluster shutdown
    mv "$HOME/.fluvio/data/topics/$id/0" "$HOME/away"
    fluvio cluster start
    run -1 --separate-stderr fluvio dead-letter list
    grep -q '^  beside  *2  *0  *0 ' <<<"$output"
    [[ ${stderr_lines[0]} == "Topic sick cannot be read: "*" nothing of topic sick "* ]]
    [ "${stderr_lines[1]}" = "1 topic could not be read. Check previous errors." ]
    fluvio cluster shutdown
    mv "$HOME/away" "$HOME/.fluvio/data/topics/$id/0"
    fluvio cluster start
    fluvio topic delete sick
}

@test "show prints everything, and --raw the bytes alone" {
    letters to shown 'k1={"a":1}'
    run -0 fluvio dead-letter show shown 0
    [[ $output == *"Connector  even (http)"* ]]
    [[ $output == *"Topic      to"* ]]
    [[ $output == *"Module     m.wasm (map), sha256 9f86"* ]]
    [[ $output == *$'Key        2 bytes\nk1\nValue      7 bytes\n{"a":1}' ]]
    [ "$(fluvio dead-letter show shown 0 --raw)" = '{"a":1}' ]
    [ "$(fluvio dead-letter show shown 0 -O json | py 'd["value"] + d["key"]')" = '{"a":1}k1' ]
    run -1 fluvio dead-letter show shown 7
    [ "$output" = "topic shown has no letter at offset 7" ]
}

@test "show does nothing to a terminal" {
    fluvio topic create wild
    printf '%s\n' '{"version":1,"connector":{"name":"\u001b[31mred","type":"t"},"error":{"cause":"c","text":"\u0007bell","hint":"\u001b]0;x"},"record":{"value":"G1szMW0="}}' |
        fluvio produce wild
    run -0 fluvio dead-letter show wild 0
    [[ $output != *$'\033'* && $output != *$'\a'* ]]
    run -0 fluvio dead-letter list wild
    [[ $output != *$'\033'* && $output != *$'\a'* ]]
    # "a", NUL, "b": bytes, not a line that ends there.
    printf '%s\n' '{"version":1,"connector":{"name":"c","type":"t"},"error":{"text":"e"},"record":{"value":"YQBi"}}' |
        fluvio produce wild
    [ "$(fluvio dead-letter show wild 1 | tr -cd '\0' | wc -c)" -eq 0 ]
}

@test "replay keeps keys and order, and --to sends elsewhere" {
    fluvio topic create keyed -p 3
    fluvio topic create elsewhere
    letters keyed withkeys a=1 b=2 c=3 a=4 b=5 c=6 7
    run -0 fluvio dead-letter replay withkeys --dry-run
    [ "$output" = "would replay 7 letters as 7 records" ]
    [ "$(values keyed | wc -l)" -eq 0 ]
    run -0 fluvio dead-letter replay withkeys --end 1 --to elsewhere
    [ "$(fluvio consume elsewhere -B -d -k)" = $'[a] 1\n[b] 2' ]
    run -0 fluvio dead-letter replay withkeys
    [ "$output" = "replayed 5 letters as 5 records" ]
    [ "$(fluvio consume keyed -B -d -k | sort)" = $'[a] 4\n[b] 5\n[c] 3\n[c] 6\n[null] 7' ]
    [ "$(fluvio consume keyed -B -d -k | grep c)" = $'[c] 3\n[c] 6' ]
    fluvio produce keyed --key c <<<8
    [ "$(fluvio consume keyed -B -d -k | grep c | tail -n 1)" = "[c] 8" ]
}

@test "modules filter, shape and split letters" {
    fluvio topic create made
    letters made shaped '{"v":"one"}' nothing '{"v":"two"}' '{"w":0}'
    run -1 fluvio dead-letter replay shaped --with contains.wasm \
        --with json-field.wasm --params text=: --params field=v
    [[ $output == *"letter 3 fails again: "*"no member of this name"* ]]
    [[ $output == *"replayed 2 letters as 2 records, 1 filtered, 1 stay"* ]]
    [ "$(values made)" = $'one\ntwo' ]
    [ "$(fluvio dead-letter list shaped --count)" = 1 ]
    fluvio smartmodule create splitter --wasm-file json-array-split.wasm
    letters made arrays '[1,2]' '[]' '[3]'
    run -0 fluvio dead-letter replay arrays --with splitter
    [ "$output" = "replayed 2 letters as 3 records, 1 filtered" ]
    [ "$(values made)" = $'one\ntwo\n1\n2\n3' ]
    [ "$(fluvio dead-letter list arrays --count)" = 0 ]
    run -1 fluvio dead-letter replay shaped --with sum.wasm
    [[ $output == *"sum.wasm is an aggregate"* ]]
    run -1 fluvio dead-letter replay shaped --with not-there.wasm
    [[ $output == *"SmartModule not-there.wasm was not found"* ]]
}

@test "a sink's letter is only sent where it is told to" {
    fluvio topic create sunk
    fluvio topic create rescued
    printf '%s\n' '{"version":1,"connector":{"name":"s","type":"http-sink"},"error":{"cause":"c","text":"t"},"source":{"topic":"sunk","partition":0,"offset":4},"record":{"value":"YQ=="}}' |
        fluvio produce sunk
    fluvio topic create sinkletters
    fluvio consume sunk -B -d | fluvio produce sinkletters
    run -1 fluvio dead-letter replay sinkletters
    [[ $output == *"letter 0 a sink failed on a record of topic sunk, where it still is"* ]]
    [[ $output == *"1 stay"* ]]
    run -0 fluvio dead-letter replay sinkletters --to rescued
    [ "$(values rescued)" = a ]
}

@test "discard asks, and settles what was shown" {
    letters to doomed a b c d
    run -1 fluvio dead-letter discard doomed </dev/null
    [[ $output == *"discarding 4 letters of doomed needs a confirmation; add --yes" ]]
    [ "$(fluvio dead-letter list doomed --count)" = 4 ]
    run -0 fluvio dead-letter discard doomed --yes --connector odd
    [ "$output" = 'discarded 2 dead letters of topic "doomed"' ]
    run -0 fluvio dead-letter discard doomed --yes
    [ "$output" = 'discarded 2 dead letters of topic "doomed"' ]
    run -0 fluvio dead-letter discard doomed --yes
    [ "$output" = 'no open dead letters in topic "doomed"' ]
    run -0 fluvio dead-letter replay doomed
    [ "$output" = "replayed 0 letters as 0 records" ]
}

@test "an interrupted replay is finished by whoever comes next" {
    fluvio topic create halfway
    letters halfway stuck a b
    # As one leaves it that was killed before it sent anything.
    printf '%s\n' '{"settlement":1,"after":-1,"event":"begin","id":77,"letters":[[0,0]],"topic":"halfway","batches":[{"partition":0,"end":0,"records":[{"value":"YQ=="}]}]}' |
        fluvio produce stuck
    run -0 fluvio dead-letter list stuck -O json
    [ "$(py '[e["state"] for e in d]' <<<"$output")" = "['in replay', 'open']" ]
    run -1 fluvio dead-letter discard stuck --yes
    [[ $output == *"letters 0 to 0 are in a replay that has not ended"* ]]
    run -0 fluvio dead-letter replay stuck --dry-run
    [[ $output == *"would finish an interrupted replay of 1 letter"* ]]
    run -0 fluvio dead-letter replay stuck
    [[ $output == *"finished an interrupted replay of 1 letter"* ]]
    [ "$(values halfway)" = $'a\nb' ]
    [ "$(fluvio dead-letter list stuck --count)" = 0 ]
}

@test "what retention has removed is for a person to decide" {
    fluvio topic create brief --segment-size '2 Ki' --max-partition-size '4 Ki'
    for _ in 1 2 3 4 5 6 7 8; do
        head -c 1500 /dev/zero | tr '\0' x | fluvio produce brief
    done
    until_true 30 start_is_above_0 brief
    letters brief doubtful a b
    printf '%s\n' '{"settlement":1,"after":-1,"event":"begin","id":78,"letters":[[0,0]],"topic":"brief","batches":[{"partition":0,"end":0,"records":[{"value":"YQ=="}]}]}' |
        fluvio produce doubtful
    run -1 fluvio dead-letter replay doubtful
    [[ $output == *"came to partition 0 of topic brief cannot be told"* ]]
    [ "$(fluvio dead-letter list doubtful --count)" = 2 ]
    run -0 fluvio dead-letter replay doubtful --in-doubt settle
    [ "$(values brief | grep -cx '[ab]')" = 1 ]
    [ "$(fluvio dead-letter list doubtful --count)" = 0 ]
}

@test "two replays at once send each letter once" {
    fluvio topic create shared
    letters shared both $(seq 1500)
    fluvio dead-letter replay both >one.log 2>&1 &
    local one=$!
    fluvio dead-letter replay both >two.log 2>&1 &
    ends_with 0 $!
    ends_with 0 $one
    [ "$(values shared)" = "$(seq 1500)" ]
}

@test "what is no letter and what does not go together is said" {
    fluvio topic create plain
    fluvio produce plain <<<hello
    run -0 fluvio dead-letter list plain
    [[ $output == *"offset 0 is no dead letter: "* ]]
    run -1 fluvio dead-letter replay plain
    [[ $output == *"letter 0 is no dead letter: "* ]]
    run -1 fluvio dead-letter discard plain --yes
    [ "$output" = "topic plain holds no dead letters; nothing was discarded" ]
    [ "$(values plain)" = hello ]
    run -1 fluvio dead-letter list missing
    [ "$output" = "Topic not found: missing" ]
    run -2 fluvio dead-letter replay plain --to plain
    [[ $output == *"letters of topic plain cannot be replayed into it"* ]]
    run -2 fluvio dead-letter replay plain --params a=b
    fluvio topic create wide -p 2
    run -2 fluvio dead-letter list wide
    [[ $output == *"topic wide has 2 partitions; say which"* ]]
    run -0 fluvio dead-letter list wide -p 1
    letters nowhere lonely a
    run -1 fluvio dead-letter replay lonely
    [[ $output == *"Topic not found: nowhere"* ]]
}
