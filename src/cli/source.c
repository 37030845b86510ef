#include "cli/source.h"

#include "base/field.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

static struct cli_source *of_work(struct flv_work *w)
{
    return FLV_OWNER_OF(w, struct cli_source, work);
}

/* On the worker: next, next_len, eof and sys belong to it until done. */
static void read_piece(struct flv_work *w)
{
    struct cli_source *s = of_work(w);
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    ssize_t n = read(s->fd, s->next, CLI_SOURCE_PIECE_BYTES);
    while (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        /* Somebody who shares the descriptor made it non-blocking. */
        (void)poll(&wait, 1, -1);
        n = read(s->fd, s->next, CLI_SOURCE_PIECE_BYTES);
    }
    if (n < 0) {
        s->sys = errno;
    }
    s->next_len = n > 0 ? (size_t)n : 0;
}

static void read_done(struct flv_work *w, flv_rc rc)
{
    struct cli_source *s = of_work(w);
    s->busy = false;
    s->ready = rc == FLV_OK && s->next_len > 0;
    s->eof = !s->ready;
    if (s->filled != NULL) {
        s->filled(s->user);
    }
}

static void start_read(struct cli_source *s)
{
    if (s->busy || s->ready || s->eof) {
        return;
    }
    s->busy = flv_pool_submit(s->pool, &s->work) == FLV_OK;
    if (!s->busy) {
        s->sys = EAGAIN;
        s->eof = true;
    }
}

flv_rc cli_source_init(struct cli_source *s,
                       struct flv_loop *loop,
                       int fd,
                       size_t line_max,
                       struct flv_err *err)
{
    *s = (struct cli_source){.fd = fd};
    const struct flv_pool_conf conf = {
        .name = "input", .threads_max = 1, .queue_max = 1};
    flv_buf_init(&s->line, line_max);
    s->work.run = read_piece;
    s->work.done = read_done;
    s->next = flv_alloc(CLI_SOURCE_PIECE_BYTES);
    s->piece = flv_alloc(CLI_SOURCE_PIECE_BYTES);
    if (s->next == NULL || s->piece == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for the input");
    }
    return flv_pool_create(&s->pool, loop, &conf, err);
}

void cli_source_deinit(struct cli_source *s)
{
    assert(!s->busy);
    flv_pool_destroy(s->pool);
    flv_free(s->next);
    flv_free(s->piece);
    flv_buf_deinit(&s->line);
}

/* Makes the piece that was read the current one and reads on. */
static bool next_piece(struct cli_source *s)
{
    if (!s->ready) {
        start_read(s);
        return false;
    }
    uint8_t *old = s->piece;
    s->piece = s->next;
    s->len = s->next_len;
    s->pos = 0;
    s->next = old;
    s->ready = false;
    start_read(s);
    return true;
}

static enum cli_line
give(struct cli_source *s, struct flv_slice line, struct flv_slice *out)
{
    if (line.len > s->line.max) {
        return CLI_LINE_TOO_LONG;
    }
    *out = line;
    return CLI_LINE_GOT;
}

/* The rest of the current piece goes to `line`. */
static bool keep_rest(struct cli_source *s, size_t end)
{
    bool ok = flv_buf_add(&s->line, s->piece + s->pos, end - s->pos) == FLV_OK;
    s->pos = end;
    return ok;
}

static enum cli_line give_kept(struct cli_source *s, struct flv_slice *out)
{
    s->line_given = true;
    return give(s, flv_buf_slice(&s->line), out);
}

static void forget_given(struct cli_source *s)
{
    if (s->line_given) {
        flv_buf_reset(&s->line);
        s->line_given = false;
    }
}

enum cli_line cli_source_line(struct cli_source *s, struct flv_slice *out)
{
    forget_given(s);
    for (;;) {
        const uint8_t *from = s->piece + s->pos;
        const uint8_t *lf =
            s->pos < s->len ? memchr(from, '\n', s->len - s->pos) : NULL;
        if (lf != NULL && s->line.len == 0) {
            s->pos = (size_t)(lf - s->piece) + 1;
            return give(s, flv_slice(from, (size_t)(lf - from)), out);
        }
        if (!keep_rest(s, lf != NULL ? (size_t)(lf - s->piece) : s->len)) {
            return CLI_LINE_TOO_LONG;
        }
        if (lf != NULL) {
            s->pos++;
            return give_kept(s, out);
        }
        if (next_piece(s)) {
            continue;
        }
        if (!s->eof) {
            return CLI_LINE_WAIT;
        }
        return s->line.len > 0 && s->sys == 0 ? give_kept(s, out)
                                              : CLI_LINE_END;
    }
}

enum cli_line cli_source_lines(struct cli_source *s,
                               struct flv_slice *out,
                               size_t max,
                               size_t *out_count)
{
    size_t n = 1;
    assert(max > 0);
    enum cli_line rc = cli_source_line(s, &out[0]);
    if (rc != CLI_LINE_GOT) {
        return rc;
    }
    for (; n < max && s->pos < s->len; n++) {
        const uint8_t *from = s->piece + s->pos;
        const uint8_t *lf = memchr(from, '\n', s->len - s->pos);
        if (lf == NULL || (size_t)(lf - from) > s->line.max) {
            break;
        }
        out[n] = flv_slice(from, (size_t)(lf - from));
        s->pos += out[n].len + 1;
    }
    *out_count = n;
    return CLI_LINE_GOT;
}

enum cli_line cli_source_all(struct cli_source *s, struct flv_slice *out)
{
    forget_given(s);
    do {
        if (!keep_rest(s, s->len)) {
            return CLI_LINE_TOO_LONG;
        }
    } while (next_piece(s));
    if (!s->eof) {
        return CLI_LINE_WAIT;
    }
    return s->sys == 0 ? give_kept(s, out) : CLI_LINE_END;
}
