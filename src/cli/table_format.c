#include "cli/table_format.h"

#include "cli/cli.h"
#include "cli/list.h"
#include "cli/table.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* ---- table-format create ----------------------------------------------- */

struct create_conf {
    char *config;
};

static const struct flv_opt create_opts[] = {
    {.name = "config",
     .letter = 'c',
     FLV_STR(struct create_conf, config),
     .flags = FLV_OPT_REQUIRED,
     .help = "The path to the TableFormat config"},
    {.name = NULL}};

static int create_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct create_conf *conf = flv_args_conf(args);
    struct cli_format_file file = {0};
    struct flv_table_format format;
    struct flv_err err = {0};
    struct cli_call call;
    flv_rc rc = cli_format_file_read(conf->config, &file, &format, &err);
    rc = rc == FLV_OK ? cli_connect(c, &err) : rc;
    if (rc == FLV_OK) {
        cli_call_init(&call, c);
        rc = flv_client_table_format_create(c->client, &format, cli_call_done,
                                            &call, &err);
        rc = rc == FLV_OK ? cli_call_wait(&call, &err) : rc;
    }
    if (rc == FLV_OK) {
        printf("tableformat \"%s\" created\n", format.name);
    }
    cli_format_file_deinit(&file);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd create_cmd = {
    .name = "create",
    .about = "Create a new TableFormat display",
    .opts = create_opts,
    .conf_size = sizeof(struct create_conf),
    .run = create_run,
};

/* ---- table-format list ------------------------------------------------- */

struct list_conf {
    int output;
};

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct list_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static flv_rc list_table(const struct flv_table_format *formats,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const header[] = {"NAME", "STATUS", NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    t.right = true;
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        cli_table_cell(&t, formats[i].name);
        cli_table_cell(&t, formats[i].state);
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

static void doc_text(struct cli_doc *d, const char *key, const char *value)
{
    if (value != NULL) {
        cli_doc_str(d, key, value);
    } else {
        cli_doc_null(d, key);
    }
}

static void doc_flag(struct cli_doc *d, const char *key, enum flv_table_flag v)
{
    if (v != FLV_TABLE_UNSAID) {
        cli_doc_bool(d, key, v == FLV_TABLE_YES);
    } else {
        cli_doc_null(d, key);
    }
}

static void doc_column(struct cli_doc *d, const struct flv_table_column *c)
{
    static const char *const sides[] = {NULL, "LEFT", "RIGHT", "CENTER"};
    static const char *const colors[] = {NULL, "BLUE", "YELLOW", "GREEN"};
    cli_doc_map(d, NULL);
    doc_text(d, "headerLabel", c->header_label);
    doc_text(d, "width", c->width);
    doc_text(d, "alignment", sides[c->alignment]);
    cli_doc_str(d, "keyPath", c->key_path);
    doc_text(d, "format", c->format);
    doc_flag(d, "display", c->display);
    doc_flag(d, "primaryKey", c->primary_key);
    doc_text(d, "headerBgColor", colors[c->header_bg_color]);
    doc_text(d, "headerTextColor", colors[c->header_text_color]);
    cli_doc_end(d);
}

static void doc_format(struct cli_doc *d, const struct flv_table_format *f)
{
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", f->name);
    cli_doc_map(d, "spec");
    cli_doc_str(d, "name", f->name);
    doc_text(d, "inputFormat", f->input_json ? "JSON" : NULL);
    if (f->has_columns) {
        cli_doc_list(d, "columns");
        for (size_t i = 0; i < f->column_count; i++) {
            doc_column(d, &f->columns[i]);
        }
        cli_doc_end(d);
    } else {
        cli_doc_null(d, "columns");
    }
    if (f->smartmodule != NULL) {
        cli_doc_str(d, "smartmodule", f->smartmodule);
    }
    cli_doc_end(d);
    cli_doc_map(d, "status");
    cli_doc_str(d, "resolution", f->state);
    doc_text(d, "reason", f->reason);
    cli_doc_end(d);
    cli_doc_end(d);
}

static flv_rc list_doc(enum cli_format format,
                       const struct flv_table_format *formats,
                       size_t count,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; i < count; i++) {
        doc_format(&d, &formats[i]);
    }
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static void got_list(void *user,
                     const struct flv_err *err,
                     const struct flv_table_format *formats,
                     size_t count)
{
    struct cli_list *l = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_OK;
    l->count = count;
    if (err == NULL && count > 0) {
        rc = l->output == CLI_FORMAT_TABLE
                 ? list_table(formats, count, &l->text, &own)
                 : list_doc((enum cli_format)l->output, formats, count,
                            &l->text, &own);
    }
    cli_call_end(&l->call, rc != FLV_OK ? &own : err);
}

static int list_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct list_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct cli_list list;
    flv_rc rc = cli_list_begin(&list, c, conf->output, TEXT_BYTES_MAX, &err);
    if (rc == FLV_OK) {
        rc = flv_client_table_formats(c->client, NULL, got_list, &list, &err);
    }
    return cli_list_end(&list, rc, "no tableformats", &err);
}

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List all TableFormat display",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = list_run,
};

/* ---- table-format delete ----------------------------------------------- */

struct delete_conf {
    char *name;
};

static const struct flv_opt delete_opts[] = {
    {.name = "name",
     FLV_STR(struct delete_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the table format to delete"},
    {.name = NULL}};

static int delete_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct delete_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct cli_call call;
    flv_rc rc = cli_connect(c, &err);
    if (rc == FLV_OK) {
        cli_call_init(&call, c);
        rc = flv_client_table_format_delete(c->client, conf->name,
                                            cli_call_done, &call, &err);
        rc = rc == FLV_OK ? cli_call_wait(&call, &err) : rc;
    }
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete a TableFormat display",
    .opts = delete_opts,
    .conf_size = sizeof(struct delete_conf),
    .run = delete_run,
};

/* ---- table-format ------------------------------------------------------ */

static const struct flv_cmd *const commands[] = {
    &create_cmd, &delete_cmd, &list_cmd, &cli_cmd_table_format_names, NULL};

static const char *const aliases[] = {"tf", "tableformat", NULL};

const struct flv_cmd cli_cmd_table_format = {
    .name = "table-format",
    .about = "Create a TableFormat display specification\n\n"
             "Used with the consumer output type `full_table` to describe how "
             "to render JSON data in table form.",
    .aliases = aliases,
    .commands = commands,
};
