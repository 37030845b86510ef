/*
 * report.h - everything that is wrong with a file, with the place of each.
 *
 * Purpose    Collects mistakes and warnings while a file is read to its end,
 *            so that a person repairs it once. In the order of the file.
 * Threads    No sharing.
 * Ownership  The report owns its texts until flv_report_deinit().
 * Errors     What does not fit is counted in `dropped`, never lost silently.
 * Units      line and col count from 1; 0: the file as a whole.
 * See        docs/connectors.md
 */
#ifndef FLV_CONFIG_REPORT_H
#define FLV_CONFIG_REPORT_H

#include "base/arena.h"
#include "base/bytes.h"
#include "config/doc.h"

#define FLV_PROBLEMS_MAX 200

enum flv_severity {
    FLV_SEVERITY_WARNING, /* works, but perhaps not as meant */
    FLV_SEVERITY_ERROR,
};

struct flv_problem {
    enum flv_severity severity;
    uint32_t line, col;
    const char *text;    /* one sentence */
    const char *near;    /* the word that was probably meant, or NULL */
    const char *example; /* "key: value" as it would be right, or NULL */
};

struct flv_report {
    struct flv_arena arena;   /* owns all texts */
    struct flv_problem *list; /* in the arena; FLV_PROBLEMS_MAX of them */
    size_t count;
    size_t errors, warnings; /* counted beyond the list, too */
    size_t dropped;          /* of both, not in the list */
};

void flv_report_init(struct flv_report *r);
void flv_report_deinit(struct flv_report *r);

/* Copies the problem. One text at one place is kept once. */
void flv_report_add(struct flv_report *r, const struct flv_problem *p);
/* With a text made here; node NULL: the file as a whole. */
void flv_report_addf(struct flv_report *r,
                     enum flv_severity severity,
                     const struct flv_node *node,
                     const char *near,
                     const char *example,
                     const char *fmt,
                     ...) FLV_PRINTF(6, 7);
/* Takes what flv_doc_fail() put into *err, or any other error; `name` is the
 * document's, example may be NULL. */
void flv_report_err(struct flv_report *r,
                    const char *name,
                    const struct flv_err *err,
                    const char *example);
/* Is there a mistake at this place already? */
bool flv_report_has(const struct flv_report *r, const struct flv_node *node);
/* By line and column. */
void flv_report_sort(struct flv_report *r);

/* "name:line:col: error: sentence" and, indented, "for example: key: value",
 * each with a line feed. */
FLV_CHECKED flv_rc flv_report_text(const struct flv_report *r,
                                   const char *name,
                                   struct flv_buf *out);
/* A JSON array of objects: line, column, severity, message, hint (the word that
 * was probably meant, or ""), and example where there is one. */
FLV_CHECKED flv_rc flv_report_json(const struct flv_report *r,
                                   struct flv_buf *out);

#endif
