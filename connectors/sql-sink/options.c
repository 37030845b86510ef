/* The option table of sql_sink.h. */
#include "sql_sink.h"

static const char *const url_names[] = {"database-url", NULL};

/* clang-format off */
const struct flv_opt sql_opts[] = {
    {.name = "url", FLV_STR(struct sql_conf, url), .aliases = url_names,
     .env = "FLUVIO_DATABASE_URL",
     .flags = FLV_OPT_REQUIRED | FLV_OPT_SECRET,
     .example = "postgres://writer@127.0.0.1/shop",
     .help = "Database: postgres://USER:PASSWORD@HOST:PORT/DATABASE, or "
             "sqlite://FILE (with ?mode=rwc behind it the file may be made)"},
    {.name = "password", FLV_STR(struct sql_conf, password),
     .env = "FLUVIO_DATABASE_PASSWORD", .flags = FLV_OPT_SECRET,
     .help = "Password for PostgreSQL; default: that of the url"},
    {.name = "position-table", FLV_STR(struct sql_conf, positions),
     .fallback = "fluvio_position", .example = "audit.fluvio_position",
     .help = "Table that keeps the position in the topic, made when it is "
             "missing: table or schema.table"},
    {.name = "backoff-min", FLV_DURATION(struct sql_conf, backoff_min_ms),
     .unit_ms = 1000, .fallback = "1s", .min = 10, .max = 3600000,
     .help = "First pause before the database is tried again; it grows each "
             "time"},
    {.name = "backoff-max", FLV_DURATION(struct sql_conf, backoff_max_ms),
     .unit_ms = 1000, .fallback = "60s", .min = 10, .max = 3600000,
     .help = "Longest pause before the database is tried again"},
    {.name = "timeout", FLV_DURATION(struct sql_conf, timeout_ms),
     .unit_ms = 1000, .fallback = "60s", .min = 100, .max = 3600000,
     .help = "Time limit of connecting, and of the answer to a statement"},
    {.name = NULL},
};
/* clang-format on */

struct sql_db_conf sql_db_settings(const struct sql_conf *conf,
                                   const char *name,
                                   const atomic_bool *canceled)
{
    return (struct sql_db_conf){
        .url = conf->url,
        .password = conf->password,
        .table = conf->positions,
        .name = name,
        .timeout_ms = conf->timeout_ms,
        .canceled = canceled,
    };
}

flv_rc sql_check(void *data, struct flv_err *err)
{
    const struct sql_conf *conf = data;
    atomic_bool never = false;
    struct flv_buf name;
    const struct sql_db_conf db = sql_db_settings(conf, "check", &never);
    flv_buf_init(&name, 1024);
    flv_rc rc = sql_db_check(&db, err);
    if (rc == FLV_OK) {
        rc = sql_put_table(&name, flv_slice_str(conf->positions), true, err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "position-table");
        }
    }
    flv_buf_deinit(&name);
    return rc;
}
