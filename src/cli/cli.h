/*
 * cli.h - what the commands of `fluvio` share.
 *
 * Purpose    The global options, the way to the cluster, and the manners of
 *            the program: results on stdout, errors on stderr, exit 0 for
 *            success, 1 for a failure, 2 for a usage error.
 * Threads    One: the commands run their loop to the end of each request.
 * Ownership  main() owns the struct cli; commands borrow it.
 * Errors     A command prints its own error and returns the exit status.
 * See        docs/cli.md
 */
#ifndef FLV_CLI_CLI_H
#define FLV_CLI_CLI_H

#include "base/bytes.h"
#include "base/opt.h"
#include "cli/output.h"
#include "loop/loop.h"

#include <fluvio/client.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define CLI_EXIT_FAILURE 1
#define CLI_EXIT_USAGE 2

/* What is there accepts in this time; nobody waits longer for what is not. */
#define CLI_CONNECT_MS 1500
/* What has accepted may be a cluster that is busy. Who only looks whether there
 * is one gives it no more than the time to accept. */
#define CLI_ANSWER_MS 10000
/* A terminal is told then what is waited for. */
#define CLI_TELL_MS 2000
/* For the whole way. The client's own limits end before, unless both TLS and
 * the cluster take their time: it knows what it waits for. */
#define CLI_LIMIT_MS 12000
#define CLI_LOOK_LIMIT_MS 1700

struct cli_global {
    char *cluster;
    char *profile;
    bool tls;
    bool enable_client_cert;
    char *domain;
    char *ca_cert;
    char *client_cert;
    char *client_key;
};

struct cli {
    struct flv_args *args;           /* borrowed */
    const struct cli_global *global; /* borrowed */
    struct flv_profiles *profiles;   /* owned; NULL before cli_profiles() */
    struct flv_loop *loop;           /* owned; NULL before cli_connect() */
    struct flv_client *client;       /* owned; NULL before cli_connect() */
    char *address;                   /* owned; of the SC */
    /* Set before cli_connect() by what runs until it is ended: a line on stderr
     * when the cluster is lost, and one when it is back. */
    bool tells_link;
    bool connected, lost; /* as told */
    /* Set before cli_connect() by what does without a cluster: a busy one is
     * not waited for. */
    bool only_looks;
    /* A thread or a lookup may still be at work: leave without tidying up. */
    bool leave;
};

/* ---- The commands, one file per noun ------------------------------------ */

extern const struct flv_cmd cli_cmd_root;
extern const struct flv_cmd cli_cmd_cluster;
extern const struct flv_cmd cli_cmd_benchmark;
extern const struct flv_cmd cli_cmd_cluster_check;
extern const struct flv_cmd cli_cmd_cluster_diagnostics;
extern const struct flv_cmd cli_cmd_cluster_status;
extern const struct flv_cmd cli_cmd_spu;
extern const struct flv_cmd cli_cmd_spu_register;
extern const struct flv_cmd cli_cmd_spu_unregister;
extern const struct flv_cmd cli_cmd_spg;
extern const struct flv_cmd cli_cmd_topic;
extern const struct flv_cmd cli_cmd_topic_list;
extern const struct flv_cmd cli_cmd_topic_describe;
extern const struct flv_cmd cli_cmd_topic_add_partition;
extern const struct flv_cmd cli_cmd_topic_add_mirror;
extern const struct flv_cmd cli_cmd_cluster_upgrade;
extern const struct flv_cmd cli_cmd_topic_names;
extern const struct flv_cmd cli_cmd_smartmodule_names;
extern const struct flv_cmd cli_cmd_table_format_names;
extern const struct flv_cmd cli_cmd_profile_names;
extern const struct flv_cmd cli_cmd_partition;
extern const struct flv_cmd cli_cmd_produce;
extern const struct flv_cmd cli_cmd_consume;
extern const struct flv_cmd cli_cmd_consumer;
extern const struct flv_cmd cli_cmd_dead_letter;
extern const struct flv_cmd cli_cmd_smartmodule;
extern const struct flv_cmd cli_cmd_smartmodule_test;
extern const struct flv_cmd cli_cmd_table_format;
extern const struct flv_cmd cli_cmd_profile;
extern const struct flv_cmd cli_cmd_secret;
extern const struct flv_cmd cli_cmd_version;
extern const struct flv_cmd cli_cmd_completions;

/* Parses argv, runs one command and returns the exit status. */
int cli_main(int argc, char **argv);

/* ---- Manners ------------------------------------------------------------ */

/* For calls whose failure changes nothing here. */
static inline void cli_ignore(flv_rc rc)
{
    (void)rc;
}
/* Colour and icons: a terminal, and NO_COLOR unset or empty. */
bool cli_colour(int fd);
/* Prints the sentence to stderr and returns CLI_EXIT_FAILURE. */
int cli_fail(const struct flv_err *err);
int cli_failf(const char *fmt, ...) FLV_PRINTF(1, 2);
/* One line, in which a peer's words may be: control characters become blanks.
 * What is longer than CLI_SAY_MAX is cut. */
#define CLI_SAY_MAX 8192
void cli_say(FILE *out, const char *fmt, ...) FLV_PRINTF(2, 3);
void cli_vsay(FILE *out, const char *fmt, va_list args) FLV_PRINTF(2, 0);
/* Prints a usage error of flv_args_fail() and returns CLI_EXIT_USAGE. */
int cli_usage(struct cli *c, const char *fmt, ...) FLV_PRINTF(2, 3);
/* Text to stdout; a failure shows when the program ends. */
void cli_put(const struct flv_buf *text);

/* -O of list and describe commands. A list has no TOML form. */
extern const char *const cli_format_names[];

/* ---- The way to the cluster (context.c) ---------------------------------- */

/* $HOME/.fluvio, without creating it. */
FLV_CHECKED flv_rc cli_home(struct flv_buf *out, struct flv_err *err);
/* The profile file, loaded once. */
FLV_CHECKED flv_rc cli_profiles(struct cli *c, struct flv_err *err);
/* What TLS options say; borrows their texts. */
FLV_CHECKED flv_rc cli_tls_options(const struct cli_global *g,
                                   struct flv_client_tls *out,
                                   struct flv_err *err);
/* Where --cluster, --profile or the active profile points to. The texts in
 * *out are borrowed from c. */
FLV_CHECKED flv_rc cli_target(struct cli *c,
                              struct flv_profile *out,
                              struct flv_err *err);
/* Connects within CLI_LIMIT_MS, or says how to start a cluster. */
FLV_CHECKED flv_rc cli_connect(struct cli *c, struct flv_err *err);
/* The same with an address in place of the profile. */
FLV_CHECKED flv_rc cli_connect_to(struct cli *c,
                                  const struct flv_profile *target,
                                  struct flv_err *err);
/* Closes the client and runs the loop until it is gone. */
void cli_disconnect(struct cli *c);
void cli_deinit(struct cli *c);

/* One request that a command waits for. Start the request with
 * cli_call_done() as its callback, or call cli_call_end() at the end of a
 * callback of another shape; then cli_call_wait(). */
struct cli_call {
    struct cli *cli; /* borrowed */
    bool done;
    struct flv_err err;
};
void cli_call_init(struct cli_call *call, struct cli *c);
void cli_call_done(void *user, const struct flv_err *err);
void cli_call_end(struct cli_call *call, const struct flv_err *err);
FLV_CHECKED flv_rc cli_call_wait(struct cli_call *call, struct flv_err *err);

#endif
