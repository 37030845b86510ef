#include "cli/cli.h"

#include "base/sha256.h"
#include "base/text.h"
#include "cli/file.h"
#include "cli/list.h"
#include "cli/table.h"
#include "smartmodule/module.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define NAME_TEXT_MAX 800
/* err.wire of a SmartModule that is not there */
#define WIRE_NOT_FOUND 6001

static flv_rc not_found(const char *name, struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOT_FOUND, "SmartModule not found: %.120s",
                    name);
}

/* What people call it: "name", or "group/name@version". */
static const char *shown_name(const struct flv_smartmodule_info *m,
                              char out[NAME_TEXT_MAX])
{
    if (m->package == NULL) {
        return m->name;
    }
    snprintf(out, NAME_TEXT_MAX, "%s/%s@%s", m->group, m->package, m->version);
    return out;
}

/* ---- smartmodule create ------------------------------------------------ */

struct create_conf {
    char *name;
    char *wasm_file;
    char *source_file;
};

/* clang-format off */
static const struct flv_opt create_opts[] = {
    {.name = "name",
     FLV_STR(struct create_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the SmartModule to create"},
    {.name = "wasm-file",
     FLV_STR(struct create_conf, wasm_file),
     .flags = FLV_OPT_REQUIRED,
     .help = "The path to a WASM binary, plain or gzip, to create the "
             "SmartModule from"},
    {.name = "source-file",
     FLV_STR(struct create_conf, source_file),
     .flags = FLV_OPT_HIDDEN,
     .help = "The path to the source code for the SmartModule"},
    {.name = NULL}};
/* clang-format on */

static flv_rc
read_module(const char *path, struct flv_buf *out, struct flv_err *err)
{
    struct flv_sm_module_info info;
    flv_rc rc = cli_file_read(path, out, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_sm_inspect(flv_buf_slice(out), &info, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "%.100s", path);
    }
    return rc;
}

static int create_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct create_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct flv_buf wasm;
    struct cli_call call;
    flv_buf_init(&wasm, FLV_SM_WASM_BYTES_MAX);
    flv_rc rc = read_module(conf->wasm_file, &wasm, &err);
    rc = rc == FLV_OK ? cli_connect(c, &err) : rc;
    if (rc == FLV_OK) {
        const struct flv_smartmodule_conf module = {
            .name = conf->name, .wasm = flv_buf_slice(&wasm)};
        cli_call_init(&call, c);
        rc = flv_client_smartmodule_create(c->client, &module, cli_call_done,
                                           &call, &err);
        rc = rc == FLV_OK ? cli_call_wait(&call, &err) : rc;
    }
    if (rc == FLV_OK) {
        printf("smartmodule \"%s\" has been created.\n", conf->name);
    }
    flv_buf_deinit(&wasm);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd create_cmd = {
    .name = "create",
    .about = "Create a new SmartModule with a given name\n\n"
             "The file has to be a WebAssembly module that exports filter, "
             "map, filter_map, array_map or aggregate. A SmartModule that has "
             "the name already is replaced.",
    .opts = create_opts,
    .conf_size = sizeof(struct create_conf),
    .run = create_run,
};

/* ---- smartmodule list -------------------------------------------------- */

struct list_conf {
    int output;
    char *filter;
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
    {.name = "filter",
     FLV_STR(struct list_conf, filter),
     .help = "Show only the SmartModule of this name: NAME, GROUP/NAME or "
             "GROUP/NAME@VERSION"},
    {.name = NULL}};

static flv_rc list_table(const struct flv_smartmodule_info *modules,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const header[] = {"SMARTMODULE", "SIZE", NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        char size[FLV_TEXT_FORMAT_MAX];
        char name[NAME_TEXT_MAX];
        flv_text_format_size(modules[i].stored_bytes, size);
        cli_table_cell(&t, shown_name(&modules[i], name));
        cli_table_cell(&t, size);
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

static void doc_optional(struct cli_doc *d, const char *key, const char *value)
{
    if (value != NULL) {
        cli_doc_str(d, key, value);
    }
}

static void doc_meta(struct cli_doc *d, const struct flv_smartmodule_info *m)
{
    cli_doc_map(d, "meta");
    cli_doc_map(d, "package");
    cli_doc_str(d, "name", m->package);
    cli_doc_str(d, "group", m->group);
    cli_doc_str(d, "version", m->version);
    cli_doc_str(d, "apiVersion", m->api_version);
    doc_optional(d, "description", m->description);
    doc_optional(d, "license", m->license);
    doc_optional(d, "repository", m->repository);
    cli_doc_end(d);
    cli_doc_map(d, "params");
    for (size_t i = 0; i < m->param_count; i++) {
        cli_doc_map(d, m->params[i].name);
        doc_optional(d, "description", m->params[i].description);
        cli_doc_bool(d, "optional", m->params[i].optional);
        cli_doc_end(d);
    }
    cli_doc_end(d);
    cli_doc_end(d);
}

static void doc_spec(struct cli_doc *d, const struct flv_smartmodule_info *m)
{
    cli_doc_map(d, "spec");
    if (m->package != NULL) {
        doc_meta(d, m);
    }
    cli_doc_map(d, "summary");
    cli_doc_i64(d, "wasmLength", (int64_t)m->stored_bytes);
    cli_doc_end(d);
    cli_doc_end(d);
}

static flv_rc list_doc(enum cli_format format,
                       const struct flv_smartmodule_info *modules,
                       size_t count,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; i < count; i++) {
        cli_doc_map(&d, NULL);
        cli_doc_str(&d, "name", modules[i].name);
        doc_spec(&d, &modules[i]);
        cli_doc_map(&d, "status");
        cli_doc_end(&d);
        cli_doc_end(&d);
    }
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static void got_list(void *user,
                     const struct flv_err *err,
                     const struct flv_smartmodule_info *modules,
                     size_t count)
{
    struct cli_list *l = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_OK;
    l->count = count;
    if (err == NULL && count > 0) {
        rc = l->output == CLI_FORMAT_TABLE
                 ? list_table(modules, count, &l->text, &own)
                 : list_doc((enum cli_format)l->output, modules, count,
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
        rc = flv_client_smartmodules(c->client, conf->filter, false, got_list,
                                     &list, &err);
    }
    return cli_list_end(&list, rc, "no smartmodules", &err);
}

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List all available SmartModules",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = list_run,
};

/* ---- smartmodule delete ------------------------------------------------ */

struct delete_conf {
    struct flv_list names;
    bool continue_on_error;
};

static const struct flv_opt delete_opts[] = {
    {.name = "name",
     FLV_LIST(struct delete_conf, names),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "One or more name(s) of the smart module(s) to be deleted"},
    {.name = "continue-on-error",
     .letter = 'c',
     FLV_FLAG(struct delete_conf, continue_on_error),
     .help = "Continue deleting in case of an error"},
    {.name = NULL}};

static flv_rc delete_one(struct cli *c, const char *name, struct flv_err *err)
{
    struct cli_call call;
    cli_call_init(&call, c);
    flv_rc rc = flv_client_smartmodule_delete(c->client, name, cli_call_done,
                                              &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc == FLV_OK) {
        printf("smartmodule \"%s\" deleted\n", name);
    }
    return rc != FLV_OK && err->wire == WIRE_NOT_FOUND ? not_found(name, err)
                                                       : rc;
}

static int delete_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct delete_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    bool failed = false;
    if (cli_connect(c, &err) != FLV_OK) {
        return cli_fail(&err);
    }
    for (size_t i = 0; i < conf->names.count; i++) {
        if (delete_one(c, conf->names.items[i], &err) == FLV_OK) {
            continue;
        }
        int status = cli_fail(&err);
        if (!conf->continue_on_error) {
            return status;
        }
        failed = true;
        flv_err_clear(&err);
    }
    return failed ? cli_failf("Failed deleting SmartModule(s). Check previous "
                              "errors.")
                  : 0;
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete one or more SmartModules with the given name(s)",
    .opts = delete_opts,
    .conf_size = sizeof(struct delete_conf),
    .run = delete_run,
};

/* ---- one SmartModule with its bytes ------------------------------------- */

struct fetch_call {
    struct cli_call call;
    const char *name;
    void (*use)(struct fetch_call *f,
                const struct flv_smartmodule_info *m,
                struct flv_err *err);
    const void *conf;
    struct flv_buf text;
};

static void got_one(void *user,
                    const struct flv_err *err,
                    const struct flv_smartmodule_info *modules,
                    size_t count)
{
    struct fetch_call *f = user;
    struct flv_err own = {0};
    if (err == NULL && count == 0) {
        (void)not_found(f->name, &own);
    } else if (err == NULL && count > 1) {
        char a[NAME_TEXT_MAX], b[NAME_TEXT_MAX];
        (void)flv_fail(&own, FLV_E_INVALID,
                       "%.60s means %.60s, %.60s and maybe more; say which",
                       f->name, shown_name(&modules[0], a),
                       shown_name(&modules[1], b));
    } else if (err == NULL) {
        f->use(f, &modules[0], &own);
    }
    cli_call_end(&f->call, own.rc != FLV_OK ? &own : err);
}

static int fetch_run(struct cli *c, struct fetch_call *f)
{
    struct flv_err err = {0};
    flv_buf_init(&f->text, TEXT_BYTES_MAX);
    cli_call_init(&f->call, c);
    flv_rc rc = cli_connect(c, &err);
    if (rc == FLV_OK) {
        rc =
            flv_client_smartmodules(c->client, f->name, true, got_one, f, &err);
    }
    rc = rc == FLV_OK ? cli_call_wait(&f->call, &err) : rc;
    if (rc == FLV_OK) {
        cli_put(&f->text);
    }
    flv_buf_deinit(&f->text);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

/* ---- smartmodule describe ----------------------------------------------- */

struct describe_conf {
    char *name;
    int output;
};

static const struct flv_opt describe_opts[] = {
    {.name = "name",
     FLV_STR(struct describe_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the SmartModule to describe"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct describe_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

/* What the bytes are, as far as they can be told. */
struct facts {
    bool known; /* a module with a known entry */
    struct flv_sm_module_info info;
    char hash[FLV_SHA256_HEX]; /* "" when the bytes cannot be read */
    struct flv_err why;        /* known false */
};

static void find_facts(const struct flv_smartmodule_info *m, struct facts *out)
{
    *out = (struct facts){.why = m->wasm_err};
    if (m->wasm_err.rc != FLV_OK) {
        return;
    }
    flv_sha256_hex(m->wasm, out->hash);
    out->known = flv_sm_inspect(m->wasm, &out->info, &out->why) == FLV_OK;
}

static void describe_rows(struct cli_table *t,
                          const struct flv_smartmodule_info *m,
                          const struct facts *f)
{
    static const char rule[] = "-----------------";
    char size[FLV_TEXT_FORMAT_MAX];
#define LINE(...) (cli_table_cellf(t, __VA_ARGS__), cli_table_end_row(t))
    LINE("Name:%s", m->name);
    LINE("Kind:%s", f->known ? flv_sm_kind_name(f->info.kind) : "unknown");
    if (!f->known) {
        LINE("Reason:%s", f->why.text);
    } else {
        LINE("Init:%s", f->info.has_init ? "true" : "false");
        LINE("Look Back:%s", f->info.has_look_back ? "true" : "false");
    }
    flv_text_format_size(m->stored_bytes, size);
    LINE("Stored Size:%s", size);
    if (f->hash[0] != '\0') {
        flv_text_format_size(m->wasm.len, size);
        LINE("Size:%s", size);
        LINE("SHA-256:%s", f->hash);
    }
    if (m->package != NULL) {
        LINE("Package:%s", m->package);
        LINE("Group:%s", m->group);
        LINE("Version:%s", m->version);
        LINE("API Version:%s", m->api_version);
        LINE("Description:%s", m->description != NULL ? m->description : "");
    }
    for (size_t i = 0; i < m->param_count; i++) {
        const struct flv_smartmodule_param_info *p = &m->params[i];
        LINE("Param:%s%s%s%s", p->name, p->optional ? " (optional)" : "",
             p->description != NULL ? ": " : "",
             p->description != NULL ? p->description : "");
    }
    LINE("%s", rule);
#undef LINE
}

static void describe_doc(struct cli_doc *d,
                         const struct flv_smartmodule_info *m,
                         const struct facts *f)
{
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", m->name);
    doc_spec(d, m);
    cli_doc_map(d, "module");
    cli_doc_str(d, "kind",
                f->known ? flv_sm_kind_name(f->info.kind) : "unknown");
    if (!f->known) {
        cli_doc_str(d, "reason", f->why.text);
    } else {
        cli_doc_bool(d, "init", f->info.has_init);
        cli_doc_bool(d, "lookBack", f->info.has_look_back);
    }
    if (f->hash[0] != '\0') {
        cli_doc_i64(d, "size", (int64_t)m->wasm.len);
        cli_doc_str(d, "sha256", f->hash);
    }
    cli_doc_end(d);
    cli_doc_end(d);
}

static void describe_use(struct fetch_call *call,
                         const struct flv_smartmodule_info *m,
                         struct flv_err *err)
{
    const struct describe_conf *conf = call->conf;
    struct facts facts;
    flv_rc rc = FLV_OK;
    find_facts(m, &facts);
    if (conf->output == CLI_FORMAT_TABLE) {
        struct cli_table t;
        cli_table_init(&t, 2);
        describe_rows(&t, m, &facts);
        rc = cli_table_print(&t, &call->text, err);
        cli_table_deinit(&t);
    } else {
        struct cli_doc d;
        cli_doc_init(&d, (enum cli_format)conf->output);
        describe_doc(&d, m, &facts);
        rc = cli_doc_finish(&d, err);
        rc = rc == FLV_OK ? flv_buf_add(&call->text, d.text.data, d.text.len)
                          : rc;
        cli_doc_deinit(&d);
    }
    if (rc != FLV_OK && err->rc == FLV_OK) {
        (void)flv_fail(err, rc, "cannot print the SmartModule");
    }
}

static int describe_run(struct flv_args *args, void *ctx)
{
    const struct describe_conf *conf = flv_args_conf(args);
    struct fetch_call call = {
        .name = conf->name, .use = describe_use, .conf = conf};
    return fetch_run(ctx, &call);
}

static const struct flv_cmd describe_cmd = {
    .name = "describe",
    .about = "Print detailed information about a SmartModule: its kind, its "
             "sizes, the hash of its plain bytes",
    .opts = describe_opts,
    .conf_size = sizeof(struct describe_conf),
    .run = describe_run,
};

/* ---- smartmodule download ----------------------------------------------- */

struct download_conf {
    char *name;
    char *output;
};

static const struct flv_opt download_opts[] = {
    {.name = "name",
     FLV_STR(struct download_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the SmartModule to download"},
    {.name = "output",
     .letter = 'o',
     FLV_STR(struct download_conf, output),
     .arg = "FILE",
     .help = "The file to write, which is replaced if it is there; '-' for "
             "standard output [default: NAME.wasm, which is not]"},
    {.name = NULL}};

static void download_use(struct fetch_call *call,
                         const struct flv_smartmodule_info *m,
                         struct flv_err *err)
{
    const struct download_conf *conf = call->conf;
    char path[NAME_TEXT_MAX];
    if (m->wasm_err.rc != FLV_OK) {
        *err = m->wasm_err;
        return;
    }
    if (conf->output != NULL && strcmp(conf->output, "-") == 0) {
        if (flv_buf_add(&call->text, m->wasm.data, m->wasm.len) != FLV_OK) {
            (void)flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        return;
    }
    snprintf(path, sizeof path, "%s.wasm",
             m->package != NULL ? m->package : m->name);
    if (conf->output == NULL && strchr(path, '/') != NULL) {
        (void)flv_fail(err, FLV_E_INVALID,
                       "%.80s is no name of a file; choose one with --output",
                       path);
        return;
    }
    const char *to = conf->output != NULL ? conf->output : path;
    if (cli_file_write(to, m->wasm, conf->output != NULL, err) == FLV_OK) {
        cli_say(stdout, "smartmodule \"%s\" downloaded to %s", m->name, to);
    }
}

static int download_run(struct flv_args *args, void *ctx)
{
    const struct download_conf *conf = flv_args_conf(args);
    struct fetch_call call = {
        .name = conf->name, .use = download_use, .conf = conf};
    return fetch_run(ctx, &call);
}

static const struct flv_cmd download_cmd = {
    .name = "download",
    .about = "Write a SmartModule of the cluster to a file, as plain "
             "WebAssembly",
    .opts = download_opts,
    .conf_size = sizeof(struct download_conf),
    .run = download_run,
};

/* ---- smartmodule watch -------------------------------------------------- */

struct watch {
    struct cli *cli; /* borrowed */
    struct flv_err err;
    bool over;
};

static void print_change(const struct flv_smartmodule_change *change, bool all)
{
    char size[FLV_TEXT_FORMAT_MAX];
    char name[NAME_TEXT_MAX];
    const struct flv_smartmodule_info *m = &change->info;
    flv_text_format_size(m->stored_bytes, size);
    if (change->deleted) {
        cli_say(stdout, "smartmodule \"%s\" deleted", shown_name(m, name));
    } else {
        cli_say(stdout, "smartmodule \"%s\" %s, %s", shown_name(m, name),
                all ? "exists" : "stored", size);
    }
}

static void watch_changed(void *user,
                          const struct flv_err *err,
                          bool all,
                          const struct flv_smartmodule_change *changes,
                          size_t count)
{
    struct watch *w = user;
    if (err != NULL) {
        w->err = *err;
        w->over = true;
    }
    for (size_t i = 0; i < count; i++) {
        print_change(&changes[i], all);
    }
    if (fflush(stdout) != 0) {
        w->over = true;
    }
    if (w->over) {
        flv_loop_stop(w->cli->loop);
    }
}

static void watch_signal(void *ctx, int signum)
{
    struct watch *w = ctx;
    (void)signum;
    w->over = true;
    flv_loop_stop(w->cli->loop);
}

static int watch_run(struct flv_args *args, void *ctx)
{
    struct watch w = {.cli = ctx};
    struct flv_smartmodule_watch *watch = NULL;
    struct flv_err err = {0};
    (void)args;
    w.cli->tells_link = true;
    flv_rc rc = cli_connect(w.cli, &err);
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    struct flv_loop *loop = w.cli->loop;
    rc = flv_loop_on_signal(loop, SIGINT, watch_signal, &w, &err);
    rc = rc == FLV_OK
             ? flv_loop_on_signal(loop, SIGTERM, watch_signal, &w, &err)
             : rc;
    rc = rc == FLV_OK ? flv_client_smartmodule_watch(&watch, w.cli->client,
                                                     watch_changed, &w, &err)
                      : rc;
    while (rc == FLV_OK && !w.over) {
        flv_loop_run(loop);
    }
    flv_smartmodule_watch_close(watch);
    cli_ignore(flv_loop_on_signal(loop, SIGINT, NULL, NULL, NULL));
    cli_ignore(flv_loop_on_signal(loop, SIGTERM, NULL, NULL, NULL));
    if (rc == FLV_OK && w.err.rc != FLV_OK) {
        rc = w.err.rc;
        err = w.err;
    }
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd watch_cmd = {
    .name = "watch",
    .about = "Print the SmartModules that exist, then each change as it "
             "happens",
    .run = watch_run,
};

/* ---- smartmodule -------------------------------------------------------- */

static const struct flv_cmd *const commands[] = {&create_cmd,
                                                 &list_cmd,
                                                 &delete_cmd,
                                                 &describe_cmd,
                                                 &download_cmd,
                                                 &watch_cmd,
                                                 &cli_cmd_smartmodule_test,
                                                 &cli_cmd_smartmodule_names,
                                                 NULL};

static const char *const aliases[] = {"sm", "smart-module", NULL};

const struct flv_cmd cli_cmd_smartmodule = {
    .name = "smartmodule",
    .about = "Create and manage SmartModules\n\n"
             "SmartModules are compiled WebAssembly modules used to create "
             "inline data processing and filtering.",
    .aliases = aliases,
    .commands = commands,
};
