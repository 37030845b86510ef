/* fluvio connector create, apply, update, delete, pause, resume, restart. */
#include "cli/managed.h"

#include "cli/connector.h"
#include "cli/file.h"
#include "config/doc.h"

#define PATH_BYTES_MAX 4096
#define TEXT_BYTES_MAX ((size_t)1 << 20)

/* ---- Asking ---------------------------------------------------------------
 */

flv_rc cli_managed_ask(struct cli_rest *r,
                       const char *method,
                       const char *name,
                       const char *behind,
                       struct cli_answer *out,
                       struct flv_err *err)
{
    struct flv_buf path;
    flv_buf_init(&path, PATH_BYTES_MAX);
    *out = (struct cli_answer){.status = 0};
    flv_rc rc = flv_buf_add_str(&path, "/connectors/");
    rc = rc == FLV_OK ? cli_path_add(&path, name) : rc;
    rc = rc == FLV_OK ? flv_buf_add_str(&path, behind) : rc;
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (text == NULL) {
        rc = flv_fail(err, FLV_E_LIMIT, "the name %.40s... is too long", name);
    } else {
        const struct cli_ask ask = {.method = method, .path = text};
        rc = cli_rest_ask(r, &ask, out, err);
    }
    flv_buf_deinit(&path);
    return rc;
}

flv_rc cli_managed_each(struct cli_rest *r,
                        flv_rc (*each)(void *arg,
                                       const char *name,
                                       struct flv_err *err),
                        void *arg,
                        struct flv_err *err)
{
    const struct cli_ask ask = {.path = "/connectors"};
    struct cli_answer a;
    flv_rc rc = cli_rest_ask(r, &ask, &a, err);
    rc = rc == FLV_OK ? cli_answer_fail(&a, err) : rc;
    for (size_t i = 0; rc == FLV_OK && a.root != NULL && i < a.root->count;
         i++) {
        rc = each(arg, a.root->items[i]->text, err);
    }
    cli_answer_deinit(&a);
    return rc;
}

/* ---- create, apply, update ------------------------------------------------
 */

enum change { CREATE, APPLY, UPDATE };

struct file_conf {
    char *config;
};

static const struct flv_opt file_opts[] = {
    {.name = "config",
     .letter = 'c',
     FLV_STR(struct file_conf, config),
     .arg = "config",
     .flags = FLV_OPT_REQUIRED,
     .help = "The connector's file; - is the standard input"},
    {.name = NULL}};

struct change_file {
    const char *shown;   /* name for messages */
    struct flv_buf text; /* owned */
    struct flv_doc *doc; /* owned; NULL when it is no YAML */
    const char *name;    /* of the connector; NULL when it has none */
};

static flv_rc
read_change(struct change_file *f, const char *path, struct flv_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    f->shown = standard ? "(stdin)" : path;
    flv_rc rc = cli_file_read(standard ? "/dev/stdin" : path, &f->text, err);
    if (rc != FLV_OK) {
        return rc;
    }
    /* What is wrong with it the manager says, all at once. */
    if (flv_doc_parse(&f->doc, f->shown, flv_buf_slice(&f->text), NULL) !=
        FLV_OK) {
        return FLV_OK;
    }
    const struct flv_node *root = flv_doc_root(f->doc);
    const struct flv_node *meta = flv_node_get(root, "meta");
    const char *name = cli_text(meta != NULL ? meta : root, "name");
    f->name = name[0] != '\0' ? name : NULL;
    return FLV_OK;
}

/* Every mistake and warning on a line of its own: are there any? */
static bool show_problems(const struct change_file *f,
                          const struct cli_answer *a)
{
    const struct flv_node *problems = flv_node_get(a->root, "problems");
    struct flv_buf out;
    if (problems == NULL || problems->count == 0) {
        return false;
    }
    flv_buf_init(&out, TEXT_BYTES_MAX);
    if (cli_problems_text(problems, f->shown, &out) == FLV_OK) {
        fwrite(out.data, 1, out.len, stderr);
    }
    flv_buf_deinit(&out);
    return true;
}

static flv_rc refused(const struct change_file *f,
                      const struct cli_answer *a,
                      struct flv_err *err)
{
    if (!show_problems(f, a)) {
        return cli_answer_fail(a, err);
    }
    return flv_fail(err, FLV_E_INVALID,
                    "%s is refused, nothing was changed; `fluvio connector "
                    "catalog TYPE` shows an example",
                    f->shown);
}

static flv_rc send_change(struct cli_rest *r,
                          const struct change_file *f,
                          enum change how,
                          struct cli_answer *a,
                          struct flv_err *err)
{
    struct flv_buf path;
    flv_buf_init(&path, PATH_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&path, "/connectors");
    /* Without a name it is refused anyway, with the reason. */
    bool post = how == CREATE || f->name == NULL;
    if (!post) {
        rc = rc == FLV_OK ? flv_buf_add_str(&path, "/") : rc;
        rc = rc == FLV_OK ? cli_path_add(&path, f->name) : rc;
        rc = rc == FLV_OK
                 ? flv_buf_add_str(&path, how == UPDATE ? "/config?create=false"
                                                        : "/config")
                 : rc;
    }
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (text == NULL) {
        flv_buf_deinit(&path);
        return flv_fail(err, FLV_E_LIMIT, "the connector's name is too long");
    }
    const struct cli_ask ask = {.method = post ? "POST" : "PUT",
                                .path = f->name != NULL ? text : "/validate",
                                .body = flv_buf_slice(&f->text),
                                .has_body = true};
    rc = cli_rest_ask(r, &ask, a, err);
    flv_buf_deinit(&path);
    return rc;
}

/* The texts that scripts of old look for. */
static flv_rc read_answer(const struct change_file *f,
                          enum change how,
                          const struct cli_answer *a,
                          struct flv_err *err)
{
    if (a->status == 404 && how == UPDATE) {
        return flv_fail(err, FLV_E_NOT_FOUND, "%.80s - does not exist.",
                        f->name);
    }
    if (a->status == 400 || f->name == NULL) {
        return refused(f, a, err);
    }
    flv_rc rc = cli_answer_fail(a, err);
    if (rc == FLV_OK) {
        (void)show_problems(f, a);
    }
    if (rc == FLV_OK && how == APPLY) {
        cli_say(stdout, "connector \"%s\" %s", f->name,
                cli_text(a->root, "result"));
    }
    return rc;
}

static int change(struct cli *c, const char *path, enum change how)
{
    struct change_file f = {.name = NULL};
    struct cli_rest r = {.folder_fd = -1};
    struct cli_answer a = {.status = 0};
    struct flv_err err = {0};
    flv_buf_init(&f.text, FLV_DOC_BYTES_MAX);
    flv_rc rc = read_change(&f, path, &err);
    rc = rc == FLV_OK ? cli_rest_open(&r, c, &err) : rc;
    rc = rc == FLV_OK ? send_change(&r, &f, how, &a, &err) : rc;
    rc = rc == FLV_OK ? read_answer(&f, how, &a, &err) : rc;
    cli_answer_deinit(&a);
    cli_rest_close(&r);
    flv_doc_destroy(f.doc);
    flv_buf_deinit(&f.text);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static int create_run(struct flv_args *args, void *ctx)
{
    const struct file_conf *conf = flv_args_conf(args);
    return change(ctx, conf->config, CREATE);
}

static int apply_run(struct flv_args *args, void *ctx)
{
    const struct file_conf *conf = flv_args_conf(args);
    return change(ctx, conf->config, APPLY);
}

static int update_run(struct flv_args *args, void *ctx)
{
    const struct file_conf *conf = flv_args_conf(args);
    return change(ctx, conf->config, UPDATE);
}

const struct flv_cmd cli_cmd_managed_create = {
    .name = "create",
    .about = "Create a new Managed Connector\n\n"
             "The file is checked before anything is stored. A name that is "
             "taken is an error that changes nothing; `apply` may be repeated.",
    .opts = file_opts,
    .conf_size = sizeof(struct file_conf),
    .run = create_run,
};

const struct flv_cmd cli_cmd_managed_apply = {
    .name = "apply",
    .about = "Create or update a Managed Connector, or leave it alone when "
             "nothing changed",
    .opts = file_opts,
    .conf_size = sizeof(struct file_conf),
    .run = apply_run,
};

const struct flv_cmd cli_cmd_managed_update = {
    .name = "update",
    .about = "Update and restart an existing Managed Connector\n\n"
             "It is drained and stopped, and goes on from the same position "
             "with the new file.",
    .opts = file_opts,
    .conf_size = sizeof(struct file_conf),
    .run = update_run,
};

/* ---- delete, pause, resume, restart ----------------------------------------
 */

struct names_conf {
    struct flv_list names;
    bool all;
};

static const struct flv_opt delete_opts[] = {
    {.name = "name",
     FLV_LIST(struct names_conf, names),
     .flags = FLV_OPT_POSITIONAL,
     .help = "The names of the connectors to delete"},
    {.name = "all",
     FLV_FLAG(struct names_conf, all),
     .help = "Delete every connector"},
    {.name = NULL}};

static const struct flv_opt names_opts[] = {
    {.name = "name",
     FLV_LIST(struct names_conf, names),
     .flags = FLV_OPT_POSITIONAL,
     .help = "The names of the connectors"},
    {.name = "all",
     FLV_FLAG(struct names_conf, all),
     .help = "Every connector"},
    {.name = NULL}};

/* One request per name. */
struct verb {
    const char *method, *behind, *done; /* done NULL: silent */
    struct cli_rest *r;                 /* borrowed */
    bool several;
    bool failed;
};

static flv_rc act(struct verb *v, const char *name, struct flv_err *err)
{
    struct cli_answer a;
    flv_rc rc = cli_managed_ask(v->r, v->method, name, v->behind, &a, err);
    rc = rc == FLV_OK ? cli_answer_fail(&a, err) : rc;
    if (rc == FLV_OK && v->done != NULL) {
        printf("connector \"%s\" %s\n", name, v->done);
    }
    cli_answer_deinit(&a);
    return rc;
}

/* With several names one failure does not keep the others from being done. */
static flv_rc act_on_each(void *arg, const char *name, struct flv_err *err)
{
    struct verb *v = arg;
    struct flv_err why = {0};
    flv_rc rc = act(v, name, &why);
    if (rc == FLV_OK || rc == FLV_E_CONNECT || !v->several) {
        if (rc != FLV_OK) {
            *err = why;
        }
        return rc;
    }
    cli_failf("%s: %s", name, why.text);
    v->failed = true;
    return FLV_OK;
}

static int
run_verb(struct cli *c, const struct names_conf *conf, struct verb *v)
{
    struct cli_rest r = {.folder_fd = -1};
    struct flv_err err = {0};
    if (conf->all == (conf->names.count > 0)) {
        return cli_usage(c, conf->all ? "the argument '--all' cannot be used "
                                        "with '[name]...'"
                                      : "the names of connectors are missing, "
                                        "or '--all'");
    }
    flv_rc rc = cli_rest_open(&r, c, &err);
    v->r = &r;
    v->several = conf->all || conf->names.count > 1;
    if (rc == FLV_OK && conf->all) {
        rc = cli_managed_each(&r, act_on_each, v, &err);
    }
    for (size_t i = 0; rc == FLV_OK && i < conf->names.count; i++) {
        rc = act_on_each(v, conf->names.items[i], &err);
    }
    cli_rest_close(&r);
    v->r = NULL;
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    return v->failed ? CLI_EXIT_FAILURE : 0;
}

static int delete_run(struct flv_args *args, void *ctx)
{
    struct verb v = {.method = "DELETE", .behind = ""};
    return run_verb(ctx, flv_args_conf(args), &v);
}

static int pause_run(struct flv_args *args, void *ctx)
{
    struct verb v = {.method = "PUT", .behind = "/pause", .done = "paused"};
    return run_verb(ctx, flv_args_conf(args), &v);
}

static int resume_run(struct flv_args *args, void *ctx)
{
    struct verb v = {.method = "PUT", .behind = "/resume", .done = "resumed"};
    return run_verb(ctx, flv_args_conf(args), &v);
}

static int restart_run(struct flv_args *args, void *ctx)
{
    struct verb v = {
        .method = "POST", .behind = "/restart", .done = "restarted"};
    return run_verb(ctx, flv_args_conf(args), &v);
}

const struct flv_cmd cli_cmd_managed_delete = {
    .name = "delete",
    .about = "Delete one or more Managed Connectors; their topics stay",
    .opts = delete_opts,
    .conf_size = sizeof(struct names_conf),
    .run = delete_run,
};

const struct flv_cmd cli_cmd_managed_pause = {
    .name = "pause",
    .about = "Pause connectors: what is under way is delivered, nothing new "
             "is taken",
    .opts = names_opts,
    .conf_size = sizeof(struct names_conf),
    .run = pause_run,
};

const struct flv_cmd cli_cmd_managed_resume = {
    .name = "resume",
    .about = "Let paused connectors go on",
    .opts = names_opts,
    .conf_size = sizeof(struct names_conf),
    .run = resume_run,
};

const struct flv_cmd cli_cmd_managed_restart = {
    .name = "restart",
    .about = "Drain connectors, stop and start them; failed ones are tried "
             "again",
    .opts = names_opts,
    .conf_size = sizeof(struct names_conf),
    .run = restart_run,
};
