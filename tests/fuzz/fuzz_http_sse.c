/* fuzz-libs: flv_connect_http */
/*
 * Server-sent events in pieces as a far side likes: what is found is the same
 * however the bytes were split, and nothing is kept beyond the ceiling. First
 * byte: where to split.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../connectors/http/sse.h"

#define DATA_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* All that was found, one after the other: type, data and id of an event. */
struct found {
    uint8_t bytes[1 << 20];
    size_t len;
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

static void take(struct http_sse *s, struct found *f)
{
    struct http_event e;
    enum http_piece piece;
    flv_rc rc;
    while ((piece = http_sse_next(s, &e, &rc)) != HTTP_PIECE_NONE) {
        if (piece == HTTP_PIECE_OVERSIZED) {
            note(f, 'o', flv_slice(NULL, 0));
            continue;
        }
        demand(e.data.len <= DATA_MAX && e.type.len <= HTTP_SSE_TYPE_MAX);
        demand(e.type.len > 0 && s->id.len <= HTTP_SSE_ID_MAX);
        demand(s->id.len == 0 || (memchr(s->id.data, '\n', s->id.len) == NULL &&
                                  memchr(s->id.data, '\0', s->id.len) == NULL));
        note(f, 't', e.type);
        note(f, 'd', e.data);
        note(f, 'i', flv_buf_slice(&s->id));
    }
    demand(rc == FLV_OK && s->feed.scan - s->feed.pos <= DATA_MAX + 64);
}

static void find(struct flv_slice bytes, size_t step, struct found *f)
{
    struct http_sse s;
    http_sse_init(&s, DATA_MAX);
    while (bytes.len > 0) {
        size_t n = step < bytes.len ? step : bytes.len;
        demand(http_feed_has_room(&s.feed));
        demand(http_feed_add(&s.feed, flv_slice(bytes.data, n)) == FLV_OK);
        bytes = flv_slice(bytes.data + n, bytes.len - n);
        take(&s, f);
    }
    note(f, 'r', flv_slice(&s.retry_ms, sizeof(s.retry_ms)));
    note(f, 'l', flv_buf_slice(&s.id));
    http_sse_deinit(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct found whole, split;
    if (size < 1 || size > 4096) {
        return 0;
    }
    struct flv_slice bytes = flv_slice(data + 1, size - 1);
    whole.len = split.len = 0;
    find(bytes, 4096, &whole);
    find(bytes, 1 + data[0] % 32u, &split);
    demand(whole.len == split.len &&
           memcmp(whole.bytes, split.bytes, whole.len) == 0);
    return 0;
}
