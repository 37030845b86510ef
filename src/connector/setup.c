#include "connector/setup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "connector/consumer.h"
#include "connector/describe.h"
#include "connector/mistakes.h"

#define TEXT_MAX ((size_t)1024 * 1024)

static int fail(const struct flv_err *err)
{
    (void)fprintf(stderr, "error: %s\n", err->text);
    return FLV_EXIT_FAILURE;
}

/* Help says how this program is called, not only what its type is. */
static void print_text(FILE *to, const char *text)
{
    static const char usage[] = "USAGE:\n    ";
    const char *at = strstr(text, usage);
    if (at != NULL) {
        size_t head = (size_t)(at - text) + sizeof(usage) - 1;
        (void)fwrite(text, 1, head, to);
        (void)fputs("fluvio-connect-", to);
        text += head;
    }
    (void)fputs(text, to);
}

static int print_data(const struct flv_connector *type,
                      flv_rc (*make)(const struct flv_connector *type,
                                     struct flv_buf *b,
                                     struct flv_err *err))
{
    struct flv_buf b;
    struct flv_err err = {0};
    flv_buf_init(&b, TEXT_MAX);
    int code = FLV_EXIT_DONE;
    if (make(type, &b, &err) != FLV_OK) {
        code = fail(&err);
    } else if (fwrite(b.data, 1, b.len, stdout) != b.len ||
               fflush(stdout) != 0) {
        code = FLV_EXIT_FAILURE;
    }
    flv_buf_deinit(&b);
    return code;
}

/* --- files --------------------------------------------------------------- */

static flv_rc check_type(const struct flv_setup *s, struct flv_err *err)
{
    const struct flv_cfile *f = &s->file;
    size_t stem = flv_cfile_type_len(f->type);
    if (f->direction == FLV_CFILE_SINK && s->type->sink == NULL &&
        strncmp(f->type, s->type->name, stem) == 0 &&
        s->type->name[stem] == '\0') {
        return flv_doc_fail(f->doc, f->type_node, err,
                            "the direction is sink, but \"%s\" is a source",
                            s->type->name);
    }
    if (strcmp(f->type, s->type->name) != 0) {
        return flv_doc_fail(f->doc, f->type_node, err,
                            "the type is \"%.40s\" but this program is the "
                            "connector \"%s\"; run fluvio-connect-%.40s",
                            f->type, s->type->name, f->type);
    }
    return FLV_OK;
}

static flv_rc unknown_setting(const struct flv_setup *s,
                              const struct flv_setting *set,
                              struct flv_err *err)
{
    struct flv_nearest near;
    flv_nearest_init(&near, set->key);
    for (const struct flv_opt *o = s->opts.table; o->name != NULL; o++) {
        if ((o->flags & (FLV_OPT_LINE | FLV_OPT_HIDDEN)) == 0) {
            flv_nearest_offer(&near, o->name);
        }
    }
    const char *best = flv_nearest_get(&near);
    return flv_doc_fail(s->file.doc, set->key_node, err,
                        "\"%.60s\" is not a setting of %s%s%s%s", set->key,
                        s->type->name, best != NULL ? "; did you mean \"" : "",
                        best != NULL ? best : "", best != NULL ? "\"?" : "");
}

static flv_rc
apply(struct flv_setup *s, const struct flv_setting *set, struct flv_err *err)
{
    const struct flv_opt *opt = flv_opt_find(s->opts.table, set->key);
    if (opt == NULL || (opt->flags & FLV_OPT_LINE) != 0) {
        return unknown_setting(s, set, err);
    }
    struct flv_err why = {0};
    flv_rc rc = flv_opts_set(flv_args_opts(&s->args), set->key, set->value,
                             FLV_SOURCE_FILE, &why);
    if (rc == FLV_OK) {
        return FLV_OK;
    }
    if (set->secret) {
        return flv_doc_fail(s->file.doc, set->node, err,
                            "the secret in \"%.60s\" is not a valid value",
                            set->key);
    }
    return flv_doc_fail(s->file.doc, set->node, err, "%s: %s", opt->name,
                        why.text);
}

/* A flat file's secrets are the environment of the connector. */
static flv_rc export_secrets(const struct flv_cfile *f, struct flv_err *err)
{
    for (size_t i = 0; i < f->secret_count; i++) {
        if (setenv(f->secrets[i].name, f->secrets[i].value, 1) != 0) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
    }
    return FLV_OK;
}

/* An inherited descriptor with secrets has served once it was read. */
static flv_rc read_secrets(struct flv_setup *s, struct flv_err *err)
{
    static const char inherited[] = "/dev/fd/";
    const char *path = flv__setup_shared(s)->secrets;
    uint64_t fd = 0;
    if (path == NULL) {
        return FLV_OK;
    }
    flv_rc rc = flv__secrets_read(&s->secrets, path, err);
    if (strncmp(path, inherited, sizeof(inherited) - 1) == 0 &&
        flv_text_u64(path + sizeof(inherited) - 1, STDERR_FILENO + 1, INT_MAX,
                     &fd, NULL) == FLV_OK) {
        (void)close((int)fd);
    }
    return rc;
}

static flv_rc check_lock(const struct flv_setup *s, struct flv_err *err)
{
    uint64_t fd = flv__conn_shared(flv_args_conf(&s->args))->lock_fd;
    if (fd > 0 && fcntl((int)fd, F_GETFD) < 0) {
        return flv_fail_sys(err, FLV_E_INVALID, errno,
                            "lock-fd %u is no descriptor", (unsigned)fd);
    }
    return FLV_OK;
}

static flv_rc read_files(struct flv_setup *s, struct flv_err *err)
{
    const struct flv_shared_conf *shared = flv__setup_shared(s);
    flv_rc rc = check_lock(s, err);
    if (rc == FLV_OK) {
        rc = read_secrets(s, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (shared->config == NULL) {
        return FLV_OK;
    }
    const struct flv_cfile_conf conf = {.section = s->type->section,
                                        .secret = flv__secrets_get,
                                        .secret_arg = &s->secrets};
    s->has_file = true;
    rc = flv_cfile_read(&s->file, shared->config, &conf, err);
    if (rc == FLV_OK) {
        rc = check_type(s, err);
    }
    if (rc == FLV_OK) {
        rc = export_secrets(&s->file, err);
    }
    if (rc == FLV_OK) {
        rc = flv_opts_set(flv_args_opts(&s->args), "fluvio-topic",
                          s->file.topic.name, FLV_SOURCE_FILE, err);
    }
    for (size_t i = 0; rc == FLV_OK && i < s->file.setting_count; i++) {
        rc = apply(s, &s->file.settings[i], err);
    }
    if (rc == FLV_OK && s->type->sink != NULL) {
        rc = flv__consumer_apply(&s->file, flv_args_opts(&s->args), err);
    }
    return rc;
}

/* --- logging ------------------------------------------------------------- */

static flv_rc set_log(struct flv_setup *s, struct flv_err *err)
{
    const char *option = flv__setup_shared(s)->rust_log;
    const char *env = getenv("RUST_LOG");
    const char *spec = option != NULL ? option : env;
    if (spec == NULL || spec[0] == '\0') {
        return FLV_OK;
    }
    flv_rc rc = flv_log_setup(spec, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, option != NULL ? "rust-log" : "RUST_LOG");
    }
    return rc;
}

static void log_warnings(const struct flv_setup *s)
{
    for (size_t i = 0; s->has_file && i < s->file.warning_count; i++) {
        flv_log_warn("config", "ignored",
                     FLV_KV_STR("reason", s->file.warnings[i]));
    }
    if (s->has_file && s->file.consumer != NULL && s->type->source != NULL) {
        flv_log_warn(
            "config", "ignored",
            FLV_KV_STR("reason", "consumer is for sinks; this is a source"));
    }
}

/* --- the whole ----------------------------------------------------------- */

static flv_rc
parse_line(struct flv_setup *s, int argc, char **argv, struct flv_err *err)
{
    flv_rc rc = flv__conn_opts_init(&s->opts, s->type, err);
    if (rc != FLV_OK) {
        return rc;
    }
    snprintf(s->program, sizeof s->program, "fluvio-connect-%s", s->type->name);
    s->cmd = (struct flv_cmd){.name = s->type->name,
                              .program = s->program,
                              .summary = s->type->summary,
                              .version = s->type->version,
                              .style = FLV_HELP_CLAP2,
                              .opts = s->opts.table,
                              .conf_size = s->opts.conf_size,
                              .flags = FLV_CMD_DEFER};
    s->args_read = true;
    return flv_args_parse(&s->args, &s->cmd, argc, argv, err);
}

/* What only this room can check, after all values are there. */
static flv_rc check(struct flv_setup *s, struct flv_err *err)
{
    const struct flv_cfile_conf secrets = {.secret = flv__secrets_get,
                                           .secret_arg = &s->secrets};
    flv_rc rc = flv__plan_make(&s->plan, flv_args_opts(&s->args),
                               s->has_file ? &s->file : NULL, &secrets,
                               s->type->sink != NULL, err);
    if (rc == FLV_OK) {
        rc = flv__plan_read(&s->plan, err);
    }
    if (rc == FLV_OK && s->type->sink != NULL) {
        rc = flv__consumer_check(flv__setup_shared(s), &s->plan, err);
    }
    if (rc != FLV_OK || s->type->check == NULL) {
        return rc;
    }
    return s->type->check(flv__setup_own(s), err);
}

static int usage(const struct flv_setup *s, const struct flv_err *err)
{
    if (s->args_read && s->args.outcome == FLV_ARGS_ERROR &&
        s->args.text.len > 0) {
        print_text(stderr, (const char *)s->args.text.data);
        return FLV_EXIT_FAILURE;
    }
    return fail(err);
}

bool flv__setup_read(struct flv_setup *s,
                     const struct flv_connector *type,
                     int argc,
                     char **argv,
                     int *out_exit)
{
    assert(type->abi == FLV_CONNECTOR_ABI && argc > 0);
    struct flv_err err = {0};
    *s = (struct flv_setup){.type = type};
    flv__secrets_init(&s->secrets);
    if (argc > 1 && strcmp(argv[1], "--") == 0) {
        argc--; /* `docker run IMAGE -- ARGS` arrives like this */
        argv++;
    }
    if (argc > 1 && strcmp(argv[1], "metadata") == 0) {
        *out_exit = print_data(type, flv__connector_metadata);
        return false;
    }
    if (parse_line(s, argc, argv, &err) != FLV_OK) {
        *out_exit = usage(s, &err);
        return false;
    }
    if (s->args.outcome != FLV_ARGS_RUN) {
        print_text(stdout, (const char *)s->args.text.data);
        *out_exit = FLV_EXIT_DONE;
        return false;
    }
    if (flv__setup_shared(s)->describe) {
        *out_exit = print_data(type, flv__connector_describe);
        return false;
    }
    s->exit_file = flv__setup_shared(s)->exit_file;
    if (read_files(s, &err) != FLV_OK || set_log(s, &err) != FLV_OK ||
        flv_args_finish(&s->args, &err) != FLV_OK || check(s, &err) != FLV_OK) {
        s->cause = err;
        *out_exit = flv__mistakes_print(s) ? FLV_EXIT_FAILURE : usage(s, &err);
        return false;
    }
    log_warnings(s);
    return true;
}

void flv__setup_deinit(struct flv_setup *s)
{
    flv__plan_deinit(&s->plan);
    if (s->args_read) {
        flv_args_deinit(&s->args);
    }
    if (s->has_file) {
        flv_cfile_deinit(&s->file);
    }
    flv__secrets_deinit(&s->secrets);
    flv__conn_opts_deinit(&s->opts);
}
