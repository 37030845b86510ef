/* Statements for operations that are alike, and their parameters. */
#include <assert.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "pg.h"

#define OID_BYTEA 17
#define OID_TIMESTAMP 1114
#define SHAPE_BYTES_MAX ((size_t)1 << 20)

/* --- making one --------------------------------------------------------------
 */

static bool copy_text(struct pg_shape *s, struct flv_slice *text)
{
    if (text->len == 0) {
        return true;
    }
    const void *copy = flv_arena_copy(&s->texts, text->data, text->len);
    *text = flv_slice(copy, text->len);
    return copy != NULL;
}

/* All that sql_op_alike() compares, without the values. */
static bool copy_op(struct pg_shape *s, const struct sql_op *op)
{
    s->op = *op;
    s->op.values = FLV_ARENA_NEW(&s->texts, struct sql_value, op->count);
    s->columns = FLV_ARENA_NEW(&s->texts, struct pg_column, op->count);
    bool ok = s->op.values != NULL && s->columns != NULL &&
              copy_text(s, &s->op.table) && copy_text(s, &s->op.unique);
    for (size_t i = 0; ok && i < op->count; i++) {
        s->op.values[i].column = op->values[i].column;
        s->op.values[i].type = op->values[i].type;
        ok = copy_text(s, &s->op.values[i].column);
    }
    return ok;
}

static flv_rc read_number(
    const PGresult *r, int row, int field, uint64_t *out, struct flv_err *err)
{
    return flv_text_u64(PQgetvalue(r, row, field), 0, UINT32_MAX, out, err);
}

static flv_rc read_column(const PGresult *r,
                          int row,
                          struct pg_column *c,
                          struct flv_err *err)
{
    uint64_t type = 0, array = 0, length = 0;
    flv_rc rc = read_number(r, row, 1, &type, err);
    if (rc == FLV_OK) {
        rc = read_number(r, row, 2, &array, err);
    }
    if (rc == FLV_OK) {
        rc = read_number(r, row, 3, &length, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    c->type = (Oid)type;
    c->array = (Oid)array;
    c->length = (int)length;
    /* One that is too long to keep is not tried on. */
    bool fits = (size_t)PQgetlength(r, row, 4) < sizeof(c->cast);
    (void)snprintf(c->cast, sizeof(c->cast), "%s",
                   fits ? PQgetvalue(r, row, 4) : "");
    return FLV_OK;
}

static flv_rc find_column(struct pg_shape *s,
                          size_t at,
                          const PGresult *r,
                          struct flv_err *err)
{
    char name[SQL_NAME_MAX + 1];
    flv_rc rc = sql_name_meant(s->op.values[at].column, true, name, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "column");
        return rc;
    }
    for (int row = 0; row < PQntuples(r); row++) {
        if (strcmp(PQgetvalue(r, row, 0), name) == 0) {
            return read_column(r, row, &s->columns[at], err);
        }
    }
    return flv_fail(err, FLV_E_INVALID,
                    "column \"%s\": table %.*s has no such column", name,
                    (int)(s->op.table.len < 70 ? s->op.table.len : 70),
                    (const char *)s->op.table.data);
}

static flv_rc look_up(struct pg *p, struct pg_shape *s, struct flv_err *err)
{
    PGresult *r = NULL;
    flv_buf_reset(&p->text);
    flv_rc rc = sql_put_table(&p->text, s->op.table, true, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const char *table = flv_buf_str(&p->text);
    if (table == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    rc = pg_run(p,
                "SELECT a.attname, a.atttypid, "
                "CASE t.typtype WHEN 'c' THEN 0 ELSE t.typarray END, "
                "CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 "
                "THEN a.atttypmod - 4 ELSE 0 END, "
                "format_type(a.atttypid, a.atttypmod) "
                "FROM pg_catalog.pg_attribute a "
                "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
                "WHERE a.attrelid = $1::pg_catalog.regclass "
                "AND a.attnum > 0 AND NOT a.attisdropped",
                &table, 1, &r, err);
    s->bulk = true;
    for (size_t i = 0; rc == FLV_OK && i < s->op.count; i++) {
        rc = find_column(s, i, r, err);
        s->bulk = s->bulk && s->columns[i].array != 0;
    }
    PQclear(r);
    return rc;
}

/* INSERT INTO t (a, b) SELECT * FROM ROWS FROM (unnest($1), unnest($2)), or
 * VALUES ($1, $2). */
static flv_rc
write_statement(struct pg *p, const struct pg_shape *s, struct flv_err *err)
{
    flv_buf_reset(&p->text);
    flv_rc rc = sql_put_head(&p->text, &s->op, true, err);
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&p->text, s->bulk ? "SELECT * FROM ROWS FROM ("
                                               : "VALUES (");
    }
    for (size_t i = 0; rc == FLV_OK && i < s->op.count; i++) {
        rc = flv_buf_addf(&p->text,
                          s->bulk ? "%spg_catalog.unnest($%zu)" : "%s$%zu",
                          i > 0 ? ", " : "", i + 1);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&p->text, ")");
    }
    if (rc == FLV_OK) {
        rc = sql_put_conflict(&p->text, &s->op, true, err);
    }
    if (rc == FLV_E_LIMIT) {
        return flv_fail(err, FLV_E_INVALID,
                        "its statement has more than %zu KiB",
                        PG_STATEMENT_BYTES_MAX >> 10);
    }
    return rc == FLV_OK || rc == FLV_E_INVALID
               ? rc
               : flv_fail(err, rc, "a statement: %s", flv_rc_text(rc));
}

static flv_rc prepare(struct pg *p, struct pg_shape *s, struct flv_err *err)
{
    flv_rc rc = write_statement(p, s, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const char *sql = flv_buf_str(&p->text);
    Oid *types = FLV_ARENA_NEW(&s->texts, Oid, s->op.count);
    if (sql == NULL || types == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < s->op.count; i++) {
        types[i] = s->bulk ? s->columns[i].array : s->columns[i].type;
    }
    (void)snprintf(s->name, sizeof(s->name), "s%" PRIu64, ++p->prepared);
    if (PQsendPrepare(p->conn, s->name, sql, (int)s->op.count, types) == 0) {
        return pg_lost(p, err);
    }
    rc = pg_flush(p, err);
    return rc == FLV_OK ? pg_answer(p, NULL, err) : rc;
}

static flv_rc make(struct pg *p, struct pg_shape *s, struct flv_err *err)
{
    flv_rc rc = look_up(p, s, err);
    if (rc == FLV_OK) {
        rc = prepare(p, s, err);
        if (rc == FLV_E_INVALID && s->bulk) {
            s->bulk = false; /* a type whose arrays do not come apart */
            flv_err_clear(err);
            rc = prepare(p, s, err);
        }
    }
    return rc;
}

static struct pg_shape *find(struct pg *p, const struct sql_op *op)
{
    for (size_t i = p->shape_count; i > 0; i--) {
        if (sql_op_alike(&p->shapes[i - 1]->op, op)) {
            return p->shapes[i - 1];
        }
    }
    return NULL;
}

static bool has_room(struct pg *p)
{
    if (p->shape_count < p->shape_max) {
        return true;
    }
    size_t max = p->shape_max == 0 ? 16 : p->shape_max * 2;
    void *grown = flv_realloc(p->shapes, max * sizeof(struct pg_shape *));
    if (grown == NULL) {
        return false;
    }
    p->shapes = grown;
    p->shape_max = max;
    return true;
}

/* FLV_E_INVALID is kept with the shape: it is not asked for again. Not where
 * the names are too long to be kept. */
static flv_rc add_shape(struct pg *p,
                        const struct sql_op *op,
                        struct pg_shape **out,
                        struct flv_err *err)
{
    struct pg_shape *s = has_room(p) ? flv_zalloc(1, sizeof(*s)) : NULL;
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&s->texts, 1024, SHAPE_BYTES_MAX);
    flv_rc rc = copy_op(s, op)
                    ? make(p, s, &s->err)
                    : flv_fail(&s->err, FLV_E_NOMEM, "out of memory");
    bool too_large = rc == FLV_E_NOMEM && flv_arena_full(&s->texts);
    if (too_large) {
        rc =
            flv_fail(&s->err, FLV_E_INVALID, "its names have more than %zu KiB",
                     SHAPE_BYTES_MAX >> 10);
    }
    if (too_large || (rc != FLV_OK && rc != FLV_E_INVALID)) {
        *err = s->err;
        flv_arena_deinit(&s->texts);
        flv_free(s);
        return rc;
    }
    p->shapes[p->shape_count++] = s;
    *out = s;
    return FLV_OK;
}

flv_rc pg_shape_of(struct pg *p,
                   const struct sql_op *op,
                   struct pg_shape **out,
                   struct flv_err *err)
{
    struct pg_shape *s = find(p, op);
    flv_rc rc = s == NULL ? add_shape(p, op, &s, err) : FLV_OK;
    if (rc != FLV_OK) {
        return rc;
    }
    if (s->err.rc != FLV_OK) {
        *err = s->err;
    }
    *out = s;
    return s->err.rc;
}

/* --- values ------------------------------------------------------------------
 */

static size_t characters(struct flv_slice text)
{
    size_t n = 0, len = text.len;
    while (len > 0 && text.data[len - 1] == ' ') {
        len--; /* blanks at the end are cut to fit */
    }
    for (size_t i = 0; i < len; i++) {
        n += (text.data[i] & 0xC0) != 0x80;
    }
    return n;
}

static flv_rc
fits(const struct pg_column *c, const struct sql_value *v, struct flv_err *err)
{
    if (v->is_null || c->type == OID_BYTEA) {
        return FLV_OK;
    }
    if (memchr(v->text.data, 0, v->text.len) != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "a NUL character, which PostgreSQL has no place for");
    }
    if (c->length > 0 && characters(v->text) > (size_t)c->length) {
        return flv_fail(err, FLV_E_INVALID,
                        "%zu characters are too long for %s",
                        characters(v->text), c->cast);
    }
    if (c->type == OID_TIMESTAMP && v->type == SQL_TIMESTAMP &&
        sql_zone_of(v->text).len > 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "\"%.*s\" has a zone and the column none, so that it "
                        "would be lost; timestamptz keeps it",
                        (int)(v->text.len < 40 ? v->text.len : 40),
                        (const char *)v->text.data);
    }
    return FLV_OK;
}

static void
name_column(const struct pg_shape *s, size_t at, struct flv_err *err)
{
    struct flv_slice column = s->op.values[at].column;
    flv_err_prefix(err, "column \"%.*s\"",
                   (int)(column.len < SQL_NAME_MAX ? column.len : SQL_NAME_MAX),
                   (const char *)column.data);
}

/* With quotes, every byte of the value doubled, and the ends of the array. */
size_t pg_row_bytes(const struct sql_op *op)
{
    size_t n = 0;
    for (size_t i = 0; i < op->count; i++) {
        n += op->values[i].text.len * 2 + 10;
    }
    return n;
}

flv_rc
pg_fits(const struct pg_shape *s, const struct sql_op *op, struct flv_err *err)
{
    if (pg_row_bytes(op) > PG_PARAMS_BYTES_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "its values are too large: %zu MiB at most",
                        PG_PARAMS_BYTES_MAX / 2 >> 20);
    }
    for (size_t i = 0; i < op->count; i++) {
        flv_rc rc = fits(&s->columns[i], &op->values[i], err);
        if (rc != FLV_OK) {
            name_column(s, i, err);
            return rc;
        }
    }
    return FLV_OK;
}

/* bytea in its hex form: "\x6162"; as an element of an array the backslash
 * is doubled. */
static flv_rc put_bytes(struct flv_buf *b, struct flv_slice bytes, bool element)
{
    flv_rc rc = flv_buf_add_str(b, element ? "\"\\\\x" : "\\x");
    if (rc == FLV_OK) {
        rc = flv_text_hex(b, bytes);
    }
    return rc == FLV_OK && element ? flv_buf_add_str(b, "\"") : rc;
}

static flv_rc put_element(struct flv_buf *b, struct flv_slice text)
{
    flv_rc rc = flv_buf_reserve(b, text.len * 2 + 2);
    if (rc != FLV_OK) {
        return rc;
    }
    uint8_t *out = b->data + b->len;
    *out++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            *out++ = '\\';
        }
        *out++ = text.data[i];
    }
    *out++ = '"';
    b->len = (size_t)(out - b->data);
    return FLV_OK;
}

static flv_rc put_value(struct flv_buf *b,
                        const struct pg_column *c,
                        const struct sql_value *v,
                        bool element)
{
    if (v->is_null) {
        return element ? flv_buf_add_str(b, "NULL") : FLV_OK;
    }
    if (c->type == OID_BYTEA) {
        return put_bytes(b, v->text, element);
    }
    return element ? put_element(b, v->text)
                   : flv_buf_add(b, v->text.data, v->text.len);
}

/* {"1","2",NULL} of one column. */
static flv_rc put_array(struct pg *p,
                        const struct pg_shape *s,
                        const struct sql_row *rows,
                        size_t count,
                        size_t column)
{
    flv_rc rc = FLV_OK;
    char before = '{';
    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        if (rows[i].skip) {
            continue;
        }
        rc = flv_buf_add_u8(&p->params, (uint8_t)before);
        if (rc == FLV_OK) {
            rc = put_value(&p->params, &s->columns[column],
                           &rows[i].op.values[column], true);
        }
        before = ',';
    }
    assert(before == ',');
    return rc == FLV_OK ? flv_buf_add_u8(&p->params, '}') : rc;
}

static flv_rc put_params(struct pg *p,
                         const struct pg_shape *s,
                         const struct sql_row *rows,
                         size_t count)
{
    flv_rc rc = FLV_OK;
    flv_buf_reset(&p->params);
    for (size_t c = 0; c < s->op.count && rc == FLV_OK; c++) {
        p->starts[c] = p->params.len;
        rc = s->bulk ? put_array(p, s, rows, count, c)
                     : put_value(&p->params, &s->columns[c],
                                 &rows[0].op.values[c], false);
        if (rc == FLV_OK) {
            rc = flv_buf_add_u8(&p->params, 0);
        }
    }
    for (size_t c = 0; c < s->op.count && rc == FLV_OK; c++) {
        bool null = !s->bulk && rows[0].op.values[c].is_null;
        p->values[c] =
            null ? NULL : (const char *)p->params.data + p->starts[c];
    }
    return rc;
}

flv_rc pg_send_rows(struct pg *p,
                    const struct pg_shape *s,
                    const struct sql_row *rows,
                    size_t count,
                    struct flv_err *err)
{
    assert(s->bulk || (count == 1 && !rows[0].skip));
    flv_rc rc = put_params(p, s, rows, count);
    if (rc != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "parameters of a statement: %s",
                        flv_rc_text(rc));
    }
    return PQsendQueryPrepared(p->conn, s->name, (int)s->op.count, p->values,
                               NULL, NULL, 0) == 0
               ? pg_lost(p, err)
               : FLV_OK;
}

/* --- whose fault -------------------------------------------------------------
 */

/* Does the column's type, with its length and scale, take the value? */
static flv_rc try_on(struct pg *p,
                     const struct pg_column *c,
                     const struct sql_value *v,
                     struct flv_err *err)
{
    flv_buf_reset(&p->params);
    flv_buf_reset(&p->text);
    flv_rc rc = put_value(&p->params, c, v, false);
    if (rc == FLV_OK) {
        rc = flv_buf_addf(&p->text, "SELECT CAST($1 AS %s)", c->cast);
    }
    const char *value = rc == FLV_OK ? flv_buf_str(&p->params) : NULL;
    const char *sql = rc == FLV_OK ? flv_buf_str(&p->text) : NULL;
    if (value == NULL || sql == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return pg_run(p, sql, &value, 1, NULL, err);
}

flv_rc pg_blame(struct pg *p,
                const struct pg_shape *s,
                const struct sql_op *op,
                struct flv_err *err)
{
    for (size_t i = 0; i < op->count; i++) {
        const struct sql_value *v = &op->values[i];
        struct flv_err why = {0};
        if (v->is_null || s->columns[i].cast[0] == '\0') {
            continue;
        }
        flv_rc rc = pg_run(p, "SAVEPOINT blame", NULL, 0, NULL, &why);
        bool bad = false;
        if (rc == FLV_OK) {
            rc = try_on(p, &s->columns[i], v, &why);
            bad = rc == FLV_E_INVALID;
        }
        if (rc == FLV_OK || bad) {
            rc = pg_run(p, "ROLLBACK TO SAVEPOINT blame", NULL, 0, NULL, err);
        }
        if (bad && rc == FLV_OK) {
            name_column(s, i, err);
            return FLV_OK;
        }
        if (rc != FLV_OK) {
            *err = why.rc != FLV_OK && why.rc != FLV_E_INVALID ? why : *err;
            return rc;
        }
    }
    return FLV_OK;
}
