/*
 * managed.h - connectors that a manager runs: the commands and their printing.
 *
 * Purpose    Makes tables and documents of the manager's answers. The printers
 *            are pure functions over trees of JSON, so that tests need no
 *            manager.
 * Threads    One.
 * Ownership  Text is appended to the caller's buffer.
 * Errors     Of the buffer.
 * See        docs/rest.md, docs/cli.md
 */
#ifndef FLV_CLI_MANAGED_H
#define FLV_CLI_MANAGED_H

#include "cli/rest.h"

extern const struct flv_cmd cli_cmd_managed_create;
extern const struct flv_cmd cli_cmd_managed_apply;
extern const struct flv_cmd cli_cmd_managed_update;
extern const struct flv_cmd cli_cmd_managed_delete;
extern const struct flv_cmd cli_cmd_managed_pause;
extern const struct flv_cmd cli_cmd_managed_resume;
extern const struct flv_cmd cli_cmd_managed_restart;
extern const struct flv_cmd cli_cmd_managed_list;
extern const struct flv_cmd cli_cmd_managed_describe;
extern const struct flv_cmd cli_cmd_managed_events;
extern const struct flv_cmd cli_cmd_managed_logs;
extern const struct flv_cmd cli_cmd_managed_config;
extern const struct flv_cmd cli_cmd_managed_names;
/* `fluvio cluster connector`, as Fluvio 0.9.10 had it. */
extern const struct flv_cmd cli_cmd_cluster_connector;

enum cli_list_style {
    CLI_LIST_PLAIN,
    CLI_LIST_WIDE,
    CLI_LIST_CLUSTER, /* dashes in front, cells right aligned */
};

/* `root` is the answer to /connectors?expand=status&expand=info. */
FLV_CHECKED flv_rc cli_managed_table(const struct flv_node *root,
                                     enum cli_list_style style,
                                     int64_t now_ms,
                                     struct flv_buf *out,
                                     struct flv_err *err);
FLV_CHECKED flv_rc cli_managed_doc(const struct flv_node *root,
                                   enum cli_format format,
                                   struct flv_buf *out,
                                   struct flv_err *err);
/* Status, settings and the last events of one connector. */
FLV_CHECKED flv_rc cli_managed_describe(const struct flv_node *status,
                                        const struct flv_node *info,
                                        const struct flv_node *events,
                                        int64_t now_ms,
                                        struct flv_buf *out,
                                        struct flv_err *err);
FLV_CHECKED flv_rc cli_events_table(const struct flv_node *events,
                                    struct flv_buf *out,
                                    struct flv_err *err);
/* Any answer as JSON or YAML. */
FLV_CHECKED flv_rc cli_node_doc(const struct flv_node *node,
                                enum cli_format format,
                                struct flv_buf *out,
                                struct flv_err *err);

/* "NAME:line:col: error: sentence" for each problem of an answer. */
FLV_CHECKED flv_rc cli_problems_text(const struct flv_node *problems,
                                     const char *name,
                                     struct flv_buf *out);

/* A connector's answer at /connectors/NAME + behind. */
FLV_CHECKED flv_rc cli_managed_ask(struct cli_rest *r,
                                   const char *method,
                                   const char *name,
                                   const char *behind,
                                   struct cli_answer *out,
                                   struct flv_err *err);
/* Names of all connectors: calls `each` until it fails or they end. */
FLV_CHECKED flv_rc cli_managed_each(struct cli_rest *r,
                                    flv_rc (*each)(void *arg,
                                                   const char *name,
                                                   struct flv_err *err),
                                    void *arg,
                                    struct flv_err *err);

#endif
