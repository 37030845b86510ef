# The SQL sink as a person uses it: PostgreSQL and SQLite, by hand and managed,
# and everything that can be wrong with a record, a position or a database.

load lib
load manager

setup_file() {
    local bins=(/usr/lib/postgresql/*/bin)
    export PG_BIN=${bins[-1]}
    [ -x "$PG_BIN/postgres" ] || {
        echo "PostgreSQL is missing: scripts/bootstrap test" >&2
        return 1
    }
    cluster_up
    export PG=$HOME/pg
    mkdir "$PG"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$PG"
        chmod o+x "$HOME"
    fi
    as_postgres "$PG_BIN/initdb" -D "$PG/data" -U pg -A trust -E UTF8 -N \
        --locale=C >"$HOME/initdb.log" 2>&1
    pg_start
    export PG_URL="postgres://pg:s3cret@/postgres?host=$PG"
}

teardown_file() {
    kill -QUIT "$(head -n 1 "$PG/data/postmaster.pid")" 2>/dev/null || true
    home_down
}

# A server of PostgreSQL does not run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

pg_start() {
    as_postgres "$PG_BIN/postgres" -D "$PG/data" -k "$PG" \
        -c listen_addresses= >>"$HOME/pg.log" 2>&1 3>&- &
    until_true 30 pg_ready
}

pg_ready() {
    "$PG_BIN/pg_isready" -q -h "$PG"
}

pg_stop() {
    kill -INT "$(head -n 1 "$PG/data/postmaster.pid")"
    until_true 30 test ! -e "$PG/data/postmaster.pid"
}

setup() {
    TOPIC=t$BATS_TEST_NUMBER
    DB=$HOME/$TOPIC.db
    LOG=$HOME/$TOPIC.log
    fluvio topic create "$TOPIC" >/dev/null
}

teardown() {
    [ -z "${CONNECTOR:-}" ] || kill -9 "$CONNECTOR" 2>/dev/null || true
    [ -z "${PLAIN:-}" ] || kill -9 "$PLAIN" 2>/dev/null || true
    fluvio topic delete "$TOPIC" >/dev/null || true
}

pg() {
    "$PG_BIN/psql" -qAtX -h "$PG" -U pg -d postgres -c "$1"
}

lite() {
    sqlite3 -cmd '.timeout 10000' "$DB" "$1"
}

# Both databases under one name: db pg|lite SQL
db() {
    "$1" "$2"
}

url_of() {
    if [ "$1" = pg ]; then echo "$PG_URL"; else echo "sqlite://$DB"; fi
}

# insert TABLE ID [TEXT]: one record.
insert() {
    printf '{"Insert":{"table":"%s","values":[%s,%s]}}\n' "$1" \
        "{\"column\":\"id\",\"raw_value\":\"$2\",\"type\":\"Int\"}" \
        "{\"column\":\"txt\",\"raw_value\":\"${3:-x}\",\"type\":\"Text\"}"
}

upsert() {
    printf '{"Upsert":{"table":"%s","uniq_idx":"id","values":[%s,%s]}}\n' \
        "$1" "{\"column\":\"id\",\"raw_value\":\"$2\",\"type\":\"Int\"}" \
        "{\"column\":\"txt\",\"raw_value\":\"$3\",\"type\":\"Text\"}"
}

produce() {
    fluvio produce "$TOPIC" >/dev/null
}

letters_are() {
    [ "$(fluvio dead-letter list "$1" --count 2>/dev/null)" = "$2" ]
}

# sink OPTION...: runs in the background, log in $LOG.
sink() {
    : >"$LOG"
    fluvio-connect-sql-sink --fluvio-topic="$TOPIC" --backoff-min=20ms \
        --backoff-max=100ms "$@" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
}

stop_sink() {
    kill -TERM "$CONNECTOR"
    ends_with 0 "$CONNECTOR"
    CONNECTOR=
}

said() {
    until_true 15 grep -q -- "$1" "$LOG" || {
        cat "$LOG"
        return 1
    }
}

# answers DB SQL TEXT: now, or within a while.
is_answer() {
    [ "$("$1" "$2" 2>/dev/null)" = "$3" ]
}

answers() {
    until_true 20 is_answer "$@" || {
        echo "answer: $("$1" "$2")"
        cat "$LOG"
        return 1
    }
}

@test "records become rows, in order and once, in both databases" {
    local d
    for d in pg lite; do
        db $d "CREATE TABLE r$TOPIC (id INTEGER PRIMARY KEY, txt TEXT)"
    done
    { insert "r$TOPIC" 1 one && insert "r$TOPIC" 2 two &&
        upsert "r$TOPIC" 1 "again \\\"é\\\"" && upsert "r$TOPIC" 3 new; } |
        produce
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d
        answers $d "SELECT * FROM r$TOPIC ORDER BY id" \
            $'1|again "é"\n2|two\n3|new'
        stop_sink
        said "rows=4 transactions=1"
    done
    insert "r$TOPIC" 4 | produce
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d
        answers $d "SELECT count(*) FROM r$TOPIC" 4
        said 'msg=reads partition=0 offset=4'
        stop_sink
        said "rows=1 transactions=1"
        run db $d "SELECT next_offset FROM fluvio_position WHERE
            consumer = '$d' AND topic = '$TOPIC'"
        [ "$output" = 5 ]
        ! grep -q s3cret "$LOG"
    done
}

@test "a poison record goes to the dead letters, with row and column" {
    local d
    for d in pg lite; do
        db $d "CREATE TABLE p$TOPIC (id INTEGER PRIMARY KEY, txt TEXT NOT NULL)"
    done
    { insert "p$TOPIC" 1 && insert "p$TOPIC" old && echo nonsense &&
        insert "p$TOPIC" 1 && insert "nowhere" 1 && insert "p$TOPIC" 2; } |
        produce
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d --on-error="dead-letter:$d-dead"
        answers $d "SELECT id FROM p$TOPIC ORDER BY id" $'1\n2'
        stop_sink
        run fluvio consume "$d-dead" -B -d
        [ "${#lines[@]}" -eq 4 ]
        [[ ${lines[0]} == *"$TOPIC"* ]]
        [[ ${lines[0]} == *'column \"id\": \"old\" is not of type Int'* ]]
        [[ ${lines[1]} == *'not JSON'* ]]
        [[ $output == *nowhere* ]]
        run db $d "SELECT next_offset FROM fluvio_position WHERE
            consumer = '$d' AND topic = '$TOPIC'"
        [ "$output" = 6 ]
    done
}

@test "a letter is replayed once when the table is mended" {
    local d
    for d in pg lite; do
        db $d "CREATE TABLE l$TOPIC (id INTEGER PRIMARY KEY)"
    done
    { insert "l$TOPIC" 1 && echo nonsense; } | produce
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d --on-error="dead-letter:$d-mend"
        until_true 10 letters_are $d-mend 2
        stop_sink
        db $d "ALTER TABLE l$TOPIC ADD COLUMN txt TEXT"
    done
    for d in pg lite; do
        fluvio dead-letter discard $d-mend --end 0 --yes # nonsense
    done
    run -0 fluvio dead-letter replay pg-mend --to "$TOPIC"
    [ "$output" = "replayed 1 letter as 1 record" ]
    run -0 fluvio dead-letter replay pg-mend --to "$TOPIC"
    [ "$output" = "replayed 0 letters as 0 records" ]
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d --on-error="dead-letter:$d-mend"
        answers $d "SELECT id, txt FROM l$TOPIC" '1|x'
        answers $d "SELECT next_offset FROM fluvio_position WHERE
            consumer = '$d' AND topic = '$TOPIC'" 3
        stop_sink
    done
    [ "$(fluvio dead-letter list pg-mend --count)" = 0 ]
}

@test "one poison record of 10,000 is one letter, 9,999 are rows" {
    local d
    for d in pg lite; do
        db $d "CREATE TABLE many$TOPIC (id INTEGER PRIMARY KEY, txt TEXT)"
    done
    # The database alone knows that 777 is there twice.
    python3 - "many$TOPIC" <<'PY' | produce
import sys
for i in range(10000):
    n = 777 if i == 7777 else i
    print('{"Insert":{"table":"%s","values":[{"column":"id","raw_value":"%d",'
          '"type":"Int"}]}}' % (sys.argv[1], n))
PY
    for d in pg lite; do
        sink --url="$(url_of $d)" --consumer=$d --on-error="dead-letter:$d-one"
        answers $d "SELECT next_offset FROM fluvio_position WHERE
            consumer = '$d' AND topic = '$TOPIC'" 10000
        answers $d "SELECT count(*), sum(id) FROM many$TOPIC" "9999|49987223"
        stop_sink
        run fluvio consume "$d-one" -B -d
        [ "${#lines[@]}" -eq 1 ]
        [[ ${lines[0]} == *7777* ]]
        [[ ${lines[0]} == *many$TOPIC* ]]
    done
}

@test "by default a poison record halts, and what is before it is applied" {
    lite "CREATE TABLE h (id INTEGER PRIMARY KEY, txt TEXT)"
    { insert h 1 && insert h 2 && insert h "1e3" && insert h 4; } | produce
    sink --url="$(url_of lite)"
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    said "record $TOPIC-0@2"
    said 'column "id": "1e3" is not of type Int'
    run lite "SELECT id FROM h"
    [ "$output" = $'1\n2' ]
    run lite "SELECT next_offset FROM fluvio_position"
    [ "$output" = 2 ]
}

@test "a record that is tried again is applied when its table is there" {
    lite "CREATE TABLE other (id INTEGER)"
    { insert late 1 && insert late 2; } | produce
    sink --url="$(url_of lite)" --on-error=retry:100
    said 'no such table: late'
    lite "CREATE TABLE late (id INTEGER, txt TEXT)"
    answers lite "SELECT id FROM late" $'1\n2'
    stop_sink
}

@test "partitions have positions of their own" {
    fluvio topic delete "$TOPIC"
    fluvio topic create "$TOPIC" --partitions 3
    lite "CREATE TABLE q (id INTEGER, txt TEXT)"
    local i
    for i in {1..300}; do insert q "$i"; done | produce
    sink --url="$(url_of lite)"
    until_true 15 grep -q 'partition=2' "$LOG"
    stop_sink # in the middle, perhaps
    sink --url="$(url_of lite)"
    until_true 15 grep -q 'partition=2' "$LOG" # or all is there before it is
    answers lite "SELECT count(*), count(DISTINCT id) FROM q" "300|300"
    run lite "SELECT partition FROM fluvio_position ORDER BY 1"
    [ "$output" = $'0\n1\n2' ]
    run lite "SELECT sum(next_offset) FROM fluvio_position"
    [ "$output" = 300 ]
    stop_sink
}

@test "a topic that was made anew is refused with the reason" {
    lite "CREATE TABLE a (id INTEGER, txt TEXT)"
    insert a 1 | produce
    sink --url="$(url_of lite)"
    answers lite "SELECT count(*) FROM a" 1
    stop_sink
    fluvio topic delete "$TOPIC" >/dev/null
    fluvio topic create "$TOPIC" >/dev/null
    insert a 2 | produce
    sink --url="$(url_of lite)"
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    grep -q 'error: ' "$LOG"
    run lite "SELECT id FROM a"
    [ "$output" = 1 ]
    # Another name begins anew.
    sink --url="$(url_of lite)" --consumer=second
    answers lite "SELECT id FROM a" $'1\n2'
    stop_sink
}

@test "a position beyond the end is refused, and nothing is skipped" {
    lite "CREATE TABLE b (id INTEGER, txt TEXT)"
    insert b 1 | produce
    sink --url="$(url_of lite)"
    answers lite "SELECT count(*) FROM b" 1
    stop_sink
    lite "UPDATE fluvio_position SET next_offset = 100"
    sink --url="$(url_of lite)"
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    said 100
    run lite "SELECT next_offset FROM fluvio_position"
    [ "$output" = 100 ]
}

@test "a position of a plain Fluvio cluster is that of a topic's name" {
    plain_up
    db lite "CREATE TABLE n (id INTEGER, txt TEXT)"
    insert n 1 | produce
    sink --cluster="$PLAIN_CLUSTER" --url="$(url_of lite)"
    answers lite "SELECT id FROM n" 1
    stop_sink
    insert n 2 | produce
    sink --cluster="$PLAIN_CLUSTER" --url="$(url_of lite)"
    answers lite "SELECT id FROM n" $'1\n2'
    stop_sink
    # Where topics have ids it may be the position of an older one.
    sink --url="$(url_of lite)"
    ends_with 1 "$CONNECTOR"
    CONNECTOR=
    grep -q "it was kept without the topic's id" "$LOG"
    answers lite "SELECT count(*) FROM n" 2
}

@test "a database that is away is waited for, and told with its cause" {
    local tries
    pg "CREATE TABLE w$TOPIC (id INTEGER, txt TEXT)"
    pg_stop
    insert "w$TOPIC" 1 | produce
    sink --url="$PG_URL"
    said 'msg="the database fails, trying again"'
    said 'socket'
    pg_start
    answers pg "SELECT id FROM w$TOPIC" 1
    tries=$(grep -c 'trying again' "$LOG")
    pg_stop
    insert "w$TOPIC" 2 | produce
    until_true 15 eval '[ "$(grep -c "trying again" "$LOG")" -gt "$tries" ]'
    pg_start
    answers pg "SELECT id FROM w$TOPIC ORDER BY id" $'1\n2'
    said 'well again'
    stop_sink
    ! grep -q s3cret "$LOG"
}

@test "a filter of SmartModules moves the position too" {
    lite "CREATE TABLE f (id INTEGER, txt TEXT)"
    { insert f 1 keep && insert f 2 drop && insert f 3 drop; } | produce
    sink --url="$(url_of lite)" --filter="$FLV_SMARTMODULES/contains.wasm" \
        --smartmodule-parameters=text:keep --consumer=f
    answers lite "SELECT next_offset FROM fluvio_position" 3
    run lite "SELECT id FROM f"
    [ "$output" = 1 ]
    stop_sink
}

@test "ordinary JSON becomes rows by a mapping of json-sql" {
    lite "CREATE TABLE d (id INTEGER PRIMARY KEY, body TEXT)"
    cat >"$HOME/mapped.yml" <<YML
apiVersion: 0.1.0
meta:
  version: latest
  name: mapped
  type: sql-sink
  topic: $TOPIC
sql:
  url: sqlite://$DB
transforms:
  - uses: $FLV_SMARTMODULES/json-sql.wasm
    with:
      mapping:
        table: d
        operation: upsert
        unique-columns: [id]
        map-columns:
          id:
            json-key: device.device_id
            value: {type: int, required: true}
          body:
            json-key: "$"
            value: {type: jsonb, required: true}
YML
    printf '%s\n' '{"device":{"device_id":1}}' '{"device":{"device_id":2}}' \
        '{"device":{"device_id":1},"on":true}' | produce
    LOG=$HOME/mapped.log
    fluvio-connect-sql-sink --config "$HOME/mapped.yml" >"$LOG" 2>&1 3>&- &
    CONNECTOR=$!
    answers lite "SELECT * FROM d ORDER BY id" \
        $'1|{"device":{"device_id":1},"on":true}\n2|{"device":{"device_id":2}}'
    stop_sink
}

@test "bad settings are named, and secrets are not in the message" {
    run fluvio-connect-sql-sink --fluvio-topic="$TOPIC" --url=mysql://u:s3cret@h
    [ "$status" -eq 1 ]
    [[ $output == *"neither postgres://"* ]]
    [[ $output != *s3cret* ]]
    run fluvio-connect-sql-sink --fluvio-topic="$TOPIC" \
        --url='postgres://u:s3%zz@h/d'
    [ "$status" -eq 1 ]
    [[ $output == *"%XX"* ]]
    [[ $output != *s3%zz* ]]
    run fluvio-connect-sql-sink --fluvio-topic="$TOPIC" \
        --url=sqlite://x --position-table=a.b.c --check
    [ "$status" -eq 1 ]
    [[ $output == *position-table* ]]
}

@test "managed from YAML: secrets, state Retrying, then rows" {
    pg "CREATE TABLE m (id INTEGER, txt TEXT)"
    cat >"$HOME/managed.yml" <<YML
apiVersion: 0.1.0
meta:
  version: latest
  name: managed-sql
  type: sql-sink
  topic: $TOPIC
  secrets:
    - name: PG_URL
sql:
  url: \${{ secrets.PG_URL }}
  backoff-min: 20ms
  backoff-max: 100ms
YML
    echo "$PG_URL" | fluvio secret set PG_URL
    insert m 1 | produce
    # Away at the first start, where it is asked for its positions.
    pg_stop
    fluvio connector create --config "$HOME/managed.yml"
    until_true 20 is_state managed-sql Retrying
    run fluvio connector describe managed-sql
    [[ $output == *PostgreSQL* ]]
    pg_start
    answers pg "SELECT id FROM m" 1
    until_true 20 is_state managed-sql Running
    pg_stop
    insert m 2 | produce
    until_true 20 is_state managed-sql Retrying
    run fluvio connector describe managed-sql
    [[ $output == *PostgreSQL* ]]
    [[ $output != *s3cret* ]]
    pg_start
    answers pg "SELECT id FROM m ORDER BY id" $'1\n2'
    until_true 20 is_state managed-sql Running
    run fluvio connector logs managed-sql
    [[ $output == *"well again"* ]]
    [[ $output != *s3cret* ]]
    fluvio connector delete managed-sql
    insert m 3 | produce
    fluvio connector create --config "$HOME/managed.yml"
    answers pg "SELECT id FROM m ORDER BY id" $'1\n2\n3'
    fluvio connector delete managed-sql
}

@test "managed, a position beyond the end is Failed with the reason" {
    lite "CREATE TABLE z (id INTEGER, txt TEXT)"
    cat >"$HOME/beyond.yml" <<YML
version: v1
name: beyond
type: sql-sink
topic: $TOPIC
parameters:
  url: sqlite://$DB
YML
    insert z 1 | produce
    fluvio connector create --config "$HOME/beyond.yml"
    answers lite "SELECT id FROM z" 1
    fluvio connector delete beyond
    lite "UPDATE fluvio_position SET next_offset = 100"
    fluvio connector create --config "$HOME/beyond.yml"
    until_true 20 is_state beyond Failed || {
        api GET /connectors/beyond/status
        return 1
    }
    run fluvio connector describe beyond
    [[ $output == *100* ]]
    fluvio connector delete beyond
}

@test "a flat file with direction sink runs" {
    lite "CREATE TABLE y (id INTEGER, txt TEXT)"
    cat >"$HOME/flat.yml" <<YML
version: v1
name: flat-sql
type: sql-sink
topic: $TOPIC
direction: sink
parameters:
  database-url: sqlite://$DB
YML
    run fluvio connector check "$HOME/flat.yml"
    [ "$status" -eq 0 ]
    run fluvio connector check --probe "$HOME/flat.yml"
    [ "$status" -eq 0 ]
    insert y 1 | produce
    fluvio connector create --config "$HOME/flat.yml"
    answers lite "SELECT id FROM y" 1
    fluvio connector delete flat-sql
}
