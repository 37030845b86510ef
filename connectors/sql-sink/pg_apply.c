/* A batch in one transaction: at one go, and if that fails, by halves until
 * it is known which rows are at fault. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "pg.h"

/* Runs of rows that one statement holds. */
static size_t run_length(const struct sql_row *rows, size_t count)
{
    const struct pg_shape *s = NULL;
    size_t n = 0, bytes = 0;
    for (; n < count; n++) {
        if (rows[n].skip) {
            continue;
        }
        bytes += pg_row_bytes(&rows[n].op);
        if (s != NULL &&
            (rows[n].plan != s || !s->bulk || bytes > PG_RUN_BYTES_MAX)) {
            break;
        }
        s = rows[n].plan;
    }
    return n;
}

/* The first row that is to be applied, or count. */
static size_t first_of(const struct sql_row *rows, size_t count)
{
    size_t i = 0;
    while (i < count && rows[i].skip) {
        i++;
    }
    return i;
}

/* Finds the statement of every row. Rows at fault get their err; other
 * failures end it. Outside of a transaction: a failure would end that. */
static flv_rc
plan(struct pg *p, struct sql_row *rows, size_t count, struct flv_err *err)
{
    struct pg_shape *last = NULL;
    for (size_t i = 0; i < count; i++) {
        struct sql_row *row = &rows[i];
        if (row->skip) {
            continue;
        }
        flv_rc rc = FLV_OK;
        if (last == NULL || !sql_op_alike(&last->op, &row->op)) {
            rc = pg_shape_of(p, &row->op, &last, &row->err);
        }
        row->plan = last;
        if (rc == FLV_OK) {
            rc = pg_fits(last, &row->op, &row->err);
        } else {
            last = NULL;
        }
        if (rc != FLV_OK && rc != FLV_E_INVALID) {
            *err = row->err;
            return rc;
        }
    }
    return sql_rows_verdict(rows, count, err);
}

static flv_rc plain(struct pg *p, const char *sql, struct flv_err *err)
{
    struct flv_err why = {0};
    flv_rc rc = pg_run(p, sql, NULL, 0, NULL, &why);
    if (rc != FLV_OK) {
        *err = why;
        flv_err_prefix(err, "%s", sql);
    }
    return rc;
}

/* --- the position ------------------------------------------------------------
 */

/* Fails with this when the row is not what was left behind, so that all that
 * was sent behind it is not done either. */
#define MOVED "22012"

static flv_rc send_move(struct pg *p,
                        const struct sql_mark *mark,
                        int64_t next,
                        struct flv_err *err)
{
    char numbers[4][24];
    const char *values[] = {mark->consumer, mark->topic, numbers[0],
                            mark->creation, numbers[1],  numbers[2],
                            numbers[3]};
    const char *sql = pg_positions(
        p, "WITH moved AS (UPDATE %s SET next_offset = $7, "
           "changed_at = now() WHERE consumer = $1 AND topic = $2 AND "
           "partition = $3 AND topic_created = $4 AND owner = $5 AND "
           "next_offset = $6 RETURNING 1) SELECT 1 / count(*) FROM moved");
    if (sql == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    (void)snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, mark->partition);
    (void)snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64, mark->owner);
    (void)snprintf(numbers[2], sizeof(numbers[2]), "%" PRId64, mark->next);
    (void)snprintf(numbers[3], sizeof(numbers[3]), "%" PRId64, next);
    return PQsendQueryParams(p->conn, sql, 7, NULL, values, NULL, NULL, 0) == 0
               ? pg_lost(p, err)
               : FLV_OK;
}

/* What an error of that statement means. */
static flv_rc move_failed(const struct pg *p,
                          const struct sql_mark *mark,
                          flv_rc rc,
                          struct flv_err *err)
{
    if (strcmp(p->state, MOVED) == 0) {
        return sql_fail_moved(mark, err);
    }
    if (rc == FLV_E_INVALID) {
        err->rc = FLV_E_BUSY; /* the table of positions is no record's fault */
    }
    return err->rc;
}

/* --- at one go ---------------------------------------------------------------
 */

#define BEGIN_AT 0
#define MOVE_AT 1

static flv_rc send(struct pg *p, const char *sql, struct flv_err *err)
{
    return PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 0
               ? pg_lost(p, err)
               : FLV_OK;
}

/* *out_count: statements sent. */
static flv_rc send_all(struct pg *p,
                       const struct sql_mark *mark,
                       int64_t next,
                       const struct sql_row *rows,
                       size_t count,
                       size_t *out_count,
                       struct flv_err *err)
{
    size_t n = 2;
    flv_rc rc = send(p, "BEGIN", err);
    if (rc == FLV_OK) {
        rc = send_move(p, mark, next, err);
    }
    size_t i = first_of(rows, count);
    while (rc == FLV_OK && i < count) {
        size_t len = run_length(rows + i, count - i);
        const struct pg_shape *s = rows[i].plan;
        rc = pg_send_rows(p, s, rows + i, s->bulk ? len : 1, err);
        i += len;
        i += first_of(rows + i, count - i);
        n++;
        if (rc == FLV_OK) {
            rc = pg_flush(p, err);
        }
    }
    if (rc == FLV_OK) {
        rc = send(p, "COMMIT", err);
    }
    if (rc == FLV_OK && PQpipelineSync(p->conn) == 0) {
        rc = pg_lost(p, err);
    }
    *out_count = n + 1;
    return rc == FLV_OK ? pg_flush(p, err) : rc;
}

/* The answers of all; the first that is an error, and which one. */
static flv_rc
receive_all(struct pg *p, size_t count, size_t *out_at, struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < count; i++) {
        struct flv_err why = {0};
        char before[sizeof(p->state)];
        memcpy(before, p->state, sizeof(before));
        flv_rc one = pg_answer(p, NULL, &why);
        if (rc == FLV_OK && one != FLV_OK) {
            rc = one;
            *out_at = i;
            *err = why;
        } else if (rc != FLV_OK) {
            memcpy(p->state, before, sizeof(before));
        }
        if (PQstatus(p->conn) == CONNECTION_BAD || one == FLV_E_TIMEOUT ||
            one == FLV_E_CANCELED) {
            return rc;
        }
    }
    PGresult *r = NULL;
    struct flv_err why = {0};
    flv_rc last = pg_result(p, &r, &why);
    if (last == FLV_OK && PQresultStatus(r) != PGRES_PIPELINE_SYNC) {
        last = pg_lost(p, &why);
    }
    PQclear(r);
    if (rc == FLV_OK && last != FLV_OK) {
        rc = last;
        *err = why;
        *out_at = count;
    }
    return rc;
}

static flv_rc at_one_go(struct pg *p,
                        const struct sql_mark *mark,
                        int64_t next,
                        const struct sql_row *rows,
                        size_t count,
                        struct flv_err *err)
{
    size_t sent = 0, at = 0;
    p->state[0] = '\0';
    if (PQenterPipelineMode(p->conn) == 0) {
        return pg_lost(p, err);
    }
    flv_rc rc = send_all(p, mark, next, rows, count, &sent, err);
    if (rc != FLV_OK) {
        return rc; /* the connection is given up, and with it all of it */
    }
    rc = receive_all(p, sent, &at, err);
    if (PQexitPipelineMode(p->conn) == 0) {
        return rc == FLV_OK ? pg_lost(p, err) : rc;
    }
    if (rc != FLV_OK && at == MOVE_AT) {
        return move_failed(p, mark, rc, err);
    }
    if (rc == FLV_E_INVALID && at == BEGIN_AT) {
        err->rc = FLV_E_BUSY;
        rc = FLV_E_BUSY;
    }
    return rc;
}

/* --- by halves ---------------------------------------------------------------
 */

static flv_rc run_rows(struct pg *p,
                       const struct sql_row *rows,
                       size_t count,
                       struct flv_err *err)
{
    size_t i = first_of(rows, count);
    flv_rc rc = FLV_OK;
    while (rc == FLV_OK && i < count) {
        size_t len = run_length(rows + i, count - i);
        const struct pg_shape *s = rows[i].plan;
        rc = pg_send_rows(p, s, rows + i, s->bulk ? len : 1, err);
        if (rc == FLV_OK) {
            rc = pg_flush(p, err);
        }
        if (rc == FLV_OK) {
            rc = pg_answer(p, NULL, err);
        }
        i += len;
        i += first_of(rows + i, count - i);
    }
    /* What would only be found at the commit has to be found here. */
    return rc == FLV_OK
               ? pg_run(p, "SET CONSTRAINTS ALL IMMEDIATE", NULL, 0, NULL, err)
               : rc;
}

static flv_rc in_savepoint(struct pg *p,
                           const struct sql_row *rows,
                           size_t count,
                           struct flv_err *err)
{
    flv_rc rc = plain(p, "SAVEPOINT part", err);
    if (rc != FLV_OK) {
        return rc == FLV_E_INVALID ? FLV_E_BUSY : rc;
    }
    rc = run_rows(p, rows, count, err);
    if (rc == FLV_OK) {
        return plain(p, "RELEASE SAVEPOINT part", err);
    }
    if (rc != FLV_E_INVALID) {
        return rc;
    }
    struct flv_err why = {0};
    flv_rc back = plain(p, "ROLLBACK TO SAVEPOINT part", &why);
    if (back == FLV_OK) {
        back = plain(p, "RELEASE SAVEPOINT part", &why);
    }
    if (back != FLV_OK) {
        *err = why;
        return back;
    }
    return rc;
}

/* Rows to be applied, as far as two. */
static size_t alive(const struct sql_row *rows, size_t count)
{
    size_t i = first_of(rows, count);
    return i == count                                              ? 0
           : i + 1 + first_of(rows + i + 1, count - i - 1) < count ? 2
                                                                   : 1;
}

static flv_rc accuse(struct pg *p, struct sql_row *row, struct flv_err *err)
{
    bool data = strncmp(p->state, "22", 2) == 0;
    row->err = *err;
    return data && strncmp(err->text, "column ", 7) != 0
               ? pg_blame(p, row->plan, &row->op, &row->err)
               : FLV_OK;
}

/* Applies all that can be applied, and marks the others. Halves of at most
 * 2^20 rows are at most 20 deep. */
static flv_rc
by_halves(struct pg *p, struct sql_row *rows, size_t count, struct flv_err *err)
{
    size_t n = alive(rows, count);
    if (n == 0) {
        return FLV_OK;
    }
    flv_rc rc = in_savepoint(p, rows, count, err);
    if (rc != FLV_E_INVALID) {
        return rc;
    }
    if (n == 1) {
        struct sql_row *row = rows + first_of(rows, count);
        rc = accuse(p, row, err);
        if (rc != FLV_OK) {
            *err = row->err;
            flv_err_clear(&row->err);
        }
        return rc;
    }
    size_t half = count / 2;
    rc = by_halves(p, rows, half, err);
    return rc == FLV_OK ? by_halves(p, rows + half, count - half, err) : rc;
}

static flv_rc in_parts(struct pg *p,
                       const struct sql_mark *mark,
                       int64_t next,
                       struct sql_row *rows,
                       size_t count,
                       struct flv_err *err)
{
    /* What was prepared may be what is wrong: a table was changed. */
    pg_forget_shapes(p);
    flv_rc rc = plain(p, "DEALLOCATE ALL", err);
    if (rc == FLV_OK) {
        rc = plan(p, rows, count, err);
    }
    if (rc == FLV_OK) {
        rc = plain(p, "BEGIN", err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    rc = send_move(p, mark, next, err);
    if (rc == FLV_OK) {
        rc = pg_flush(p, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    p->state[0] = '\0';
    rc = pg_answer(p, NULL, err);
    if (rc != FLV_OK) {
        return move_failed(p, mark, rc, err);
    }
    rc = by_halves(p, rows, count, err);
    if (rc != FLV_OK) {
        return rc == FLV_E_INVALID ? FLV_E_BUSY : rc;
    }
    rc = sql_rows_verdict(rows, count, err);
    struct flv_err why = {0};
    flv_rc end = plain(p, rc == FLV_OK ? "COMMIT" : "ROLLBACK", &why);
    if (end != FLV_OK) {
        *err = why;
        return end == FLV_E_INVALID ? FLV_E_BUSY : end;
    }
    return rc;
}

flv_rc pg_apply(struct sql_db *db,
                const struct sql_mark *mark,
                int64_t next,
                struct sql_row *rows,
                size_t count,
                struct flv_err *err)
{
    struct pg *p = (struct pg *)db;
    struct flv_err why = {0};
    flv_rc rc = FLV_OK;
    if (p->shape_count > PG_SHAPES_KEPT) {
        pg_forget_shapes(p);
        rc = plain(p, "DEALLOCATE ALL", &why);
    }
    if (rc == FLV_OK) {
        rc = plan(p, rows, count, &why);
    }
    if (rc == FLV_OK) {
        rc = at_one_go(p, mark, next, rows, count, &why);
        if (rc == FLV_E_INVALID) {
            rc = pg_roll_back(p, &why);
            rc = rc == FLV_OK ? in_parts(p, mark, next, rows, count, &why) : rc;
        }
    }
    if (rc == FLV_E_LOCKED) {
        struct flv_err undo = {0};
        (void)pg_roll_back(p, &undo);
    }
    if (rc == FLV_E_INVALID && sql_rows_verdict(rows, count, NULL) == FLV_OK) {
        rc = FLV_E_BUSY; /* a statement of ours: no row is to blame */
    }
    if (rc != FLV_OK && err != NULL) {
        *err = why;
        err->rc = rc;
    }
    return rc;
}
