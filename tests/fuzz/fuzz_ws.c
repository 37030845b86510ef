/* fuzz-libs: flv_http */
/*
 * What a WebSocket server sends, in pieces as it likes: what is read is the
 * same however the bytes were split, messages stay below the ceiling, text is
 * UTF-8, and what is refused has a code and a sentence. First byte: where to
 * split.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/ws.h"

#define MESSAGE_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

struct found {
    uint8_t bytes[16 * 1024];
    size_t len;
    flv_rc rc;
};

static void note(struct found *f, uint8_t kind, struct flv_slice s)
{
    demand(f->len + s.len + 1 <= sizeof(f->bytes));
    f->bytes[f->len++] = kind;
    if (s.len > 0) {
        memcpy(f->bytes + f->len, s.data, s.len);
    }
    f->len += s.len;
}

static void take(struct flv_ws_reader *r, struct flv_slice in, struct found *f)
{
    while (f->rc == FLV_OK && !r->closed) {
        enum flv_ws_piece piece;
        struct flv_ws_event e;
        struct flv_err err = {0};
        f->rc = flv_ws_read(r, &in, &piece, &e, &err);
        if (f->rc != FLV_OK) {
            demand(f->rc == FLV_E_PROTOCOL && err.text[0] != '\0');
            demand(r->close_code >= 1002 && r->close_code <= 1009);
            return;
        }
        if (piece == FLV_WS_NONE) {
            demand(in.len == 0);
            return;
        }
        if (piece == FLV_WS_OVERSIZED) {
            note(f, 'o', flv_slice(NULL, 0));
            continue;
        }
        demand(e.payload.len <=
               (piece == FLV_WS_CONTROL ? FLV_WS_CONTROL_MAX : MESSAGE_MAX));
        demand(e.op != FLV_WS_TEXT || flv_text_is_utf8(e.payload));
        note(f, (uint8_t)e.op, e.payload);
    }
}

static void read_all(struct flv_slice bytes, size_t step, struct found *f)
{
    struct flv_ws_reader r;
    flv_ws_reader_init(&r, MESSAGE_MAX);
    f->len = 0;
    f->rc = FLV_OK;
    while (bytes.len > 0) {
        size_t n = step < bytes.len ? step : bytes.len;
        take(&r, flv_slice(bytes.data, n), f);
        bytes = flv_slice(bytes.data + n, bytes.len - n);
    }
    flv_ws_reader_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct found whole, split;
    if (size < 1 || size > 4096) {
        return 0;
    }
    struct flv_slice bytes = flv_slice(data + 1, size - 1);
    read_all(bytes, 4096, &whole);
    read_all(bytes, 1 + data[0] % 32u, &split);
    demand(whole.rc == split.rc && whole.len == split.len &&
           memcmp(whole.bytes, split.bytes, whole.len) == 0);
    return 0;
}
