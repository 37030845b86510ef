/*
 * opt.h - option tables: the one reader of options for every program.
 *
 * Purpose    A table of struct flv_opt is the only source for reading a
 *            command line, setting values from a file, help, did-you-mean,
 *            JSON description and redaction. Values land in the caller's conf
 *            struct. A tree of struct flv_cmd gives subcommands.
 *
 *                struct http_conf { char *endpoint; uint64_t interval_ms; };
 *                static const struct flv_opt opts[] = {
 *                    {.name = "endpoint", FLV_STR(struct http_conf, endpoint),
 *                     .flags = FLV_OPT_REQUIRED, .help = "..."},
 *                    {.name = "interval",
 *                     FLV_DURATION(struct http_conf, interval_ms),
 *                     .unit_ms = 1000, .fallback = "300", .help = "..."},
 *                    {.name = NULL}};
 *
 * Forms      --opt v, --opt=v, -ov, -o=v, -o v, -abc (flags), -- ends options.
 *            A value that begins with '-' needs the form with '=', except
 *            "-" alone and negative numbers of I64 options.
 * Precedence command line, file, environment, fallback. A later set() of a
 *            weaker source is ignored, a stronger one replaces.
 * Threads    Tables are static and shared; the rest belongs to one thread.
 * Ownership  Strings and lists in the conf are allocated; flv_opts_deinit()
 *            (flv_args_deinit()) frees them. Tables and argv are borrowed; so
 *            is the conf of flv_opts, while flv_args owns those it makes.
 * Errors     FLV_E_USAGE for what the user typed: flv_args.text then holds the
 *            whole message for stderr, from "error: " to the line feed behind
 *            the last line, and err the first sentence of it. Values of secret
 *            options are never part of a message.
 * Units      Durations in ms, sizes in bytes.
 * See        tests/unit/base/test_opt.c
 */
#ifndef FLV_BASE_OPT_H
#define FLV_BASE_OPT_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/field.h"

struct flv_list {
    char **items; /* owned, each owned */
    size_t count;
};

enum flv_opt_type {
    FLV_OPT_FLAG,     /* bool: true when given */
    FLV_OPT_STR,      /* char *, NULL when not set */
    FLV_OPT_U64,      /* uint64_t */
    FLV_OPT_I64,      /* int64_t; min and max are cast from int64_t */
    FLV_OPT_DURATION, /* uint64_t, ms */
    FLV_OPT_SIZE,     /* uint64_t, bytes */
    FLV_OPT_CHOICE,   /* int: index into choices */
    FLV_OPT_LIST,     /* struct flv_list: may be repeated */
};

enum {
    FLV_OPT_REQUIRED = 1 << 0,   /* must have a value in the end */
    FLV_OPT_SECRET = 1 << 1,     /* never printed */
    FLV_OPT_HIDDEN = 1 << 2,     /* not in help */
    FLV_OPT_POSITIONAL = 1 << 3, /* by place, not by name; LIST: all the rest */
    FLV_OPT_DASH_OK = 1 << 4,  /* the next word is the value, whatever it is */
    FLV_OPT_SHARED = 1 << 5,   /* of a family of programs, not the program's */
    FLV_OPT_LINE = 1 << 6,     /* of a command line, never of a file */
    FLV_OPT_ANY_CASE = 1 << 7, /* CHOICE: capitals are as good */
};

#define FLV_OPT_COUNT_MAX 96        /* options of one table */
#define FLV_OPT_LIST_MAX 1024       /* items of one list */
#define FLV_OPT_TEXT_MAX (64 << 10) /* bytes of one text, unless max is set */

struct flv_opt {
    const char *name;           /* long name, without the dashes */
    const char *arg;            /* value's name in help; NULL: the name */
    const char *help;           /* one user-facing sentence */
    const char *fallback;       /* parsed exactly like user input */
    const char *bare;           /* value when given without one (-T), or NULL */
    const char *env;            /* environment variable, or NULL */
    const char *group;          /* at most one option of a group is given */
    const char *const *choices; /* CHOICE: ends with NULL */
    const char *const *aliases; /* hidden further names; ends with NULL */
    uint64_t min, max;          /* of the value (text: bytes); max 0: none */
    uint64_t unit_ms;           /* DURATION: unit of a bare number; 0: none */
    size_t offset;              /* into the conf struct */
    const char *since;          /* version that brought it, or NULL */
    const char *deprecated;     /* what to use instead, or NULL */
    const char *example;        /* a good value, for messages; or NULL */
    enum flv_opt_type type;
    unsigned flags;
    char letter; /* short name, or 0 */
};

#define FLV_OPT_AT(S, f, KIND, T)                                              \
    .type = FLV_OPT_##KIND, .offset = FLV_FIELD_AT(S, f, T)
#define FLV_FLAG(S, f) FLV_OPT_AT(S, f, FLAG, bool)
#define FLV_STR(S, f) FLV_OPT_AT(S, f, STR, char *)
#define FLV_U64(S, f) FLV_OPT_AT(S, f, U64, uint64_t)
#define FLV_I64(S, f) FLV_OPT_AT(S, f, I64, int64_t)
#define FLV_DURATION(S, f) FLV_OPT_AT(S, f, DURATION, uint64_t)
#define FLV_SIZE(S, f) FLV_OPT_AT(S, f, SIZE, uint64_t)
#define FLV_CHOICE(S, f) FLV_OPT_AT(S, f, CHOICE, int)
#define FLV_LIST(S, f) FLV_OPT_AT(S, f, LIST, struct flv_list)

/* ---- One table and its conf ------------------------------------------- */

enum flv_opt_source {
    FLV_SOURCE_NONE,
    FLV_SOURCE_FALLBACK,
    FLV_SOURCE_ENV,
    FLV_SOURCE_FILE,
    FLV_SOURCE_USER, /* the command line */
};

struct flv_opts {
    const struct flv_opt *table;       /* borrowed; may be NULL: no options */
    void *conf;                        /* borrowed, zeroed before use */
    uint8_t source[FLV_OPT_COUNT_MAX]; /* enum flv_opt_source, by index */
};

/* Starts with a zeroed conf. Asserts that the table is sound: unique names
 * and letters, choices where needed, parsable fallbacks are the registry
 * test's business (flv_opt_check_table). */
void flv_opts_init(struct flv_opts *o, const struct flv_opt *table, void *conf);
void flv_opts_deinit(struct flv_opts *o);

/* Sets one value; in names '-' and '_' are alike and aliases count. A list
 * gets one more item. FLV_E_NOT_FOUND for an unknown name (the text says what
 * was probably meant), FLV_E_USAGE for a bad value. */
FLV_CHECKED flv_rc flv_opts_set(struct flv_opts *o,
                                const char *name,
                                const char *text,
                                enum flv_opt_source source,
                                struct flv_err *err);
/* After all set() calls: environment and fallbacks for what has no value yet,
 * then groups and required options. FLV_E_USAGE names all that is missing. */
FLV_CHECKED flv_rc flv_opts_finish(struct flv_opts *o, struct flv_err *err);

/* Where the value came from; an unknown name is a bug. */
enum flv_opt_source flv_opts_source(const struct flv_opts *o, const char *name);
/* Given on the command line, in a file or in the environment? */
bool flv_opts_given(const struct flv_opts *o, const char *name);
/* The option of that name or alias ('-' and '_' alike), or NULL. */
const struct flv_opt *flv_opt_find(const struct flv_opt *table,
                                   const char *name);

/* Would the option take the text? FLV_E_INVALID or FLV_E_LIMIT says why not;
 * a secret is not in the message. */
FLV_CHECKED flv_rc flv_opt_check(const struct flv_opt *opt,
                                 const char *text,
                                 struct flv_err *err);

/* A JSON array that describes the table (name, type, help, default, ...), the
 * hidden options included: whoever checks a file has to know them. */
FLV_CHECKED flv_rc flv_opt_describe(const struct flv_opt *table,
                                    struct flv_buf *b);
/* A JSON object of all values that are set; secrets are shown as "***". */
FLV_CHECKED flv_rc flv_opts_values(const struct flv_opts *o, struct flv_buf *b);
/* For registry tests: unique names and letters, help texts, choices, and
 * fallbacks that parse. conf_size is that of the table's struct. */
FLV_CHECKED flv_rc flv_opt_check_table(const struct flv_opt *table,
                                       size_t conf_size,
                                       struct flv_err *err);

/* ---- Commands ---------------------------------------------------------- */

enum flv_help_style {
    FLV_HELP_CLAP4, /* About, "Usage: ...", Commands:, Arguments:, Options: */
    FLV_HELP_CLAP2, /* "<name> <version>", USAGE:, FLAGS:, OPTIONS:, ... */
};

enum {
    FLV_CMD_HIDDEN = 1 << 0,   /* not in the parent's list */
    FLV_CMD_RUNS = 1 << 1,     /* has subcommands and also runs without one */
    FLV_CMD_EXTERNAL = 1 << 2, /* unknown subcommand: FLV_ARGS_EXTERNAL */
    FLV_CMD_DEFER = 1 << 3,    /* the caller calls flv_args_finish() */
};

struct flv_args;

struct flv_cmd {
    const char *name;
    const char *about; /* first line: the parent's list; all: head of help */
    const char *tail;  /* text at the end of help, or NULL */
    const char *const *aliases;            /* hidden; ends with NULL */
    const struct flv_opt *opts;            /* ends with a NULL name; or NULL */
    const struct flv_cmd *const *commands; /* ends with NULL; or NULL */
    size_t conf_size;                      /* struct the opts point into */
    unsigned flags;
    /* Of the root only */
    const char *version;
    enum flv_help_style style;
    const char *program; /* for the manual page; NULL: the name */
    const char *summary; /* the same, one line; NULL: first one of about */
    /* For the program; this room never calls it. */
    int (*run)(struct flv_args *args, void *ctx);
};

#define FLV_ARGS_DEPTH_MAX 4

enum flv_args_outcome {
    FLV_ARGS_RUN,
    FLV_ARGS_HELP,     /* text is the help asked for: stdout, exit 0 */
    FLV_ARGS_VERSION,  /* text is "<name> <version>\n": stdout, exit 0 */
    FLV_ARGS_EXTERNAL, /* rest[] are the unknown subcommand and its words */
    FLV_ARGS_ERROR,    /* text is the message for stderr */
};

struct flv_args {
    enum flv_args_outcome outcome;
    struct flv_buf text; /* owned, NUL-terminated too (text.data) */
    size_t depth;        /* commands on the path, 1: the root alone */
    const struct flv_cmd *path[FLV_ARGS_DEPTH_MAX]; /* borrowed */
    struct flv_opts opts[FLV_ARGS_DEPTH_MAX];
    void *conf[FLV_ARGS_DEPTH_MAX]; /* owned; NULL without options */
    char *const *rest;              /* borrowed from argv, ends with NULL */
    size_t rest_count;
};

/* Reads argv[1..]. Returns FLV_OK (outcome RUN, HELP, VERSION or EXTERNAL),
 * FLV_E_USAGE (outcome ERROR) or FLV_E_NOMEM. A command that has subcommands
 * and gets none answers with its help. Call flv_args_deinit() in every case. */
FLV_CHECKED flv_rc flv_args_parse(struct flv_args *a,
                                  const struct flv_cmd *root,
                                  int argc,
                                  char *const *argv,
                                  struct flv_err *err);
/* With FLV_CMD_DEFER: after values of files were set (in opts[depth - 1]),
 * fills the rest and checks; results as of flv_args_parse(). */
FLV_CHECKED flv_rc flv_args_finish(struct flv_args *a, struct flv_err *err);
void flv_args_deinit(struct flv_args *a);

/* The command to run, its conf and its options. */
const struct flv_cmd *flv_args_cmd(const struct flv_args *a);
void *flv_args_conf(const struct flv_args *a);
struct flv_opts *flv_args_opts(struct flv_args *a);

/* Turns the sentence of a caller's own check (conflicting options) into a
 * usage error of the same shape; returns FLV_E_USAGE (or FLV_E_NOMEM). */
flv_rc
flv_args_fail(struct flv_args *a, struct flv_err *err, const char *fmt, ...)
    FLV_PRINTF(3, 4);

/* The manual page, for man(1), of path[0..depth-1]: with all commands below it,
 * but of a program only with their names, as they have pages of their own.
 * `--help-man` prints it; packages get their pages that way. */
FLV_CHECKED flv_rc flv_args_man(const struct flv_cmd *const *path,
                                size_t depth,
                                struct flv_buf *b);
/* The help of path[0..depth-1]. */
FLV_CHECKED flv_rc flv_args_help(const struct flv_cmd *const *path,
                                 size_t depth,
                                 struct flv_buf *b);

#endif
