#include "cli/cli.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/connector.h"
#include "cli/plugin.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

const char *const cli_format_names[] = {"table", "json", "yaml", NULL};

/* ---- The root of the commands ------------------------------------------ */

static const struct flv_opt global_opts[] = {
    {.name = "cluster",
     .letter = 'c',
     FLV_STR(struct cli_global, cluster),
     .arg = "host:port",
     .help = "Address of cluster"},
    {.name = "profile",
     .letter = 'P',
     FLV_STR(struct cli_global, profile),
     .arg = "profile",
     .help = "Use this profile instead of the active one"},
    {.name = "tls", FLV_FLAG(struct cli_global, tls), .help = "Enable TLS"},
    {.name = "enable-client-cert",
     FLV_FLAG(struct cli_global, enable_client_cert),
     .help = "TLS: use client cert"},
    {.name = "domain",
     FLV_STR(struct cli_global, domain),
     .help = "Required if client cert is used"},
    {.name = "ca-cert",
     FLV_STR(struct cli_global, ca_cert),
     .help = "Path to TLS ca cert, required when client cert is enabled"},
    {.name = "client-cert",
     FLV_STR(struct cli_global, client_cert),
     .help = "Path to TLS client certificate"},
    {.name = "client-key",
     FLV_STR(struct cli_global, client_key),
     .help = "Path to TLS client private key"},
    {.name = NULL}};

static const struct flv_cmd *const root_commands[] = {
    &cli_cmd_consume,     &cli_cmd_produce,
    &cli_cmd_topic,       &cli_cmd_partition,
    &cli_cmd_smartmodule, &cli_cmd_table_format,
    &cli_cmd_consumer,    &cli_cmd_connector,
    &cli_cmd_dead_letter, &cli_cmd_secret,
    &cli_cmd_cluster,     &cli_cmd_profile,
    &cli_cmd_benchmark,   &cli_cmd_version,
    &cli_cmd_completions, NULL};

const struct flv_cmd cli_cmd_root = {
    .name = "fluvio",
    .about = "Fluvio Command Line Interface",
    .opts = global_opts,
    .conf_size = sizeof(struct cli_global),
    .commands = root_commands,
    .flags = FLV_CMD_EXTERNAL,
    .version = FLV_VERSION,
    .style = FLV_HELP_CLAP4,
};

/* ---- Manners ----------------------------------------------------------- */

bool cli_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) != 0 && (no_color == NULL || no_color[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

void cli_vsay(FILE *out, const char *fmt, va_list args)
{
    char text[CLI_SAY_MAX];
    vsnprintf(text, sizeof text, fmt, args);
    flv_text_tidy(text, strlen(text));
    fprintf(out, "%s\n", text);
}

void cli_say(FILE *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    cli_vsay(out, fmt, args);
    va_end(args);
}

int cli_failf(const char *fmt, ...)
{
    va_list args;
    fflush(stdout);
    va_start(args, fmt);
    cli_vsay(stderr, fmt, args);
    va_end(args);
    return CLI_EXIT_FAILURE;
}

int cli_fail(const struct flv_err *err)
{
    return cli_failf("%s",
                     err->text[0] != '\0' ? err->text : flv_rc_text(err->rc));
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
    char text[FLV_ERR_TEXT_MAX];
    struct flv_err err = {0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    flv_rc rc = flv_args_fail(c->args, &err, "%s", text);
    assert(rc != FLV_OK);
    if (rc != FLV_E_USAGE) {
        return cli_fail(&err);
    }
    fflush(stdout);
    fwrite(c->args->text.data, 1, c->args->text.len, stderr);
    return CLI_EXIT_USAGE;
}

void cli_put(const struct flv_buf *text)
{
    if (text->len > 0) {
        fwrite(text->data, 1, text->len, stdout);
    }
}

/* What was printed may still sit in the buffer of a full disk. A reader that
 * went away (EPIPE) had enough. */
static int close_stdout(int status)
{
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        int sys = errno;
        return cli_failf("cannot write to standard output: %s",
                         sys != 0 ? strerror(sys) : "an earlier write failed");
    }
    return status;
}

/* ---- Running ----------------------------------------------------------- */

static int run_command(struct flv_args *args)
{
    struct cli c = {.args = args, .global = args->conf[0]};
    const struct flv_cmd *cmd = flv_args_cmd(args);
    assert(cmd->run != NULL);
    int status = cmd->run(args, &c);
    status = close_stdout(status);
    if (c.leave) {
        _exit(status);
    }
    cli_deinit(&c);
    return status;
}

static int act(struct flv_args *args, const struct flv_err *err)
{
    switch (args->outcome) {
    case FLV_ARGS_RUN:
        return run_command(args);
    case FLV_ARGS_HELP:
    case FLV_ARGS_VERSION:
        cli_put(&args->text);
        return close_stdout(0);
    case FLV_ARGS_EXTERNAL:
        return cli_plugin_run(args->rest);
    case FLV_ARGS_ERROR:
        break;
    }
    if (args->text.len == 0) {
        return cli_fail(err);
    }
    fwrite(args->text.data, 1, args->text.len, stderr);
    return CLI_EXIT_USAGE;
}

int cli_main(int argc, char **argv)
{
    struct flv_err err = {0};
    struct flv_args args = {0};
    const char *spec = getenv("RUST_LOG");
    flv_file_take_std();
    /* A write into a closed pipe is an error to look at, not a death. */
    signal(SIGPIPE, SIG_IGN);
    flv_rc rc =
        flv_log_setup(spec != NULL && *spec != '\0' ? spec : "warn", &err);
    if (rc != FLV_OK) {
        flv_err_prefix(&err, "RUST_LOG");
        return cli_fail(&err);
    }
    rc = flv_args_parse(&args, &cli_cmd_root, argc, argv, &err);
    assert(rc == FLV_OK || args.outcome == FLV_ARGS_ERROR);
    int status = act(&args, &err);
    flv_args_deinit(&args);
    return status;
}
