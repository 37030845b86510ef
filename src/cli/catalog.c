/* fluvio connector catalog, schema: what connectors this machine has. */
#include "cli/connector.h"

#include "base/text.h"
#include "cli/json.h"
#include "cli/table.h"
#include "config/schema.h"

#define TEXT_BYTES_MAX ((size_t)4 << 20)

/* ---- Asking ------------------------------------------------------------- */

static void refreshed(void *arg)
{
    cli_call_end(arg, NULL);
}

flv_rc
cli_catalogue(struct cli *c, struct flv_catalogue **out, struct flv_err *err)
{
    const struct flv_catalogue_conf conf = {.folders = NULL};
    struct flv_catalogue *catalogue = NULL;
    struct cli_call call;
    flv_rc rc = c->loop == NULL ? flv_loop_create(&c->loop, 0, err) : FLV_OK;
    rc = rc == FLV_OK ? flv_catalogue_create(&catalogue, &conf, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    cli_call_init(&call, c);
    rc =
        flv_catalogue_refresh(catalogue, c->loop, false, refreshed, &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc != FLV_OK) {
        flv_catalogue_destroy(catalogue);
        return rc;
    }
    *out = catalogue;
    return FLV_OK;
}

flv_rc cli_catalogue_find(const struct flv_catalogue *catalogue,
                          const char *type,
                          const struct flv_cat_entry **out,
                          struct flv_err *err)
{
    char all[120] = "";
    const struct flv_cat_entry *e = flv_catalogue_find(catalogue, type);
    if (e != NULL && e->problem[0] == '\0') {
        *out = e;
        return FLV_OK;
    }
    if (e != NULL) {
        return flv_fail(err, FLV_E_INVALID, "%.80s is of no use: %.100s",
                        e->path, e->problem);
    }
    for (size_t i = 0, len = 0; i < flv_catalogue_count(catalogue); i++) {
        int n = snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "",
                         flv_catalogue_at(catalogue, i)->name);
        len += n > 0 ? (size_t)n : 0;
        if (len >= sizeof all) {
            break;
        }
    }
    return flv_fail(err, FLV_E_NOT_FOUND,
                    "there is no connector \"%.40s\"; installed: %s", type,
                    all[0] != '\0' ? all : "none");
}

/* ---- Printing ----------------------------------------------------------- */

static const char *direction_name(const struct flv_descriptor *d)
{
    return d->direction == FLV_CFILE_SINK ? "sink" : "source";
}

/* What a value looks like: "choice" is its choices. */
static void value_text(const struct flv_opt *opt, char *out, size_t size)
{
    static const char *const words[] = {
        [FLV_OPT_FLAG] = "true or false",
        [FLV_OPT_STR] = "text",
        [FLV_OPT_U64] = "number",
        [FLV_OPT_I64] = "number",
        [FLV_OPT_DURATION] = "duration",
        [FLV_OPT_SIZE] = "size",
        [FLV_OPT_CHOICE] = "",
        [FLV_OPT_LIST] = "list of texts",
    };
    size_t len = (size_t)snprintf(out, size, "%s", words[opt->type]);
    for (size_t i = 0;
         opt->choices != NULL && opt->choices[i] != NULL && len < size; i++) {
        int n = snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "",
                         opt->choices[i]);
        len += n > 0 ? (size_t)n : 0;
    }
    if (opt->type == FLV_OPT_DURATION && opt->unit_ms > 0 && len < size) {
        (void)snprintf(out + len, size - len, " (10 is 10%s)",
                       opt->unit_ms == 1000 ? "s"
                       : opt->unit_ms == 1  ? "ms"
                                            : " units");
    }
}

static bool is_shown(const struct flv_opt *opt)
{
    return (opt->flags & (FLV_OPT_HIDDEN | FLV_OPT_LINE | FLV_OPT_SHARED)) == 0;
}

static void option_row(struct cli_table *t, const struct flv_opt *opt)
{
    char value[200];
    value_text(opt, value, sizeof value);
    cli_table_cell(t, opt->name);
    cli_table_cell(t, value);
    cli_table_cell(t, (opt->flags & FLV_OPT_REQUIRED) != 0 ? "required"
                      : opt->fallback != NULL              ? opt->fallback
                                                           : "");
    cli_table_cellf(t, "%s%s%s%s", opt->help,
                    opt->deprecated != NULL ? " (deprecated, use " : "",
                    opt->deprecated != NULL ? opt->deprecated : "",
                    opt->deprecated != NULL ? ")" : "");
    cli_table_end_row(t);
}

static flv_rc add_options(const struct flv_descriptor *d,
                          struct flv_buf *out,
                          struct flv_err *err)
{
    static const char *const head[] = {"OPTION", "VALUE", "DEFAULT", "MEANING",
                                       NULL};
    struct cli_table t;
    cli_table_init(&t, 0);
    cli_table_row(&t, head);
    for (const struct flv_opt *o = d->opts; o->name != NULL; o++) {
        if (is_shown(o)) {
            option_row(&t, o);
        }
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

/* One line of the example; what is not required is a comment. */
static flv_rc add_example(const struct flv_opt *opt, struct flv_buf *out)
{
    bool required = (opt->flags & FLV_OPT_REQUIRED) != 0;
    bool list = opt->type == FLV_OPT_LIST;
    struct flv_buf value;
    flv_buf_init(&value, 4096);
    flv_rc rc = flv_descriptor_example(opt, &value);
    const char *text = rc == FLV_OK ? flv_buf_str(&value) : NULL;
    if (text == NULL) {
        flv_buf_deinit(&value);
        return rc != FLV_OK ? rc : FLV_E_NOMEM;
    }
    bool quoted = list || strpbrk(text, ":#{}[]&*!|>'\"%@`,") != NULL;
    rc = flv_buf_addf(out, "  %s%s: %s", required ? "" : "# ", opt->name,
                      list ? "[" : "");
    if (rc == FLV_OK) {
        rc = quoted ? flv_text_json_str(out, text) : flv_buf_add_str(out, text);
    }
    flv_buf_deinit(&value);
    return rc == FLV_OK ? flv_buf_add_str(out, list ? "]\n" : "\n") : rc;
}

static flv_rc add_file(const struct flv_descriptor *d, struct flv_buf *out)
{
    flv_rc rc = flv_buf_addf(out,
                             "version: latest\n"
                             "name: my-%s\n"
                             "type: %s\n"
                             "topic: my-%s\n"
                             "create_topic: true\n"
                             "direction: %s\n"
                             "parameters:\n",
                             d->name, d->name, d->name, direction_name(d));
    size_t required = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct flv_opt *o = d->opts; o->name != NULL; o++) {
            bool must = (o->flags & FLV_OPT_REQUIRED) != 0;
            if (rc == FLV_OK && is_shown(o) && must == (pass == 0)) {
                required += must;
                rc = add_example(o, out);
            }
        }
    }
    /* A map of comments alone is no map. */
    return rc == FLV_OK && required == 0 ? flv_buf_add_str(out, "  {}\n") : rc;
}

static flv_rc add_type(const struct flv_cat_entry *e,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    const struct flv_descriptor *d = &e->descriptor;
    flv_rc rc =
        flv_buf_addf(out, "%s %s, a %s: %s\n%s\n\n", d->name, d->version,
                     direction_name(d), d->summary, e->path);
    rc = rc == FLV_OK ? add_options(d, out, err) : rc;
    if (rc == FLV_OK) {
        rc = flv_buf_addf(out, "\nAn example, for `fluvio connector create "
                               "--config FILE`:\n\n");
    }
    return rc == FLV_OK ? add_file(d, out) : rc;
}

static flv_rc add_all(const struct flv_catalogue *catalogue,
                      struct flv_buf *out,
                      struct flv_err *err)
{
    static const char *const head[] = {"TYPE", "DIRECTION", "VERSION",
                                       "SUMMARY", NULL};
    struct cli_table t;
    cli_table_init(&t, 0);
    cli_table_row(&t, head);
    for (size_t i = 0; i < flv_catalogue_count(catalogue); i++) {
        const struct flv_cat_entry *e = flv_catalogue_at(catalogue, i);
        bool good = e->problem[0] == '\0';
        cli_table_cell(&t, e->name);
        cli_table_cell(&t, good ? direction_name(&e->descriptor) : "-");
        cli_table_cell(&t, good ? e->descriptor.version : "-");
        if (good) {
            cli_table_cell(&t, e->descriptor.summary);
        } else {
            cli_table_cellf(&t, "%s is of no use: %s", e->path, e->problem);
        }
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

/* ---- As a document ------------------------------------------------------ */

static void
doc_words(struct cli_doc *d, const char *key, const char *const *words)
{
    if (words == NULL) {
        return;
    }
    cli_doc_list(d, key);
    for (; *words != NULL; words++) {
        cli_doc_str(d, NULL, *words);
    }
    cli_doc_end(d);
}

static void doc_optional(struct cli_doc *d, const char *key, const char *text)
{
    if (text != NULL) {
        cli_doc_str(d, key, text);
    }
}

static void doc_option(struct cli_doc *d, const struct flv_opt *opt)
{
    char value[200];
    value_text(opt, value, sizeof value);
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", opt->name);
    cli_doc_str(d, "value", value);
    cli_doc_bool(d, "required", (opt->flags & FLV_OPT_REQUIRED) != 0);
    cli_doc_bool(d, "secret", (opt->flags & FLV_OPT_SECRET) != 0);
    doc_optional(d, "default", opt->fallback);
    doc_optional(d, "example", opt->example);
    doc_optional(d, "deprecated", opt->deprecated);
    doc_words(d, "choices", opt->choices);
    doc_words(d, "aliases", opt->aliases);
    cli_doc_str(d, "help", opt->help);
    cli_doc_end(d);
}

static void
doc_entry(struct cli_doc *d, const struct flv_cat_entry *e, bool all)
{
    const struct flv_descriptor *t = &e->descriptor;
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", e->name);
    cli_doc_str(d, "program", e->path);
    if (e->problem[0] != '\0') {
        cli_doc_str(d, "problem", e->problem);
        cli_doc_end(d);
        return;
    }
    cli_doc_str(d, "direction", direction_name(t));
    cli_doc_str(d, "version", t->version);
    cli_doc_str(d, "summary", t->summary);
    if (all) {
        cli_doc_list(d, "options");
        for (const struct flv_opt *o = t->opts; o->name != NULL; o++) {
            if (is_shown(o)) {
                doc_option(d, o);
            }
        }
        cli_doc_end(d);
    }
    cli_doc_end(d);
}

static flv_rc print_doc(const struct flv_catalogue *catalogue,
                        const struct flv_cat_entry *one,
                        int format,
                        struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, (enum cli_format)format);
    if (one != NULL) {
        doc_entry(&d, one, true);
    } else {
        cli_doc_list(&d, NULL);
        for (size_t i = 0; i < flv_catalogue_count(catalogue); i++) {
            doc_entry(&d, flv_catalogue_at(catalogue, i), false);
        }
        cli_doc_end(&d);
    }
    flv_rc rc = cli_doc_finish(&d, err);
    if (rc == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
    return rc;
}

/* ---- Commands ----------------------------------------------------------- */

struct catalog_conf {
    char *type;
    int output;
};

static const struct flv_opt catalog_opts[] = {
    {.name = "type",
     FLV_STR(struct catalog_conf, type),
     .flags = FLV_OPT_POSITIONAL,
     .help = "Show this type: its options and an example file"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct catalog_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static flv_rc print_catalog(const struct flv_catalogue *catalogue,
                            const struct catalog_conf *conf,
                            struct flv_err *err)
{
    const struct flv_cat_entry *one = NULL;
    struct flv_buf out;
    flv_rc rc = conf->type != NULL
                    ? cli_catalogue_find(catalogue, conf->type, &one, err)
                    : FLV_OK;
    if (rc != FLV_OK || conf->output != CLI_FORMAT_TABLE) {
        return rc != FLV_OK ? rc : print_doc(catalogue, one, conf->output, err);
    }
    if (one == NULL && flv_catalogue_count(catalogue) == 0) {
        puts("no connectors: no fluvio-connect-NAME beside this program or in "
             "PATH");
        return FLV_OK;
    }
    flv_buf_init(&out, TEXT_BYTES_MAX);
    rc = one != NULL ? add_type(one, &out, err) : add_all(catalogue, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
    } else if (err->rc == FLV_OK) {
        rc = flv_fail(err, rc, "cannot print the catalogue: %s",
                      flv_rc_text(rc));
    }
    flv_buf_deinit(&out);
    return rc;
}

static int catalog_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_catalogue *catalogue = NULL;
    struct flv_err err = {0};
    flv_rc rc = cli_catalogue(c, &catalogue, &err);
    rc =
        rc == FLV_OK ? print_catalog(catalogue, flv_args_conf(args), &err) : rc;
    flv_catalogue_destroy(catalogue);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_connector_catalog = {
    .name = "catalog",
    .about = "List the connectors of this machine, or show one with its "
             "options\n\n"
             "A connector is a program fluvio-connect-NAME beside this program "
             "or in PATH that answers --describe.",
    .opts = catalog_opts,
    .conf_size = sizeof(struct catalog_conf),
    .run = catalog_run,
};

struct schema_conf {
    char *type;
};

static const struct flv_opt schema_opts[] = {
    {.name = "type",
     FLV_STR(struct schema_conf, type),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Type of connector"},
    {.name = NULL}};

static flv_rc print_schema(const struct flv_cat_entry *e, struct flv_err *err)
{
    struct flv_buf one, out;
    flv_buf_init(&one, TEXT_BYTES_MAX);
    flv_buf_init(&out, TEXT_BYTES_MAX);
    flv_rc rc = flv_schema_file(&e->descriptor, &one);
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "cannot make the schema of %s", e->name);
    }
    rc = rc == FLV_OK ? cli_json_pretty(flv_buf_slice(&one), &out, err) : rc;
    if (rc == FLV_OK) {
        cli_put(&out);
        putchar('\n');
    }
    flv_buf_deinit(&one);
    flv_buf_deinit(&out);
    return rc;
}

static int schema_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct schema_conf *conf = flv_args_conf(args);
    const struct flv_cat_entry *e = NULL;
    struct flv_catalogue *catalogue = NULL;
    struct flv_err err = {0};
    flv_rc rc = cli_catalogue(c, &catalogue, &err);
    rc =
        rc == FLV_OK ? cli_catalogue_find(catalogue, conf->type, &e, &err) : rc;
    rc = rc == FLV_OK ? print_schema(e, &err) : rc;
    flv_catalogue_destroy(catalogue);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_connector_schema = {
    .name = "schema",
    .about = "Print the JSON schema of a connector's file, for editors",
    .opts = schema_opts,
    .conf_size = sizeof(struct schema_conf),
    .run = schema_run,
};
