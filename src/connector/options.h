/*
 * options.h - the options that every connector shares, joined with its own.
 *
 * Purpose    One table, sorted by name, over one configuration block: the
 *            shared part first, the connector's own behind it. The table is
 *            the source of help, files, --describe and metadata.
 * Threads    No sharing.
 * Ownership  struct flv_conn_opts owns its table; texts are the descriptor's.
 * Errors     FLV_E_NOMEM, FLV_E_LIMIT (too many options).
 * See        docs/connectors.md
 */
#ifndef FLV_CONNECTOR_OPTIONS_H
#define FLV_CONNECTOR_OPTIONS_H

#include <fluvio/connector.h>

#include "base/opt.h"
#include "config/connector_file.h"

struct flv_shared_conf {
    char *config;
    char *secrets;
    char *fluvio_topic;
    char *rust_log;
    char *cluster;
    char *profile;
    uint64_t linger_ms;
    uint64_t batch_size_bytes;
    int compression; /* enum flv_compression where given */
    bool describe, check, probe;
    /* From a manager: control.h. Descriptors are inherited, 0: none. */
    char *log_file, *exit_file;
    uint64_t lock_fd, control_fd;
    /* SmartModules; plan.h puts them together. */
    char *smart_filter, *smart_map, *smart_arraymap;
    char *filter, *map, *arraymap, *filter_map, *aggregate, *initial_value;
    char *smart_module;
    struct flv_list smart_params, transforms;
    char *on_error;
    struct flv_budget budget; /* of each module; a zero takes the default */
    /* Sinks */
    char *consumer, *start;
    struct flv_list consumer_partitions;
    uint64_t consumer_max_bytes;
};

struct flv_conn_opts {
    struct flv_opt *table; /* owned; ends with a NULL name */
    size_t conf_size;
    size_t own_offset; /* of the connector's conf in the block */
};

FLV_CHECKED flv_rc flv__conn_opts_init(struct flv_conn_opts *o,
                                       const struct flv_connector *type,
                                       struct flv_err *err);
void flv__conn_opts_deinit(struct flv_conn_opts *o);

static inline struct flv_shared_conf *flv__conn_shared(void *conf)
{
    return conf;
}

static inline void *flv__conn_own(const struct flv_conn_opts *o, void *conf)
{
    return (char *)conf + o->own_offset;
}

#endif
