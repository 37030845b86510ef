/*
 * pg.h - a connection to PostgreSQL with a limit on every wait.
 *
 * Purpose    Statements over libpq's non-blocking interface, so that no
 *            silent server can hold the thread: every wait ends with an
 *            answer, after the timeout, or soon after a cancel.
 * Threads    As db.h.
 * Ownership  struct pg owns the connection and what it prepared.
 * Errors     By SQLSTATE: FLV_E_INVALID for what a record can be blamed for,
 *            a class to be retried for all else.
 * See        db.h
 */
#ifndef FLV_CONNECTORS_SQL_PG_H
#define FLV_CONNECTORS_SQL_PG_H

#include <libpq-fe.h>

#include "db.h"

#define PG_STATEMENT_BYTES_MAX ((size_t)1 << 20)
/* Of the parameters of one statement: those of one row, and from where on it
 * takes no further ones. What libpq has not sent yet it moves to the front
 * after each piece, so that large statements take time by the square. */
#define PG_PARAMS_BYTES_MAX ((size_t)256 << 20)
#define PG_RUN_BYTES_MAX ((size_t)16 << 20)

/* A column as the catalogue has it. */
struct pg_column {
    Oid type, array; /* array 0: none that could be unnested */
    int length;      /* of varchar(n) and char(n); 0: no limit */
    char cast[80];   /* the type as it is written, to try a value on */
};

/* A prepared statement for operations that are alike. */
struct pg_shape {
    struct sql_op op;          /* its texts are in `texts` */
    struct flv_arena texts;    /* owned */
    struct pg_column *columns; /* in texts; op.count of them */
    bool bulk;                 /* takes arrays: any number of rows at once */
    struct flv_err err;        /* other than FLV_OK: cannot be prepared */
    char name[24];
};

#define PG_SHAPES_KEPT 256 /* at the start of a batch */

struct pg {
    struct sql_db db;
    PGconn *conn;             /* owned */
    struct flv_buf positions; /* name of their table, in quotes */
    struct flv_buf text;      /* of a statement */
    struct flv_buf params;
    struct pg_shape **shapes;      /* owned, each owned */
    size_t shape_count, shape_max; /* as many as a batch has at most */
    uint64_t prepared;             /* statements so far: their names */
    size_t *starts;                /* owned; of each parameter in params */
    const char **values;           /* owned; the same as texts */
    char state[6];                 /* SQLSTATE of the last error */
};

/* Runs one statement and waits for its answer. *out may be NULL; else it is
 * the caller's to clear. */
FLV_CHECKED flv_rc pg_run(struct pg *p,
                          const char *sql,
                          const char *const *values,
                          int count,
                          PGresult **out,
                          struct flv_err *err);
/* The next answer; NULL at the end of those of one statement. */
FLV_CHECKED flv_rc pg_result(struct pg *p, PGresult **out, struct flv_err *err);
/* The answer to what was sent: as of pg_run(). */
FLV_CHECKED flv_rc pg_answer(struct pg *p, PGresult **out, struct flv_err *err);
/* Sends what waits to be sent. */
FLV_CHECKED flv_rc pg_flush(struct pg *p, struct flv_err *err);
/* What an answer that is an error means. */
flv_rc pg_broken(const PGresult *r, struct flv_err *err);
/* The same where no record can be to blame: never FLV_E_INVALID. */
flv_rc pg_trouble(const PGresult *r, struct flv_err *err);
/* The connection itself is broken. */
flv_rc pg_lost(struct pg *p, struct flv_err *err);
/* By SQLSTATE. */
flv_rc pg_rc_of(const char *state);
/* form has one %s, for the table of positions; borrowed until the next. */
FLV_CHECKED const char *pg_positions(struct pg *p, const char *form);
/* Leaves a transaction, if one is open. */
flv_rc pg_roll_back(struct pg *p, struct flv_err *err);
void pg_forget_shapes(struct pg *p);

FLV_CHECKED flv_rc pg_apply(struct sql_db *db,
                            const struct sql_mark *mark,
                            int64_t next,
                            struct sql_row *rows,
                            size_t count,
                            struct flv_err *err);
/* The prepared statement for the operation, made if need be. NULL with
 * FLV_E_INVALID: there can be none. */
FLV_CHECKED flv_rc pg_shape_of(struct pg *p,
                               const struct sql_op *op,
                               struct pg_shape **out,
                               struct flv_err *err);
/* What can be said of values without asking: they fit their columns. */
FLV_CHECKED flv_rc pg_fits(const struct pg_shape *shape,
                           const struct sql_op *op,
                           struct flv_err *err);
/* Of the parameters of a statement, what a row takes at most. */
size_t pg_row_bytes(const struct sql_op *op);
/* Queues the statement for the rows that are not skipped, all of the shape,
 * of PG_PARAMS_BYTES_MAX in all; one row where the shape takes no arrays. */
FLV_CHECKED flv_rc pg_send_rows(struct pg *p,
                                const struct pg_shape *shape,
                                const struct sql_row *rows,
                                size_t count,
                                struct flv_err *err);
/* Finds the column whose value its type does not take, and says so in front
 * of the text of err. Inside a savepoint of its own. */
FLV_CHECKED flv_rc pg_blame(struct pg *p,
                            const struct pg_shape *shape,
                            const struct sql_op *op,
                            struct flv_err *err);

#endif
