/*
 * opt_priv.h - what the files behind opt.h share.
 *
 * Purpose    opt.c sets values, opt_args.c reads command lines, opt_help.c
 *            prints help and usage, opt_man.c manual pages, opt_json.c
 *            describes. Nobody else includes
 *            this.
 * Threads    As opt.h.
 * Errors     As opt.h.
 */
#ifndef FLV_BASE_OPT_PRIV_H
#define FLV_BASE_OPT_PRIV_H

#include "base/opt.h"

/* A parsed value which is not in a conf yet. */
union flv_opt_value {
    bool flag;
    uint64_t u64; /* also durations and sizes */
    int64_t i64;
    int choice;
};

size_t flv__opt_count(const struct flv_opt *table);
/* Index of a name or alias, or -1. */
int flv__opt_index(const struct flv_opt *table, const char *name);
bool flv__opt_name_eq(const char *a, const char *b);
/* Checks text against the option's type and range; *out is set for all types
 * but STR and LIST. */
FLV_CHECKED flv_rc flv__opt_parse(const struct flv_opt *opt,
                                  const char *text,
                                  union flv_opt_value *out,
                                  struct flv_err *err);
/* As flv_opts_set() by index; errors speak of the value only. */
FLV_CHECKED flv_rc flv__opt_set_at(struct flv_opts *o,
                                   size_t index,
                                   const char *text,
                                   enum flv_opt_source source,
                                   struct flv_err *err);
/* Environment and fallbacks. */
FLV_CHECKED flv_rc flv__opt_fill(struct flv_opts *o, struct flv_err *err);
/* The first pair of one group that is given, or false. */
bool flv__opt_conflict(const struct flv_opts *o, size_t *out_a, size_t *out_b);
/* Required and without a value? */
bool flv__opt_missing(const struct flv_opts *o, size_t index);
/* FLV_E_USAGE with the names of all that is missing; FLV_OK without. */
FLV_CHECKED flv_rc flv__opt_fail_missing(const struct flv_opts *o,
                                         struct flv_err *err);
static inline const void *flv__opt_field(const struct flv_opts *o, size_t index)
{
    return (const char *)o->conf + o->table[index].offset;
}

/* "--interval <interval>", "<NAME>": as usage lines and errors show it. */
#define FLV_OPT_SHOWN_MAX 160
void flv__opt_show(const struct flv_opt *opt,
                   enum flv_help_style style,
                   char out[FLV_OPT_SHOWN_MAX]);
/* The help text of an option (or NULL) with its notes, borrowed from b, which
 * holds nothing else then; NULL: out of memory. */
const char *flv__opt_full_help(const char *help,
                               const struct flv_opt *opt,
                               struct flv_buf *b);
/* "Usage: ..." or "USAGE:\n    ...", with its line feed. */
FLV_CHECKED flv_rc flv__opt_usage(const struct flv_cmd *const *path,
                                  size_t depth,
                                  struct flv_buf *b);

#endif
