/*
 * smart.h - options that `produce`, `consume` and `smartmodule test` share.
 *
 * Purpose    SmartModules in every spelling become steps of one chain: what
 *            to ask a server for, or what to run here. Values that Fluvio
 *            spells in several ways.
 * Threads    The loop's thread. Running a chain blocks for as long as its
 *            budget allows.
 * Ownership  A struct cli_smart owns all that its steps borrow; a chain
 *            stands for itself.
 * Errors     FLV_E_USAGE for options that do not go together; everything else
 *            names the option or the module.
 */
#ifndef FLV_CLI_SMART_H
#define FLV_CLI_SMART_H

#include "base/opt.h"

#include "cli/cli.h"
#include "config/connector_file.h"
#include "smartmodule/chain.h"

#include <fluvio/client.h>

struct cli_smart_conf {
    char *smartmodule;
    char *smartmodule_path;
    char *aggregate_initial;
    struct flv_list params;
    char *transforms;
    struct flv_list transforms_line;
    /* of 0.9 */
    char *filter, *map, *filter_map, *array_map, *aggregate, *initial;
};

extern const char *const cli_sm_aliases[];
extern const char *const cli_sm_path_aliases[];
extern const char *const cli_initial_aliases[];
extern const char *const cli_params_aliases[];
extern const char *const cli_transforms_aliases[];
extern const char *const cli_transforms_line_aliases[];

/* The entries of an option table; S has a `struct cli_smart_conf smart`. */
/* clang-format off */
#define CLI_SMART_OPTS(S)                                                      \
    {.name = "smartmodule", FLV_STR(S, smart.smartmodule),                     \
     .aliases = cli_sm_aliases, .help = "Name of the smartmodule"},            \
    {.name = "smartmodule-path", FLV_STR(S, smart.smartmodule_path),           \
     .aliases = cli_sm_path_aliases, .help = "Path to the smart module"},      \
    {.name = "aggregate-initial", FLV_STR(S, smart.aggregate_initial),         \
     .aliases = cli_initial_aliases,                                           \
     .help = "Value to use as an initial accumulator for aggregate "           \
             "SmartModules"},                                                  \
    {.name = "params", .letter = 'e', FLV_LIST(S, smart.params),               \
     .aliases = cli_params_aliases,                                            \
     .help = "Extra input parameters passed to the smartmodule, as "           \
             "key=value"},                                                     \
    {.name = "transforms", .letter = 't', FLV_STR(S, smart.transforms),        \
     .aliases = cli_transforms_aliases,                                        \
     .help = "Path to a file with transformation specification"},              \
    {.name = "transforms-line", FLV_LIST(S, smart.transforms_line),            \
     .aliases = cli_transforms_line_aliases,                                   \
     .help = "Transformation specification as JSON formatted string"},         \
    CLI_SMART_OLD(S, "filter", filter), CLI_SMART_OLD(S, "map", map),          \
    CLI_SMART_OLD(S, "filter-map", filter_map),                                \
    CLI_SMART_OLD(S, "array-map", array_map),                                  \
    CLI_SMART_OLD(S, "aggregate", aggregate),                                  \
    CLI_SMART_OLD(S, "initial", initial)
#define CLI_SMART_OLD(S, n, field)                                             \
    {.name = (n), FLV_STR(S, smart.field), .flags = FLV_OPT_HIDDEN,            \
     .help = "SmartModule option of 0.9"}
/* clang-format on */

struct cli_smart {
    struct flv_smartmodule_use uses[FLV_SM_STEPS_MAX];
    struct flv_sm_budget budgets[FLV_SM_STEPS_MAX];
    bool has_budget[FLV_SM_STEPS_MAX];
    size_t count;
    /* what the uses borrow */
    struct flv_buf wasm[FLV_SM_STEPS_MAX];
    struct flv_smartmodule_param *params; /* of options */
    struct flv_smartmodule_param *file_params[FLV_SM_STEPS_MAX];
    struct flv_buf texts; /* keys of options */
    struct flv_buf accumulator;
    struct flv_cfile files[FLV_SM_STEPS_MAX];
    size_t file_count;
};

/* Reads options and files; asks no cluster. cli_smart_deinit() in any case;
 * also of a zeroed one. */
FLV_CHECKED flv_rc cli_smart_load(struct cli_smart *s,
                                  const struct cli_smart_conf *conf,
                                  struct flv_err *err);
void cli_smart_deinit(struct cli_smart *s);
/* The same for modules that are given one by one: each the path of a file, or
 * the name of one on the cluster. */
FLV_CHECKED flv_rc cli_smart_load_list(struct cli_smart *s,
                                       const struct flv_list *modules,
                                       const struct flv_list *params,
                                       struct flv_err *err);
/* A server runs them: nothing may be said that cannot be told it. */
FLV_CHECKED flv_rc cli_smart_check_remote(const struct cli_smart *s,
                                          struct flv_err *err);
/* The steps as a chain of this process, named modules fetched from the
 * cluster that c is connected to. */
FLV_CHECKED flv_rc cli_smart_chain(const struct cli_smart *s,
                                   struct cli *c,
                                   struct flv_sm_chain **out,
                                   struct flv_err *err);

/* read_committed, ReadCommitted, read_uncommitted, ReadUncommitted. */
FLV_CHECKED flv_rc cli_parse_isolation(const char *text,
                                       enum flv_isolation *out,
                                       struct flv_err *err);
/* at-least-once, at_least_once, AtLeastOnce, at-most-once, ... */
FLV_CHECKED flv_rc cli_parse_delivery(const char *text,
                                      enum flv_delivery *out,
                                      struct flv_err *err);

#endif
