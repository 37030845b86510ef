/* Help and usage texts of opt.h, in the layouts of clap 2 and clap 4. */
#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/opt_priv.h"

/* Both layouts are one table of columns
 *
 *   |indent|-s, |--long <value>|gap|help text, wrapped to width
 *
 * where an option without a letter has blanks in its place. When the left part
 * is wide and the help long, the help goes on lines of its own. */
struct layout {
    size_t indent, gap, next_line, width;
    bool all_next_line; /* one wide option moves the help of all */
    const char *help_help, *version_help, *help_command;
};

static const struct layout layouts[] = {
    [FLV_HELP_CLAP4] = {.indent = 2,
                        .gap = 2,
                        .next_line = 10,
                        .width = 100,
                        .all_next_line = true,
                        .help_help = "Print help",
                        .version_help = "Print version",
                        .help_command = "Print this message or the help of "
                                        "the given subcommand(s)"},
    [FLV_HELP_CLAP2] = {.indent = 4,
                        .gap = 4,
                        .next_line = 12,
                        .width = 120,
                        .all_next_line = false,
                        .help_help = "Prints help information",
                        .version_help = "Prints version information",
                        .help_command = "Prints this message or the help of "
                                        "the given subcommand(s)"},
};

#define ROWS_MAX (FLV_OPT_COUNT_MAX + 2)

struct row {
    char left[FLV_OPT_SHOWN_MAX];
    const char *help;          /* borrowed, may be NULL */
    const struct flv_opt *opt; /* borrowed, NULL: no defaults to show */
};

/* Stops adding at the first failure. */
struct out {
    struct flv_buf *b;
    flv_rc rc;
    size_t column;
};

static void add_n(struct out *o, const char *text, size_t len)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_add(o->b, text, len);
    }
    for (size_t i = 0; i < len; i++) {
        /* UTF-8 continuation bytes take no column. */
        o->column = text[i] == '\n'
                        ? 0
                        : o->column + (((unsigned char)text[i] & 0xc0) != 0x80);
    }
}

static void add(struct out *o, const char *text)
{
    add_n(o, text, strlen(text));
}

static void pad_to(struct out *o, size_t column)
{
    while (o->column < column) {
        add_n(o, " ", 1);
    }
}

/* Words of text, broken before the width, further lines at the indent. */
static void
add_wrapped(struct out *o, const char *text, size_t indent, size_t width)
{
    while (*text != '\0') {
        size_t word = strcspn(text, " \n");

        if (o->column > indent && word > 0) {
            if (o->column + 1 + word > width) {
                add(o, "\n");
            } else {
                add(o, " ");
            }
        }
        if (word > 0) {
            pad_to(o, indent);
        }
        add_n(o, text, word);
        text += word;
        if (*text == '\n') {
            add(o, "\n");
        }
        text += *text != '\0';
    }
}

/* ---- Names and usage --------------------------------------------------- */

static void
value_name(const struct flv_opt *opt, enum flv_help_style style, char out[80])
{
    snprintf(out, 80, "%s", opt->arg != NULL ? opt->arg : opt->name);
    if (opt->arg == NULL && style == FLV_HELP_CLAP4) {
        for (char *p = out; *p != '\0'; p++) {
            *p = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
        }
    }
}

void flv__opt_show(const struct flv_opt *opt,
                   enum flv_help_style style,
                   char out[FLV_OPT_SHOWN_MAX])
{
    bool list = opt->type == FLV_OPT_LIST;
    char name[80];

    value_name(opt, style, name);
    if ((opt->flags & FLV_OPT_POSITIONAL) != 0) {
        bool must = (opt->flags & FLV_OPT_REQUIRED) != 0;

        snprintf(out, FLV_OPT_SHOWN_MAX, "%c%s%c%s", must ? '<' : '[', name,
                 must ? '>' : ']', list ? "..." : "");
    } else if (opt->type == FLV_OPT_FLAG) {
        snprintf(out, FLV_OPT_SHOWN_MAX, "--%.60s", opt->name);
    } else if (opt->bare != NULL) {
        snprintf(out, FLV_OPT_SHOWN_MAX, "--%.60s [<%s>]", opt->name, name);
    } else {
        snprintf(out, FLV_OPT_SHOWN_MAX, "--%.60s <%s>%s", opt->name, name,
                 list && style == FLV_HELP_CLAP2 ? "..." : "");
    }
}

static bool is_shown(const struct flv_opt *opt)
{
    return (opt->flags & FLV_OPT_HIDDEN) == 0;
}

static bool is_positional(const struct flv_opt *opt)
{
    return (opt->flags & FLV_OPT_POSITIONAL) != 0;
}

static bool is_required(const struct flv_opt *opt)
{
    return (opt->flags & FLV_OPT_REQUIRED) != 0;
}

static void add_path(struct out *o,
                     const struct flv_cmd *const *path,
                     size_t depth,
                     const char *between)
{
    for (size_t i = 0; i < depth; i++) {
        add(o, i > 0 ? between : "");
        add(o, path[i]->name);
    }
}

static void add_required(struct out *o,
                         const struct flv_opt *table,
                         enum flv_help_style style)
{
    char shown[FLV_OPT_SHOWN_MAX];

    /* Options first, then what goes by place. */
    for (int place = 0; place < 2; place++) {
        for (const struct flv_opt *opt = table;
             opt != NULL && opt->name != NULL; opt++) {
            if (is_shown(opt) && is_positional(opt) == (place == 1) &&
                (is_required(opt) || place == 1)) {
                flv__opt_show(opt, style, shown);
                add(o, " ");
                add(o, shown);
            }
        }
    }
}

static void
add_usage(struct out *o, const struct flv_cmd *const *path, size_t depth)
{
    const struct flv_cmd *cmd = path[depth - 1];
    enum flv_help_style style = path[0]->style;
    bool flags = false, options = false, old = style == FLV_HELP_CLAP2;

    for (const struct flv_opt *opt = cmd->opts;
         opt != NULL && opt->name != NULL; opt++) {
        if (is_shown(opt) && !is_positional(opt) && !is_required(opt)) {
            flags = flags || (old && opt->type == FLV_OPT_FLAG);
            options = options || !(old && opt->type == FLV_OPT_FLAG);
        }
    }
    add(o, old ? "USAGE:\n    " : "Usage: ");
    add_path(o, path, depth, " ");
    add(o, flags ? " [FLAGS]" : "");
    add(o, options ? " [OPTIONS]" : "");
    add_required(o, cmd->opts, style);
    if (cmd->commands != NULL) {
        bool runs = (cmd->flags & FLV_CMD_RUNS) != 0;

        add(o, old ? (runs ? " [SUBCOMMAND]" : " <SUBCOMMAND>")
                   : (runs ? " [COMMAND]" : " <COMMAND>"));
    }
    add(o, "\n");
}

flv_rc flv__opt_usage(const struct flv_cmd *const *path,
                      size_t depth,
                      struct flv_buf *b)
{
    struct out o = {.b = b, .rc = FLV_OK};

    add_usage(&o, path, depth);
    return o.rc;
}

/* ---- Sections ---------------------------------------------------------- */

/* " [env: X=] [default: 1] [possible values: a, b]" */
static void add_notes(struct out *o, const struct flv_opt *opt)
{
    if (opt == NULL) {
        return;
    }
    if (opt->env != NULL) {
        add(o, " [env: ");
        add(o, opt->env);
        add(o, "=]");
    }
    if (opt->fallback != NULL && *opt->fallback != '\0' &&
        (opt->flags & FLV_OPT_SECRET) == 0) {
        add(o, " [default: ");
        add(o, opt->fallback);
        add(o, "]");
    }
    if (opt->choices != NULL) {
        add(o, " [possible values: ");
        for (size_t i = 0; opt->choices[i] != NULL; i++) {
            add(o, i > 0 ? ", " : "");
            add(o, opt->choices[i]);
        }
        add(o, "]");
    }
}

static size_t columns(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

const char *flv__opt_full_help(const char *help,
                               const struct flv_opt *opt,
                               struct flv_buf *b)
{
    struct out o = {.b = b, .rc = FLV_OK};

    flv_buf_reset(b);
    add(&o, help != NULL ? help : "");
    add_notes(&o, opt);
    return o.rc == FLV_OK ? flv_buf_str(b) : NULL;
}

static const char *full_help(const struct row *row, struct flv_buf *b)
{
    return flv__opt_full_help(row->help, row->opt, b);
}

static bool
wants_next_line(const struct layout *l, size_t taken, const char *help)
{
    return l->width >= taken && taken * 10 > l->width * 4 &&
           columns(help) > l->width - taken;
}

struct section {
    const struct layout *layout;
    struct row *rows; /* borrowed */
    size_t count, longest, taken;
    bool next_line;
};

static flv_rc measure(struct section *s, struct flv_buf *scratch)
{
    const struct layout *l = s->layout;

    for (size_t i = 0; i < s->count; i++) {
        size_t n = columns(s->rows[i].left);

        s->longest = n > s->longest ? n : s->longest;
    }
    s->taken = l->indent + s->longest + l->gap;
    for (size_t i = 0; i < s->count && l->all_next_line; i++) {
        const char *help = full_help(&s->rows[i], scratch);

        if (help == NULL) {
            return FLV_E_NOMEM;
        }
        s->next_line = s->next_line || wants_next_line(l, s->taken, help);
    }
    return FLV_OK;
}

static void
add_row(struct out *o, const struct section *s, size_t i, const char *help)
{
    const struct layout *l = s->layout;
    bool next = s->next_line ||
                (!l->all_next_line && wants_next_line(l, s->taken, help));

    pad_to(o, l->indent);
    add(o, s->rows[i].left);
    if (*help == '\0') {
        add(o, "\n");
        return;
    }
    if (next) {
        add(o, "\n");
        pad_to(o, l->next_line);
        add_wrapped(o, help, l->next_line, l->width);
        /* clap 2 leaves a line empty behind such a help of one line. */
        if (!l->all_next_line && l->next_line + columns(help) < l->width) {
            add(o, "\n");
        }
    } else {
        pad_to(o, s->taken);
        add_wrapped(o, help, s->taken, l->width);
    }
    add(o, "\n");
}

static void add_section(struct out *o,
                        const char *title,
                        const struct layout *layout,
                        struct row *rows,
                        size_t count)
{
    struct section s = {.layout = layout, .rows = rows, .count = count};
    struct flv_buf scratch;

    if (count == 0) {
        return;
    }
    flv_buf_init(&scratch, 64 << 10);
    add(o, "\n");
    add(o, title);
    add(o, "\n");
    if (o->rc == FLV_OK) {
        o->rc = measure(&s, &scratch);
    }
    for (size_t i = 0; i < count && o->rc == FLV_OK; i++) {
        const char *help = full_help(&rows[i], &scratch);

        if (help == NULL) {
            o->rc = FLV_E_NOMEM;
        } else {
            add_row(o, &s, i, help);
        }
    }
    flv_buf_deinit(&scratch);
}

/* ---- Rows -------------------------------------------------------------- */

enum part { PART_FLAGS, PART_OPTIONS, PART_BOTH, PART_ARGS };

static bool belongs(const struct flv_opt *opt, enum part part)
{
    if (!is_shown(opt) || is_positional(opt) != (part == PART_ARGS)) {
        return false;
    }
    return part == PART_ARGS || part == PART_BOTH ||
           (opt->type == FLV_OPT_FLAG) == (part == PART_FLAGS);
}

static size_t add_option_rows(struct row *rows,
                              const struct flv_cmd *cmd,
                              enum part part,
                              enum flv_help_style style)
{
    size_t count = 0;

    for (const struct flv_opt *opt = cmd->opts;
         opt != NULL && opt->name != NULL; opt++) {
        char shown[FLV_OPT_SHOWN_MAX - 4];
        char full[FLV_OPT_SHOWN_MAX];
        struct row *row = &rows[count];

        if (!belongs(opt, part)) {
            continue;
        }
        flv__opt_show(opt, style, full);
        memcpy(shown, full, sizeof(shown));
        shown[sizeof(shown) - 1] = '\0';
        *row = (struct row){.help = opt->help, .opt = opt};
        if (part == PART_ARGS) {
            memcpy(row->left, shown, sizeof(shown));
        } else if (opt->letter != 0) {
            snprintf(row->left, sizeof(row->left), "-%c, %s", opt->letter,
                     shown);
        } else {
            snprintf(row->left, sizeof(row->left), "    %s", shown);
        }
        count++;
    }
    return count;
}

static bool letter_taken(const struct flv_cmd *cmd, char letter)
{
    for (const struct flv_opt *opt = cmd->opts;
         opt != NULL && opt->name != NULL; opt++) {
        if (opt->letter == letter) {
            return true;
        }
    }
    return false;
}

static size_t add_builtin_rows(struct row *rows,
                               const struct flv_cmd *const *path,
                               size_t depth)
{
    const struct flv_cmd *cmd = path[depth - 1];
    const struct layout *l = &layouts[path[0]->style];
    size_t count = 0;

    if (flv_opt_find(cmd->opts, "help") == NULL) {
        rows[count] = (struct row){.help = l->help_help};
        snprintf(rows[count++].left, sizeof(rows->left), "%s--help",
                 letter_taken(cmd, 'h') ? "    " : "-h, ");
    }
    if (depth == 1 && cmd->version != NULL &&
        flv_opt_find(cmd->opts, "version") == NULL) {
        rows[count] = (struct row){.help = l->version_help};
        snprintf(rows[count++].left, sizeof(rows->left), "%s--version",
                 letter_taken(cmd, 'V') ? "    " : "-V, ");
    }
    return count;
}

/* The first line of about, for the list of commands. */
static const char *first_line(const struct flv_cmd *cmd, char out[400])
{
    snprintf(out, 400, "%s", cmd->about != NULL ? cmd->about : "");
    out[strcspn(out, "\n")] = '\0';
    return out;
}

static void add_commands(struct out *o,
                         const struct flv_cmd *cmd,
                         enum flv_help_style style)
{
    const struct layout *l = &layouts[style];
    size_t longest = strlen("help");

    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        const struct flv_cmd *sub = cmd->commands[i];
        size_t n = (sub->flags & FLV_CMD_HIDDEN) == 0 ? strlen(sub->name) : 0;

        longest = n > longest ? n : longest;
    }
    add(o, style == FLV_HELP_CLAP2 ? "\nSUBCOMMANDS:\n" : "\nCommands:\n");
    longest += l->indent + l->gap;
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        const struct flv_cmd *sub = cmd->commands[i];
        char about[400];

        if ((sub->flags & FLV_CMD_HIDDEN) == 0) {
            pad_to(o, l->indent);
            add(o, sub->name);
            pad_to(o, longest);
            add_wrapped(o, first_line(sub, about), longest, l->width);
            add(o, "\n");
        }
    }
    pad_to(o, l->indent);
    add(o, "help");
    pad_to(o, longest);
    add_wrapped(o, l->help_command, longest, l->width);
    add(o, "\n");
}

static void help_clap4(struct out *o,
                       const struct flv_cmd *const *path,
                       size_t depth,
                       struct row *rows)
{
    const struct flv_cmd *cmd = path[depth - 1];
    const struct layout *l = &layouts[FLV_HELP_CLAP4];
    size_t count;

    if (cmd->about != NULL) {
        add_wrapped(o, cmd->about, 0, l->width);
        add(o, "\n\n");
    }
    add_usage(o, path, depth);
    if (cmd->commands != NULL) {
        add_commands(o, cmd, FLV_HELP_CLAP4);
    }
    count = add_option_rows(rows, cmd, PART_ARGS, FLV_HELP_CLAP4);
    add_section(o, "Arguments:", l, rows, count);
    count = add_option_rows(rows, cmd, PART_BOTH, FLV_HELP_CLAP4);
    count += add_builtin_rows(rows + count, path, depth);
    add_section(o, "Options:", l, rows, count);
}

static void help_clap2(struct out *o,
                       const struct flv_cmd *const *path,
                       size_t depth,
                       struct row *rows)
{
    const struct flv_cmd *cmd = path[depth - 1];
    const struct layout *l = &layouts[FLV_HELP_CLAP2];
    size_t count;

    add_path(o, path, depth, "-");
    if (path[0]->version != NULL) {
        add(o, " ");
        add(o, path[0]->version);
    }
    add(o, "\n");
    if (cmd->about != NULL) {
        add_wrapped(o, cmd->about, 0, l->width);
        add(o, "\n");
    }
    add(o, "\n");
    add_usage(o, path, depth);
    count = add_builtin_rows(rows, path, depth);
    count += add_option_rows(rows + count, cmd, PART_FLAGS, FLV_HELP_CLAP2);
    add_section(o, "FLAGS:", l, rows, count);
    count = add_option_rows(rows, cmd, PART_OPTIONS, FLV_HELP_CLAP2);
    add_section(o, "OPTIONS:", l, rows, count);
    count = add_option_rows(rows, cmd, PART_ARGS, FLV_HELP_CLAP2);
    add_section(o, "ARGS:", l, rows, count);
    if (cmd->commands != NULL) {
        add_commands(o, cmd, FLV_HELP_CLAP2);
    }
}

flv_rc flv_args_help(const struct flv_cmd *const *path,
                     size_t depth,
                     struct flv_buf *b)
{
    struct row rows[ROWS_MAX];
    struct out o = {.b = b, .rc = FLV_OK};
    size_t before = b->len;

    assert(depth >= 1 && depth <= FLV_ARGS_DEPTH_MAX);
    assert(flv__opt_count(path[depth - 1]->opts) <= FLV_OPT_COUNT_MAX);
    if (path[0]->style == FLV_HELP_CLAP2) {
        help_clap2(&o, path, depth, rows);
    } else {
        help_clap4(&o, path, depth, rows);
    }
    if (path[depth - 1]->tail != NULL) {
        add(&o, "\n");
        add(&o, path[depth - 1]->tail);
        add(&o, "\n");
    }
    if (o.rc != FLV_OK) {
        b->len = before;
    }
    return o.rc;
}
