/*
 * smart.h - options that `produce` and `consume` share.
 *
 * Purpose    SmartModule options parse in every spelling and are refused in
 *            one sentence, because this version has no engine for them;
 *            values that Fluvio spells in several ways.
 * Threads    Pure functions.
 */
#ifndef FLV_CLI_SMART_H
#define FLV_CLI_SMART_H

#include "base/opt.h"

#include <fluvio/client.h>

struct cli_smart_conf {
    char *smartmodule;
    char *smartmodule_path;
    char *aggregate_initial;
    struct flv_list params;
    char *transforms;
    struct flv_list transforms_line;
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
     .help = "Transformation specification as JSON formatted string"}
/* clang-format on */

/* FLV_E_UNSUPPORTED when any option of `names` (NULL-terminated, besides the
 * ones above) was given. */
FLV_CHECKED flv_rc cli_smart_refuse(const struct flv_opts *opts,
                                    const char *const *names,
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
