#include "db.h"

#include <assert.h>
#include <string.h>

static bool begins(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0;
}

static bool is_pg(const char *url)
{
    return begins(url, "postgres://") || begins(url, "postgresql://");
}

static bool is_sqlite(const char *url)
{
    return begins(url, "sqlite:");
}

flv_rc sql_db_check(const struct sql_db_conf *conf, struct flv_err *err)
{
    if (is_pg(conf->url)) {
        return sql_pg_check(conf, err);
    }
    if (is_sqlite(conf->url)) {
        return sql_sqlite_check(conf, err);
    }
    return flv_fail(err, FLV_E_USAGE,
                    "url: neither postgres://USER@HOST/DATABASE nor "
                    "sqlite://FILE");
}

flv_rc sql_db_open(struct sql_db **out,
                   const struct sql_db_conf *conf,
                   struct flv_err *err)
{
    flv_rc rc = sql_db_check(conf, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const struct sql_db_ops *ops =
        is_pg(conf->url) ? &sql_pg_ops : &sql_sqlite_ops;
    return ops->open(out, conf, err);
}

void sql_db_close(struct sql_db *db)
{
    if (db != NULL) {
        db->ops->close(db);
    }
}

flv_rc sql_db_claim(struct sql_db *db,
                    struct sql_mark *mark,
                    int64_t owner,
                    enum sql_claim how,
                    struct flv_err *err)
{
    assert(mark->next >= 0 && owner > 0);
    return db->ops->claim(db, mark, owner, how, err);
}

bool sql_is_canceled(const struct sql_db *db)
{
    return atomic_load(db->conf->canceled);
}

flv_rc sql_claim_judge(const struct sql_mark *row,
                       int64_t owner,
                       enum sql_claim how,
                       struct flv_err *err)
{
    return how != SQL_CLAIM_AGAIN ||
                   sql_instance_of(row->owner) == sql_instance_of(owner)
               ? FLV_OK
               : sql_fail_moved(row, err);
}

flv_rc sql_db_apply(struct sql_db *db,
                    const struct sql_mark *mark,
                    int64_t next,
                    struct sql_row *rows,
                    size_t count,
                    struct flv_err *err)
{
    assert(mark->owner > 0 && next >= mark->next);
    for (size_t i = 0; i < count; i++) {
        flv_err_clear(&rows[i].err);
    }
    return db->ops->apply(db, mark, next, rows, count, err);
}

flv_rc
sql_rows_verdict(const struct sql_row *rows, size_t count, struct flv_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].err.rc != FLV_OK) {
            assert(!rows[i].skip && rows[i].err.rc == FLV_E_INVALID);
            if (err != NULL) {
                *err = rows[i].err;
            }
            return rows[i].err.rc;
        }
    }
    return FLV_OK;
}

flv_rc sql_fail_moved(const struct sql_mark *mark, struct flv_err *err)
{
    return flv_fail(err, FLV_E_LOCKED,
                    "the position of consumer \"%.40s\" is no longer this "
                    "instance's: another one runs, or the row was changed",
                    mark->consumer);
}
