#include "server/metadb.h"

#include "base/mem.h"
#include "base/rand.h"
#include "wire/crc32c.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Which statement; the texts stand in `sqls` in the same order. */
enum {
    ST_NEXT_ID,
    ST_BUMP_ID,
    ST_SETTLE,
    ST_STORE_ID,
    ST_DRAW_STORE_ID,
    ST_TOPICS,
    ST_PUT_TOPIC,
    ST_DELETE_TOPIC,
    ST_DELETE_TOPIC_OFFSETS,
    ST_PUT_OFFSET,
    ST_DELETE_OFFSET,
    ST_OFFSETS,
    ST_NEXT_REVISION,
    ST_BUMP_REVISION,
    ST_MODULES,
    ST_MODULE,
    ST_PUT_MODULE,
    ST_DELETE_MODULE,
    ST_PARTS,
    ST_PUT_PART,
    ST_DELETE_PARTS,
    ST_TABLE_FORMATS,
    ST_PUT_TABLE_FORMAT,
    ST_DELETE_TABLE_FORMAT,
    ST_COUNT
};

static const char *const sqls[ST_COUNT] = {
    [ST_NEXT_ID] = "SELECT value FROM counter WHERE name = 'next_topic_id'",
    [ST_BUMP_ID] = "UPDATE counter SET value = max(value, ?1 + 1) "
                   "WHERE name = 'next_topic_id'",
    [ST_SETTLE] = "INSERT INTO counter VALUES('settled', 1) "
                  "ON CONFLICT DO UPDATE SET value = value + 1",
    [ST_STORE_ID] = "SELECT value FROM counter WHERE name = 'store_id'",
    [ST_DRAW_STORE_ID] = "INSERT INTO counter VALUES('store_id', ?1)",
    [ST_TOPICS] = "SELECT id, name, partitions, durability, system, "
                  "spec_version, spec FROM topic ORDER BY name",
    [ST_PUT_TOPIC] =
        "INSERT INTO topic(id, name, partitions, durability, system, "
        "spec_version, spec) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) "
        "ON CONFLICT(id) DO UPDATE SET partitions = ?3, durability = ?4, "
        "spec_version = ?6, spec = ?7",
    [ST_DELETE_TOPIC] = "DELETE FROM topic WHERE id = ?1",
    [ST_DELETE_TOPIC_OFFSETS] = "DELETE FROM offset WHERE topic_id = ?1",
    [ST_PUT_OFFSET] =
        "INSERT INTO offset(topic_id, partition, consumer, offset, modified) "
        "SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS "
        "(SELECT 1 FROM topic WHERE id = ?1) "
        "ON CONFLICT DO UPDATE SET offset = ?4, modified = ?5",
    [ST_DELETE_OFFSET] = "DELETE FROM offset WHERE topic_id = ?1 "
                         "AND partition = ?2 AND consumer = ?3",
    [ST_OFFSETS] =
        "SELECT topic_id, partition, consumer, offset, modified FROM offset "
        "WHERE (?1 = 0 OR (topic_id = ?1 AND partition = ?2)) "
        "AND (?3 = '' OR consumer = ?3) "
        "ORDER BY topic_id, partition, consumer",
    [ST_NEXT_REVISION] =
        "SELECT value FROM counter WHERE name = 'next_module_revision'",
    [ST_BUMP_REVISION] = "UPDATE counter SET value = max(value, ?1 + 1) "
                         "WHERE name = 'next_module_revision'",
    [ST_MODULES] = "SELECT key, revision, created, size, spec_version, spec "
                   "FROM smartmodule ORDER BY key",
    [ST_MODULE] = "SELECT size, crc FROM smartmodule WHERE revision = ?1",
    [ST_PUT_MODULE] =
        "INSERT INTO smartmodule(key, revision, created, size, crc, "
        "spec_version, spec) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ST_DELETE_MODULE] = "DELETE FROM smartmodule WHERE key = ?1",
    [ST_PARTS] = "SELECT bytes FROM smartmodule_part WHERE revision = ?1 "
                 "ORDER BY part",
    [ST_PUT_PART] = "INSERT INTO smartmodule_part(revision, part, bytes) "
                    "VALUES(?1, ?2, ?3)",
    [ST_DELETE_PARTS] = "DELETE FROM smartmodule_part WHERE revision = "
                        "(SELECT revision FROM smartmodule WHERE key = ?1)",
    [ST_TABLE_FORMATS] =
        "SELECT name, spec_version, spec FROM table_format ORDER BY name",
    [ST_PUT_TABLE_FORMAT] =
        "INSERT INTO table_format(name, spec_version, spec) "
        "VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [ST_DELETE_TABLE_FORMAT] = "DELETE FROM table_format WHERE name = ?1",
};

/* Small enough for SQLite to pass through its cache. */
#define PART_BYTES ((size_t)64 << 10)

/* From schema i to i + 1; an empty file is schema 0. */
static const char *const schema_steps[FLV_METADB_SCHEMA] = {
    "BEGIN IMMEDIATE;"
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "INSERT INTO counter VALUES('next_topic_id', 1);"
    "CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " partitions INTEGER NOT NULL, durability INTEGER NOT NULL,"
    " system INTEGER NOT NULL, spec_version INTEGER NOT NULL,"
    " spec BLOB NOT NULL);"
    "CREATE TABLE offset(topic_id INTEGER NOT NULL,"
    " partition INTEGER NOT NULL, consumer TEXT NOT NULL,"
    " offset INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " PRIMARY KEY(topic_id, partition, consumer)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;"
    "COMMIT;",

    "BEGIN IMMEDIATE;"
    "INSERT INTO counter VALUES('next_module_revision', 1);"
    "CREATE TABLE smartmodule(revision INTEGER PRIMARY KEY,"
    " key TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,"
    " size INTEGER NOT NULL, crc INTEGER NOT NULL,"
    " spec_version INTEGER NOT NULL, spec BLOB NOT NULL);"
    "CREATE TABLE smartmodule_part(revision INTEGER NOT NULL,"
    " part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE(revision, part));"
    "PRAGMA user_version = 2;"
    "COMMIT;",

    "BEGIN IMMEDIATE;"
    "CREATE TABLE table_format(name TEXT PRIMARY KEY,"
    " spec_version INTEGER NOT NULL, spec BLOB NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 3;"
    "COMMIT;",
};

struct flv_metadb {
    sqlite3 *sql;                 /* owned */
    sqlite3_stmt *stmt[ST_COUNT]; /* owned, prepared when first used */
    bool read_only;
    bool in_doubt;
    int schema; /* of the file */
};

/* ---- errors and statements ---- */

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
sql_fail(const struct flv_metadb *db, const char *what, struct flv_err *err)
{
    flv_rc rc = rc_of(sqlite3_errcode(db->sql));
    int sys = sqlite3_system_errno(db->sql);
    const char *text = sqlite3_errmsg(db->sql);
    return sys != 0 ? flv_fail_sys(err, rc, sys, "cannot %s in meta.db: %s",
                                   what, text)
                    : flv_fail(err, rc, "cannot %s in meta.db: %s", what, text);
}

static flv_rc run(struct flv_metadb *db,
                  const char *sql,
                  const char *what,
                  struct flv_err *err)
{
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK
               ? FLV_OK
               : sql_fail(db, what, err);
}

/* The statement, prepared, reset and without bindings; NULL on failure. */
static sqlite3_stmt *statement(struct flv_metadb *db, int which)
{
    assert(which >= 0 && which < ST_COUNT);
    sqlite3_stmt **st = &db->stmt[which];
    if (*st == NULL &&
        sqlite3_prepare_v3(db->sql, sqls[which], -1, SQLITE_PREPARE_PERSISTENT,
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

static flv_rc finish(struct flv_metadb *db,
                     sqlite3_stmt *st,
                     const char *what,
                     struct flv_err *err)
{
    int code = sqlite3_step(st);
    flv_rc rc = code == SQLITE_DONE ? FLV_OK : sql_fail(db, what, err);
    sqlite3_reset(st);
    return rc;
}

static struct flv_slice column(sqlite3_stmt *st, int at)
{
    const void *data = sqlite3_column_blob(st, at);
    return flv_slice(data, (size_t)sqlite3_column_bytes(st, at));
}

static void undo(struct flv_metadb *db)
{
    if (sqlite3_get_autocommit(db->sql) == 0) {
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* A commit that failed may lie in the journal, whole, where the next start
 * would find it. The next transaction takes its place there, but only if it
 * writes something: while there is a doubt, each one counts itself. */
static flv_rc
begin(struct flv_metadb *db, const char *what, struct flv_err *err)
{
    flv_rc rc = run(db, "BEGIN IMMEDIATE", what, err);
    if (rc != FLV_OK || !db->in_doubt) {
        return rc;
    }
    sqlite3_stmt *st = statement(db, ST_SETTLE);
    rc = st != NULL ? finish(db, st, what, err) : sql_fail(db, what, err);
    if (rc != FLV_OK) {
        undo(db);
    }
    return rc;
}

/* Ends a transaction: commit when all went well, else undo. Want of space is a
 * doubt, too: what the last write lacks may be what the file held there. */
static flv_rc
end(struct flv_metadb *db, flv_rc rc, const char *what, struct flv_err *err)
{
    if (rc == FLV_OK) {
        rc = run(db, "COMMIT", what, err);
        db->in_doubt = rc != FLV_OK;
    }
    if (rc != FLV_OK) {
        undo(db);
    }
    return rc;
}

/* ---- open ---- */

static flv_rc read_schema(struct flv_metadb *db, int *out, struct flv_err *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sql, "PRAGMA user_version", -1, &st, NULL) !=
            SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_finalize(st);
        return sql_fail(db, "read the schema version", err);
    }
    *out = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return FLV_OK;
}

static flv_rc
set_up(struct flv_metadb *db, const char *path, struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    if (!db->read_only) {
        /* The exclusive mode keeps the index of the journal in our memory;
         * the folder's lock already keeps every other server out. It comes
         * first: whatever reads the file before it maps the index. */
        rc = run(db,
                 "PRAGMA locking_mode = EXCLUSIVE;"
                 "PRAGMA journal_mode = WAL;"
                 "PRAGMA synchronous = FULL;"
                 "PRAGMA wal_autocheckpoint = 256;"
                 "PRAGMA journal_size_limit = 1048576",
                 "prepare", err);
    }
    if (rc == FLV_OK) {
        rc = run(db,
                 "PRAGMA cache_size = -256;"
                 "PRAGMA temp_store = MEMORY",
                 "prepare", err);
    }
    int schema = 0;
    if (rc == FLV_OK) {
        rc = read_schema(db, &schema, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (schema > FLV_METADB_SCHEMA) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "%s has schema %d and this fluvio-server knows up to "
                        "%d; start the newer version",
                        path, schema, FLV_METADB_SCHEMA);
    }
    if (schema == 0 && db->read_only) {
        return flv_fail(err, FLV_E_CORRUPT, "%s has no tables", path);
    }
    for (; !db->read_only && schema < FLV_METADB_SCHEMA; schema++) {
        rc = run(db, schema_steps[schema], "create the tables", err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    db->schema = schema;
    return FLV_OK;
}

/* A file that was closed well is read without touching anything beside it;
 * one with a journal left by a crash needs SQLite's index file for a while. */
static flv_rc
open_file(struct flv_metadb *db, const char *path, struct flv_err *err)
{
    char uri[FLV_METADB_PATH_MAX + 64];
    char journal[FLV_METADB_PATH_MAX + 8];
    if (strlen(path) > FLV_METADB_PATH_MAX || strpbrk(path, "?#%") != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "the path %.80s is too long or has one of ? # %%",
                        path);
    }
    snprintf(journal, sizeof journal, "%s-wal", path);
    bool calm = db->read_only && access(journal, F_OK) != 0;
    snprintf(uri, sizeof uri, "file:%s%s", path, calm ? "?immutable=1" : "");
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI |
                (db->read_only ? SQLITE_OPEN_READONLY
                               : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (sqlite3_open_v2(uri, &db->sql, flags, NULL) == SQLITE_OK) {
        return FLV_OK;
    }
    return db->sql != NULL ? sql_fail(db, "open", err)
                           : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

/* Reads and writes the same bytes, then syncs them. */
static int rewrite(sqlite3_file *file)
{
    static const int step = 65536;
    sqlite3_int64 size = 0;
    void *buf = flv_alloc((size_t)step);
    int code =
        buf == NULL ? SQLITE_NOMEM : file->pMethods->xFileSize(file, &size);
    for (sqlite3_int64 pos = 0; pos < size && code == SQLITE_OK; pos += step) {
        int len = size - pos < step ? (int)(size - pos) : step;
        code = file->pMethods->xRead(file, buf, len, pos);
        if (code == SQLITE_OK) {
            code = file->pMethods->xWrite(file, buf, len, pos);
        }
    }
    if (code == SQLITE_OK && size > 0) {
        code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    }
    flv_free(buf);
    return code;
}

/* A journal that is there before the first read comes from a process that was
 * ended. What a failed or missing sync left of it in memory reads well and may
 * not be on disk, and all that is committed from now on would hang on it. So
 * it is written again and synced before SQLite believes in it; by SQLite's own
 * door, under the name that SQLite uses. */
static flv_rc rescue_journal(struct flv_metadb *db, struct flv_err *err)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    const char *path =
        sqlite3_filename_wal(sqlite3_db_filename(db->sql, "main"));
    assert(vfs != NULL && path != NULL);
    int there = 0;
    int code = vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there);
    if (code == SQLITE_OK && there == 0) {
        return FLV_OK;
    }
    sqlite3_file *file = flv_zalloc(1, (size_t)vfs->szOsFile);
    if (file == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (code == SQLITE_OK) {
        code = vfs->xOpen(vfs, path, file,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, NULL);
    }
    if (code == SQLITE_OK) {
        code = rewrite(file);
    }
    if (file->pMethods != NULL) {
        file->pMethods->xClose(file);
    }
    flv_free(file);
    return code == SQLITE_OK
               ? FLV_OK
               : flv_fail(err, rc_of(code), "cannot write %s again: %s", path,
                          sqlite3_errstr(code));
}

flv_rc flv_metadb_create(struct flv_metadb **out,
                         const char *path,
                         bool read_only,
                         struct flv_err *err)
{
    struct flv_metadb *db = flv_zalloc(1, sizeof *db);
    if (db == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    db->read_only = read_only;
    flv_rc rc = open_file(db, path, err);
    if (rc == FLV_OK && !read_only) {
        rc = rescue_journal(db, err);
    }
    if (rc == FLV_OK) {
        rc = set_up(db, path, err);
    }
    if (rc != FLV_OK) {
        flv_metadb_destroy(db);
        return rc;
    }
    *out = db;
    return FLV_OK;
}

void flv_metadb_destroy(struct flv_metadb *db)
{
    if (db == NULL) {
        return;
    }
    for (int i = 0; i < ST_COUNT; i++) {
        sqlite3_finalize(db->stmt[i]);
    }
    /* Closing the last connection checkpoints and removes the journal. */
    int code = sqlite3_close(db->sql);
    assert(code == SQLITE_OK);
    (void)code;
    flv_free(db);
}

/* ---- doubt ---- */

bool flv_metadb_in_doubt(const struct flv_metadb *db)
{
    return db->in_doubt;
}

flv_rc flv_metadb_settle(struct flv_metadb *db, struct flv_err *err)
{
    static const char what[] = "settle what failed";
    return db->in_doubt ? end(db, begin(db, what, err), what, err) : FLV_OK;
}

/* ---- topics ---- */

flv_rc
flv_metadb_next_id(struct flv_metadb *db, uint64_t *out_id, struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_NEXT_ID);
    if (st == NULL || sqlite3_step(st) != SQLITE_ROW) {
        return sql_fail(db, "read the next topic id", err);
    }
    *out_id = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return FLV_OK;
}

/* Writes it when there is none. */
static flv_rc
draw_store_id(struct flv_metadb *db, uint64_t id, struct flv_err *err)
{
    static const char what[] = "keep the id of the data directory";
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    sqlite3_stmt *st = statement(db, ST_DRAW_STORE_ID);
    if (st == NULL) {
        rc = sql_fail(db, what, err);
    } else {
        sqlite3_bind_int64(st, 1, (int64_t)id);
        rc = finish(db, st, what, err);
    }
    return end(db, rc, what, err);
}

flv_rc
flv_metadb_store_id(struct flv_metadb *db, uint64_t *out, struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_STORE_ID);
    int code = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    if (code == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return FLV_OK;
    }
    if (code != SQLITE_DONE) {
        return sql_fail(db, "read the id of the data directory", err);
    }
    sqlite3_reset(st);
    uint64_t id = flv_rand_u64() >> 1;
    flv_rc rc = draw_store_id(db, id, err);
    if (rc == FLV_OK) {
        *out = id;
    }
    return rc;
}

flv_rc flv_metadb_each_topic(struct flv_metadb *db,
                             flv_rc (*fn)(const struct flv_topic_row *row,
                                          void *arg,
                                          struct flv_err *err),
                             void *arg,
                             struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_TOPICS);
    if (st == NULL) {
        return sql_fail(db, "read topics", err);
    }
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        struct flv_topic_row row = {
            .id = (uint64_t)sqlite3_column_int64(st, 0),
            .name = column(st, 1),
            .partition_count = (uint32_t)sqlite3_column_int64(st, 2),
            .durability = (uint8_t)sqlite3_column_int(st, 3),
            .system = sqlite3_column_int(st, 4) != 0,
            .spec_version = sqlite3_column_int(st, 5),
            .spec = column(st, 6),
        };
        rc = fn(&row, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(db, "read topics", err);
    }
    sqlite3_reset(st);
    return rc;
}

flv_rc flv_metadb_put_topic(struct flv_metadb *db,
                            const struct flv_topic_row *row,
                            struct flv_err *err)
{
    assert(row->id > 0);
    static const char what[] = "store the topic";
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    sqlite3_stmt *bump = statement(db, ST_BUMP_ID);
    sqlite3_stmt *put = statement(db, ST_PUT_TOPIC);
    if (bump == NULL || put == NULL) {
        return end(db, sql_fail(db, what, err), what, err);
    }
    sqlite3_bind_int64(bump, 1, (sqlite3_int64)row->id);
    rc = finish(db, bump, what, err);
    if (rc == FLV_OK) {
        sqlite3_bind_int64(put, 1, (sqlite3_int64)row->id);
        bind_text(put, 2, row->name);
        sqlite3_bind_int64(put, 3, row->partition_count);
        sqlite3_bind_int(put, 4, row->durability);
        sqlite3_bind_int(put, 5, row->system);
        sqlite3_bind_int(put, 6, row->spec_version);
        sqlite3_bind_blob(put, 7, row->spec.data, (int)row->spec.len,
                          SQLITE_STATIC);
        rc = finish(db, put, what, err);
        sqlite3_clear_bindings(put);
    }
    return end(db, rc, what, err);
}

flv_rc
flv_metadb_delete_topic(struct flv_metadb *db, uint64_t id, struct flv_err *err)
{
    static const char what[] = "delete the topic";
    flv_rc rc = begin(db, what, err);
    static const int steps[] = {ST_DELETE_TOPIC_OFFSETS, ST_DELETE_TOPIC};
    for (size_t i = 0; i < 2 && rc == FLV_OK; i++) {
        sqlite3_stmt *st = statement(db, steps[i]);
        if (st == NULL) {
            rc = sql_fail(db, what, err);
            break;
        }
        sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
        rc = finish(db, st, what, err);
    }
    return end(db, rc, what, err);
}

/* ---- consumer offsets ---- */

static flv_rc change_one(struct flv_metadb *db,
                         const struct flv_offset_change *change,
                         bool *out_found,
                         struct flv_err *err)
{
    static const char what[] = "store consumer offsets";
    const struct flv_offset_row *row = &change->row;
    sqlite3_stmt *st =
        statement(db, change->remove ? ST_DELETE_OFFSET : ST_PUT_OFFSET);
    if (st == NULL) {
        return sql_fail(db, what, err);
    }
    sqlite3_bind_int64(st, 1, (sqlite3_int64)row->topic_id);
    sqlite3_bind_int64(st, 2, row->partition);
    bind_text(st, 3, row->consumer);
    if (!change->remove) {
        sqlite3_bind_int64(st, 4, row->offset);
        sqlite3_bind_int64(st, 5, row->modified_s);
    }
    flv_rc rc = finish(db, st, what, err);
    sqlite3_clear_bindings(st);
    if (rc == FLV_OK && out_found != NULL) {
        *out_found = sqlite3_changes(db->sql) > 0;
    }
    return rc;
}

flv_rc flv_metadb_change_offsets(struct flv_metadb *db,
                                 const struct flv_offset_change *changes,
                                 size_t n,
                                 bool *out_found,
                                 struct flv_err *err)
{
    static const char what[] = "store consumer offsets";
    flv_rc rc = begin(db, what, err);
    for (size_t i = 0; i < n && rc == FLV_OK; i++) {
        rc = change_one(db, &changes[i],
                        out_found != NULL ? &out_found[i] : NULL, err);
    }
    return end(db, rc, what, err);
}

flv_rc flv_metadb_each_offset(struct flv_metadb *db,
                              const struct flv_offset_query *query,
                              flv_rc (*fn)(const struct flv_offset_row *row,
                                           void *arg,
                                           struct flv_err *err),
                              void *arg,
                              struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_OFFSETS);
    if (st == NULL) {
        return sql_fail(db, "read consumer offsets", err);
    }
    sqlite3_bind_int64(st, 1, (sqlite3_int64)query->topic_id);
    sqlite3_bind_int64(st, 2, query->partition);
    bind_text(st, 3, query->consumer);
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        struct flv_offset_row row = {
            .topic_id = (uint64_t)sqlite3_column_int64(st, 0),
            .partition = (uint32_t)sqlite3_column_int64(st, 1),
            .consumer = column(st, 2),
            .offset = sqlite3_column_int64(st, 3),
            .modified_s = sqlite3_column_int64(st, 4),
        };
        rc = fn(&row, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(db, "read consumer offsets", err);
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return rc;
}

/* ---- SmartModules ---- */

static flv_rc no_statement(struct flv_metadb *db, struct flv_err *err)
{
    return sql_fail(db, "prepare a statement about SmartModules", err);
}

flv_rc flv_metadb_next_revision(struct flv_metadb *db,
                                uint64_t *out,
                                struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_NEXT_REVISION);
    if (st == NULL || sqlite3_step(st) != SQLITE_ROW) {
        return sql_fail(db, "read the next SmartModule revision", err);
    }
    *out = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return FLV_OK;
}

flv_rc flv_metadb_each_module(struct flv_metadb *db,
                              flv_rc (*fn)(const struct flv_module_row *row,
                                           void *arg,
                                           struct flv_err *err),
                              void *arg,
                              struct flv_err *err)
{
    if (db->schema < 2) {
        return FLV_OK; /* an old file that is only read */
    }
    sqlite3_stmt *st = statement(db, ST_MODULES);
    if (st == NULL) {
        return no_statement(db, err);
    }
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        struct flv_module_row row = {
            .key = column(st, 0),
            .revision = (uint64_t)sqlite3_column_int64(st, 1),
            .created_ms = sqlite3_column_int64(st, 2),
            .payload_bytes = (uint64_t)sqlite3_column_int64(st, 3),
            .spec_version = sqlite3_column_int(st, 4),
            .spec = column(st, 5),
        };
        rc = fn(&row, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(db, "read SmartModules", err);
    }
    sqlite3_reset(st);
    return rc;
}

/* What has that key: parts first, while the row still tells which. */
static flv_rc remove_module(struct flv_metadb *db,
                            struct flv_slice key,
                            bool *out_found,
                            struct flv_err *err)
{
    static const int steps[] = {ST_DELETE_PARTS, ST_DELETE_MODULE};
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < 2 && rc == FLV_OK; i++) {
        sqlite3_stmt *st = statement(db, steps[i]);
        if (st == NULL) {
            return no_statement(db, err);
        }
        bind_text(st, 1, key);
        rc = finish(db, st, "delete the SmartModule", err);
        sqlite3_clear_bindings(st);
    }
    if (rc == FLV_OK) {
        *out_found = sqlite3_changes(db->sql) > 0;
    }
    return rc;
}

static flv_rc put_parts(struct flv_metadb *db,
                        uint64_t revision,
                        struct flv_slice payload,
                        struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t pos = 0; pos < payload.len && rc == FLV_OK; pos += PART_BYTES) {
        size_t len =
            payload.len - pos < PART_BYTES ? payload.len - pos : PART_BYTES;
        sqlite3_stmt *st = statement(db, ST_PUT_PART);
        if (st == NULL) {
            return no_statement(db, err);
        }
        sqlite3_bind_int64(st, 1, (sqlite3_int64)revision);
        sqlite3_bind_int64(st, 2, (sqlite3_int64)(pos / PART_BYTES));
        sqlite3_bind_blob(st, 3, payload.data + pos, (int)len, SQLITE_STATIC);
        rc = finish(db, st, "store the bytes of the SmartModule", err);
        sqlite3_clear_bindings(st);
    }
    return rc;
}

static flv_rc put_row(struct flv_metadb *db,
                      const struct flv_module_row *row,
                      struct flv_slice payload,
                      struct flv_err *err)
{
    static const char what[] = "store the SmartModule";
    sqlite3_stmt *bump = statement(db, ST_BUMP_REVISION);
    sqlite3_stmt *put = statement(db, ST_PUT_MODULE);
    if (bump == NULL || put == NULL) {
        return no_statement(db, err);
    }
    sqlite3_bind_int64(bump, 1, (sqlite3_int64)row->revision);
    flv_rc rc = finish(db, bump, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    bind_text(put, 1, row->key);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)row->revision);
    sqlite3_bind_int64(put, 3, row->created_ms);
    sqlite3_bind_int64(put, 4, (sqlite3_int64)payload.len);
    sqlite3_bind_int64(put, 5, flv_crc32c(0, payload.data, payload.len));
    sqlite3_bind_int(put, 6, row->spec_version);
    sqlite3_bind_blob(put, 7, row->spec.data, (int)row->spec.len,
                      SQLITE_STATIC);
    rc = finish(db, put, what, err);
    sqlite3_clear_bindings(put);
    return rc;
}

flv_rc flv_metadb_put_module(struct flv_metadb *db,
                             const struct flv_module_row *row,
                             struct flv_slice payload,
                             struct flv_err *err)
{
    static const char what[] = "store the SmartModule";
    assert(row->revision > 0 && row->key.len > 0 && row->spec.len > 0);
    assert(row->payload_bytes == payload.len);
    bool replaced = false;
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = remove_module(db, row->key, &replaced, err);
    if (rc == FLV_OK) {
        rc = put_row(db, row, payload, err);
    }
    if (rc == FLV_OK) {
        rc = put_parts(db, row->revision, payload, err);
    }
    return end(db, rc, what, err);
}

flv_rc flv_metadb_delete_module(struct flv_metadb *db,
                                struct flv_slice key,
                                bool *out_found,
                                struct flv_err *err)
{
    static const char what[] = "delete the SmartModule";
    bool found = false;
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = end(db, remove_module(db, key, &found, err), what, err);
    if (rc == FLV_OK) {
        *out_found = found;
    }
    return rc;
}

static flv_rc read_parts(struct flv_metadb *db,
                         uint64_t revision,
                         size_t want,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_PARTS);
    if (st == NULL) {
        return no_statement(db, err);
    }
    flv_rc rc = flv_buf_reserve(out, want);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no memory for the %zu bytes of a SmartModule",
                        want);
    }
    size_t got = 0;
    int code;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)revision);
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        struct flv_slice part = column(st, 0);
        got += part.len;
        rc = got <= want ? flv_buf_add(out, part.data, part.len)
                         : flv_fail(err, FLV_E_CORRUPT, "too many bytes");
    }
    sqlite3_reset(st);
    if (rc == FLV_OK && code != SQLITE_DONE) {
        return sql_fail(db, "read the bytes of the SmartModule", err);
    }
    return rc;
}

static bool is_whole(const struct flv_buf *out,
                     size_t from,
                     sqlite3_int64 size,
                     sqlite3_int64 crc)
{
    return out->len - from == (size_t)size &&
           (size == 0 || flv_crc32c(0, out->data + from, (size_t)size) == crc);
}

flv_rc flv_metadb_read_module(struct flv_metadb *db,
                              uint64_t revision,
                              struct flv_buf *out,
                              struct flv_err *err)
{
    sqlite3_stmt *st = statement(db, ST_MODULE);
    if (st == NULL) {
        return no_statement(db, err);
    }
    sqlite3_bind_int64(st, 1, (sqlite3_int64)revision);
    int code = sqlite3_step(st);
    sqlite3_int64 size = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_int64 crc = code == SQLITE_ROW ? sqlite3_column_int64(st, 1) : 0;
    sqlite3_reset(st);
    if (code == SQLITE_DONE) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "the SmartModule was replaced or deleted meanwhile; "
                        "try again");
    }
    if (code != SQLITE_ROW) {
        return sql_fail(db, "read the SmartModule", err);
    }
    size_t from = out->len;
    flv_rc rc = size >= 0 ? read_parts(db, revision, (size_t)size, out, err)
                          : FLV_E_CORRUPT;
    if (rc == FLV_OK && !is_whole(out, from, size, crc)) {
        rc = FLV_E_CORRUPT;
    }
    if (rc != FLV_OK) {
        out->len = from;
    }
    return rc == FLV_E_CORRUPT
               ? flv_fail(err, rc,
                          "the bytes of a SmartModule in meta.db are not those "
                          "that were stored; create it again")
               : rc;
}

/* ---- table formats ---- */

flv_rc
flv_metadb_each_table_format(struct flv_metadb *db,
                             flv_rc (*fn)(const struct flv_table_format_row *r,
                                          void *arg,
                                          struct flv_err *err),
                             void *arg,
                             struct flv_err *err)
{
    static const char what[] = "read table formats";
    if (db->schema < 3) {
        return FLV_OK; /* an old file that is only read */
    }
    sqlite3_stmt *st = statement(db, ST_TABLE_FORMATS);
    if (st == NULL) {
        return sql_fail(db, what, err);
    }
    flv_rc rc = FLV_OK;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && rc == FLV_OK) {
        struct flv_table_format_row row = {
            .name = column(st, 0),
            .spec_version = sqlite3_column_int(st, 1),
            .spec = column(st, 2),
        };
        rc = fn(&row, arg, err);
    }
    if (rc == FLV_OK && code != SQLITE_DONE) {
        rc = sql_fail(db, what, err);
    }
    sqlite3_reset(st);
    return rc;
}

flv_rc flv_metadb_put_table_format(struct flv_metadb *db,
                                   const struct flv_table_format_row *row,
                                   bool *out_new,
                                   struct flv_err *err)
{
    static const char what[] = "store the table format";
    assert(row->name.len > 0 && row->spec.len > 0);
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    sqlite3_stmt *st = statement(db, ST_PUT_TABLE_FORMAT);
    if (st == NULL) {
        return end(db, sql_fail(db, what, err), what, err);
    }
    bind_text(st, 1, row->name);
    sqlite3_bind_int(st, 2, row->spec_version);
    sqlite3_bind_blob(st, 3, row->spec.data, (int)row->spec.len, SQLITE_STATIC);
    rc = finish(db, st, what, err);
    bool made = sqlite3_changes(db->sql) > 0;
    sqlite3_clear_bindings(st);
    rc = end(db, rc, what, err);
    if (rc == FLV_OK) {
        *out_new = made;
    }
    return rc;
}

flv_rc flv_metadb_delete_table_format(struct flv_metadb *db,
                                      struct flv_slice name,
                                      bool *out_found,
                                      struct flv_err *err)
{
    static const char what[] = "delete the table format";
    flv_rc rc = begin(db, what, err);
    if (rc != FLV_OK) {
        return rc;
    }
    sqlite3_stmt *st = statement(db, ST_DELETE_TABLE_FORMAT);
    if (st == NULL) {
        return end(db, sql_fail(db, what, err), what, err);
    }
    bind_text(st, 1, name);
    rc = finish(db, st, what, err);
    bool found = sqlite3_changes(db->sql) > 0;
    sqlite3_clear_bindings(st);
    rc = end(db, rc, what, err);
    if (rc == FLV_OK) {
        *out_found = found;
    }
    return rc;
}

/* ---- check ---- */

flv_rc flv_metadb_check(struct flv_metadb *db, struct flv_err *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sql, "PRAGMA integrity_check(1)", -1, &st,
                           NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_finalize(st);
        return sql_fail(db, "check the integrity", err);
    }
    struct flv_slice found = column(st, 0);
    flv_rc rc = flv_slice_eq_str(found, "ok")
                    ? FLV_OK
                    : flv_fail(err, FLV_E_CORRUPT, "meta.db is damaged: %.*s",
                               (int)found.len, (const char *)found.data);
    sqlite3_finalize(st);
    return rc;
}
