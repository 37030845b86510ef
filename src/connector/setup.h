/*
 * setup.h - from argv and files to a checked configuration.
 *
 * Purpose    Answers what ends at once (--help, --version, --describe,
 *            metadata, usage errors), reads --config and --secrets, and leaves
 *            the configuration of a connector that can be run.
 * Threads    Before the loop; may set environment variables.
 * Ownership  struct flv_setup owns everything in it.
 * Errors     Printed on stderr as "error: sentence"; the caller only gets the
 *            exit status.
 * See        docs/connectors.md
 */
#ifndef FLV_CONNECTOR_SETUP_H
#define FLV_CONNECTOR_SETUP_H

#include "config/connector_file.h"
#include "config/secrets.h"
#include "connector/options.h"
#include "connector/plan.h"

#define FLV_PROGRAM_BYTES 80

struct flv_setup {
    const struct flv_connector *type; /* borrowed */
    struct flv_conn_opts opts;
    struct flv_cmd cmd;
    char program[FLV_PROGRAM_BYTES];
    struct flv_args args;
    bool args_read;
    struct flv_secrets secrets;
    struct flv_cfile file;
    bool has_file;
    const char *exit_file; /* borrowed from args; NULL: none */
    struct flv_err cause;  /* why it cannot run */
    struct flv_plan plan;  /* SmartModules */
};

/* True: run it. False: the program ends with *out_exit. _deinit() in any
 * case. */
bool flv__setup_read(struct flv_setup *s,
                     const struct flv_connector *type,
                     int argc,
                     char **argv,
                     int *out_exit);
void flv__setup_deinit(struct flv_setup *s);

static inline struct flv_shared_conf *flv__setup_shared(struct flv_setup *s)
{
    return flv__conn_shared(flv_args_conf(&s->args));
}

/* The connector's own configuration. */
static inline void *flv__setup_own(struct flv_setup *s)
{
    return flv__conn_own(&s->opts, flv_args_conf(&s->args));
}

#endif
