/* The databases behind the SQL sink: the real ones, each test with both. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "cm.h"
#include "db.h"
#include "postgres.h"

static struct postgres pg;
static bool have_pg;
static atomic_bool canceled;

struct rig {
    bool is_pg;
    struct tmpdir tmp;
    char url[256];
    struct sql_db_conf conf;
    struct sql_db *db;
    struct sql_mark mark;
    int64_t claims;
    struct flv_arena arena;
    struct flv_err err;
    struct sql_row rows[2048];
    size_t count;
};

/* --- asking the database without the sink ------------------------------------
 */

static void ask_sqlite(const char *path, const char *sql, char *out, size_t max)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (const char *rest = sql; *rest != '\0';) {
        if (sqlite3_prepare_v2(db, rest, -1, &s, &rest) != SQLITE_OK) {
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        }
        while (sqlite3_step(s) == SQLITE_ROW && out != NULL) {
            for (int i = 0; i < sqlite3_column_count(s); i++) {
                const char *v = (const char *)sqlite3_column_text(s, i);
                size_t n = strlen(out);
                (void)snprintf(out + n, max - n, "%s%c", v != NULL ? v : "~",
                               i + 1 < sqlite3_column_count(s) ? '|' : '\n');
            }
        }
        sqlite3_finalize(s);
    }
    sqlite3_close(db);
}

static void ask_pg(const char *sql, char *out, size_t max)
{
    PGconn *c = PQconnectdb(pg.url);
    PGresult *r = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    }
    for (int row = 0; out != NULL && row < PQntuples(r); row++) {
        for (int i = 0; i < PQnfields(r); i++) {
            size_t n = strlen(out);
            (void)snprintf(out + n, max - n, "%s%c",
                           PQgetisnull(r, row, i) ? "~" : PQgetvalue(r, row, i),
                           i + 1 < PQnfields(r) ? '|' : '\n');
        }
    }
    PQclear(r);
    PQfinish(c);
}

static const char *ask(struct rig *r, const char *sql)
{
    static char out[65536];
    out[0] = '\0';
    if (r->is_pg) {
        ask_pg(sql, out, sizeof(out));
    } else {
        ask_sqlite(r->url + strlen("sqlite://"), sql, out, sizeof(out));
    }
    return out;
}

/* --- rig ---------------------------------------------------------------------
 */

static void open_db(struct rig *r)
{
    if (sql_db_open(&r->db, &r->conf, &r->err) != FLV_OK) {
        fail_msg("open: %s", r->err.text);
    }
}

static flv_rc claim(struct rig *r, enum sql_claim how)
{
    flv_err_clear(&r->err);
    return sql_db_claim(r->db, &r->mark,
                        (int64_t)77 << SQL_CLAIM_BITS | ++r->claims, how,
                        &r->err);
}

static struct rig *make(bool is_pg)
{
    struct rig *r = flv_zalloc(1, sizeof(*r));
    r->is_pg = is_pg;
    tmpdir_make(&r->tmp, "sql");
    flv_arena_init(&r->arena, 65536, (size_t)64 << 20);
    if (is_pg) {
        (void)snprintf(r->url, sizeof(r->url), "%s", pg.url);
        ask_pg("DROP SCHEMA public CASCADE; CREATE SCHEMA public", NULL, 0);
    } else {
        (void)snprintf(r->url, sizeof(r->url), "sqlite://%s/data.db",
                       r->tmp.path);
    }
    (void)ask(r, "CREATE TABLE t (id INTEGER PRIMARY KEY, n SMALLINT, "
                 "txt VARCHAR(5) NOT NULL DEFAULT '-')");
    r->conf = (struct sql_db_conf){.url = r->url,
                                   .table = "fluvio_position",
                                   .name = "test",
                                   .timeout_ms = 20000,
                                   .canceled = &canceled};
    r->mark = (struct sql_mark){.consumer = "c", .topic = "o'topic"};
    (void)snprintf(r->mark.creation, sizeof(r->mark.creation), "id-1");
    open_db(r);
    return r;
}

static int setup_pg(void **state)
{
    if (have_pg) {
        *state = make(true);
    }
    return 0;
}

static int setup_sqlite(void **state)
{
    *state = make(false);
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    if (r != NULL) {
        sql_db_close(r->db);
        flv_arena_deinit(&r->arena);
        tmpdir_remove(&r->tmp);
        flv_free(r);
    }
    return 0;
}

static struct rig *rig_of(void **state)
{
    if (*state == NULL) {
        print_message("# no PostgreSQL here (apt install postgresql)\n");
        skip();
    }
    return *state;
}

static void add(struct rig *r, const char *op)
{
    char *text = flv_arena_text(&r->arena, op, strlen(op));
    struct sql_row *row = &r->rows[r->count++];
    *row = (struct sql_row){.skip = false};
    if (sql_op_read(flv_slice_str(text), &r->arena, &row->op, &r->err) !=
        FLV_OK) {
        fail_msg("%s: %s", op, r->err.text);
    }
}

/* kind INSERT or UPSERT of t; NULL: the column is left out. */
static void add_row(
    struct rig *r, bool upsert, const char *id, const char *n, const char *x)
{
    char op[512];
    int len = snprintf(op, sizeof(op),
                       "{\"%s\":{\"table\":\"t\",%s\"values\":[{\"column\":"
                       "\"id\",\"raw_value\":\"%s\",\"type\":\"Int\"}",
                       upsert ? "Upsert" : "Insert",
                       upsert ? "\"uniq_idx\":\"id\"," : "", id);
    if (n != NULL) {
        len += snprintf(op + len, sizeof(op) - (size_t)len,
                        ",{\"column\":\"n\",\"raw_value\":\"%s\","
                        "\"type\":\"Int\"}",
                        n);
    }
    if (x != NULL) {
        len += snprintf(op + len, sizeof(op) - (size_t)len,
                        ",{\"column\":\"txt\",\"raw_value\":%s,"
                        "\"type\":\"Text\"}",
                        x);
    }
    (void)snprintf(op + len, sizeof(op) - (size_t)len, "]}}");
    add(r, op);
}

/* Applies what was added and moves the position by as much. */
static flv_rc apply(struct rig *r)
{
    flv_err_clear(&r->err);
    int64_t next = r->mark.next + (int64_t)r->count;
    flv_rc rc = sql_db_apply(r->db, &r->mark, next, r->rows, r->count, &r->err);
    if (rc == FLV_OK) {
        r->mark.next = next;
        r->count = 0;
    }
    return rc;
}

static void must_apply(struct rig *r)
{
    if (apply(r) != FLV_OK) {
        fail_msg("apply: %s", r->err.text);
    }
}

static const char *position(struct rig *r)
{
    return ask(r, "SELECT consumer, topic, partition, topic_created, "
                  "next_offset FROM fluvio_position ORDER BY partition");
}

/* --- claims ------------------------------------------------------------------
 */

static void position_is_made_once_and_then_found(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_FOUND), FLV_E_NOT_FOUND);
    r->mark.next = 7;
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    assert_string_equal(position(r), "c|o'topic|0|id-1|7\n");
    r->mark.next = 9; /* what somebody would start with */
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    assert_int_equal(r->mark.next, 7);
    assert_int_equal(claim(r, SQL_CLAIM_FOUND), FLV_OK);
    assert_int_equal(r->mark.next, 7);
}

static void position_of_another_creation_is_not_touched(void **state)
{
    struct rig *r = rig_of(state);
    r->mark.next = 7;
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)snprintf(r->mark.creation, sizeof(r->mark.creation), "id-2");
    assert_int_equal(claim(r, SQL_CLAIM_FOUND), FLV_OK);
    assert_string_equal(r->mark.creation, "id-1");
    assert_int_equal(r->mark.owner, 0);
    assert_string_equal(position(r), "c|o'topic|0|id-1|7\n");
}

static void earlier_of_two_instances_is_told_and_applies_nothing(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", NULL, NULL);
    must_apply(r);

    struct sql_db *other = NULL;
    struct sql_mark theirs = r->mark;
    assert_int_equal(sql_db_open(&other, &r->conf, &r->err), FLV_OK);
    assert_int_equal(sql_db_claim(other, &theirs, (int64_t)99 << SQL_CLAIM_BITS,
                                  SQL_CLAIM_FOUND, &r->err),
                     FLV_OK);
    assert_int_equal(theirs.next, 1);

    add_row(r, false, "2", NULL, NULL);
    assert_int_equal(apply(r), FLV_E_LOCKED);
    assert_non_null(strstr(r->err.text, "no longer this instance's"));
    sql_db_close(r->db);
    open_db(r);
    assert_int_equal(claim(r, SQL_CLAIM_AGAIN), FLV_E_LOCKED);
    assert_int_equal(sql_db_apply(other, &theirs, 2, r->rows, 1, &r->err),
                     FLV_OK);
    sql_db_close(other);
    assert_string_equal(ask(r, "SELECT id FROM t ORDER BY id"), "1\n2\n");
}

static void batch_is_applied_once_however_often_it_is_sent(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", NULL, NULL);
    assert_int_equal(sql_db_apply(r->db, &r->mark, 1, r->rows, 1, &r->err),
                     FLV_OK);
    /* The answer got lost: the same again. */
    assert_int_equal(sql_db_apply(r->db, &r->mark, 1, r->rows, 1, &r->err),
                     FLV_E_LOCKED);
    sql_db_close(r->db);
    open_db(r);
    assert_int_equal(claim(r, SQL_CLAIM_AGAIN), FLV_OK);
    assert_int_equal(r->mark.next, 1);
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "1\n");
}

/* --- rows --------------------------------------------------------------------
 */

static void rows_of_many_shapes_are_applied_in_order(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", "10", "\"a\"");
    add_row(r, false, "2", "", "\"b\"");
    add_row(r, true, "1", "11", NULL);
    add_row(r, true, "1", "12", NULL);
    add_row(r, true, "3", NULL, "\"\\\"\\\\{,\"");
    add_row(r, false, "4", "-5", "\"NULL\"");
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id, n, txt FROM t ORDER BY id"),
                        "1|12|a\n2|~|b\n3|~|\"\\{,\n4|-5|NULL\n");
    assert_string_equal(position(r), "c|o'topic|0|id-1|6\n");
}

static void position_moves_over_what_was_skipped(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    assert_int_equal(sql_db_apply(r->db, &r->mark, 5, NULL, 0, &r->err),
                     FLV_OK);
    r->mark.next = 5;
    add_row(r, false, "1", NULL, NULL);
    add_row(r, false, "1", NULL, NULL);
    r->rows[0].skip = true;
    must_apply(r);
    assert_string_equal(position(r), "c|o'topic|0|id-1|7\n");
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "1\n");
}

static void every_row_at_fault_is_found_and_none_is_applied(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    char id[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof(id), "%d", i == 300 || i == 301 ? 299 : i);
        add_row(r, false, id, "1", i == 777 ? "null" : "\"x\"");
    }
    assert_int_equal(apply(r), FLV_E_INVALID);
    for (size_t i = 0; i < r->count; i++) {
        bool bad = i == 300 || i == 301 || i == 777;
        assert_int_equal(r->rows[i].err.rc, bad ? FLV_E_INVALID : FLV_OK);
        r->rows[i].skip = bad;
    }
    assert_non_null(strstr(r->rows[777].err.text, "txt"));
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "0\n");
    assert_string_equal(position(r), "c|o'topic|0|id-1|0\n");
    must_apply(r);
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "997\n");
}

static void table_that_is_not_there_is_the_records_fault(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add(r, "{\"Insert\":{\"table\":\"gone\",\"values\":[{\"column\":\"a\","
           "\"raw_value\":\"1\",\"type\":\"Int\"}]}}");
    add(r, "{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"nope\","
           "\"raw_value\":\"1\",\"type\":\"Int\"}]}}");
    add_row(r, false, "1", NULL, NULL);
    assert_int_equal(apply(r), FLV_E_INVALID);
    assert_non_null(strstr(r->rows[0].err.text, "gone"));
    assert_non_null(strstr(r->rows[1].err.text, "nope"));
    assert_int_equal(r->rows[2].err.rc, FLV_OK);
    (void)ask(r, "CREATE TABLE gone (a INTEGER)");
    sql_db_close(r->db);
    open_db(r);
    r->rows[1].skip = true;
    must_apply(r);
    assert_string_equal(ask(r, "SELECT a FROM gone"), "1\n");
}

static void changed_table_is_noticed(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", "5", NULL);
    must_apply(r);
    (void)ask(r, "DROP TABLE t");
    (void)ask(r, "CREATE TABLE t (id INTEGER, n TEXT)");
    add_row(r, false, "2", "6", NULL);
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id, n FROM t"), "2|6\n");
}

static void more_shapes_than_are_kept_are_no_matter(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    char sql[64], op[256];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(sql, sizeof(sql), "CREATE TABLE x%d (a INTEGER)", i);
        if (i < 5) {
            (void)ask(r, sql);
        }
        (void)snprintf(op, sizeof(op),
                       "{\"Insert\":{\"table\":\"x%d\",\"values\":[{"
                       "\"column\":\"a\",\"raw_value\":\"1\","
                       "\"type\":\"Int\"}]}}",
                       i);
        add(r, op);
    }
    assert_int_equal(apply(r), FLV_E_INVALID);
    for (size_t i = 0; i < r->count; i++) {
        assert_int_equal(r->rows[i].err.rc, i < 5 ? FLV_OK : FLV_E_INVALID);
        r->rows[i].skip = i >= 5;
    }
    must_apply(r);
    assert_string_equal(ask(r, "SELECT count(*) FROM x4"), "1\n");
}

static void every_type_reaches_its_column(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, r->is_pg
                     ? "CREATE TABLE y (b bool, c smallint, s int2, i int4, "
                       "l int8, f float4, d float8, t text, x bytea, "
                       "n numeric(6,2), ts timestamptz, da date, ti time, "
                       "u uuid, j jsonb)"
                     : "CREATE TABLE y (b BOOLEAN, c INTEGER, s INTEGER, i "
                       "INTEGER, l BIGINT, f REAL, d REAL, t TEXT, x BLOB, n "
                       "NUMERIC, ts DATETIME, da DATE, ti TIME, u TEXT, j "
                       "TEXT)");
#define V(c, v, t)                                                             \
    "{\"column\":\"" c "\",\"raw_value\":" v ",\"type\":\"" t "\"}"
    add(r, "{\"Insert\":{\"table\":\"y\",\"values\":["                 //
        V("b", "\"true\"", "Bool") "," V("c", "\"-1\"", "Char") ","    //
        V("s", "\"2\"", "SmallInt") "," V("i", "\"3\"", "Int") ","     //
        V("l", "\"-9223372036854775808\"", "BigInt") ","               //
        V("f", "\"1.5\"", "Float") ","                                 //
        V("d", "\"-2.25\"", "DoublePrecision") ","                     //
        V("t", "\"{\\\"}\\\\,\\u00e9\"", "Text") ","                   //
        V("x", "\"\\u0000a\\\\\"", "Bytes") ","                        //
        V("n", "\"12.50\"", "Numeric") ","                             //
        V("ts", "\"2026-01-31 23:59:59.5+00\"", "Timestamp") ","       //
        V("da", "\"2026-01-31\"", "Date") ","                          //
        V("ti", "\"23:59:59\"", "Time") ","                            //
        V("u", "\"6f0c2f4e-8a37-4a39-9b2e-0d4c1a2b3c4d\"", "Uuid") "," //
        V("j", "\"{\\\"a\\\": 1}\"", "Json") "]}}");
    must_apply(r);
    assert_string_equal(
        ask(r, r->is_pg ? "SET TimeZone TO UTC; SELECT b, c, s, i, l, f, d, "
                          "t, encode(x, 'hex'), n, ts, da, ti, u, j FROM y"
                        : "SELECT b, c, s, i, l, f, d, t, lower(hex(x)), n, "
                          "ts, da, ti, u, j FROM y"),
        r->is_pg
            ? "t|-1|2|3|-9223372036854775808|1.5|-2.25|{\"}\\,\xc3\xa9|00615c|"
              "12.50|2026-01-31 23:59:59.5+00|2026-01-31|23:59:59|"
              "6f0c2f4e-8a37-4a39-9b2e-0d4c1a2b3c4d|{\"a\": 1}\n"
            : "1|-1|2|3|-9223372036854775808|1.5|-2.25|{\"}\\,\xc3\xa9|00615c|"
              "12.5|2026-01-31 23:59:59.5+00|2026-01-31|23:59:59|"
              "6f0c2f4e-8a37-4a39-9b2e-0d4c1a2b3c4d|{\"a\": 1}\n");
}

static void names_mean_what_they_mean_in_sql(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "CREATE TABLE Orders (\"Order\" INTEGER PRIMARY KEY, "
                 "\"select\" INTEGER)");
    add(r,
        "{\"Upsert\":{\"table\":\"ORDERS\",\"uniq_idx\":\"\\\"Order\\\"\","
        "\"values\":["
        "{\"column\":\"\\\"Order\\\"\",\"raw_value\":\"1\",\"type\":\"Int\"},"
        "{\"column\":\"Select\",\"raw_value\":\"2\",\"type\":\"Int\"}]}}");
    must_apply(r);
    assert_string_equal(ask(r, "SELECT * FROM orders"), "1|2\n");
}

/* What no attempt can hold is the record's fault, not the database's. */
static void names_that_no_statement_holds_are_the_records_fault(void **state)
{
    enum { LEN = 3 << 20 };
    struct rig *r = rig_of(state);
    struct flv_buf op;
    flv_buf_init(&op, LEN + 512);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    for (int i = 0; i < 2; i++) {
        const char *part = i == 0 ? "id," : "xyz";
        flv_buf_reset(&op);
        flv_rc rc = flv_buf_add_str(&op, "{\"Upsert\":{\"table\":\"t\","
                                         "\"uniq_idx\":\"");
        for (int k = 0; k < LEN && rc == FLV_OK; k += 3) {
            rc = flv_buf_add_str(&op, part);
        }
        if (rc == FLV_OK) {
            rc = flv_buf_add_str(&op, "id\",\"values\":[{\"column\":\"id\","
                                      "\"raw_value\":\"7\",\"type\":"
                                      "\"Int\"}]}}");
        }
        assert_int_equal(rc, FLV_OK);
        add(r, flv_buf_str(&op));
    }
    flv_buf_deinit(&op);
    add_row(r, false, "1", NULL, NULL);
    assert_int_equal(apply(r), FLV_E_INVALID);
    assert_int_equal(r->rows[0].err.rc, FLV_E_INVALID);
    assert_int_equal(r->rows[1].err.rc, FLV_E_INVALID);
    assert_int_equal(r->rows[2].err.rc, FLV_OK);
    r->rows[0].skip = r->rows[1].skip = true;
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id FROM t"), "1\n");
}

/* --- PostgreSQL alone --------------------------------------------------------
 */

static void column_at_fault_is_named(void **state)
{
    static const struct {
        const char *column, *value, *type, *said;
    } cases[] = {
        {"n", "\"70000\"", "Int", "column \"n\": PostgreSQL"},
        {"txt", "\"toolong\"", "Text", "column \"txt\": 7 characters are too"},
        {"txt", "\"a\\u0000\"", "Text", "column \"txt\": a NUL character"},
        {"q", "\"12345.6\"", "Numeric", "column \"q\": PostgreSQL"},
        {"ts", "\"2026-01-01 00:00:00Z\"", "Timestamp",
         "column \"ts\": \"2026-01-01 00:00:00Z\" has a zone"},
        {"u", "\"x\"", "Text", "column \"u\": PostgreSQL: invalid input"},
        {"j", "\"{\\\"a\\\":\\\"\\\\u0000\\\"}\"", "Json",
         "column \"j\": PostgreSQL"},
    };
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "ALTER TABLE t ADD q numeric(5,2), ADD ts timestamp, "
                 "ADD u uuid, ADD j jsonb");
    for (size_t i = 0; i < COUNT(cases); i++) {
        char op[512];
        (void)snprintf(op, sizeof(op),
                       "{\"Insert\":{\"table\":\"t\",\"values\":["
                       "{\"column\":\"id\",\"raw_value\":\"1\",\"type\":"
                       "\"Int\"},{\"column\":\"%s\",\"raw_value\":%s,"
                       "\"type\":\"%s\"}]}}",
                       cases[i].column, cases[i].value, cases[i].type);
        r->count = 0;
        add(r, op);
        assert_int_equal(apply(r), FLV_E_INVALID);
        if (strstr(r->rows[0].err.text, cases[i].said) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", r->rows[0].err.text,
                     cases[i].said);
        }
    }
}

static void deferred_constraint_accuses_its_row(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "DROP TABLE t");
    (void)ask(r, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER "
                 "REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)");
    add_row(r, false, "1", "2", NULL); /* its parent follows */
    add_row(r, false, "2", "", NULL);
    must_apply(r);
    add_row(r, false, "3", "", NULL);
    add_row(r, false, "4", "99", NULL);
    add_row(r, false, "5", "", NULL);
    assert_int_equal(apply(r), FLV_E_INVALID);
    assert_int_equal(r->rows[0].err.rc, FLV_OK);
    assert_int_equal(r->rows[1].err.rc, FLV_E_INVALID);
    assert_int_equal(r->rows[2].err.rc, FLV_OK);
}

static void rows_that_no_statement_holds_are_told_or_parted(void **state)
{
    enum { LEN = 129 << 20, PART = 1 << 20, ROWS = 20 };
    struct rig *r = rig_of(state);
    char *text = flv_zalloc(LEN, 1);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "CREATE TABLE big (v TEXT)");
    memset(text, 'x', LEN);
    for (int i = 0; i < ROWS; i++) {
        add(r, "{\"Insert\":{\"table\":\"big\",\"values\":[{\"column\":"
               "\"v\",\"raw_value\":\"x\",\"type\":\"Text\"}]}}");
        r->rows[i].op.values[0].text = flv_slice(text, i == 0 ? LEN : PART);
    }
    assert_int_equal(apply(r), FLV_E_INVALID);
    assert_non_null(strstr(r->rows[0].err.text, "too large: 128 MiB at most"));
    r->rows[0].op.values[0].text.len = PART;
    must_apply(r);
    assert_string_equal(ask(r, "SELECT count(*), min(length(v)) FROM big"),
                        "20|1048576\n");
    flv_free(text);
}

/* An array of it comes apart into two columns. */
static void types_whose_arrays_do_not_come_apart_are_applied(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "CREATE TYPE pair AS (a int, b int)");
    (void)ask(r, "CREATE DOMAIN twin AS pair");
    (void)ask(r, "CREATE TABLE z (v twin)");
    for (int i = 0; i < 2; i++) {
        add(r, "{\"Insert\":{\"table\":\"z\",\"values\":[{\"column\":\"v\","
               "\"raw_value\":\"(1,2)\",\"type\":\"Text\"}]}}");
    }
    must_apply(r);
    assert_string_equal(ask(r, "SELECT v FROM z"), "(1,2)\n(1,2)\n");
}

static void make_refuse(struct rig *r, const char *state, const char *when)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ "
                   "BEGIN IF NEW.id = 2 THEN RAISE 'no twos' USING ERRCODE = "
                   "'%s'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql; "
                   "DROP TRIGGER IF EXISTS no_twos ON t; "
                   "CREATE %s FOR EACH ROW EXECUTE FUNCTION refuse()",
                   state, when);
    (void)ask(r, sql);
}

static void refusal_of_a_trigger_accuses_its_row(void **state)
{
    static const char *const states[] = {"54000", "2F004", "38001", "39P01",
                                         "P0001", "ZZ001", "02000"};
    static const char *const whens[] = {
        "TRIGGER no_twos BEFORE INSERT ON t",
        "CONSTRAINT TRIGGER no_twos AFTER INSERT ON t DEFERRABLE INITIALLY "
        "DEFERRED"};
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", NULL, NULL);
    add_row(r, false, "2", NULL, NULL);
    add_row(r, false, "3", NULL, NULL);
    for (size_t i = 0; i < COUNT(states) * COUNT(whens); i++) {
        make_refuse(r, states[i / 2], whens[i % 2]);
        assert_int_equal(apply(r), FLV_E_INVALID);
        assert_int_equal(r->err.rc, FLV_E_INVALID);
        assert_int_equal(r->rows[0].err.rc, FLV_OK);
        assert_int_equal(r->rows[1].err.rc, FLV_E_INVALID);
        assert_non_null(strstr(r->rows[1].err.text, states[i / 2]));
        assert_int_equal(r->rows[2].err.rc, FLV_OK);
    }
    make_refuse(r, "40001", whens[0]); /* this one may pass */
    assert_int_equal(apply(r), FLV_E_BUSY);
    assert_int_equal(r->rows[1].err.rc, FLV_OK);
}

static void killed_server_leaves_all_or_nothing(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", NULL, NULL);
    must_apply(r);
    postgres_kill(&pg);
    add_row(r, false, "2", NULL, NULL);
    flv_rc rc = apply(r);
    assert_true(rc != FLV_OK && rc != FLV_E_INVALID && rc != FLV_E_LOCKED);
    sql_db_close(r->db);
    r->db = NULL;
    assert_true(postgres_restart(&pg));
    open_db(r);
    assert_int_equal(claim(r, SQL_CLAIM_AGAIN), FLV_OK);
    assert_int_equal(r->mark.next, 1);
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id FROM t ORDER BY id"), "1\n2\n");
}

static void secrets_are_in_no_message(void **state)
{
    static const char *const urls[] = {
        "postgres://u:s3cr%t@h/d",
        "postgres://u:s3cret@h:port/d?nonsense=1",
        "postgres://u:s3cret@[h/d",
        "mysql://u:s3cret@h/d",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct flv_err err = {0};
        const struct sql_db_conf conf = {.url = urls[i], .canceled = &canceled};
        assert_int_equal(sql_db_check(&conf, &err), FLV_E_USAGE);
        assert_null(strstr(err.text, "s3cr"));
    }
}

static void cancel_ends_what_blocks(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    PGconn *holder = PQconnectdb(pg.url);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE t"));
    r->conf.timeout_ms = 300;
    add_row(r, false, "1", NULL, NULL);
    assert_int_equal(apply(r), FLV_E_TIMEOUT);
    atomic_store(&canceled, true);
    struct sql_db *other = NULL;
    assert_int_equal(sql_db_open(&other, &r->conf, &r->err), FLV_E_CANCELED);
    atomic_store(&canceled, false);
    PQfinish(holder);
}

/* --- SQLite alone ------------------------------------------------------------
 */

static void file_that_vanished_is_trouble_and_no_success(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    add_row(r, false, "1", NULL, NULL);
    char aside[300];
    const char *path = r->url + strlen("sqlite://");
    (void)snprintf(aside, sizeof(aside), "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    flv_rc rc = apply(r);
    assert_true(rc != FLV_OK && rc != FLV_E_INVALID);
    sql_db_close(r->db);
    r->db = NULL;
    assert_int_equal(sql_db_open(&r->db, &r->conf, &r->err), FLV_E_CONNECT);
    assert_non_null(strstr(r->err.text, "mode=rwc"));
    assert_int_equal(rename(aside, path), 0);
    open_db(r);
    assert_int_equal(claim(r, SQL_CLAIM_AGAIN), FLV_OK);
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id FROM t"), "1\n");
}

static void full_database_is_trouble_that_passes(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "CREATE TABLE big (a BLOB)");
    (void)ask(r, "CREATE TRIGGER grow AFTER INSERT ON t BEGIN INSERT INTO big "
                 "VALUES (zeroblob(2000000000)); END");
    add_row(r, false, "1", NULL, NULL);
    flv_rc rc = apply(r);
    assert_true(rc != FLV_OK);
    (void)ask(r, "DROP TRIGGER grow");
    must_apply(r);
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "1\n");
}

static void row_that_takes_all_back_is_found_and_none_is_applied(void **state)
{
    static const char *const tables[] = {
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)",
        "CREATE TABLE t (id INTEGER); CREATE TRIGGER once BEFORE INSERT ON t "
        "WHEN EXISTS (SELECT 1 FROM t WHERE id = NEW.id) BEGIN "
        "SELECT RAISE(ROLLBACK, 'it is there'); END",
    };
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    for (size_t i = 0; i < COUNT(tables); i++) {
        (void)ask(r, "DROP TABLE t");
        (void)ask(r, tables[i]);
        int64_t from = r->mark.next;
        add_row(r, false, "1", NULL, NULL);
        add_row(r, false, "1", NULL, NULL);
        add_row(r, false, "2", NULL, NULL);
        assert_int_equal(apply(r), FLV_E_INVALID);
        assert_int_equal(r->rows[0].err.rc, FLV_OK);
        assert_int_equal(r->rows[1].err.rc, FLV_E_INVALID);
        assert_int_equal(r->rows[2].err.rc, FLV_OK);
        assert_string_equal(ask(r, "SELECT count(*) FROM t"), "0\n");
        r->rows[1].skip = true;
        must_apply(r);
        assert_int_equal(r->mark.next, from + 3);
        assert_string_equal(ask(r, "SELECT count(*) FROM t"), "2\n");
    }
    assert_string_equal(position(r), "c|o'topic|0|id-1|6\n");
}

/* Row 3 minds that row 2 is missing, which it is only once that was accused:
 * the commit is refused first. */
static void row_that_takes_all_back_is_found_behind_another(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(claim(r, SQL_CLAIM_MADE), FLV_OK);
    (void)ask(r, "DROP TABLE t");
    (void)ask(r, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER "
                 "REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)");
    (void)ask(r, "CREATE TRIGGER two BEFORE INSERT ON t WHEN NEW.id = 3 AND "
                 "NOT EXISTS (SELECT 1 FROM t WHERE id = 2) BEGIN "
                 "SELECT RAISE(ROLLBACK, 'there is no 2'); END");
    add_row(r, false, "2", "99", NULL);
    add_row(r, false, "3", NULL, NULL);
    add_row(r, false, "4", NULL, NULL);
    assert_int_equal(apply(r), FLV_E_INVALID);
    assert_int_equal(r->rows[0].err.rc, FLV_E_INVALID);
    assert_int_equal(r->rows[1].err.rc, FLV_E_INVALID);
    assert_int_equal(r->rows[2].err.rc, FLV_OK);
    assert_string_equal(ask(r, "SELECT count(*) FROM t"), "0\n");
    assert_string_equal(position(r), "c|o'topic|0|id-1|0\n");
    r->rows[0].skip = r->rows[1].skip = true;
    must_apply(r);
    assert_string_equal(ask(r, "SELECT id FROM t"), "4\n");
}

static void addresses_are_checked(void **state)
{
    static const struct {
        const char *url, *said;
    } cases[] = {
        {"sqlite://", "path of a file"},
        {"sqlite::memory:", "gone with the connector"},
        {"sqlite://a?mode=ro", "?mode=rwc"},
        {"sqlite://a%2", "path of a file"},
        {"data.db", "neither"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_err err = {0};
        const struct sql_db_conf conf = {.url = cases[i].url,
                                         .canceled = &canceled};
        assert_int_equal(sql_db_check(&conf, &err), FLV_E_USAGE);
        if (strstr(err.text, cases[i].said) == NULL) {
            fail_msg("%s: %s", cases[i].url, err.text);
        }
    }
}

static int begin(void **state)
{
    (void)state;
    (void)setenv("PGOPTIONS", "-c client_min_messages=warning", 1);
    have_pg = postgres_find(&pg);
    return have_pg && !postgres_start(&pg) ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    if (have_pg) {
        postgres_stop(&pg);
    }
    return 0;
}

#define ON(db, f)                                                              \
    {                                                                          \
        .name = #f "_" #db, .test_func = f, .setup_func = setup_##db,          \
        .teardown_func = teardown                                              \
    }
#define BOTH(f) ON(pg, f), ON(sqlite, f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(position_is_made_once_and_then_found),
        BOTH(position_of_another_creation_is_not_touched),
        BOTH(earlier_of_two_instances_is_told_and_applies_nothing),
        BOTH(batch_is_applied_once_however_often_it_is_sent),
        BOTH(rows_of_many_shapes_are_applied_in_order),
        BOTH(position_moves_over_what_was_skipped),
        BOTH(every_row_at_fault_is_found_and_none_is_applied),
        BOTH(table_that_is_not_there_is_the_records_fault),
        BOTH(changed_table_is_noticed),
        BOTH(more_shapes_than_are_kept_are_no_matter),
        BOTH(every_type_reaches_its_column),
        BOTH(names_mean_what_they_mean_in_sql),
        BOTH(deferred_constraint_accuses_its_row),
        BOTH(names_that_no_statement_holds_are_the_records_fault),
        ON(pg, column_at_fault_is_named),
        ON(pg, rows_that_no_statement_holds_are_told_or_parted),
        ON(pg, types_whose_arrays_do_not_come_apart_are_applied),
        ON(pg, refusal_of_a_trigger_accuses_its_row),
        ON(pg, killed_server_leaves_all_or_nothing),
        ON(pg, cancel_ends_what_blocks),
        ON(sqlite, file_that_vanished_is_trouble_and_no_success),
        ON(sqlite, full_database_is_trouble_that_passes),
        ON(sqlite, row_that_takes_all_back_is_found_and_none_is_applied),
        ON(sqlite, row_that_takes_all_back_is_found_behind_another),
        cmocka_unit_test(secrets_are_in_no_message),
        cmocka_unit_test(addresses_are_checked),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
