/*
 * sql_sink.h - the SQL sink: each record is an operation, applied exactly once.
 *
 * Purpose    The descriptor and the configuration. The sink keeps its position
 *            in the database, in the transaction of the rows: db.h says how.
 * Threads    Loop thread; the database blocks, so that it has one thread of a
 *            pool to itself. One way for both databases: SQLite knows no other,
 *            and while PostgreSQL works the loop reads the next records.
 * Ownership  See <fluvio/connector.h>.
 * Errors     FLV_E_USAGE for settings, naming the option.
 * See        README.md (delivery semantics)
 */
#ifndef FLV_CONNECTORS_SQL_SINK_H
#define FLV_CONNECTORS_SQL_SINK_H

#include <fluvio/connector.h>

#include "base/opt.h"
#include "db.h"

struct sql_conf {
    char *url, *password, *positions;
    uint64_t backoff_min_ms, backoff_max_ms, timeout_ms;
};

extern const struct flv_connector sql_sink_connector;
extern const struct flv_opt sql_opts[];

FLV_CHECKED flv_rc sql_check(void *conf, struct flv_err *err);
/* name and canceled are borrowed as well. */
struct sql_db_conf sql_db_settings(const struct sql_conf *conf,
                                   const char *name,
                                   const atomic_bool *canceled);
/* Connects once. */
FLV_CHECKED flv_rc sql_probe(const void *conf,
                             struct flv_probe *probe,
                             struct flv_err *err);

#endif
