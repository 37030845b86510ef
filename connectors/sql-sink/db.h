/*
 * db.h - one database, as the sink uses it.
 *
 * Purpose    Claims a position and applies batches of operations: rows and
 *            position move in one transaction, or neither does. Two
 *            implementations: pg.c, sqlite.c.
 * Position   One row for each consumer, topic and partition: the creation id
 *            of the topic, the next offset to apply, and the owner, a number
 *            that each claim makes anew. A batch moves the row only while
 *            owner and offset are what the claim and the batch before left
 *            behind, and locks it until the commit: of two instances the
 *            later one goes on, the earlier one is told, and no record is
 *            applied by both.
 * Threads    Blocks: one thread at a time, never the loop's.
 * Ownership  Everything passed in is borrowed for the call, the configuration
 *            until close.
 * Errors     FLV_E_INVALID: the fault of records (sql_row.err).
 *            FLV_E_LOCKED: another instance has claimed the position.
 *            FLV_E_USAGE, FLV_E_UNSUPPORTED: the configuration.
 *            FLV_E_CANCELED. All others: the database's trouble; whether the
 *            transaction was committed is open, so close, open and claim
 *            again: the row decides.
 * See        README.md, tests/unit/connector/test_sql_db.c
 */
#ifndef FLV_CONNECTORS_SQL_DB_H
#define FLV_CONNECTORS_SQL_DB_H

#include <stdatomic.h>

#include "ops.h"

#define SQL_CREATION_MAX 64

struct sql_db_conf {
    const char *url;      /* postgres://..., sqlite://... */
    const char *password; /* NULL: the address', if it has one */
    const char *table;    /* of positions: [schema.]table */
    const char *name;     /* of the connector, for people at the database */
    uint64_t timeout_ms;  /* of an attempt to connect, and of an answer */
    /* From any thread: what blocks ends soon with FLV_E_CANCELED. */
    const atomic_bool *canceled;
};

/* An owner is an instance, with the number of its claim below. */
#define SQL_CLAIM_BITS 20

static inline int64_t sql_instance_of(int64_t owner)
{
    return owner >> SQL_CLAIM_BITS;
}

struct sql_mark {
    const char *consumer, *topic;
    uint32_t partition;
    char creation[SQL_CREATION_MAX]; /* of the topic, as a text */
    int64_t next;                    /* offset of the next record to apply */
    int64_t owner;                   /* 0: nobody yet */
};

struct sql_row {
    struct sql_op op;
    bool skip;          /* not applied: filtered, or disposed of by policy */
    struct flv_err err; /* out, other than FLV_OK: why it cannot be applied */
    void *plan;         /* the implementation's, for the call */
};

enum sql_claim {
    SQL_CLAIM_FOUND, /* what is there; FLV_E_NOT_FOUND: nothing */
    SQL_CLAIM_MADE,  /* the same, but makes it of the mark if there is none */
    SQL_CLAIM_AGAIN, /* what is still this instance's, after a loss */
};

struct sql_db;

struct sql_db_ops {
    flv_rc (*open)(struct sql_db **out,
                   const struct sql_db_conf *conf,
                   struct flv_err *err);
    void (*close)(struct sql_db *db);
    flv_rc (*claim)(struct sql_db *db,
                    struct sql_mark *mark,
                    int64_t owner,
                    enum sql_claim how,
                    struct flv_err *err);
    flv_rc (*apply)(struct sql_db *db,
                    const struct sql_mark *mark,
                    int64_t next,
                    struct sql_row *rows,
                    size_t count,
                    struct flv_err *err);
};

struct sql_db {
    const struct sql_db_ops *ops;
    const struct sql_db_conf *conf; /* borrowed */
};

/* Is the address one that can be used? FLV_E_USAGE; the text has no part of
 * it, because any part may be the password. */
FLV_CHECKED flv_rc sql_db_check(const struct sql_db_conf *conf,
                                struct flv_err *err);
FLV_CHECKED flv_rc sql_db_open(struct sql_db **out,
                               const struct sql_db_conf *conf,
                               struct flv_err *err);
void sql_db_close(struct sql_db *db); /* NULL is allowed */

/* Reads the row and becomes its owner. mark->creation, next and owner are then
 * the row's; one of another creation is read, but neither changed nor owned
 * (owner 0). AGAIN: FLV_E_LOCKED when another instance was there. */
FLV_CHECKED flv_rc sql_db_claim(struct sql_db *db,
                                struct sql_mark *mark,
                                int64_t owner,
                                enum sql_claim how,
                                struct flv_err *err);
/* Applies what is not skipped, in order, and moves the position from
 * mark->next to `next`. FLV_E_INVALID: nothing was applied, and every row
 * that is at fault has its err. */
FLV_CHECKED flv_rc sql_db_apply(struct sql_db *db,
                                const struct sql_mark *mark,
                                int64_t next,
                                struct sql_row *rows,
                                size_t count,
                                struct flv_err *err);

/* --- for the implementations ------------------------------------------------
 */

extern const struct sql_db_ops sql_pg_ops, sql_sqlite_ops;

FLV_CHECKED flv_rc sql_pg_check(const struct sql_db_conf *conf,
                                struct flv_err *err);
FLV_CHECKED flv_rc sql_sqlite_check(const struct sql_db_conf *conf,
                                    struct flv_err *err);
/* Rows with an error of their own: the caller's first cause, or FLV_OK. */
FLV_CHECKED flv_rc sql_rows_verdict(const struct sql_row *rows,
                                    size_t count,
                                    struct flv_err *err);
bool sql_is_canceled(const struct sql_db *db);
/* The judgement of claim: is the row this instance's to own? */
FLV_CHECKED flv_rc sql_claim_judge(const struct sql_mark *row,
                                   int64_t owner,
                                   enum sql_claim how,
                                   struct flv_err *err);
/* The sentence of a position that another instance has moved. */
flv_rc sql_fail_moved(const struct sql_mark *mark, struct flv_err *err);

#endif
