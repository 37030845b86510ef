/* fluvio connector list, describe, events, logs, config. */
#include "cli/managed.h"

#include "base/clock.h"
#include "cli/connector.h"
#include "cli/file.h"

#include <inttypes.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096
#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define EVENTS_SHOWN 10

static const char *const list_formats[] = {"table", "json", "yaml", "wide",
                                           NULL};
enum { FORMAT_WIDE = 3 };

/* ---- list ---------------------------------------------------------------- */

struct list_conf {
    int output;
};

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct list_conf, output),
     .choices = list_formats,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static flv_rc print_list(const struct flv_node *root,
                         int output,
                         bool cluster,
                         struct flv_err *err)
{
    struct flv_buf out;
    flv_buf_init(&out, TEXT_BYTES_MAX);
    bool table = output == CLI_FORMAT_TABLE || output == FORMAT_WIDE;
    enum cli_list_style style = output == FORMAT_WIDE ? CLI_LIST_WIDE
                                : cluster             ? CLI_LIST_CLUSTER
                                                      : CLI_LIST_PLAIN;
    flv_rc rc =
        table ? cli_managed_table(root, style, flv_clock_wall_ms(), &out, err)
              : cli_managed_doc(root, (enum cli_format)output, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    return rc;
}

static int list(struct cli *c, const struct list_conf *conf, bool cluster)
{
    /* Settings are only needed where they are shown. */
    bool doc =
        conf->output == CLI_FORMAT_JSON || conf->output == CLI_FORMAT_YAML;
    const struct cli_ask ask = {.path = doc ? "/connectors?expand=status,info"
                                            : "/connectors?expand=status"};
    struct cli_rest r = {.folder_fd = -1};
    struct cli_answer a = {.status = 0};
    struct flv_err err = {0};
    flv_rc rc = cli_rest_open(&r, c, &err);
    rc = rc == FLV_OK ? cli_rest_ask(&r, &ask, &a, &err) : rc;
    rc = rc == FLV_OK ? cli_answer_fail(&a, &err) : rc;
    rc = rc == FLV_OK ? print_list(a.root, conf->output, cluster, &err) : rc;
    cli_answer_deinit(&a);
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static int list_run(struct flv_args *args, void *ctx)
{
    return list(ctx, flv_args_conf(args), false);
}

static int cluster_list_run(struct flv_args *args, void *ctx)
{
    return list(ctx, flv_args_conf(args), true);
}

const struct flv_cmd cli_cmd_managed_list = {
    .name = "list",
    .about = "List all Managed Connectors\n\n"
             "`-O wide` adds TYPE, VERSION, TOPIC, SINCE, IN, OUT (records "
             "that are safe in the topic), FAILED (of them DISCARDED and "
             "DEAD-LETTERED), RESTARTS and REASON.",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = list_run,
};

static const struct flv_cmd cluster_list_cmd = {
    .name = "list",
    .about = "List all Managed Connectors",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = cluster_list_run,
};

/* ---- describe -------------------------------------------------------------
 */

struct describe_conf {
    struct flv_list names;
    int output;
};

static const char *const document_formats[] = {"table", "json", "yaml", NULL};

static const struct flv_opt describe_opts[] = {
    {.name = "name",
     FLV_LIST(struct describe_conf, names),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The names of the connectors"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct describe_conf, output),
     .choices = document_formats,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static flv_rc missing(const char *name, flv_rc rc, struct flv_err *err)
{
    return rc == FLV_E_NOT_FOUND
               ? flv_fail(err, rc, "Connector %.80s does not exist", name)
               : rc;
}

/* Status, settings, events: three questions about one connector. */
static flv_rc get(struct cli_rest *r,
                  const char *name,
                  const char *behind,
                  struct cli_answer *a,
                  struct flv_err *err)
{
    flv_rc rc = cli_managed_ask(r, "GET", name, behind, a, err);
    rc = rc == FLV_OK ? cli_answer_fail(a, err) : rc;
    return missing(name, rc, err);
}

static flv_rc describe_one(struct cli_rest *r,
                           const char *name,
                           int output,
                           struct flv_buf *out,
                           struct flv_err *err)
{
    struct cli_answer status, info = {.status = 0}, events = {.status = 0};
    char behind[40];
    snprintf(behind, sizeof behind, "/events?limit=%d", EVENTS_SHOWN);
    flv_rc rc = get(r, name, "/status", &status, err);
    if (rc == FLV_OK && output != CLI_FORMAT_TABLE) {
        rc = cli_node_doc(status.root, (enum cli_format)output, out, err);
    } else if (rc == FLV_OK) {
        rc = get(r, name, "", &info, err);
        rc = rc == FLV_OK ? get(r, name, behind, &events, err) : rc;
        rc = rc == FLV_OK
                 ? cli_managed_describe(status.root, info.root, events.root,
                                        flv_clock_wall_ms(), out, err)
                 : rc;
    }
    cli_answer_deinit(&status);
    cli_answer_deinit(&info);
    cli_answer_deinit(&events);
    return rc;
}

static int describe_run(struct flv_args *args, void *ctx)
{
    const struct describe_conf *conf = flv_args_conf(args);
    struct cli_rest r = {.folder_fd = -1};
    struct flv_err err = {0};
    struct flv_buf out;
    flv_buf_init(&out, TEXT_BYTES_MAX);
    flv_rc rc = cli_rest_open(&r, ctx, &err);
    for (size_t i = 0; rc == FLV_OK && i < conf->names.count; i++) {
        if (i > 0) {
            rc = flv_buf_add_str(&out, "\n");
        }
        rc = rc == FLV_OK ? describe_one(&r, conf->names.items[i], conf->output,
                                         &out, &err)
                          : rc;
    }
    cli_put(&out);
    flv_buf_deinit(&out);
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_managed_describe = {
    .name = "describe",
    .about = "Show all that is known of connectors: state, first cause of a "
             "trouble, counters, settings, last events",
    .opts = describe_opts,
    .conf_size = sizeof(struct describe_conf),
    .run = describe_run,
};

/* ---- events ---------------------------------------------------------------
 */

struct events_conf {
    char *name;
    uint64_t limit;
    int output;
};

static const struct flv_opt events_opts[] = {
    {.name = "name",
     FLV_STR(struct events_conf, name),
     .flags = FLV_OPT_POSITIONAL,
     .help = "Of this connector; of all if absent"},
    {.name = "limit",
     FLV_U64(struct events_conf, limit),
     .arg = "count",
     .fallback = "100",
     .min = 1,
     .max = 1000,
     .help = "The last so many events"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct events_conf, output),
     .choices = document_formats,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static flv_rc
print_events(const struct flv_node *root, int output, struct flv_err *err)
{
    struct flv_buf out;
    flv_rc rc = FLV_OK;
    flv_buf_init(&out, TEXT_BYTES_MAX);
    if (output != CLI_FORMAT_TABLE) {
        rc = cli_node_doc(root, (enum cli_format)output, &out, err);
    } else if (root->count == 0) {
        rc = flv_buf_add_str(&out, "no events\n");
    } else {
        rc = cli_events_table(root, &out, err);
    }
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    return rc;
}

static flv_rc get_events(struct cli_rest *r,
                         const struct events_conf *conf,
                         struct cli_answer *a,
                         struct flv_err *err)
{
    char behind[64];
    snprintf(behind, sizeof behind, "/events?limit=%" PRIu64, conf->limit);
    if (conf->name != NULL) {
        return get(r, conf->name, behind, a, err);
    }
    const struct cli_ask ask = {.path = behind};
    flv_rc rc = cli_rest_ask(r, &ask, a, err);
    return rc == FLV_OK ? cli_answer_fail(a, err) : rc;
}

static int events_run(struct flv_args *args, void *ctx)
{
    const struct events_conf *conf = flv_args_conf(args);
    struct cli_rest r = {.folder_fd = -1};
    struct cli_answer a = {.status = 0};
    struct flv_err err = {0};
    flv_rc rc = cli_rest_open(&r, ctx, &err);
    rc = rc == FLV_OK ? get_events(&r, conf, &a, &err) : rc;
    if (rc == FLV_OK && a.root != NULL) {
        rc = print_events(a.root, conf->output, &err);
    }
    cli_answer_deinit(&a);
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_managed_events = {
    .name = "events",
    .about = "Show what happened to connectors and why, oldest first",
    .opts = events_opts,
    .conf_size = sizeof(struct events_conf),
    .run = events_run,
};

/* ---- logs -----------------------------------------------------------------
 */

struct logs_conf {
    char *name;
    bool follow;
    uint64_t tail;
};

static const struct flv_opt logs_opts[] = {
    {.name = "name",
     FLV_STR(struct logs_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the connector"},
    {.name = "follow",
     .letter = 'f',
     FLV_FLAG(struct logs_conf, follow),
     .help = "Go on with what is logged from now on"},
    {.name = "tail",
     FLV_U64(struct logs_conf, tail),
     .arg = "lines",
     .fallback = "200",
     .min = 0,
     .max = 100000,
     .help = "Begin with the last so many lines"},
    {.name = NULL}};

/* The log as it comes; a reader that went away had enough. */
static void print_piece(void *arg, struct flv_slice piece)
{
    (void)arg;
    if (fwrite(piece.data, 1, piece.len, stdout) != piece.len ||
        fflush(stdout) != 0) {
        _exit(0);
    }
}

static flv_rc
print_log(struct cli_rest *r, const struct logs_conf *conf, struct flv_err *err)
{
    struct cli_answer a = {.status = 0};
    struct flv_buf path;
    flv_buf_init(&path, PATH_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&path, "/connectors/");
    rc = rc == FLV_OK ? cli_path_add(&path, conf->name) : rc;
    rc = rc == FLV_OK
             ? flv_buf_addf(&path, "/logs?lines=%" PRIu64 "&follow=%s",
                            conf->tail, conf->follow ? "true" : "false")
             : rc;
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (text == NULL) {
        rc = flv_fail(err, FLV_E_LIMIT, "the name is too long");
    } else {
        const struct cli_ask ask = {.path = text, .piece = print_piece};
        rc = cli_rest_ask(r, &ask, &a, err);
    }
    rc = rc == FLV_OK ? cli_answer_fail(&a, err) : rc;
    cli_answer_deinit(&a);
    flv_buf_deinit(&path);
    return missing(conf->name, rc, err);
}

static int logs_run(struct flv_args *args, void *ctx)
{
    struct cli_rest r = {.folder_fd = -1};
    struct flv_err err = {0};
    flv_rc rc = cli_rest_open(&r, ctx, &err);
    rc = rc == FLV_OK ? print_log(&r, flv_args_conf(args), &err) : rc;
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_managed_logs = {
    .name = "logs",
    .about = "View the logs of a Managed Connector, across its restarts",
    .opts = logs_opts,
    .conf_size = sizeof(struct logs_conf),
    .run = logs_run,
};

/* ---- config ----------------------------------------------------------------
 */

struct config_conf {
    char *name;
    char *output;
};

static const struct flv_opt config_opts[] = {
    {.name = "name",
     FLV_STR(struct config_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the connector"},
    {.name = "output",
     .letter = 'o',
     FLV_STR(struct config_conf, output),
     .arg = "FILE",
     .help = "Write it into this file"},
    {.name = NULL}};

static flv_rc get_config(struct cli_rest *r,
                         const char *name,
                         struct cli_answer *a,
                         struct flv_err *err)
{
    struct flv_buf path;
    flv_buf_init(&path, PATH_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&path, "/connectors/");
    rc = rc == FLV_OK ? cli_path_add(&path, name) : rc;
    rc = rc == FLV_OK ? flv_buf_add_str(&path, "/config") : rc;
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (text == NULL) {
        rc = flv_fail(err, FLV_E_LIMIT, "the name is too long");
    } else {
        const struct cli_ask ask = {.path = text, .accept = "application/yaml"};
        rc = cli_rest_ask(r, &ask, a, err);
    }
    flv_buf_deinit(&path);
    if (rc == FLV_OK && a->status == 404) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Connector not found");
    }
    return rc == FLV_OK ? cli_answer_fail(a, err) : rc;
}

/* A document begins with three dashes, as it always did. */
static flv_rc
put_config(const struct cli_answer *a, const char *path, struct flv_err *err)
{
    struct flv_buf out;
    flv_buf_init(&out, TEXT_BYTES_MAX);
    bool begun = a->body.len >= 3 && memcmp(a->body.data, "---", 3) == 0;
    flv_rc rc = begun ? FLV_OK : flv_buf_add_str(&out, "---\n");
    if (rc == FLV_OK && a->body.len > 0) {
        rc = flv_buf_add(&out, a->body.data, a->body.len);
    }
    if (rc == FLV_OK && out.data[out.len - 1] != '\n') {
        rc = flv_buf_add_str(&out, "\n");
    }
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "out of memory");
    } else if (path != NULL) {
        rc = cli_file_write(path, flv_buf_slice(&out), true, err);
    } else {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    return rc;
}

static int config_run(struct flv_args *args, void *ctx)
{
    const struct config_conf *conf = flv_args_conf(args);
    struct cli_rest r = {.folder_fd = -1};
    struct cli_answer a = {.status = 0};
    struct flv_err err = {0};
    flv_rc rc = cli_rest_open(&r, ctx, &err);
    rc = rc == FLV_OK ? get_config(&r, conf->name, &a, &err) : rc;
    rc = rc == FLV_OK ? put_config(&a, conf->output, &err) : rc;
    cli_answer_deinit(&a);
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_managed_config = {
    .name = "config",
    .about = "Print the file of a Managed Connector; secrets are not in it",
    .opts = config_opts,
    .conf_size = sizeof(struct config_conf),
    .run = config_run,
};

/* ---- names, for the completion of words ------------------------------------
 */

struct words_conf {
    bool types;
};

static const struct flv_opt words_opts[] = {
    {.name = "types",
     FLV_FLAG(struct words_conf, types),
     .help = "Types of connectors instead"},
    {.name = NULL}};

static flv_rc print_name(void *arg, const char *name, struct flv_err *err)
{
    (void)arg;
    (void)err;
    puts(name);
    return FLV_OK;
}

/* Whoever completes words wants no complaints. */
static int words_run(struct flv_args *args, void *ctx)
{
    const struct words_conf *conf = flv_args_conf(args);
    if (conf->types) {
        struct flv_catalogue *catalogue = NULL;
        flv_rc rc = cli_catalogue(ctx, &catalogue, NULL);
        for (size_t i = 0; rc == FLV_OK && i < flv_catalogue_count(catalogue);
             i++) {
            puts(flv_catalogue_at(catalogue, i)->name);
        }
        flv_catalogue_destroy(catalogue);
        return rc == FLV_OK ? 0 : CLI_EXIT_FAILURE;
    }
    struct flv_err err = {0};
    struct cli_rest r = {.folder_fd = -1};
    flv_rc rc = cli_rest_open(&r, ctx, &err);
    rc = rc == FLV_OK ? cli_managed_each(&r, print_name, NULL, &err) : rc;
    cli_rest_close(&r);
    return rc == FLV_OK ? 0 : CLI_EXIT_FAILURE;
}

const struct flv_cmd cli_cmd_managed_names = {
    .name = "names",
    .about = "Print names, one a line, for the completion of words",
    .opts = words_opts,
    .conf_size = sizeof(struct words_conf),
    .flags = FLV_CMD_HIDDEN,
    .run = words_run,
};

/* ---- fluvio cluster connector ----------------------------------------------
 */

static const struct flv_cmd *const cluster_commands[] = {
    &cli_cmd_managed_create, &cluster_list_cmd, &cli_cmd_managed_delete, NULL};

const struct flv_cmd cli_cmd_cluster_connector = {
    .name = "connector",
    .about = "Create and work with Managed Connectors, as `fluvio connector` "
             "does",
    .commands = cluster_commands,
};
