/* Frames of ws.h: the writer, and the reader as a state machine that takes
 * bytes in pieces of any size. */
#include "http/ws.h"

#include <assert.h>

#include "base/rand.h"
#include "base/text.h"

#define FIN 0x80u
#define RESERVED 0x70u
#define OP 0x0fu
#define MASKED 0x80u
#define HEAD_MIN 2
#define MASK_SIZE 4

/* --- writing ---------------------------------------------------------------
 */

flv_rc
flv_ws_put(struct flv_buf *b, enum flv_ws_op op, struct flv_slice payload)
{
    uint8_t head[10 + MASK_SIZE];
    size_t n = HEAD_MIN;
    assert(op < FLV_WS_CLOSE || payload.len <= FLV_WS_CONTROL_MAX);
    head[0] = (uint8_t)(FIN | op);
    if (payload.len < 126) {
        head[1] = (uint8_t)(MASKED | payload.len);
    } else if (payload.len <= UINT16_MAX) {
        head[1] = MASKED | 126;
        flv_put_u16(head + n, (uint16_t)payload.len);
        n += 2;
    } else {
        head[1] = MASKED | 127;
        flv_put_u64(head + n, payload.len);
        n += 8;
    }
    /* So that no server can be made to write what we choose to a proxy. */
    flv_put_u32(head + n, (uint32_t)flv_rand_u64());
    const uint8_t *mask = head + n;
    n += MASK_SIZE;
    flv_rc rc = flv_buf_reserve(b, n + payload.len);
    if (rc == FLV_OK) {
        rc = flv_buf_add(b, head, n);
    }
    if (rc != FLV_OK || payload.len == 0) {
        return rc;
    }
    rc = flv_buf_add(b, payload.data, payload.len);
    uint8_t *bytes = b->data + b->len - payload.len;
    for (size_t i = 0; i < payload.len; i++) {
        bytes[i] ^= mask[i % MASK_SIZE];
    }
    return rc;
}

flv_rc flv_ws_put_close(struct flv_buf *b, uint16_t code)
{
    uint8_t bytes[2];
    flv_put_u16(bytes, code);
    return flv_ws_put(b, FLV_WS_CLOSE, flv_slice(bytes, sizeof(bytes)));
}

/* --- reading ---------------------------------------------------------------
 */

void flv_ws_reader_init(struct flv_ws_reader *r, size_t message_max)
{
    *r = (struct flv_ws_reader){.message_max = message_max};
    flv_buf_init(&r->message, message_max);
    flv_buf_init(&r->control, FLV_WS_CONTROL_MAX);
}

void flv_ws_reader_deinit(struct flv_ws_reader *r)
{
    flv_buf_deinit(&r->message);
    flv_buf_deinit(&r->control);
}

void flv_ws_reader_reset(struct flv_ws_reader *r)
{
    flv_buf_reset(&r->message);
    flv_buf_reset(&r->control);
    r->head_len = 0;
    r->in_frame = r->in_message = r->given = r->closed = false;
    r->message_size = 0;
}

static flv_rc broken(struct flv_ws_reader *r,
                     uint16_t code,
                     const char *what,
                     struct flv_err *err)
{
    r->close_code = code;
    return flv_fail(err, FLV_E_PROTOCOL, "the server breaks RFC 6455: %s",
                    what);
}

static bool is_control(enum flv_ws_op op)
{
    return op >= FLV_WS_CLOSE;
}

/* What the first two bytes alone tell. */
static flv_rc check_head(struct flv_ws_reader *r, struct flv_err *err)
{
    unsigned op = r->head[0] & OP;
    bool known =
        op <= FLV_WS_BINARY || (op >= FLV_WS_CLOSE && op <= FLV_WS_PONG);
    const char *what = NULL;
    r->fin = (r->head[0] & FIN) != 0;
    if ((r->head[0] & RESERVED) != 0) {
        what = "a frame uses an extension, and none was agreed on";
    } else if (!known) {
        what = "a frame has an operation code that is reserved";
    } else if ((r->head[1] & MASKED) != 0) {
        what = "a frame of the server is masked";
    } else if (op >= FLV_WS_CLOSE &&
               (!r->fin || (r->head[1] & ~MASKED) > FLV_WS_CONTROL_MAX)) {
        what = "a control frame is in fragments, or has more than 125 bytes";
    } else if (op == FLV_WS_CONTINUATION && !r->in_message) {
        what = "a fragment continues no message";
    } else if ((op == FLV_WS_TEXT || op == FLV_WS_BINARY) && r->in_message) {
        what = "a message begins before the last one ended";
    }
    if (what != NULL) {
        return broken(r, FLV_WS_PROTOCOL_ERROR, what, err);
    }
    r->op = (enum flv_ws_op)op;
    return FLV_OK;
}

static size_t head_size(const struct flv_ws_reader *r)
{
    unsigned len = r->head[1] & ~MASKED;
    return HEAD_MIN + (len == 127 ? 8u : len == 126 ? 2u : 0u);
}

/* The head is whole. */
static flv_rc begin_frame(struct flv_ws_reader *r, struct flv_err *err)
{
    size_t size = head_size(r);
    uint64_t len = r->head[1];
    uint64_t least = 0;
    if (size == HEAD_MIN + 2) {
        len = flv_get_u16(r->head + HEAD_MIN);
        least = 126;
    } else if (size > HEAD_MIN) {
        len = flv_get_u64(r->head + HEAD_MIN);
        least = UINT16_MAX + 1u;
    }
    if (len < least || len > INT64_MAX) {
        return broken(r, FLV_WS_PROTOCOL_ERROR,
                      "the length of a frame is not written as it has to be",
                      err);
    }
    r->head_len = 0;
    r->in_frame = true;
    r->left = len;
    if (is_control(r->op)) {
        flv_buf_reset(&r->control);
        return FLV_OK;
    }
    if (!r->in_message) {
        r->in_message = true;
        r->message_op = r->op;
        r->message_size = 0;
        r->oversized = false;
    }
    if (len > INT64_MAX - r->message_size) {
        return broken(r, FLV_WS_TOO_BIG, "a message has no end", err);
    }
    r->message_size += len;
    return FLV_OK;
}

/* True: the message has just become one that is not kept. */
static bool becomes_oversized(struct flv_ws_reader *r, struct flv_ws_event *out)
{
    if (is_control(r->op) || r->oversized ||
        r->message_size <= r->message_max) {
        return false;
    }
    r->oversized = true;
    flv_buf_deinit(&r->message); /* nothing of it will be used */
    flv_buf_init(&r->message, r->message_max);
    *out = (struct flv_ws_event){.op = r->message_op};
    return true;
}

static flv_rc
take_head(struct flv_ws_reader *r, struct flv_slice *in, struct flv_err *err)
{
    while (in->len > 0) {
        r->head[r->head_len++] = in->data[0];
        *in = flv_slice(in->data + 1, in->len - 1);
        if (r->head_len < HEAD_MIN) {
            continue;
        }
        flv_rc rc = r->head_len == HEAD_MIN ? check_head(r, err) : FLV_OK;
        if (rc != FLV_OK) {
            return rc;
        }
        if (r->head_len == head_size(r)) {
            return begin_frame(r, err);
        }
    }
    return FLV_OK;
}

static flv_rc
take_payload(struct flv_ws_reader *r, struct flv_slice *in, struct flv_err *err)
{
    size_t n = r->left < in->len ? (size_t)r->left : in->len;
    struct flv_buf *to = is_control(r->op) ? &r->control : &r->message;
    bool kept = is_control(r->op) || !r->oversized;
    if (n > 0 && kept && flv_buf_add(to, in->data, n) != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a message");
    }
    r->left -= n;
    *in = flv_slice(in->data + n, in->len - n);
    return FLV_OK;
}

static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static flv_rc end_control(struct flv_ws_reader *r,
                          struct flv_ws_event *out,
                          struct flv_err *err)
{
    struct flv_slice all = flv_buf_slice(&r->control);
    *out = (struct flv_ws_event){.op = r->op, .payload = all};
    if (r->op != FLV_WS_CLOSE) {
        return FLV_OK;
    }
    r->closed = true;
    out->close_code = FLV_WS_NO_CODE;
    if (all.len == 0) {
        return FLV_OK;
    }
    if (all.len == 1 || !is_close_code(flv_get_u16(all.data))) {
        return broken(r, FLV_WS_PROTOCOL_ERROR, "a close has a bad code", err);
    }
    out->close_code = flv_get_u16(all.data);
    out->payload = flv_slice(all.data + 2, all.len - 2);
    if (!flv_text_is_utf8(out->payload)) {
        return broken(r, FLV_WS_NOT_UTF8, "the reason of a close is not UTF-8",
                      err);
    }
    return FLV_OK;
}

static flv_rc end_message(struct flv_ws_reader *r,
                          enum flv_ws_piece *out_piece,
                          struct flv_ws_event *out,
                          struct flv_err *err)
{
    r->given = true;
    *out = (struct flv_ws_event){.op = r->message_op,
                                 .payload = flv_buf_slice(&r->message)};
    if (r->message_op == FLV_WS_TEXT && !flv_text_is_utf8(out->payload)) {
        return broken(r, FLV_WS_NOT_UTF8, "a text message is not UTF-8", err);
    }
    *out_piece = FLV_WS_MESSAGE;
    return FLV_OK;
}

flv_rc flv_ws_read(struct flv_ws_reader *r,
                   struct flv_slice *in,
                   enum flv_ws_piece *out_piece,
                   struct flv_ws_event *out,
                   struct flv_err *err)
{
    assert(!r->closed);
    *out_piece = FLV_WS_NONE;
    if (r->given) {
        flv_buf_reset(&r->message);
        r->given = false;
    }
    for (;;) {
        flv_rc rc = r->in_frame ? FLV_OK : take_head(r, in, err);
        if (rc != FLV_OK || !r->in_frame) {
            return rc;
        }
        if (becomes_oversized(r, out)) {
            *out_piece = FLV_WS_OVERSIZED;
            return FLV_OK;
        }
        rc = take_payload(r, in, err);
        if (rc != FLV_OK || r->left > 0) {
            return rc;
        }
        r->in_frame = false;
        if (is_control(r->op)) {
            *out_piece = FLV_WS_CONTROL;
            return end_control(r, out, err);
        }
        r->in_message = !r->fin;
        if (r->fin && !r->oversized) {
            return end_message(r, out_piece, out, err);
        }
    }
}
