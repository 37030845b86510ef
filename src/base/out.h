/*
 * out.h - a row of appends with one check behind it.
 *
 * Purpose    Writers of JSON and text add many small pieces to a buffer; the
 *            first failure stays, and nothing is added behind it.
 * Threads    No sharing.
 * Ownership  Borrows the buffer.
 * Errors     In rc: FLV_E_LIMIT and FLV_E_NOMEM of the buffer.
 */
#ifndef FLV_BASE_OUT_H
#define FLV_BASE_OUT_H

#include "base/bytes.h"
#include "base/text.h"

struct flv_out {
    struct flv_buf *b; /* borrowed */
    flv_rc rc;         /* of the first failure */
};

static inline void flv_out_str(struct flv_out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_add_str(o->b, text);
    }
}

/* As a JSON string with its quotes. */
static inline void flv_out_json(struct flv_out *o, struct flv_slice text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_text_json(o->b, text);
    }
}

static inline void flv_out_json_str(struct flv_out *o, const char *text)
{
    flv_out_json(o, flv_slice_str(text));
}

#endif
