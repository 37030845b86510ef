/* fuzz-libs: flv_connect_http */
/*
 * A stream in pieces as a far side likes: what is found is the same however
 * the bytes were split, and nothing is kept beyond the ceiling. First byte:
 * delimiter; second: where to split.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../connectors/http/cut.h"

#define RECORD_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* All that was found, one after the other. */
struct found {
    uint8_t bytes[3 * 4096];
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

static void take(struct http_cut *c, struct found *f)
{
    struct flv_slice s = flv_slice(NULL, 0);
    enum http_piece piece;
    while ((piece = http_cut_next(c, &s)) != HTTP_PIECE_NONE) {
        demand(piece != HTTP_PIECE_RECORD || s.len <= RECORD_MAX);
        note(f, piece == HTTP_PIECE_RECORD ? 'r' : 'o',
             piece == HTTP_PIECE_RECORD ? s : flv_slice(NULL, 0));
    }
    demand(c->feed.scan - c->feed.pos <= RECORD_MAX);
}

static void find(const struct http_delimiter *d,
                 struct flv_slice bytes,
                 size_t step,
                 struct found *f)
{
    struct http_cut c;
    struct flv_slice s;
    http_cut_init(&c, d, RECORD_MAX);
    while (bytes.len > 0) {
        size_t n = step < bytes.len ? step : bytes.len;
        demand(http_feed_has_room(&c.feed));
        demand(http_feed_add(&c.feed, flv_slice(bytes.data, n)) == FLV_OK);
        bytes = flv_slice(bytes.data + n, bytes.len - n);
        take(&c, f);
    }
    enum http_piece piece = http_cut_tail(&c, &s);
    if (piece == HTTP_PIECE_RECORD) {
        note(f, 't', s);
    }
    http_cut_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const delimiters[] = {"\\n", "\\r\\n", "aab", "\\n\\n"};
    static struct found whole, split;
    struct http_delimiter d;
    struct flv_err err = {0};
    if (size < 2 || size > 4096) {
        return 0;
    }
    demand(http_delimiter_read(delimiters[data[0] % 4], &d, &err) == FLV_OK);
    struct flv_slice bytes = flv_slice(data + 2, size - 2);
    whole.len = split.len = 0;
    find(&d, bytes, 4096, &whole);
    find(&d, bytes, 1 + data[1] % 32u, &split);
    demand(whole.len == split.len &&
           memcmp(whole.bytes, split.bytes, whole.len) == 0);
    return 0;
}
