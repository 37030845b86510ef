/* Manual pages of opt.h: the same tables as help, as text for man(1). */
#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/opt_priv.h"
#include "base/out.h"

#define TEXT_BYTES_MAX (64 << 10)

/* ---- Text that roff takes literally ------------------------------------- */

static const char *escaped(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    default:
        return NULL;
    }
}

/* Up to len bytes on a line; a control character at its start would make it a
 * request. */
static void add_line(struct flv_out *o, const char *text, size_t len)
{
    if (len > 0 && text[0] == '.') {
        flv_out_str(o, "\\&");
    }
    for (size_t i = 0; i < len; i++) {
        const char one[2] = {text[i], '\0'};
        const char *instead = escaped(text[i]);

        flv_out_str(o, instead != NULL ? instead : one);
    }
}

static void add_word(struct flv_out *o, const char *text)
{
    add_line(o, text, strlen(text));
}

/* Lines stay lines; an empty one parts paragraphs. */
static void add_text(struct flv_out *o, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        add_line(o, text, len);
        flv_out_str(o, "\n");
        text += len;
        if (text[0] == '\n' && text[1] == '\n') {
            text += strspn(text, "\n");
            flv_out_str(o, *text != '\0' ? ".PP\n" : "");
        } else if (*text == '\n') {
            text++;
            flv_out_str(o, *text != '\0' ? ".br\n" : "");
        }
    }
}

/* As it is, the examples of a tail for instance. */
static void add_literal(struct flv_out *o, const char *text)
{
    flv_out_str(o, ".PP\n.nf\n");
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        add_line(o, text, len);
        flv_out_str(o, "\n");
        text += len + (text[len] == '\n');
    }
    flv_out_str(o, ".fi\n");
}

/* ---- One command --------------------------------------------------------- */

static const char *program_of(const struct flv_cmd *root)
{
    return root->program != NULL ? root->program : root->name;
}

/* "fluvio-topic": the name of a page, "fluvio topic": of a command. */
static void add_path(struct flv_out *o,
                     const struct flv_cmd *const *path,
                     size_t depth,
                     const char *between)
{
    for (size_t i = 0; i < depth; i++) {
        flv_out_str(o, i > 0 ? between : "");
        add_word(o, i == 0 ? program_of(path[0]) : path[i]->name);
    }
}

static void add_usage(struct flv_out *o,
                      const struct flv_cmd *const *path,
                      size_t depth,
                      struct flv_buf *scratch)
{
    const char *text = NULL;

    flv_buf_reset(scratch);
    if (o->rc == FLV_OK) {
        o->rc = flv__opt_usage(path, depth, scratch);
    }
    text = o->rc == FLV_OK ? flv_buf_str(scratch) : "";
    if (text == NULL) {
        o->rc = FLV_E_NOMEM;
        return;
    }
    text += strcspn(text, ":");
    text += strspn(text, ": \n");
    flv_out_str(o, ".B ");
    add_word(o, program_of(path[0]));
    add_text(o, text + strlen(path[0]->name));
}

static void add_option(struct flv_out *o,
                       const struct flv_opt *opt,
                       enum flv_help_style style,
                       struct flv_buf *scratch)
{
    char shown[FLV_OPT_SHOWN_MAX];
    const char *help = flv__opt_full_help(opt->help, opt, scratch);

    if (help == NULL) {
        o->rc = o->rc == FLV_OK ? FLV_E_NOMEM : o->rc;
        return;
    }
    flv__opt_show(opt, style, shown);
    flv_out_str(o, ".TP\n.B ");
    if (opt->letter != 0) {
        const char letter[] = {'-', opt->letter, ',', ' ', '\0'};

        add_word(o, letter);
    }
    add_word(o, shown);
    flv_out_str(o, "\n");
    add_text(o, *help != '\0' ? help : "\xe2\x80\x94"); /* a dash */
}

/* First what goes by place, then by name, as in help. */
static void add_options(struct flv_out *o,
                        const struct flv_cmd *const *path,
                        size_t depth,
                        struct flv_buf *scratch)
{
    const struct flv_opt *table = path[depth - 1]->opts;

    for (int named = 0; named < 2; named++) {
        for (const struct flv_opt *opt = table;
             opt != NULL && opt->name != NULL; opt++) {
            bool by_place = (opt->flags & FLV_OPT_POSITIONAL) != 0;

            if ((opt->flags & FLV_OPT_HIDDEN) == 0 && by_place == !named) {
                add_option(o, opt, path[0]->style, scratch);
            }
        }
    }
}

/* Behind the first line of about, which the head of the page has. */
static const char *more_about(const struct flv_cmd *cmd)
{
    const char *text = cmd->about != NULL ? cmd->about : "";

    text += strcspn(text, "\n");
    return text + strspn(text, "\n");
}

static void add_first_line(struct flv_out *o, const struct flv_cmd *cmd)
{
    const char *text = cmd->summary != NULL ? cmd->summary : cmd->about;

    text = text != NULL ? text : cmd->name;
    add_line(o, text, strcspn(text, "\n"));
    flv_out_str(o, "\n");
}

/* ---- What is below it ---------------------------------------------------- */

static bool is_listed(const struct flv_cmd *cmd)
{
    return (cmd->flags & FLV_CMD_HIDDEN) == 0;
}

/* The commands of a program have pages of their own. */
static void add_pages(struct flv_out *o, const struct flv_cmd *cmd)
{
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        if (is_listed(cmd->commands[i])) {
            flv_out_str(o, ".TP\n.BR ");
            add_word(o, cmd->name);
            flv_out_str(o, "\\-");
            add_word(o, cmd->commands[i]->name);
            flv_out_str(o, " (1)\n");
            add_first_line(o, cmd->commands[i]);
        }
    }
}

/* Sections of all commands below path[depth - 1], deepest last. */
static void add_below(struct flv_out *o,
                      const struct flv_cmd **path,
                      size_t depth,
                      struct flv_buf *scratch)
{
    const struct flv_cmd *cmd = path[depth - 1];

    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        const struct flv_cmd *sub = cmd->commands[i];

        if (!is_listed(sub) || depth >= FLV_ARGS_DEPTH_MAX) {
            continue;
        }
        path[depth] = sub;
        flv_out_str(o, ".SS ");
        add_path(o, path, depth + 1, " ");
        flv_out_str(o, "\n");
        add_usage(o, path, depth + 1, scratch);
        flv_out_str(o, ".PP\n");
        add_text(o, sub->about != NULL ? sub->about : "");
        add_options(o, path, depth + 1, scratch);
        if (sub->tail != NULL) {
            add_literal(o, sub->tail);
        }
        add_below(o, path, depth + 1, scratch);
    }
}

static void
add_head(struct flv_out *o, const struct flv_cmd *const *path, size_t depth)
{
    flv_out_str(o, ".TH \"");
    add_path(o, path, depth, "\\-");
    flv_out_str(o, "\" 1 \"\" \"");
    add_word(o, path[0]->name);
    flv_out_str(o, " ");
    add_word(o, path[0]->version != NULL ? path[0]->version : "");
    flv_out_str(o, "\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n");
    add_path(o, path, depth, "\\-");
    flv_out_str(o, " \\- ");
    add_first_line(o, path[depth - 1]);
}

flv_rc
flv_args_man(const struct flv_cmd *const *path, size_t depth, struct flv_buf *b)
{
    const struct flv_cmd *below[FLV_ARGS_DEPTH_MAX] = {NULL};
    const struct flv_cmd *cmd = path[depth - 1];
    struct flv_out o = {.b = b, .rc = FLV_OK};
    struct flv_buf scratch;

    assert(depth >= 1 && depth <= FLV_ARGS_DEPTH_MAX);
    memcpy(below, path, depth * sizeof(const struct flv_cmd *));
    flv_buf_init(&scratch, TEXT_BYTES_MAX);
    add_head(&o, path, depth);
    flv_out_str(&o, ".SH SYNOPSIS\n");
    add_usage(&o, path, depth, &scratch);
    if (*more_about(cmd) != '\0') {
        flv_out_str(&o, ".SH DESCRIPTION\n");
        add_text(&o, more_about(cmd));
    }
    flv_out_str(&o, ".SH OPTIONS\n");
    add_options(&o, path, depth, &scratch);
    flv_out_str(&o, ".TP\n.B \\-\\-help\nPrint help\n");
    if (depth == 1 && cmd->version != NULL) {
        flv_out_str(&o, ".TP\n.B \\-\\-version\nPrint version\n");
    }
    if (cmd->commands != NULL) {
        flv_out_str(&o, ".SH COMMANDS\n");
        if (depth == 1) {
            add_pages(&o, cmd);
        } else {
            add_below(&o, below, depth, &scratch);
        }
    }
    if (cmd->tail != NULL) {
        flv_out_str(&o, ".SH NOTES\n");
        add_literal(&o, cmd->tail);
    }
    if (depth > 1) {
        flv_out_str(&o, ".SH SEE ALSO\n.BR ");
        add_path(&o, path, depth - 1, "\\-");
        flv_out_str(&o, " (1)\n");
    }
    flv_buf_deinit(&scratch);
    return o.rc;
}
