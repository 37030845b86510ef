/* PostgreSQL behind db.h: the connection, and the claim of a position. */
#include "pg.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

/* How soon a cancel is noticed. */
#define SLICE_MS 200
#define SETTINGS_MAX 10

/* --- errors ------------------------------------------------------------------
 */

static bool is_class(const char *state, const char *cls)
{
    return strncmp(state, cls, 2) == 0;
}

/* All but the classes of what passes or somebody mends: connection and login
 * (08, 28, 3D), transactions (25, 2D, 3B, 40, 72), what was prepared (26, 34),
 * resources and operators (53, 55, 57, 58), files (F0), another server (HV),
 * bugs (XX). A trigger may choose any other for its refusal, and a record that
 * is tried for ever would stop its partition. */
static bool is_of_the_record(const char *state)
{
    static const char *const others[] = {"08", "25", "26", "28", "2D", "34",
                                         "3B", "3D", "40", "53", "55", "57",
                                         "58", "72", "F0", "HV", "XX"};
    if (strcmp(state, "42501") == 0) {
        return false; /* no permission: somebody may grant it */
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (is_class(state, others[i])) {
            return false;
        }
    }
    return true;
}

flv_rc pg_rc_of(const char *state)
{
    if (is_of_the_record(state)) {
        return FLV_E_INVALID;
    }
    if (strcmp(state, "53100") == 0) {
        return FLV_E_NOSPACE;
    }
    if (strcmp(state, "57014") == 0) {
        return FLV_E_TIMEOUT;
    }
    if (is_class(state, "08") || is_class(state, "57")) {
        return FLV_E_CLOSED;
    }
    if (is_class(state, "28") || is_class(state, "3D")) {
        return FLV_E_CONNECT;
    }
    return FLV_E_BUSY;
}

static const char *part(const PGresult *r, int field)
{
    const char *text = PQresultErrorField(r, field);
    return text != NULL ? text : "";
}

flv_rc pg_broken(const PGresult *r, struct flv_err *err)
{
    const char *state = part(r, PG_DIAG_SQLSTATE);
    const char *column = part(r, PG_DIAG_COLUMN_NAME);
    const char *text = part(r, PG_DIAG_MESSAGE_PRIMARY);
    return flv_fail(err, state[0] != '\0' ? pg_rc_of(state) : FLV_E_CLOSED,
                    "%s%s%sPostgreSQL: %.140s (%s)",
                    column[0] != '\0' ? "column \"" : "", column,
                    column[0] != '\0' ? "\": " : "",
                    text[0] != '\0' ? text : "no answer", state);
}

flv_rc pg_trouble(const PGresult *r, struct flv_err *err)
{
    flv_rc rc = pg_broken(r, err);
    if (rc == FLV_E_INVALID) {
        rc = FLV_E_BUSY;
        if (err != NULL) {
            err->rc = rc;
        }
    }
    return rc;
}

/* The first line of what libpq says; a hint may follow. */
static flv_rc say(struct pg *p, flv_rc rc, struct flv_err *err)
{
    const char *text = PQerrorMessage(p->conn);
    size_t len = strcspn(text, "\n");
    if (len == 0) {
        return flv_fail(err, rc, "PostgreSQL: the connection is lost");
    }
    return flv_fail(err, rc, "PostgreSQL: %.*s", (int)(len < 180 ? len : 180),
                    text);
}

flv_rc pg_lost(struct pg *p, struct flv_err *err)
{
    return say(p, FLV_E_CLOSED, err);
}

/* --- waiting -----------------------------------------------------------------
 */

/* Until the socket is ready for `events`, the time is over, or a cancel. */
static flv_rc
await(struct pg *p, short events, uint64_t until_ms, struct flv_err *err)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(p->conn), .events = events};
        uint64_t now = flv_clock_mono_ms();
        if (sql_is_canceled(&p->db)) {
            return flv_fail(err, FLV_E_CANCELED, "canceled");
        }
        if (fd.fd < 0) {
            return pg_lost(p, err);
        }
        if (now >= until_ms) {
            return flv_fail(err, FLV_E_TIMEOUT,
                            "PostgreSQL: no answer within %" PRIu64 " ms",
                            p->db.conf->timeout_ms);
        }
        uint64_t left = until_ms - now;
        int n = poll(&fd, 1, left < SLICE_MS ? (int)left : SLICE_MS);
        if (n > 0) {
            return FLV_OK;
        }
        if (n < 0 && errno != EINTR) {
            return flv_fail_sys(err, FLV_E_CLOSED, errno, "poll");
        }
    }
}

static uint64_t limit_ms(const struct pg *p)
{
    return flv_clock_mono_ms() + p->db.conf->timeout_ms;
}

/* One step of sending; *out_left: more waits. */
static flv_rc send_some(struct pg *p, bool *out_left, struct flv_err *err)
{
    int n = PQflush(p->conn);
    *out_left = n > 0;
    return n < 0 ? pg_lost(p, err) : FLV_OK;
}

flv_rc pg_flush(struct pg *p, struct flv_err *err)
{
    bool left = true;
    for (;;) {
        flv_rc rc = send_some(p, &left, err);
        if (rc != FLV_OK || !left) {
            return rc;
        }
        /* Reading goes on: a server whose answers nobody takes stops. */
        rc = await(p, POLLIN | POLLOUT, limit_ms(p), err);
        if (rc == FLV_OK && PQconsumeInput(p->conn) == 0) {
            rc = pg_lost(p, err);
        }
        if (rc != FLV_OK) {
            return rc;
        }
    }
}

flv_rc pg_result(struct pg *p, PGresult **out, struct flv_err *err)
{
    while (PQisBusy(p->conn) != 0) {
        flv_rc rc = await(p, POLLIN, limit_ms(p), err);
        if (rc == FLV_OK && PQconsumeInput(p->conn) == 0) {
            rc = pg_lost(p, err);
        }
        if (rc != FLV_OK) {
            return rc;
        }
    }
    *out = PQgetResult(p->conn);
    return FLV_OK;
}

static bool is_good(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The answers of one statement: the last one, or the first error. */
flv_rc pg_answer(struct pg *p, PGresult **out, struct flv_err *err)
{
    PGresult *last = NULL, *r = NULL;
    flv_rc rc = FLV_OK;
    for (;;) {
        flv_rc got = pg_result(p, &r, err);
        if (got != FLV_OK || r == NULL) {
            rc = got != FLV_OK ? got : rc;
            break;
        }
        if (rc == FLV_OK && !is_good(r)) {
            rc = pg_broken(r, err);
            (void)snprintf(p->state, sizeof(p->state), "%s",
                           part(r, PG_DIAG_SQLSTATE));
        }
        PQclear(last);
        last = r;
    }
    if (rc == FLV_OK && out != NULL) {
        *out = last;
    } else {
        PQclear(last);
    }
    return rc;
}

flv_rc pg_run(struct pg *p,
              const char *sql,
              const char *const *values,
              int count,
              PGresult **out,
              struct flv_err *err)
{
    if (PQsendQueryParams(p->conn, sql, count, NULL, values, NULL, NULL, 0) ==
        0) {
        return pg_lost(p, err);
    }
    flv_rc rc = pg_flush(p, err);
    return rc == FLV_OK ? pg_answer(p, out, err) : rc;
}

/* --- open and close ----------------------------------------------------------
 */

flv_rc sql_pg_check(const struct sql_db_conf *conf, struct flv_err *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conf->url, &why);
    PQconninfoFree(options);
    /* What libpq says quotes the address, and with it a password. */
    PQfreemem(why);
    return options != NULL
               ? FLV_OK
               : flv_fail(err, FLV_E_USAGE,
                          "url: not an address of PostgreSQL; write "
                          "postgres://USER:PASSWORD@HOST:PORT/DATABASE, and "
                          "any of :/?#@%% in user and password as %%XX");
}

static flv_rc connect_poll(struct pg *p, struct flv_err *err)
{
    uint64_t until = limit_ms(p);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) {
            return say(p, FLV_E_CONNECT, err);
        }
        flv_rc rc = await(p, state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                          until, err);
        if (rc != FLV_OK) {
            return rc;
        }
        state = PQconnectPoll(p->conn);
    }
    return FLV_OK;
}

/* Later settings win over those in the address. */
static flv_rc start(struct pg *p, struct flv_err *err)
{
    const struct sql_db_conf *conf = p->db.conf;
    const char *keys[SETTINGS_MAX], *values[SETTINGS_MAX];
    char name[64];
    int n = 0;
    (void)snprintf(name, sizeof(name), "sql-sink %s", conf->name);
    keys[n] = "dbname", values[n++] = conf->url;
    if (conf->password != NULL) {
        keys[n] = "password", values[n++] = conf->password;
    }
    keys[n] = "application_name", values[n++] = name;
    keys[n] = "client_encoding", values[n++] = "UTF8";
    keys[n] = NULL, values[n] = NULL;
    assert(n < SETTINGS_MAX);
    p->conn = PQconnectStartParams(keys, values, 1);
    if (p->conn == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (PQstatus(p->conn) == CONNECTION_BAD) {
        return say(p, FLV_E_CONNECT, err);
    }
    return connect_poll(p, err);
}

static void no_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static flv_rc settle_in(struct pg *p, struct flv_err *err)
{
    (void)PQsetNoticeReceiver(p->conn, no_notice, NULL);
    if (PQsetnonblocking(p->conn, 1) != 0) {
        return pg_lost(p, err);
    }
    /* A transaction that nobody goes on with must not lock the position.
     * What a server does not take is not worth a failure. */
    PGresult *r = NULL;
    flv_rc rc = pg_run(p,
                       "SELECT set_config("
                       "'idle_in_transaction_session_timeout', '60s', false),"
                       " set_config('DateStyle', 'ISO', false)",
                       NULL, 0, &r, err);
    PQclear(r);
    return rc;
}

void pg_forget_shapes(struct pg *p)
{
    for (size_t i = 0; i < p->shape_count; i++) {
        flv_arena_deinit(&p->shapes[i]->texts);
        flv_free(p->shapes[i]);
    }
    p->shape_count = 0;
}

static void close_pg(struct sql_db *db)
{
    struct pg *p = (struct pg *)db;
    pg_forget_shapes(p);
    PQfinish(p->conn);
    flv_buf_deinit(&p->positions);
    flv_buf_deinit(&p->text);
    flv_buf_deinit(&p->params);
    flv_free(p->shapes);
    flv_free(p->starts);
    flv_free(p->values);
    flv_free(p);
}

static flv_rc open_pg(struct sql_db **out,
                      const struct sql_db_conf *conf,
                      struct flv_err *err)
{
    struct pg *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->db.ops = &sql_pg_ops;
    p->db.conf = conf;
    flv_buf_init(&p->positions, PG_STATEMENT_BYTES_MAX);
    flv_buf_init(&p->text, PG_STATEMENT_BYTES_MAX);
    flv_buf_init(&p->params, PG_PARAMS_BYTES_MAX);
    p->starts = flv_zalloc(SQL_COLUMNS_MAX, sizeof(*p->starts));
    p->values = flv_zalloc(SQL_COLUMNS_MAX, sizeof(*p->values));
    flv_rc rc = p->starts == NULL || p->values == NULL
                    ? flv_fail(err, FLV_E_NOMEM, "out of memory")
                    : sql_put_table(&p->positions, flv_slice_str(conf->table),
                                    true, err);
    if (rc == FLV_OK) {
        rc = start(p, err);
    }
    if (rc == FLV_OK) {
        rc = settle_in(p, err);
    }
    if (rc != FLV_OK) {
        close_pg(&p->db);
        return rc;
    }
    *out = &p->db;
    return FLV_OK;
}

/* --- the position ------------------------------------------------------------
 */

const char *pg_positions(struct pg *p, const char *form)
{
    const char *at = strstr(form, "%s");
    flv_buf_reset(&p->text);
    flv_rc rc = flv_buf_add(&p->text, form, (size_t)(at - form));
    if (rc == FLV_OK) {
        rc = flv_buf_add(&p->text, p->positions.data, p->positions.len);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&p->text, at + 2);
    }
    return rc == FLV_OK ? flv_buf_str(&p->text) : NULL;
}

/* Runs a statement about positions; none of its errors is a record's. */
static flv_rc on_positions(struct pg *p,
                           const char *form,
                           const char *const *values,
                           int count,
                           PGresult **out,
                           struct flv_err *err)
{
    const char *sql = pg_positions(p, form);
    if (sql == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    struct flv_err why = {0};
    flv_rc rc = pg_run(p, sql, values, count, out, &why);
    if (rc == FLV_E_INVALID) {
        why.rc = FLV_E_BUSY;
    }
    if (rc != FLV_OK && err != NULL) {
        *err = why;
        flv_err_prefix(err, "table of positions");
    }
    return rc == FLV_OK ? FLV_OK : why.rc;
}

/* Only where it is missing: who may not create tables can be given one. */
static flv_rc make_table(struct pg *p, struct flv_err *err)
{
    const char *name = flv_buf_str(&p->positions);
    PGresult *r = NULL;
    if (name == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc =
        pg_run(p, "SELECT to_regclass($1) IS NOT NULL", &name, 1, &r, err);
    bool there = rc == FLV_OK && PQntuples(r) == 1 &&
                 strcmp(PQgetvalue(r, 0, 0), "t") == 0;
    PQclear(r);
    if (rc != FLV_OK || there) {
        return rc;
    }
    return on_positions(p,
                        "CREATE TABLE IF NOT EXISTS %s ("
                        "consumer text NOT NULL, topic text NOT NULL, "
                        "partition integer NOT NULL, "
                        "topic_created text NOT NULL, "
                        "next_offset bigint NOT NULL, "
                        "owner bigint NOT NULL, "
                        "changed_at timestamptz NOT NULL DEFAULT now(), "
                        "PRIMARY KEY (consumer, topic, partition))",
                        NULL, 0, NULL, err);
}

static flv_rc
read_row(const PGresult *r, struct sql_mark *mark, struct flv_err *err)
{
    if (PQntuples(r) == 0) {
        return flv_fail(err, FLV_E_NOT_FOUND, "there is no position");
    }
    if (PQgetlength(r, 0, 0) >= SQL_CREATION_MAX) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "topic_created of the position is no creation id");
    }
    (void)snprintf(mark->creation, sizeof(mark->creation), "%s",
                   PQgetvalue(r, 0, 0));
    flv_rc rc = flv_text_i64(PQgetvalue(r, 0, 1), INT64_MIN, INT64_MAX,
                             &mark->next, err);
    if (rc == FLV_OK) {
        rc = flv_text_i64(PQgetvalue(r, 0, 2), 0, INT64_MAX, &mark->owner, err);
    }
    return rc == FLV_OK ? FLV_OK
                        : flv_fail(err, FLV_E_CORRUPT,
                                   "the position has numbers out of range");
}

#define IS_ROW " WHERE consumer = $1 AND topic = $2 AND partition = $3"

/* Inside a transaction. The lock waits for one that a former instance left
 * behind: what that one committed is then seen. */
static flv_rc lock_row(struct pg *p,
                       struct sql_mark *mark,
                       const char *const *values,
                       enum sql_claim how,
                       struct flv_err *err)
{
    PGresult *r = NULL;
    flv_rc rc = FLV_OK;
    if (how == SQL_CLAIM_MADE) {
        rc = on_positions(p,
                          "INSERT INTO %s (consumer, topic, partition, "
                          "topic_created, next_offset, owner) "
                          "VALUES ($1, $2, $3, $4, $5, 0) "
                          "ON CONFLICT DO NOTHING",
                          values, 5, NULL, err);
    }
    if (rc == FLV_OK) {
        rc = on_positions(p,
                          "SELECT topic_created, next_offset, owner FROM "
                          "%s" IS_ROW " FOR UPDATE",
                          values, 3, &r, err);
    }
    if (rc == FLV_OK) {
        rc = read_row(r, mark, err);
    }
    PQclear(r);
    return rc;
}

static flv_rc claim_row(struct pg *p,
                        struct sql_mark *mark,
                        int64_t owner,
                        enum sql_claim how,
                        struct flv_err *err)
{
    char partition[16], next[24], token[24], creation[SQL_CREATION_MAX];
    const char *row[] = {mark->consumer, mark->topic, partition, creation,
                         next};
    const char *own[] = {mark->consumer, mark->topic, partition, token};
    (void)snprintf(partition, sizeof(partition), "%" PRIu32, mark->partition);
    (void)snprintf(next, sizeof(next), "%" PRId64, mark->next);
    (void)snprintf(token, sizeof(token), "%" PRId64, owner);
    memcpy(creation, mark->creation, sizeof(creation));
    flv_rc rc = lock_row(p, mark, row, how, err);
    if (rc == FLV_OK) {
        rc = sql_claim_judge(mark, owner, how, err);
    }
    if (rc == FLV_OK && strcmp(creation, mark->creation) != 0) {
        mark->owner = 0;
        return FLV_OK;
    }
    if (rc == FLV_OK) {
        rc = on_positions(p, "UPDATE %s SET owner = $4" IS_ROW, own, 4, NULL,
                          err);
        mark->owner = owner;
    }
    return rc;
}

flv_rc pg_roll_back(struct pg *p, struct flv_err *err)
{
    PGTransactionStatusType status = PQtransactionStatus(p->conn);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
               ? pg_run(p, "ROLLBACK", NULL, 0, NULL, err)
               : FLV_OK;
}

static flv_rc claim(struct sql_db *db,
                    struct sql_mark *mark,
                    int64_t owner,
                    enum sql_claim how,
                    struct flv_err *err)
{
    struct pg *p = (struct pg *)db;
    struct sql_mark m = *mark;
    flv_rc rc = make_table(p, err);
    if (rc == FLV_OK) {
        rc = pg_run(p, "BEGIN", NULL, 0, NULL, err);
    }
    if (rc == FLV_OK) {
        rc = claim_row(p, &m, owner, how, err);
    }
    if (rc == FLV_OK) {
        rc = pg_run(p, "COMMIT", NULL, 0, NULL, err);
    }
    if (rc == FLV_OK) {
        *mark = m;
        return FLV_OK;
    }
    /* The lock goes at once; a connection that is broken has let go of it. */
    struct flv_err why = {0};
    (void)pg_roll_back(p, &why);
    return rc;
}

const struct sql_db_ops sql_pg_ops = {
    .open = open_pg,
    .close = close_pg,
    .claim = claim,
    .apply = pg_apply,
};
