/*
 * output.h - structured output: one description, printed as JSON or YAML.
 *
 * Purpose    Commands describe a document once (maps, lists, scalars); the
 *            writer prints it in the layout of Fluvio's CLI: JSON with two
 *            blanks, YAML in block style.
 * Threads    One thread.
 * Ownership  A document owns its text until cli_doc_deinit().
 * Errors     Out of memory is remembered; cli_doc_finish() reports it.
 */
#ifndef FLV_CLI_OUTPUT_H
#define FLV_CLI_OUTPUT_H

#include "base/bytes.h"

#include <stdbool.h>

enum cli_format {
    CLI_FORMAT_TABLE,
    CLI_FORMAT_JSON,
    CLI_FORMAT_YAML,
    CLI_FORMAT_TOML,
};

#define CLI_DOC_DEPTH_MAX 16

struct cli_doc_level {
    bool list;
    bool in_list;    /* is itself an element of a list */
    unsigned indent; /* YAML: blanks in front of its children */
    unsigned count;  /* children so far */
};

struct cli_doc {
    struct flv_buf text; /* owned */
    enum cli_format format;
    struct cli_doc_level level[CLI_DOC_DEPTH_MAX];
    unsigned depth;
    flv_rc rc; /* first failure */
};

/* format is JSON or YAML. */
void cli_doc_init(struct cli_doc *d, enum cli_format format);
void cli_doc_deinit(struct cli_doc *d);

/* Opens a map or list; key is NULL at the top and inside lists. */
void cli_doc_map(struct cli_doc *d, const char *key);
void cli_doc_list(struct cli_doc *d, const char *key);
void cli_doc_end(struct cli_doc *d);

void cli_doc_str(struct cli_doc *d, const char *key, const char *value);
void cli_doc_i64(struct cli_doc *d, const char *key, int64_t value);
void cli_doc_bool(struct cli_doc *d, const char *key, bool value);
void cli_doc_null(struct cli_doc *d, const char *key);

/* Ends the document with a line feed; the text stays in d->text. */
FLV_CHECKED flv_rc cli_doc_finish(struct cli_doc *d, struct flv_err *err);
/* The same, with the text behind what `out` has, and the document freed. */
FLV_CHECKED flv_rc cli_doc_put(struct cli_doc *d,
                               struct flv_buf *out,
                               struct flv_err *err);

#endif
