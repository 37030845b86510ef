/*
 * frames.h - the captured frames, for tests.
 *
 * Purpose    Reads captures/frames.txt and opens a frame as a server or a
 *            client would: header, envelope, body.
 * Ownership  The lists own their bytes until frames_free().
 */
#ifndef FLV_TEST_FRAMES_H
#define FLV_TEST_FRAMES_H

#include "wire/api.h"

struct frame {
    char scenario[48];
    enum flv_wire_side side;
    bool request;
    uint16_t api;
    int16_t version;
    uint8_t *bytes; /* with the length prefix */
    size_t len;
};

struct frames {
    struct frame *at;
    size_t len;
};

struct frames frames_load(void);
void frames_free(struct frames *f);

/* "00 01 | ff" to bytes; returns how many. */
size_t unhex(const char *text, uint8_t *out, size_t max);

/* A frame taken apart. */
struct opened {
    struct flv_wire_request_header header; /* responses: correlation alone */
    struct flv_slice label;                /* empty without envelope */
    const struct flv_wire_schema *schema;
    size_t left_over; /* bytes behind the body */
    _Alignas(16) uint8_t body[1024];
};

flv_rc frame_open(const struct frame *f,
                  struct flv_arena *arena,
                  struct opened *out,
                  struct flv_err *err);
/* The frame again, from what was opened. */
flv_rc frame_close(const struct frame *f,
                   const struct opened *o,
                   struct flv_buf *out,
                   struct flv_wire_cuts *cuts,
                   struct flv_err *err);

#endif
