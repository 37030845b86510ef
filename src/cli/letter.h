/*
 * letter.h - one dead letter, read.
 *
 * Purpose    Takes docs/format/dead-letter.md, version 1, apart: where a
 *            record came from, why it is here, and its original bytes.
 * Threads    One thread.
 * Ownership  A letter owns all its texts and bytes until
 *            cli_letter_deinit(); a zeroed one may be deinitialised.
 * Errors     FLV_E_INVALID: no letter, or one of a version that is not known;
 *            the text says what is missing or wrong.
 * See        src/connector/letter.c writes them
 */
#ifndef FLV_CLI_LETTER_H
#define FLV_CLI_LETTER_H

#include "base/bytes.h"
#include "config/doc.h"

#include <stdbool.h>

#define CLI_LETTER_VERSION 1

struct cli_letter {
    struct flv_doc *doc; /* owned; the texts lie in it */
    const char *time;
    const char *connector, *type;
    const char *topic; /* what the connector fills; NULL: not said */
    int64_t stage;
    const char *module, *hash, *kind; /* "" where there is none */
    const char *cause, *text;
    const char *hint;         /* NULL: none */
    int64_t number;           /* in the connector's life; 0: not said */
    const char *source_topic; /* of the original record; NULL: of no topic */
    int64_t source_partition, source_offset;
    bool has_key;
    struct flv_buf key, value; /* owned; the original bytes */
};

FLV_CHECKED flv_rc cli_letter_read(struct cli_letter *out,
                                   struct flv_slice value,
                                   struct flv_err *err);
void cli_letter_deinit(struct cli_letter *l);

/* "number 17" or "cats/0 offset 5". */
FLV_CHECKED flv_rc cli_letter_place(const struct cli_letter *l,
                                    struct flv_buf *out);

#endif
