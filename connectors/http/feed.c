#include "feed.h"

#include <assert.h>

void http_feed_init(struct http_feed *f, size_t kept_max)
{
    f->pos = f->scan = 0;
    flv_buf_init(&f->buf, kept_max + HTTP_FEED_AHEAD + HTTP_FEED_PIECE);
}

void http_feed_deinit(struct http_feed *f)
{
    flv_buf_deinit(&f->buf);
    f->pos = f->scan = 0;
}

void http_feed_reset(struct http_feed *f)
{
    flv_buf_reset(&f->buf);
    f->pos = f->scan = 0;
}

flv_rc http_feed_add(struct http_feed *f, struct flv_slice bytes)
{
    assert(f->pos <= f->scan && f->scan <= f->buf.len);
    assert(http_feed_has_room(f) && bytes.len <= HTTP_FEED_PIECE);
    flv_buf_drop(&f->buf, f->pos);
    f->scan -= f->pos;
    f->pos = 0;
    return flv_buf_add(&f->buf, bytes.data, bytes.len);
}
