/* Command lines of opt.h: from argv to a path of commands and their confs. */
#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/opt_priv.h"
#include "base/text.h"

#define TEXT_MAX (512 << 10)
#define WORD_SHOWN_MAX 60

/* Where reading stands. The words are argv[next..argc-1]. */
struct walk {
    struct flv_args *args; /* borrowed */
    char *const *argv;     /* borrowed */
    int argc, next;
    size_t places;    /* positionals filled in this command */
    bool only_places; /* after "--" */
    bool done;        /* help, version or an external command */
    struct flv_err *err;
};

const struct flv_cmd *flv_args_cmd(const struct flv_args *a)
{
    assert(a->depth > 0);
    return a->path[a->depth - 1];
}

void *flv_args_conf(const struct flv_args *a)
{
    assert(a->depth > 0);
    return a->conf[a->depth - 1];
}

struct flv_opts *flv_args_opts(struct flv_args *a)
{
    assert(a->depth > 0);
    return &a->opts[a->depth - 1];
}

void flv_args_deinit(struct flv_args *a)
{
    for (size_t i = 0; a != NULL && i < FLV_ARGS_DEPTH_MAX; i++) {
        if (a->conf[i] != NULL) {
            flv_opts_deinit(&a->opts[i]);
            flv_free(a->conf[i]);
            a->conf[i] = NULL;
        }
    }
    if (a != NULL) {
        flv_buf_deinit(&a->text);
    }
}

/* ---- Messages ---------------------------------------------------------- */

static flv_rc no_memory(struct flv_args *a, struct flv_err *err)
{
    a->outcome = FLV_ARGS_ERROR;
    flv_buf_reset(&a->text);
    return flv_fail(err, FLV_E_NOMEM, "out of memory for the command line");
}

/* The message around a sentence: "error: ", the body (lines, or NULL), a tip
 * (or NULL), usage, and where help is. */
static flv_rc refuse(struct flv_args *a,
                     struct flv_err *err,
                     const char *sentence,
                     const char *body,
                     const char *tip)
{
    bool old = a->path[0]->style == FLV_HELP_CLAP2;
    struct flv_buf *b = &a->text;
    flv_rc rc;

    flv_buf_reset(b);
    rc = flv_buf_addf(b, "error: %s\n", sentence);
    if (rc == FLV_OK && body != NULL) {
        rc = flv_buf_add_str(b, body);
    }
    if (rc == FLV_OK && tip != NULL) {
        rc = flv_buf_addf(b, "\n  tip: %s\n", tip);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(b, "\n");
    }
    if (rc == FLV_OK) {
        rc = flv__opt_usage(a->path, a->depth, b);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(b, old ? "\nFor more information try --help\n"
                                    : "\nFor more information, try "
                                      "'--help'.\n");
    }
    if (rc != FLV_OK || flv_buf_str(b) == NULL) {
        return no_memory(a, err);
    }
    a->outcome = FLV_ARGS_ERROR;
    return flv_fail(err, FLV_E_USAGE, "%s", sentence);
}

flv_rc
flv_args_fail(struct flv_args *a, struct flv_err *err, const char *fmt, ...)
{
    char sentence[FLV_ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    return refuse(a, err, sentence, NULL, NULL);
}

/* A word of the user's, without control bytes, cut to fit a sentence. */
static const char *show(const char *word, char out[WORD_SHOWN_MAX])
{
    size_t i = 0;

    for (; i < WORD_SHOWN_MAX - 1 && word[i] != '\0'; i++) {
        unsigned char c = (unsigned char)word[i];

        out[i] = c < 0x20 || c == 0x7f ? '?' : word[i];
    }
    out[i] = '\0';
    return out;
}

static flv_rc
bad_value(struct walk *w, const struct flv_opt *opt, const struct flv_err *why)
{
    struct flv_args *a = w->args;
    char shown[FLV_OPT_SHOWN_MAX], sentence[FLV_ERR_TEXT_MAX * 2];

    if (why->rc == FLV_E_NOMEM) {
        return no_memory(a, w->err);
    }
    flv__opt_show(opt, a->path[0]->style, shown);
    snprintf(sentence, sizeof(sentence), "invalid value for '%.80s': %s", shown,
             why->text);
    return refuse(a, w->err, sentence, NULL, NULL);
}

static flv_rc unexpected(struct walk *w, const char *word, const char *tip)
{
    char shown[WORD_SHOWN_MAX], sentence[120];

    snprintf(sentence, sizeof(sentence), "unexpected argument '%s' found",
             show(word, shown));
    return refuse(w->args, w->err, sentence, NULL, tip);
}

/* name has no dashes and may have a value behind '='. */
static flv_rc unknown_long(struct walk *w, const char *word, const char *name)
{
    struct flv_args *a = w->args;
    const struct flv_opt *table = flv_args_cmd(a)->opts;
    struct flv_nearest near;
    char tip[160];

    for (size_t i = 0; i + 1 < a->depth; i++) {
        if (flv_opt_find(a->path[i]->opts, name) != NULL) {
            snprintf(tip, sizeof(tip), "'--%.60s' goes before '%.60s'", name,
                     a->path[i + 1]->name);
            return unexpected(w, word, tip);
        }
    }
    flv_nearest_init(&near, name);
    for (; table != NULL && table->name != NULL; table++) {
        if ((table->flags & (FLV_OPT_HIDDEN | FLV_OPT_POSITIONAL)) == 0) {
            flv_nearest_offer(&near, table->name);
        }
    }
    flv_nearest_offer(&near, "help");
    if (flv_nearest_get(&near) == NULL) {
        return unexpected(w, word, NULL);
    }
    snprintf(tip, sizeof(tip), "a similar option exists: '--%.80s'",
             flv_nearest_get(&near));
    return unexpected(w, word, tip);
}

static flv_rc unknown_command(struct walk *w, const char *word)
{
    const struct flv_cmd *const *sub = flv_args_cmd(w->args)->commands;
    char shown[WORD_SHOWN_MAX], sentence[120], tip[160];
    struct flv_nearest near;

    flv_nearest_init(&near, word);
    for (; *sub != NULL; sub++) {
        if (((*sub)->flags & FLV_CMD_HIDDEN) == 0) {
            flv_nearest_offer(&near, (*sub)->name);
        }
    }
    snprintf(sentence, sizeof(sentence), "unrecognized subcommand '%s'",
             show(word, shown));
    if (flv_nearest_get(&near) == NULL) {
        return refuse(w->args, w->err, sentence, NULL, NULL);
    }
    snprintf(tip, sizeof(tip), "a similar subcommand exists: '%.80s'",
             flv_nearest_get(&near));
    return refuse(w->args, w->err, sentence, NULL, tip);
}

/* ---- Help and version -------------------------------------------------- */

static flv_rc answer(struct walk *w,
                     flv_rc (*write)(const struct flv_cmd *const *path,
                                     size_t depth,
                                     struct flv_buf *b))
{
    struct flv_args *a = w->args;

    flv_buf_reset(&a->text);
    if (write(a->path, a->depth, &a->text) != FLV_OK ||
        flv_buf_str(&a->text) == NULL) {
        return no_memory(a, w->err);
    }
    a->outcome = FLV_ARGS_HELP;
    w->done = true;
    return FLV_OK;
}

static flv_rc answer_help(struct walk *w)
{
    return answer(w, flv_args_help);
}

static flv_rc answer_version(struct walk *w)
{
    struct flv_args *a = w->args;

    flv_buf_reset(&a->text);
    if (flv_buf_addf(&a->text, "%s %s\n", a->path[0]->name,
                     a->path[0]->version) != FLV_OK ||
        flv_buf_str(&a->text) == NULL) {
        return no_memory(a, w->err);
    }
    a->outcome = FLV_ARGS_VERSION;
    w->done = true;
    return FLV_OK;
}

static bool has_version(const struct walk *w)
{
    return w->args->depth == 1 && w->args->path[0]->version != NULL;
}

/* ---- Commands ---------------------------------------------------------- */

static flv_rc enter(struct walk *w, const struct flv_cmd *cmd)
{
    struct flv_args *a = w->args;
    size_t level = a->depth;

    assert(level < FLV_ARGS_DEPTH_MAX);
    assert(cmd->opts == NULL || cmd->opts->name == NULL || cmd->conf_size > 0);
    if (cmd->conf_size > 0) {
        a->conf[level] = flv_zalloc(1, cmd->conf_size);
        if (a->conf[level] == NULL) {
            return no_memory(a, w->err);
        }
    }
    a->path[level] = cmd;
    a->depth++;
    flv_opts_init(&a->opts[level], cmd->opts, a->conf[level]);
    w->places = 0;
    return FLV_OK;
}

static const struct flv_cmd *find_command(const struct flv_cmd *cmd,
                                          const char *word)
{
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        const struct flv_cmd *sub = cmd->commands[i];
        const char *const *alias = sub->aliases;

        if (strcmp(sub->name, word) == 0) {
            return sub;
        }
        for (; alias != NULL && *alias != NULL; alias++) {
            if (strcmp(*alias, word) == 0) {
                return sub;
            }
        }
    }
    return NULL;
}

/* "help topic create": the words behind help name the command. */
static flv_rc help_command(struct walk *w)
{
    for (; w->next < w->argc; w->next++) {
        const char *word = w->argv[w->next];
        const struct flv_cmd *sub = find_command(flv_args_cmd(w->args), word);
        flv_rc rc;

        if (sub == NULL) {
            return flv_args_cmd(w->args)->commands != NULL
                       ? unknown_command(w, word)
                       : unexpected(w, word, NULL);
        }
        rc = enter(w, sub);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    return answer_help(w);
}

static flv_rc command_word(struct walk *w, const char *word)
{
    const struct flv_cmd *cmd = flv_args_cmd(w->args);
    const struct flv_cmd *sub = find_command(cmd, word);

    if (sub != NULL) {
        return enter(w, sub);
    }
    if (strcmp(word, "help") == 0) {
        return help_command(w);
    }
    if ((cmd->flags & FLV_CMD_EXTERNAL) != 0) {
        w->args->rest = w->argv + w->next - 1;
        w->args->rest_count = (size_t)w->argc - (size_t)w->next + 1;
        w->args->outcome = FLV_ARGS_EXTERNAL;
        w->done = true;
        return FLV_OK;
    }
    return unknown_command(w, word);
}

/* ---- Options ----------------------------------------------------------- */

static flv_rc set_value(struct walk *w, size_t index, const char *text)
{
    struct flv_opts *o = flv_args_opts(w->args);
    const struct flv_opt *opt = &o->table[index];
    struct flv_err why = {.rc = FLV_OK};
    char shown[FLV_OPT_SHOWN_MAX];

    if (o->source[index] == FLV_SOURCE_USER && opt->type != FLV_OPT_LIST) {
        flv__opt_show(opt, w->args->path[0]->style, shown);
        return flv_args_fail(
            w->args, w->err,
            "the argument '%.100s' cannot be used multiple times", shown);
    }
    if (flv__opt_set_at(o, index, text, FLV_SOURCE_USER, &why) != FLV_OK) {
        return bad_value(w, opt, &why);
    }
    return FLV_OK;
}

/* May the next word be the value of opt? */
static bool takes_next(const struct walk *w, const struct flv_opt *opt)
{
    const char *word = w->next < w->argc ? w->argv[w->next] : NULL;
    union flv_opt_value v;

    if (word == NULL) {
        return false;
    }
    if ((opt->flags & FLV_OPT_DASH_OK) == 0 && word[0] == '-' &&
        word[1] != '\0' &&
        !(opt->type == FLV_OPT_I64 && isdigit((unsigned char)word[1]))) {
        return false;
    }
    /* A value that may be left out is only what reads as one. */
    return opt->bare == NULL || flv__opt_parse(opt, word, &v, NULL) == FLV_OK;
}

/* attached: text behind '=' or behind the letter, or NULL. */
static flv_rc option(struct walk *w, size_t index, const char *attached)
{
    const struct flv_opt *opt = &flv_args_opts(w->args)->table[index];
    char shown[FLV_OPT_SHOWN_MAX];

    if (opt->type == FLV_OPT_FLAG) {
        if (attached != NULL) {
            return flv_args_fail(w->args, w->err,
                                 "unexpected value for '--%.60s' found; it is "
                                 "a flag",
                                 opt->name);
        }
        return set_value(w, index, "true");
    }
    if (attached != NULL) {
        return set_value(w, index, attached);
    }
    if (takes_next(w, opt)) {
        return set_value(w, index, w->argv[w->next++]);
    }
    if (opt->bare != NULL) {
        return set_value(w, index, opt->bare);
    }
    flv__opt_show(opt, w->args->path[0]->style, shown);
    const char *next = w->next < w->argc ? w->argv[w->next] : "";
    if (next[0] == '-' && isdigit((unsigned char)next[1])) {
        return flv_args_fail(w->args, w->err,
                             "a value is required for '%.100s', and '%.40s' "
                             "is none: it begins with '-'",
                             shown, next);
    }
    return flv_args_fail(w->args, w->err,
                         "a value is required for '%.100s' but none was "
                         "supplied",
                         shown);
}

static flv_rc long_word(struct walk *w, const char *word)
{
    const struct flv_opt *table = flv_args_opts(w->args)->table;
    const char *eq = strchr(word, '=');
    size_t len = eq != NULL ? (size_t)(eq - word) : strlen(word);
    char name[FLV_OPT_SHOWN_MAX], typed[FLV_OPT_SHOWN_MAX + 2];
    int index;

    if (len - 2 >= sizeof(name)) {
        return unexpected(w, word, NULL);
    }
    memcpy(name, word + 2, len - 2);
    name[len - 2] = '\0';
    index = flv__opt_index(table, name);
    if (index >= 0 && (table[index].flags & FLV_OPT_POSITIONAL) == 0) {
        return option(w, (size_t)index, eq != NULL ? eq + 1 : NULL);
    }
    if (strcmp(name, "help") == 0 && eq == NULL) {
        return answer_help(w);
    }
    if (strcmp(name, "help-man") == 0 && eq == NULL) {
        return answer(w, flv_args_man);
    }
    if (strcmp(name, "version") == 0 && eq == NULL && has_version(w)) {
        return answer_version(w);
    }
    /* What stands behind '=' may be a secret: it is not repeated. */
    snprintf(typed, sizeof(typed), "--%s", name);
    return unknown_long(w, typed, name);
}

static int letter_index(const struct flv_opt *table, char letter)
{
    for (int i = 0; table != NULL && table[i].name != NULL; i++) {
        if (table[i].letter == letter) {
            return i;
        }
    }
    return -1;
}

/* Of an option whose value may be left out, what stands behind the letter and
 * reads as no value are more letters: -Bd is -B -d. */
static bool is_more_letters(const struct flv_opt *table,
                            const struct flv_opt *opt,
                            const char *behind)
{
    union flv_opt_value v;

    return opt->bare != NULL && behind[0] != '\0' && behind[0] != '=' &&
           letter_index(table, behind[0]) >= 0 &&
           flv__opt_parse(opt, behind, &v, NULL) != FLV_OK;
}

/* "-abc", "-ov", "-o=v" */
static flv_rc letters_word(struct walk *w, const char *word)
{
    const struct flv_opt *table = flv_args_opts(w->args)->table;
    flv_rc rc = FLV_OK;

    for (const char *p = word + 1; *p != '\0' && rc == FLV_OK; p++) {
        int index = letter_index(table, *p);
        char alone[3] = {'-', *p, '\0'};

        if (index >= 0 && table[index].type == FLV_OPT_FLAG && p[1] != '=') {
            rc = option(w, (size_t)index, NULL);
        } else if (index >= 0 && is_more_letters(table, &table[index], p + 1)) {
            rc = set_value(w, (size_t)index, table[index].bare);
        } else if (index >= 0) {
            const char *value = p[1] == '=' ? p + 2 : p + 1;

            return option(w, (size_t)index, p[1] != '\0' ? value : NULL);
        } else if (*p == 'h') {
            return answer_help(w);
        } else if (*p == 'V' && has_version(w)) {
            return answer_version(w);
        } else {
            return unexpected(w, alone, NULL);
        }
    }
    return rc;
}

static flv_rc place_word(struct walk *w, const char *word)
{
    const struct flv_opt *table = flv_args_opts(w->args)->table;
    size_t seen = 0;

    for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
        if ((table[i].flags & FLV_OPT_POSITIONAL) == 0) {
            continue;
        }
        if (seen == w->places) {
            /* A list stays in its place and takes all that follow. */
            w->places += table[i].type != FLV_OPT_LIST;
            return set_value(w, i, word);
        }
        seen++;
    }
    return unexpected(w, word, NULL);
}

static flv_rc read_word(struct walk *w)
{
    const char *word = w->argv[w->next++];

    if (!w->only_places && word[0] == '-' && word[1] != '\0') {
        if (strcmp(word, "--") == 0) {
            w->only_places = true;
            return FLV_OK;
        }
        return word[1] == '-' ? long_word(w, word) : letters_word(w, word);
    }
    if (!w->only_places && flv_args_cmd(w->args)->commands != NULL) {
        return command_word(w, word);
    }
    return place_word(w, word);
}

/* ---- The end ----------------------------------------------------------- */

static flv_rc add_missing(struct flv_buf *body,
                          const struct flv_opts *o,
                          enum flv_help_style style)
{
    const char *indent = style == FLV_HELP_CLAP2 ? "    " : "  ";
    size_t count = flv__opt_count(o->table);
    char shown[FLV_OPT_SHOWN_MAX];

    for (size_t i = 0; i < count; i++) {
        if (flv__opt_missing(o, i)) {
            flv__opt_show(&o->table[i], style, shown);
            if (flv_buf_addf(body, "%s%s\n", indent, shown) != FLV_OK) {
                return FLV_E_NOMEM;
            }
        }
    }
    return FLV_OK;
}

static flv_rc refuse_missing(struct flv_args *a,
                             const struct flv_opts *o,
                             struct flv_err *err)
{
    enum flv_help_style style = a->path[0]->style;
    const char *sentence =
        style == FLV_HELP_CLAP2
            ? "The following required arguments were not provided:"
            : "the following required arguments were not provided:";
    struct flv_buf body;
    const char *lines;
    flv_rc rc;

    flv_buf_init(&body, TEXT_MAX);
    rc = add_missing(&body, o, style);
    lines = rc == FLV_OK ? flv_buf_str(&body) : NULL;
    if (lines == NULL) {
        rc = no_memory(a, err);
    } else if (body.len > 0) {
        rc = refuse(a, err, sentence, lines, NULL);
        if (rc == FLV_E_USAGE) {
            rc = flv__opt_fail_missing(o, err); /* one line, with the names */
        }
    }
    flv_buf_deinit(&body);
    return rc;
}

static flv_rc
finish_level(struct flv_args *a, struct flv_opts *o, struct flv_err *err)
{
    char one[FLV_OPT_SHOWN_MAX], two[FLV_OPT_SHOWN_MAX];
    enum flv_help_style style = a->path[0]->style;
    struct flv_err why = {.rc = FLV_OK};
    size_t i, j;
    flv_rc rc = flv__opt_fill(o, &why);

    if (rc == FLV_E_NOMEM) {
        return no_memory(a, err);
    }
    if (rc != FLV_OK) {
        return refuse(a, err, why.text, NULL, NULL);
    }
    if (flv__opt_conflict(o, &i, &j)) {
        flv__opt_show(&o->table[i], style, one);
        flv__opt_show(&o->table[j], style, two);
        return flv_args_fail(a, err,
                             "the argument '%.80s' cannot be used with "
                             "'%.80s'",
                             one, two);
    }
    return refuse_missing(a, o, err);
}

flv_rc flv_args_finish(struct flv_args *a, struct flv_err *err)
{
    for (size_t i = 0; i < a->depth; i++) {
        flv_rc rc = finish_level(a, &a->opts[i], err);

        if (rc != FLV_OK) {
            return rc;
        }
    }
    return FLV_OK;
}

flv_rc flv_args_parse(struct flv_args *a,
                      const struct flv_cmd *root,
                      int argc,
                      char *const *argv,
                      struct flv_err *err)
{
    struct walk w = {
        .args = a, .argv = argv, .argc = argc, .next = 1, .err = err};
    const struct flv_cmd *cmd;
    flv_rc rc;

    *a = (struct flv_args){.outcome = FLV_ARGS_RUN};
    flv_buf_init(&a->text, TEXT_MAX);
    rc = enter(&w, root);
    while (rc == FLV_OK && !w.done && w.next < argc) {
        rc = read_word(&w);
    }
    if (rc != FLV_OK || w.done) {
        return rc;
    }
    cmd = flv_args_cmd(a);
    if (cmd->commands != NULL && (cmd->flags & FLV_CMD_RUNS) == 0) {
        return answer_help(&w);
    }
    return (cmd->flags & FLV_CMD_DEFER) != 0 ? FLV_OK : flv_args_finish(a, err);
}
