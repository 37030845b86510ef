#include "manager/store.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/mem.h"

enum { ST_ROWS, ST_PUT, ST_DROP, ST_EVENTS, ST_ADD_EVENT, ST_TRIM, ST_COUNT };

static const char *const sqls[ST_COUNT] = {
    [ST_ROWS] = ("SELECT name, file, desired, removing, generation, created, "
                 "updated, over, over_at, cause FROM connector "
                 "ORDER BY name"),
    [ST_PUT] = "INSERT OR REPLACE INTO connector(name, file, desired, "
               "removing, generation, created, updated, over, over_at, cause) "
               "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [ST_DROP] = "DELETE FROM connector WHERE name = ?1",
    [ST_EVENTS] = "SELECT id, time, name, kind, text FROM event ORDER BY id",
    [ST_ADD_EVENT] = "INSERT OR REPLACE INTO event(id, time, name, kind, text) "
                     "VALUES(?1, ?2, ?3, ?4, ?5)",
    [ST_TRIM] = "DELETE FROM event WHERE id <= ?1",
};

static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE connector(name TEXT PRIMARY KEY, file BLOB NOT NULL,"
    " desired INTEGER NOT NULL, removing INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL, over INTEGER NOT NULL,"
    " over_at INTEGER NOT NULL, cause TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
    " name TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);"
    "PRAGMA user_version = 1;"
    "COMMIT;";
_Static_assert(FLV_MSTORE_SCHEMA == 1, "schema_sql writes user_version 1");

struct flv_mstore {
    sqlite3 *sql;                 /* owned */
    sqlite3_stmt *stmt[ST_COUNT]; /* owned, prepared when first used */
};

/* ---- Errors and statements --------------------------------------------- */

static flv_rc rc_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return FLV_E_NOSPACE;
    case SQLITE_NOMEM:
        return FLV_E_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FLV_E_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FLV_E_LOCKED;
    default:
        return FLV_E_IO;
    }
}

static flv_rc
sql_fail(const struct flv_mstore *s, const char *what, struct flv_err *err)
{
    flv_rc rc = rc_of(sqlite3_errcode(s->sql));
    int sys = sqlite3_system_errno(s->sql);
    const char *text = sqlite3_errmsg(s->sql);
    return sys != 0
               ? flv_fail_sys(err, rc, sys, "cannot %s in manager.db: %s", what,
                              text)
               : flv_fail(err, rc, "cannot %s in manager.db: %s", what, text);
}

static flv_rc run(struct flv_mstore *s,
                  const char *sql,
                  const char *what,
                  struct flv_err *err)
{
    return sqlite3_exec(s->sql, sql, NULL, NULL, NULL) == SQLITE_OK
               ? FLV_OK
               : sql_fail(s, what, err);
}

static sqlite3_stmt *statement(struct flv_mstore *s, int which)
{
    assert(which >= 0 && which < ST_COUNT);
    sqlite3_stmt **st = &s->stmt[which];
    if (*st == NULL &&
        sqlite3_prepare_v3(s->sql, sqls[which], -1, SQLITE_PREPARE_PERSISTENT,
                           st, NULL) != SQLITE_OK) {
        return NULL;
    }
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
    return *st;
}

static void bind_text(sqlite3_stmt *st, int at, struct flv_slice s)
{
    const char *data = s.len > 0 ? (const char *)s.data : "";
    sqlite3_bind_text(st, at, data, (int)s.len, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *st, int at, struct flv_slice s)
{
    const void *data = s.len > 0 ? (const void *)s.data : "";
    sqlite3_bind_blob(st, at, data, (int)s.len, SQLITE_STATIC);
}

static void bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
    sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

static struct flv_slice column(sqlite3_stmt *st, int at)
{
    const void *data = sqlite3_column_blob(st, at);
    return flv_slice(data, (size_t)sqlite3_column_bytes(st, at));
}

static uint64_t column_u64(sqlite3_stmt *st, int at)
{
    return (uint64_t)sqlite3_column_int64(st, at);
}

static flv_rc finish(struct flv_mstore *s,
                     sqlite3_stmt *st,
                     const char *what,
                     struct flv_err *err)
{
    int code = sqlite3_step(st);
    flv_rc rc = code == SQLITE_DONE ? FLV_OK : sql_fail(s, what, err);
    sqlite3_reset(st);
    return rc;
}

/* ---- Opening ----------------------------------------------------------- */

static flv_rc read_schema(struct flv_mstore *s, int *out, struct flv_err *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->sql, "PRAGMA user_version", -1, &st, NULL) !=
            SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_finalize(st);
        return sql_fail(s, "read the schema version", err);
    }
    *out = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return FLV_OK;
}

static flv_rc
set_up(struct flv_mstore *s, const char *path, struct flv_err *err)
{
    int schema = 0;
    /* The folder's lock keeps every other manager out. */
    flv_rc rc = run(s,
                    "PRAGMA locking_mode = EXCLUSIVE;"
                    "PRAGMA journal_mode = WAL;"
                    "PRAGMA synchronous = FULL;"
                    "PRAGMA wal_autocheckpoint = 256;"
                    "PRAGMA journal_size_limit = 1048576;"
                    "PRAGMA cache_size = -256;"
                    "PRAGMA temp_store = MEMORY",
                    "prepare", err);
    if (rc == FLV_OK) {
        rc = read_schema(s, &schema, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (schema > FLV_MSTORE_SCHEMA) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "%s has schema %d and this fluvio-manager knows up to "
                        "%d; start the newer version",
                        path, schema, FLV_MSTORE_SCHEMA);
    }
    return schema == 0 ? run(s, schema_sql, "create the tables", err) : FLV_OK;
}

flv_rc flv_mstore_create(struct flv_mstore **out,
                         const char *path,
                         struct flv_err *err)
{
    struct flv_mstore *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    flv_rc rc = FLV_OK;
    if (sqlite3_open_v2(path, &s->sql, flags, NULL) != SQLITE_OK) {
        rc = s->sql != NULL ? sql_fail(s, "open", err)
                            : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (rc == FLV_OK) {
        rc = set_up(s, path, err);
    }
    if (rc != FLV_OK) {
        flv_mstore_destroy(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

void flv_mstore_destroy(struct flv_mstore *s)
{
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < ST_COUNT; i++) {
        sqlite3_finalize(s->stmt[i]);
    }
    int code = sqlite3_close(s->sql);
    assert(code == SQLITE_OK);
    (void)code;
    flv_free(s);
}

/* ---- Reading ----------------------------------------------------------- */

flv_rc flv_mstore_each_row(struct flv_mstore *s,
                           flv_rc (*fn)(const struct flv_mrow *row,
                                        void *arg,
                                        struct flv_err *err),
                           void *arg,
                           struct flv_err *err)
{
    sqlite3_stmt *st = statement(s, ST_ROWS);
    if (st == NULL) {
        return sql_fail(s, "read connectors", err);
    }
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        const struct flv_mrow row = {
            .name = column(st, 0),
            .file = column(st, 1),
            .desired = sqlite3_column_int(st, 2) == FLV_MDESIRED_PAUSED
                           ? FLV_MDESIRED_PAUSED
                           : FLV_MDESIRED_RUNNING,
            .removing = sqlite3_column_int(st, 3) != 0,
            .generation = column_u64(st, 4),
            .created_ms = sqlite3_column_int64(st, 5),
            .updated_ms = sqlite3_column_int64(st, 6),
            .over = (enum flv_mover)(sqlite3_column_int(st, 7) % 3),
            .over_ms = sqlite3_column_int64(st, 8),
            .cause = column(st, 9),
        };
        rc = fn(&row, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(s, "read connectors", err);
    }
    sqlite3_reset(st);
    return rc;
}

flv_rc flv_mstore_each_event(struct flv_mstore *s,
                             flv_rc (*fn)(const struct flv_mevent *event,
                                          void *arg,
                                          struct flv_err *err),
                             void *arg,
                             struct flv_err *err)
{
    sqlite3_stmt *st = statement(s, ST_EVENTS);
    if (st == NULL) {
        return sql_fail(s, "read events", err);
    }
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        const struct flv_mevent event = {
            .id = column_u64(st, 0),
            .time_ms = sqlite3_column_int64(st, 1),
            .name = column(st, 2),
            .kind = column(st, 3),
            .text = column(st, 4),
        };
        rc = fn(&event, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(s, "read events", err);
    }
    sqlite3_reset(st);
    return rc;
}

/* ---- Writing ----------------------------------------------------------- */

static flv_rc
put_row(struct flv_mstore *s, const struct flv_mrow *row, struct flv_err *err)
{
    sqlite3_stmt *st = statement(s, ST_PUT);
    if (st == NULL) {
        return sql_fail(s, "store a connector", err);
    }
    bind_text(st, 1, row->name);
    bind_blob(st, 2, row->file);
    sqlite3_bind_int(st, 3, (int)row->desired);
    sqlite3_bind_int(st, 4, row->removing);
    bind_u64(st, 5, row->generation);
    sqlite3_bind_int64(st, 6, row->created_ms);
    sqlite3_bind_int64(st, 7, row->updated_ms);
    sqlite3_bind_int(st, 8, (int)row->over);
    sqlite3_bind_int64(st, 9, row->over_ms);
    bind_text(st, 10, row->cause);
    return finish(s, st, "store a connector", err);
}

static flv_rc
drop_row(struct flv_mstore *s, struct flv_slice name, struct flv_err *err)
{
    sqlite3_stmt *st = statement(s, ST_DROP);
    if (st == NULL) {
        return sql_fail(s, "forget a connector", err);
    }
    bind_text(st, 1, name);
    return finish(s, st, "forget a connector", err);
}

static flv_rc add_event(struct flv_mstore *s,
                        const struct flv_mevent *event,
                        struct flv_err *err)
{
    sqlite3_stmt *st = statement(s, ST_ADD_EVENT);
    if (st == NULL) {
        return sql_fail(s, "store an event", err);
    }
    bind_u64(st, 1, event->id);
    sqlite3_bind_int64(st, 2, event->time_ms);
    bind_text(st, 3, event->name);
    bind_text(st, 4, event->kind);
    bind_text(st, 5, event->text);
    flv_rc rc = finish(s, st, "store an event", err);
    if (rc != FLV_OK || event->id <= FLV_MEVENTS_MAX || event->id % 64 != 0) {
        return rc;
    }
    st = statement(s, ST_TRIM);
    if (st == NULL) {
        return sql_fail(s, "forget old events", err);
    }
    bind_u64(st, 1, event->id - FLV_MEVENTS_MAX);
    return finish(s, st, "forget old events", err);
}

flv_rc flv_mstore_apply(struct flv_mstore *s,
                        const struct flv_mchange *const *changes,
                        size_t count,
                        struct flv_err *err)
{
    flv_rc rc = run(s, "BEGIN IMMEDIATE", "begin a change", err);
    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        switch (changes[i]->kind) {
        case FLV_MCHANGE_PUT:
            rc = put_row(s, &changes[i]->row, err);
            break;
        case FLV_MCHANGE_DROP:
            rc = drop_row(s, changes[i]->row.name, err);
            break;
        case FLV_MCHANGE_EVENT:
            rc = add_event(s, &changes[i]->event, err);
            break;
        }
    }
    if (rc == FLV_OK) {
        rc = run(s, "COMMIT", "store a change", err);
    }
    if (rc != FLV_OK && sqlite3_get_autocommit(s->sql) == 0) {
        sqlite3_exec(s->sql, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}
