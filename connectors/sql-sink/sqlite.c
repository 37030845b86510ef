/* SQLite behind db.h. */
#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "db.h"

#define PATH_BYTES_MAX 4096
#define STATEMENT_BYTES_MAX ((size_t)1 << 20)

struct lite {
    struct sql_db db;
    sqlite3 *handle; /* owned */
    char path[PATH_BYTES_MAX];
    bool create;
    dev_t device; /* of the file that was opened */
    ino_t inode;
    uint64_t busy_since_ms;
    struct flv_buf positions; /* name of their table, in quotes */
    struct flv_buf text;      /* of a statement */
    /* The statement of the last operation, and what it is for. */
    sqlite3_stmt *insert; /* owned; NULL: none */
    struct sql_op shape;  /* borrows from the batch that is applied */
};

/* --- where it is -------------------------------------------------------------
 */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_path(const char *from, size_t len, char out[PATH_BYTES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (c == '%') {
            int high = i + 2 < len ? hex(from[i + 1]) : -1;
            int low = high >= 0 ? hex(from[i + 2]) : -1;
            if (low < 0 || high + low == 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n + 1 == PATH_BYTES_MAX) {
            return false;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

/* sqlite:FILE or sqlite://FILE, then nothing, ?mode=rw or ?mode=rwc. */
static flv_rc read_url(const char *url,
                       char out_path[PATH_BYTES_MAX],
                       bool *out_create,
                       struct flv_err *err)
{
    const char *from = url + strlen("sqlite:");
    from += strncmp(from, "//", 2) == 0 ? 2 : 0;
    const char *query = strchr(from, '?');
    size_t len = query != NULL ? (size_t)(query - from) : strlen(from);
    bool create = query != NULL && strcmp(query, "?mode=rwc") == 0;
    if (query != NULL && !create && strcmp(query, "?mode=rw") != 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "url: behind sqlite://FILE only ?mode=rw (the file "
                        "exists) or ?mode=rwc (it may be made) is possible");
    }
    if (!read_path(from, len, out_path)) {
        return flv_fail(err, FLV_E_USAGE,
                        "url: sqlite:// has to be followed by the path of a "
                        "file");
    }
    if (strcmp(out_path, ":memory:") == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "url: a database in memory is gone with the "
                        "connector; name a file: sqlite://FILE");
    }
    *out_create = create;
    return FLV_OK;
}

flv_rc sql_sqlite_check(const struct sql_db_conf *conf, struct flv_err *err)
{
    char path[PATH_BYTES_MAX];
    bool create;
    return read_url(conf->url, path, &create, err);
}

/* --- errors ------------------------------------------------------------------
 */

static flv_rc rc_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_ERROR: /* no such table, no such column */
        return FLV_E_INVALID;
    case SQLITE_FULL:
        return FLV_E_NOSPACE;
    case SQLITE_NOMEM:
        return FLV_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return FLV_E_BUSY;
    case SQLITE_INTERRUPT:
        return FLV_E_CANCELED;
    default:
        return FLV_E_CLOSED;
    }
}

static flv_rc broken(struct lite *l, const char *what, struct flv_err *err)
{
    int code = sqlite3_extended_errcode(l->handle);
    return flv_fail(err, rc_of(code), "%s: SQLite: %s (%d)", what,
                    sqlite3_errmsg(l->handle), code);
}

/* The same for what is no record's business: nothing of it is INVALID. */
static flv_rc trouble(struct lite *l, const char *what, struct flv_err *err)
{
    flv_rc rc = broken(l, what, err);
    if (rc == FLV_E_INVALID) {
        rc = FLV_E_BUSY;
        if (err != NULL) {
            err->rc = rc;
        }
    }
    return rc;
}

static flv_rc run(struct lite *l, const char *sql, struct flv_err *err)
{
    return sqlite3_exec(l->handle, sql, NULL, NULL, NULL) == SQLITE_OK
               ? FLV_OK
               : trouble(l, sql, err);
}

static void roll_back(struct lite *l)
{
    if (sqlite3_get_autocommit(l->handle) == 0) {
        (void)sqlite3_exec(l->handle, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* A file that was moved away still takes what is written: ask its name. */
static flv_rc is_there(const struct lite *l, struct flv_err *err)
{
    struct stat st;
    if (stat(l->path, &st) != 0) {
        return flv_fail_sys(err, FLV_E_CLOSED, errno, "database %.80s",
                            l->path);
    }
    if (st.st_dev != l->device || st.st_ino != l->inode) {
        return flv_fail(err, FLV_E_CLOSED, "database %.80s is another file now",
                        l->path);
    }
    return FLV_OK;
}

/* --- open and close ----------------------------------------------------------
 */

static void drop_statement(struct lite *l)
{
    (void)sqlite3_finalize(l->insert);
    l->insert = NULL;
}

static void close_lite(struct sql_db *db)
{
    struct lite *l = (struct lite *)db;
    drop_statement(l);
    if (l->handle != NULL) {
        (void)sqlite3_close(l->handle);
    }
    flv_buf_deinit(&l->positions);
    flv_buf_deinit(&l->text);
    flv_free(l);
}

static int on_progress(void *arg)
{
    struct lite *l = arg;
    return sql_is_canceled(&l->db) ? 1 : 0;
}

/* Asks often: who writes without a pause leaves gaps that are short. */
static int on_busy(void *arg, int count)
{
    struct lite *l = arg;
    if (count == 0) {
        l->busy_since_ms = flv_clock_mono_ms();
    }
    if (sql_is_canceled(&l->db) ||
        flv_clock_mono_ms() - l->busy_since_ms >= l->db.conf->timeout_ms) {
        return 0;
    }
    (void)sqlite3_sleep(1 + count % 3);
    return 1;
}

static flv_rc open_file(struct lite *l, struct flv_err *err)
{
    struct stat st;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                (l->create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(l->path, &l->handle, flags, NULL);
    if (code != SQLITE_OK) {
        return flv_fail(err, FLV_E_CONNECT, "database %.80s: SQLite: %s%s",
                        l->path, sqlite3_errstr(code),
                        code == SQLITE_CANTOPEN && !l->create
                            ? "; ?mode=rwc behind the url makes a new one"
                            : "");
    }
    (void)sqlite3_extended_result_codes(l->handle, 1);
    (void)sqlite3_busy_handler(l->handle, on_busy, l);
    sqlite3_progress_handler(l->handle, 10000, on_progress, l);
    flv_rc rc = run(l, "PRAGMA synchronous = FULL", err);
    if (rc == FLV_OK) {
        rc = run(l, "PRAGMA foreign_keys = ON", err);
    }
    if (rc == FLV_OK && stat(l->path, &st) != 0) {
        rc = flv_fail_sys(err, FLV_E_CLOSED, errno, "database %.80s", l->path);
    }
    if (rc == FLV_OK) {
        l->device = st.st_dev;
        l->inode = st.st_ino;
    }
    return rc;
}

static flv_rc open_lite(struct sql_db **out,
                        const struct sql_db_conf *conf,
                        struct flv_err *err)
{
    struct lite *l = flv_zalloc(1, sizeof(*l));
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    l->db.ops = &sql_sqlite_ops;
    l->db.conf = conf;
    flv_buf_init(&l->positions, STATEMENT_BYTES_MAX);
    flv_buf_init(&l->text, STATEMENT_BYTES_MAX);
    flv_rc rc = read_url(conf->url, l->path, &l->create, err);
    if (rc == FLV_OK) {
        rc = sql_put_table(&l->positions, flv_slice_str(conf->table), false,
                           err);
    }
    if (rc == FLV_OK) {
        rc = open_file(l, err);
    }
    if (rc != FLV_OK) {
        close_lite(&l->db);
        return rc;
    }
    *out = &l->db;
    return FLV_OK;
}

/* --- the position ------------------------------------------------------------
 */

/* A statement about positions: `form` has one %s for their table. */
static flv_rc prepare(struct lite *l,
                      const char *form,
                      sqlite3_stmt **out,
                      struct flv_err *err)
{
    const char *table = flv_buf_str(&l->positions);
    flv_buf_reset(&l->text);
    flv_rc rc = table == NULL ? FLV_E_NOMEM : FLV_OK;
    const char *at = strstr(form, "%s");
    if (rc == FLV_OK) {
        rc = flv_buf_add(&l->text, form, (size_t)(at - form));
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&l->text, table);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&l->text, at + 2);
    }
    const char *sql = rc == FLV_OK ? flv_buf_str(&l->text) : NULL;
    if (sql == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return sqlite3_prepare_v2(l->handle, sql, -1, out, NULL) == SQLITE_OK
               ? FLV_OK
               : trouble(l, "position", err);
}

static int bind_key(sqlite3_stmt *s, int first, const struct sql_mark *mark)
{
    int code = sqlite3_bind_text(s, first, mark->consumer, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(s, first + 1, mark->topic, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(s, first + 2, mark->partition);
    }
    return code;
}

/* Runs a statement that answers nothing. */
static flv_rc step_once(struct lite *l, sqlite3_stmt *s, struct flv_err *err)
{
    return sqlite3_step(s) == SQLITE_DONE ? FLV_OK
                                          : trouble(l, "position", err);
}

static flv_rc make_table(struct lite *l, struct flv_err *err)
{
    sqlite3_stmt *s = NULL;
    flv_rc rc = prepare(l,
                        "CREATE TABLE IF NOT EXISTS %s ("
                        "consumer TEXT NOT NULL, topic TEXT NOT NULL, "
                        "partition INTEGER NOT NULL, "
                        "topic_created TEXT NOT NULL, "
                        "next_offset INTEGER NOT NULL, "
                        "owner INTEGER NOT NULL, "
                        "changed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, "
                        "PRIMARY KEY (consumer, topic, partition))",
                        &s, err);
    if (rc == FLV_OK) {
        rc = step_once(l, s, err);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

static flv_rc
make_row(struct lite *l, const struct sql_mark *mark, struct flv_err *err)
{
    sqlite3_stmt *s = NULL;
    flv_rc rc = prepare(l,
                        "INSERT OR IGNORE INTO %s (consumer, topic, "
                        "partition, topic_created, next_offset, owner) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, 0)",
                        &s, err);
    if (rc == FLV_OK) {
        int code = bind_key(s, 1, mark);
        if (code == SQLITE_OK) {
            code = sqlite3_bind_text(s, 4, mark->creation, -1, SQLITE_STATIC);
        }
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(s, 5, mark->next);
        }
        rc = code == SQLITE_OK ? step_once(l, s, err)
                               : trouble(l, "position", err);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

static flv_rc row_of(sqlite3_stmt *s, struct sql_mark *mark, struct flv_err *e)
{
    const unsigned char *creation = sqlite3_column_text(s, 0);
    size_t len = (size_t)sqlite3_column_bytes(s, 0);
    if (creation == NULL || len >= SQL_CREATION_MAX) {
        return flv_fail(e, FLV_E_CORRUPT,
                        "topic_created of the position is no creation id");
    }
    memcpy(mark->creation, creation, len + 1);
    mark->next = sqlite3_column_int64(s, 1);
    mark->owner = sqlite3_column_int64(s, 2);
    return FLV_OK;
}

static flv_rc
read_row(struct lite *l, struct sql_mark *mark, struct flv_err *err)
{
    sqlite3_stmt *s = NULL;
    flv_rc rc = prepare(l,
                        "SELECT topic_created, next_offset, owner FROM %s "
                        "WHERE consumer = ?1 AND topic = ?2 AND "
                        "partition = ?3",
                        &s, err);
    if (rc == FLV_OK && bind_key(s, 1, mark) != SQLITE_OK) {
        rc = trouble(l, "position", err);
    }
    int code = rc == FLV_OK ? sqlite3_step(s) : SQLITE_OK;
    if (code == SQLITE_ROW) {
        rc = row_of(s, mark, err);
    } else if (code == SQLITE_DONE) {
        rc = flv_fail(err, FLV_E_NOT_FOUND, "there is no position");
    } else if (rc == FLV_OK) {
        rc = trouble(l, "position", err);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

static flv_rc own_row(struct lite *l,
                      const struct sql_mark *mark,
                      int64_t owner,
                      struct flv_err *err)
{
    sqlite3_stmt *s = NULL;
    flv_rc rc = prepare(l,
                        "UPDATE %s SET owner = ?4 WHERE consumer = ?1 AND "
                        "topic = ?2 AND partition = ?3",
                        &s, err);
    if (rc == FLV_OK) {
        rc = bind_key(s, 1, mark) == SQLITE_OK &&
                     sqlite3_bind_int64(s, 4, owner) == SQLITE_OK
                 ? step_once(l, s, err)
                 : trouble(l, "position", err);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

/* Inside a transaction. */
static flv_rc claim_row(struct lite *l,
                        struct sql_mark *m,
                        int64_t owner,
                        enum sql_claim how,
                        struct flv_err *err)
{
    char creation[SQL_CREATION_MAX];
    memcpy(creation, m->creation, sizeof(creation));
    flv_rc rc = make_table(l, err);
    if (rc == FLV_OK && how == SQL_CLAIM_MADE) {
        rc = make_row(l, m, err);
    }
    if (rc == FLV_OK) {
        rc = read_row(l, m, err);
    }
    if (rc == FLV_OK) {
        rc = sql_claim_judge(m, owner, how, err);
    }
    if (rc == FLV_OK && strcmp(creation, m->creation) != 0) {
        m->owner = 0;
        return FLV_OK;
    }
    if (rc == FLV_OK) {
        rc = own_row(l, m, owner, err);
        m->owner = owner;
    }
    return rc;
}

static flv_rc claim(struct sql_db *db,
                    struct sql_mark *mark,
                    int64_t owner,
                    enum sql_claim how,
                    struct flv_err *err)
{
    struct lite *l = (struct lite *)db;
    struct sql_mark m = *mark;
    flv_rc rc = is_there(l, err);
    if (rc == FLV_OK) {
        rc = run(l, "BEGIN IMMEDIATE", err);
    }
    if (rc == FLV_OK) {
        rc = claim_row(l, &m, owner, how, err);
    }
    if (rc == FLV_OK) {
        rc = run(l, "COMMIT", err);
    }
    if (rc == FLV_OK) {
        *mark = m;
    }
    roll_back(l);
    return rc;
}

/* --- rows --------------------------------------------------------------------
 */

static flv_rc
prepare_insert(struct lite *l, const struct sql_op *op, struct flv_err *err)
{
    if (l->insert != NULL && sql_op_alike(&l->shape, op)) {
        return FLV_OK;
    }
    drop_statement(l);
    flv_buf_reset(&l->text);
    flv_rc rc = sql_put_head(&l->text, op, false, err);
    for (size_t i = 0; i < op->count && rc == FLV_OK; i++) {
        rc = flv_buf_add_str(&l->text, i == 0 ? "VALUES (?" : ", ?");
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&l->text, ")");
    }
    if (rc == FLV_OK) {
        rc = sql_put_conflict(&l->text, op, false, err);
    }
    if (rc == FLV_E_LIMIT) {
        return flv_fail(err, FLV_E_INVALID,
                        "its statement has more than %zu KiB",
                        STATEMENT_BYTES_MAX >> 10);
    }
    const char *sql = rc == FLV_OK ? flv_buf_str(&l->text) : NULL;
    if (sql == NULL) {
        return rc == FLV_E_INVALID
                   ? rc
                   : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (sqlite3_prepare_v3(l->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                           &l->insert, NULL) != SQLITE_OK) {
        rc = broken(l, op->kind == SQL_UPSERT ? "upsert" : "insert", err);
        drop_statement(l);
        return rc;
    }
    l->shape = *op;
    return FLV_OK;
}

static int bind_float(sqlite3_stmt *s, int at, struct flv_slice text)
{
    char number[64];
    if (text.len >= sizeof(number)) {
        return sqlite3_bind_text(s, at, (const char *)text.data, (int)text.len,
                                 SQLITE_STATIC);
    }
    memcpy(number, text.data, text.len);
    number[text.len] = '\0';
    return sqlite3_bind_double(s, at, strtod(number, NULL));
}

static int64_t integer_of(struct flv_slice text)
{
    size_t i = text.data[0] == '-' || text.data[0] == '+' ? 1 : 0;
    uint64_t v = 0;
    for (; i < text.len; i++) {
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.data[0] == '-' ? (int64_t)(0 - v) : (int64_t)v;
}

static int bind(sqlite3_stmt *s, int at, const struct sql_value *v)
{
    if (v->is_null) {
        return sqlite3_bind_null(s, at);
    }
    switch (v->type) {
    case SQL_BOOL:
        return sqlite3_bind_int(s, at, v->text.data[0] == 't');
    case SQL_CHAR:
    case SQL_SMALL_INT:
    case SQL_INT:
    case SQL_BIG_INT:
        return sqlite3_bind_int64(s, at, integer_of(v->text));
    case SQL_FLOAT:
    case SQL_DOUBLE:
        return bind_float(s, at, v->text);
    case SQL_BYTES:
        return sqlite3_bind_blob(s, at, v->text.data, (int)v->text.len,
                                 SQLITE_STATIC);
    default: /* the affinity of the column decides about numbers */
        return sqlite3_bind_text(s, at, (const char *)v->text.data,
                                 (int)v->text.len, SQLITE_STATIC);
    }
}

/* A failed row leaves no trace: SQLite takes a failed statement back. */
static flv_rc
insert(struct lite *l, const struct sql_op *op, struct flv_err *err)
{
    flv_rc rc = prepare_insert(l, op, err);
    if (rc != FLV_OK) {
        return rc;
    }
    int code = SQLITE_OK;
    for (size_t i = 0; i < op->count && code == SQLITE_OK; i++) {
        code = bind(l->insert, (int)i + 1, &op->values[i]);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(l->insert);
    }
    if (code != SQLITE_DONE) {
        rc = broken(l, op->kind == SQL_UPSERT ? "upsert" : "insert", err);
    }
    (void)sqlite3_reset(l->insert);
    return rc;
}

static bool owes_parents(struct lite *l)
{
    int now = 0, high = 0;
    (void)sqlite3_db_status(l->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &now,
                            &high, 0);
    return now != 0;
}

/* With `strict` a row that leaves a deferred foreign key open is at fault.
 * Behind a row that took the whole transaction back (ON CONFLICT ROLLBACK,
 * RAISE(ROLLBACK)) none is tried: it would be committed on its own, without
 * the position. */
static flv_rc insert_all(struct lite *l,
                         struct sql_row *rows,
                         size_t count,
                         bool strict,
                         struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        struct sql_row *row = &rows[i];
        if (row->skip) {
            continue;
        }
        rc = strict ? run(l, "SAVEPOINT one", err) : FLV_OK;
        if (rc == FLV_OK) {
            rc = insert(l, &row->op, &row->err);
            if (rc != FLV_OK && rc != FLV_E_INVALID && err != NULL) {
                *err = row->err;
            }
        }
        if (rc == FLV_OK && strict && owes_parents(l)) {
            rc = flv_fail(&row->err, FLV_E_INVALID,
                          "insert: its foreign key has no parent");
            flv_rc back = run(l, "ROLLBACK TO one", err);
            rc = back != FLV_OK ? back : rc;
        }
        rc = rc == FLV_E_INVALID ? FLV_OK : rc;
        if (sqlite3_get_autocommit(l->handle) != 0) {
            break;
        }
    }
    drop_statement(l); /* its shape is the batch's */
    return rc;
}

static flv_rc move(struct lite *l,
                   const struct sql_mark *mark,
                   int64_t next,
                   struct flv_err *err)
{
    sqlite3_stmt *s = NULL;
    flv_rc rc = prepare(l,
                        "UPDATE %s SET next_offset = ?4, "
                        "changed_at = CURRENT_TIMESTAMP "
                        "WHERE consumer = ?1 AND topic = ?2 AND "
                        "partition = ?3 AND topic_created = ?5 AND "
                        "owner = ?6 AND next_offset = ?7",
                        &s, err);
    if (rc == FLV_OK) {
        rc = bind_key(s, 1, mark) == SQLITE_OK &&
                     sqlite3_bind_int64(s, 4, next) == SQLITE_OK &&
                     sqlite3_bind_text(s, 5, mark->creation, -1,
                                       SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_bind_int64(s, 6, mark->owner) == SQLITE_OK &&
                     sqlite3_bind_int64(s, 7, mark->next) == SQLITE_OK
                 ? step_once(l, s, err)
                 : trouble(l, "position", err);
    }
    (void)sqlite3_finalize(s);
    if (rc == FLV_OK && sqlite3_changes(l->handle) != 1) {
        return sql_fail_moved(mark, err);
    }
    return rc;
}

static flv_rc try(struct lite *l,
                  const struct sql_mark *mark,
                  int64_t next,
                  struct sql_row *rows,
                  size_t count,
                  bool strict,
                  struct flv_err *err)
{
    flv_rc rc = run(l, "BEGIN IMMEDIATE", err);
    if (rc == FLV_OK) {
        rc = move(l, mark, next, err);
    }
    if (rc == FLV_OK) {
        rc = insert_all(l, rows, count, strict, err);
    }
    if (rc == FLV_OK) {
        rc = sql_rows_verdict(rows, count, err);
    }
    if (rc == FLV_OK &&
        sqlite3_exec(l->handle, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        rc = broken(l, "commit", err);
    }
    roll_back(l);
    return rc;
}

static flv_rc apply(struct sql_db *db,
                    const struct sql_mark *mark,
                    int64_t next,
                    struct sql_row *rows,
                    size_t count,
                    struct flv_err *err)
{
    struct lite *l = (struct lite *)db;
    flv_rc rc = is_there(l, err);
    if (rc == FLV_OK) {
        rc = try(l, mark, next, rows, count, false, err);
    }
    if (rc == FLV_E_INVALID && sql_rows_verdict(rows, count, NULL) == FLV_OK) {
        /* The commit itself was refused: find out whose fault it is. */
        rc = try(l, mark, next, rows, count, true, err);
    }
    if (rc == FLV_OK) {
        /* Was it still the file of that name that was committed to? */
        rc = is_there(l, err);
    }
    return rc;
}

const struct sql_db_ops sql_sqlite_ops = {
    .open = open_lite,
    .close = close_lite,
    .claim = claim,
    .apply = apply,
};
