#include "cli/smart.h"

#include <strings.h>

const char *const cli_sm_aliases[] = {"sm", NULL};
const char *const cli_sm_path_aliases[] = {"sm-path", NULL};
const char *const cli_initial_aliases[] = {"a-init", NULL};
const char *const cli_params_aliases[] = {"extra-params", NULL};
const char *const cli_transforms_aliases[] = {"transforms-file", NULL};
const char *const cli_transforms_line_aliases[] = {"transform", NULL};

static const char *const smart_names[] = {
    "smartmodule", "smartmodule-path", "aggregate-initial",
    "params",      "transforms",       "transforms-line",
    NULL};

static const char *first_given(const struct flv_opts *opts,
                               const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (flv_opts_given(opts, *names)) {
            return *names;
        }
    }
    return NULL;
}

flv_rc cli_smart_refuse(const struct flv_opts *opts,
                        const char *const *names,
                        struct flv_err *err)
{
    const char *given = first_given(opts, smart_names);
    if (given == NULL) {
        given = first_given(opts, names);
    }
    if (given != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "this version has no SmartModule engine; leave --%s "
                        "out",
                        given);
    }
    return FLV_OK;
}

/* The same word whether written with '-', '_' or capitals. */
static bool same_word(const char *a, const char *b)
{
    for (;;) {
        while (*a == '-' || *a == '_') {
            a++;
        }
        while (*b == '-' || *b == '_') {
            b++;
        }
        if (*a == '\0' || *b == '\0') {
            return *a == *b;
        }
        if (strncasecmp(a, b, 1) != 0) {
            return false;
        }
        a++;
        b++;
    }
}

flv_rc cli_parse_isolation(const char *text,
                           enum flv_isolation *out,
                           struct flv_err *err)
{
    if (same_word(text, "read_committed")) {
        *out = FLV_READ_COMMITTED;
    } else if (same_word(text, "read_uncommitted")) {
        *out = FLV_READ_UNCOMMITTED;
    } else {
        return flv_fail(err, FLV_E_USAGE,
                        "unrecognized isolation: %.60s. Supported: "
                        "read_committed (ReadCommitted), read_uncommitted "
                        "(ReadUncommitted)",
                        text);
    }
    return FLV_OK;
}

flv_rc cli_parse_delivery(const char *text,
                          enum flv_delivery *out,
                          struct flv_err *err)
{
    if (same_word(text, "at_least_once")) {
        *out = FLV_AT_LEAST_ONCE;
    } else if (same_word(text, "at_most_once")) {
        *out = FLV_AT_MOST_ONCE;
    } else {
        return flv_fail(err, FLV_E_USAGE,
                        "unrecognized delivery semantic: %.60s. Supported: "
                        "at_most_once (AtMostOnce), at_least_once "
                        "(AtLeastOnce)",
                        text);
    }
    return FLV_OK;
}
