/* fluvio connector check: files held against the connectors of this machine. */
#include "cli/connector.h"

#include "base/text.h"
#include "catalogue/ask.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/local.h"
#include "config/secrets.h"

#include <unistd.h>

#define TEXT_BYTES_MAX ((size_t)4 << 20)
#define ASKED_TEXT_MAX (FLV_ERR_TEXT_MAX + 200)
/* The file is right, the far side is not there. */
#define EXIT_FAR 3

struct check_conf {
    struct flv_list files;
    bool probe;
    int output;
    char *secrets;
};

static const char *const check_formats[] = {"text", "json", NULL};

static const struct flv_opt check_opts[] = {
    {.name = "file",
     FLV_LIST(struct check_conf, files),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Connector files; - is the standard input"},
    {.name = "probe",
     FLV_FLAG(struct check_conf, probe),
     .help = "Also look whether the far side is there: resolve, connect, fetch "
             "once"},
    {.name = "secrets",
     FLV_STR(struct check_conf, secrets),
     .arg = "FILE",
     .help = "Values of secrets, lines of NAME=VALUE; those of the local "
             "cluster if absent"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct check_conf, output),
     .choices = check_formats,
     .arg = "type",
     .fallback = "text",
     .help = "Output"},
    {.name = NULL}};

struct check {
    struct cli *c;                   /* borrowed */
    const struct check_conf *conf;   /* borrowed */
    struct flv_catalogue *catalogue; /* owned */
    struct flv_secrets secrets;      /* owned */
    bool secrets_known;
    struct flv_buf secrets_text; /* owned; lines for programs */
    struct flv_buf out;          /* owned; what is printed at the end */
    size_t files;
    bool mistakes, far;
};

/* ---- Secrets ------------------------------------------------------------ */

/* A missing file of the cluster is no error: then nothing is known. */
static flv_rc load_secrets(struct check *k, struct flv_err *err)
{
    struct cli_local l;
    char path[CLI_PATH_MAX + 32];
    const char *given = k->conf->secrets;
    if (given == NULL) {
        flv_rc rc = cli_local_find(&l, NULL, NULL, true, err);
        if (rc != FLV_OK) {
            return rc;
        }
        snprintf(path, sizeof path, "%s/manager/secrets", l.data_dir);
        if (access(path, F_OK) != 0) {
            return FLV_OK;
        }
    } else {
        snprintf(path, sizeof path, "%s", given);
    }
    k->secrets_known = true;
    flv_rc rc = flv__secrets_read(&k->secrets, path, err);
    return rc == FLV_OK ? cli_file_read(path, &k->secrets_text, err) : rc;
}

/* ---- One file ----------------------------------------------------------- */

struct asked {
    struct cli_call call;
    enum flv_ask_outcome outcome;
    char text[ASKED_TEXT_MAX];
};

static void answered(void *arg, enum flv_ask_outcome outcome, const char *text)
{
    struct asked *a = arg;
    a->outcome = outcome;
    snprintf(a->text, sizeof a->text, "%s", text);
    cli_call_end(&a->call, NULL);
}

static flv_rc ask(struct check *k,
                  const struct flv_cat_entry *e,
                  const struct flv_buf *text,
                  bool probe,
                  struct asked *a,
                  struct flv_err *err)
{
    *a = (struct asked){.outcome = FLV_ASK_FINE};
    cli_call_init(&a->call, k->c);
    const struct flv_question question = {.file = flv_buf_slice(text),
                                          .secrets =
                                              flv_buf_slice(&k->secrets_text),
                                          .probe = probe};
    flv_rc rc = flv_ask(k->c->loop, e, &question, answered, a, err);
    return rc == FLV_OK ? cli_call_wait(&a->call, err) : rc;
}

/* What only the program can tell. Without known secrets it cannot. */
static flv_rc ask_program(struct check *k,
                          struct flv_checked *checked,
                          const struct flv_buf *text,
                          char *found,
                          size_t size,
                          struct flv_err *err)
{
    const struct flv_cat_entry *e =
        flv_catalogue_find(k->catalogue, checked->type->name);
    struct asked a;
    unsigned features = checked->type->features;
    bool open = checked->file.secrets_used && !k->secrets_known;
    flv_rc rc = FLV_OK;
    found[0] = '\0';
    if ((features & FLV_FEATURE_CHECK) != 0 && !open) {
        rc = ask(k, e, text, false, &a, err);
        if (rc == FLV_OK && a.outcome != FLV_ASK_FINE) {
            flv_check_add_program(checked, FLV_ASK_PATH, a.text);
            return FLV_OK;
        }
    }
    if (rc != FLV_OK || !k->conf->probe) {
        return rc;
    }
    if ((features & FLV_FEATURE_PROBE) == 0 || open) {
        snprintf(found, size,
                 open ? "not probed: the values of its secrets "
                        "are not known here"
                      : "nothing to probe: %s has no far side",
                 checked->type->name);
        return FLV_OK;
    }
    rc = ask(k, e, text, true, &a, err);
    if (rc == FLV_OK && a.outcome == FLV_ASK_WRONG) {
        flv_check_add_program(checked, FLV_ASK_PATH, a.text);
    } else if (rc == FLV_OK) {
        static const char mark[] = "error: ";
        bool marked = strncmp(a.text, mark, sizeof mark - 1) == 0;
        k->far = k->far || a.outcome != FLV_ASK_FINE;
        const char *what = a.outcome != FLV_ASK_FINE ? "probe failed: " : "";
        snprintf(found, size, "%s%.*s", what, (int)(size - strlen(what) - 1),
                 a.text + (marked ? sizeof mark - 1 : 0));
    }
    return rc;
}

static flv_rc add_text(struct check *k,
                       const char *name,
                       const struct flv_checked *checked,
                       const char *found)
{
    const struct flv_report *r = &checked->report;
    flv_rc rc = flv_report_text(r, name, &k->out);
    if (rc == FLV_OK && r->errors > 0) {
        return flv_buf_addf(&k->out, "%s: %zu mistake%s\n", name, r->errors,
                            r->errors == 1 ? "" : "s");
    }
    if (rc == FLV_OK) {
        rc = flv_buf_addf(&k->out, "%s: OK, connector %s of type %s %s\n", name,
                          checked->file.name, checked->type->name,
                          checked->type->version);
    }
    if (rc == FLV_OK && found[0] != '\0') {
        rc = flv_buf_addf(&k->out, "%s: %s\n", name, found);
    }
    return rc;
}

static flv_rc add_json(struct check *k,
                       const char *name,
                       const struct flv_checked *checked,
                       const char *found)
{
    bool valid = checked->report.errors == 0;
    flv_rc rc =
        flv_buf_add_str(&k->out, k->files > 1 ? ",{\"file\":" : "{\"file\":");
    rc = rc == FLV_OK ? flv_text_json_str(&k->out, name) : rc;
    rc = rc == FLV_OK ? flv_buf_addf(&k->out, ",\"valid\":%s,\"problems\":",
                                     valid ? "true" : "false")
                      : rc;
    rc = rc == FLV_OK ? flv_report_json(&checked->report, &k->out) : rc;
    if (rc == FLV_OK && valid && k->conf->probe) {
        rc = flv_buf_add_str(&k->out, ",\"probe\":");
        rc = rc == FLV_OK ? flv_text_json_str(&k->out, found) : rc;
    }
    return rc == FLV_OK ? flv_buf_add_str(&k->out, "}") : rc;
}

static flv_rc check_text(struct check *k,
                         const char *name,
                         const struct flv_buf *text,
                         struct flv_err *err)
{
    char found[ASKED_TEXT_MAX + 32] = "";
    struct flv_checked checked;
    struct flv_check_conf conf = {
        .secret = k->secrets_known ? flv__secrets_find : NULL,
        .secret_arg = &k->secrets,
        .secrets_open = !k->secrets_known,
        .secret_help = k->conf->secrets != NULL
                           ? "it is not in the file of --secrets"
                           : "set it with `fluvio secret set`"};
    flv_catalogue_check(k->catalogue, &conf);
    flv_rc rc = flv_check_text(&checked, flv_buf_slice(text), &conf, err);
    if (rc == FLV_OK && checked.report.errors == 0) {
        rc = ask_program(k, &checked, text, found, sizeof found, err);
    }
    if (rc == FLV_OK) {
        k->files++;
        k->mistakes = k->mistakes || checked.report.errors > 0;
        rc = k->conf->output == 0 ? add_text(k, name, &checked, found)
                                  : add_json(k, name, &checked, found);
        if (rc != FLV_OK) {
            rc = flv_fail(err, rc, "cannot print what is wrong with %.60s",
                          name);
        }
    }
    flv_checked_deinit(&checked);
    return rc;
}

static flv_rc check_file(struct check *k, const char *path, struct flv_err *err)
{
    struct flv_buf text;
    flv_buf_init(&text, FLV_DOC_BYTES_MAX);
    bool standard = strcmp(path, "-") == 0;
    flv_rc rc = cli_file_read(standard ? "/dev/stdin" : path, &text, err);
    if (rc == FLV_OK) {
        rc = check_text(k, standard ? "(stdin)" : path, &text, err);
    }
    flv_buf_deinit(&text);
    return rc;
}

/* ---- The command -------------------------------------------------------- */

static flv_rc print(struct check *k, struct flv_err *err)
{
    struct flv_buf pretty;
    if (k->conf->output == 0) {
        cli_put(&k->out);
        return FLV_OK;
    }
    flv_rc rc = flv_buf_add_str(&k->out, "]");
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "out of memory for the result");
    }
    flv_buf_init(&pretty, TEXT_BYTES_MAX);
    rc = cli_json_pretty(flv_buf_slice(&k->out), &pretty, err);
    if (rc == FLV_OK) {
        cli_put(&pretty);
        putchar('\n');
    }
    flv_buf_deinit(&pretty);
    return rc;
}

static flv_rc check_all(struct check *k, struct flv_err *err)
{
    flv_rc rc = load_secrets(k, err);
    rc = rc == FLV_OK ? cli_catalogue(k->c, &k->catalogue, err) : rc;
    if (rc == FLV_OK && k->conf->output != 0) {
        rc = flv_buf_add_str(&k->out, "[");
    }
    for (size_t i = 0; rc == FLV_OK && i < k->conf->files.count; i++) {
        rc = check_file(k, k->conf->files.items[i], err);
    }
    return rc == FLV_OK ? print(k, err) : rc;
}

static int check_run(struct flv_args *args, void *ctx)
{
    struct check k = {.c = ctx, .conf = flv_args_conf(args)};
    struct flv_err err = {0};
    flv__secrets_init(&k.secrets);
    flv_buf_init(&k.secrets_text, (size_t)1 << 20);
    flv_buf_init(&k.out, TEXT_BYTES_MAX);
    flv_rc rc = check_all(&k, &err);
    int status = rc != FLV_OK ? cli_fail(&err)
                 : k.mistakes ? CLI_EXIT_FAILURE
                 : k.far      ? EXIT_FAR
                              : 0;
    if (k.secrets_text.data != NULL) {
        explicit_bzero(k.secrets_text.data, k.secrets_text.len);
    }
    flv_buf_deinit(&k.secrets_text);
    flv_buf_deinit(&k.out);
    flv__secrets_deinit(&k.secrets);
    flv_catalogue_destroy(k.catalogue);
    return status;
}

const struct flv_cmd cli_cmd_connector_check = {
    .name = "check",
    .about = "Check connector files without a cluster\n\n"
             "Everything that is wrong is told at once, with its place. Exit "
             "codes: 0 all files are right (there may be warnings), 1 there "
             "are mistakes or a file cannot be read, 2 bad usage, 3 all files "
             "are right but --probe did not find a far side.",
    .opts = check_opts,
    .conf_size = sizeof(struct check_conf),
    .run = check_run,
};
