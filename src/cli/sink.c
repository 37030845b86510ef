#include "cli/sink.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/field.h"

static struct cli_sink *of_work(struct flv_work *w)
{
    return FLV_OWNER_OF(w, struct cli_sink, work);
}

static struct cli_sink *of_task(struct flv_task *t)
{
    return FLV_OWNER_OF(t, struct cli_sink, task);
}

/* On the worker: `writing` and `sys` belong to it until done. */
static void write_all(struct flv_work *w)
{
    struct cli_sink *s = of_work(w);
    struct pollfd wait = {.fd = s->fd, .events = POLLOUT};
    size_t at = 0;
    while (at < s->writing.len) {
        ssize_t n = write(s->fd, s->writing.data + at, s->writing.len - at);
        if (n < 0 && errno == EAGAIN) {
            /* Somebody who shares the descriptor made it non-blocking. */
            (void)poll(&wait, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            s->sys = errno;
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
}

static void hand_over(struct cli_sink *s)
{
    if (s->busy || s->sys != 0 || s->filling.len == 0) {
        return;
    }
    struct flv_buf free_buf = s->writing;
    s->writing = s->filling;
    s->filling = free_buf;
    flv_buf_reset(&s->filling);
    s->busy = flv_pool_submit(s->pool, &s->work) == FLV_OK;
    if (!s->busy) {
        /* No thread to be had: write here, the loop waits that long. */
        write_all(&s->work);
        flv_buf_reset(&s->writing);
    }
}

static void written(struct flv_work *w, flv_rc rc)
{
    struct cli_sink *s = of_work(w);
    (void)rc; /* canceled only in deinit */
    assert(s->busy);
    s->busy = false;
    flv_buf_reset(&s->writing);
    if (s->sys != 0) {
        flv_buf_reset(&s->filling);
    }
    hand_over(s);
    if (s->written != NULL) {
        s->written(s->user);
    }
}

static void kicked(struct flv_task *t)
{
    struct cli_sink *s = of_task(t);
    hand_over(s);
    if (!s->busy && s->written != NULL) {
        s->written(s->user);
    }
}

flv_rc cli_sink_init(struct cli_sink *s,
                     struct flv_loop *loop,
                     int fd,
                     struct flv_err *err)
{
    *s = (struct cli_sink){.loop = loop, .fd = fd};
    const struct flv_pool_conf conf = {
        .name = "output", .threads_max = 1, .queue_max = 1};
    flv_buf_init(&s->filling, CLI_SINK_BYTES_MAX);
    flv_buf_init(&s->writing, CLI_SINK_BYTES_MAX);
    s->work.run = write_all;
    s->work.done = written;
    flv_task_init(&s->task, kicked);
    return flv_pool_create(&s->pool, loop, &conf, err);
}

void cli_sink_deinit(struct cli_sink *s)
{
    if (s->loop == NULL) {
        return;
    }
    flv_loop_undefer(s->loop, &s->task);
    s->written = NULL;
    flv_pool_destroy(s->pool);
    flv_buf_deinit(&s->filling);
    flv_buf_deinit(&s->writing);
}

void cli_sink_kick(struct cli_sink *s)
{
    if (s->sys != 0) {
        flv_buf_reset(&s->filling);
    } else {
        flv_loop_defer(s->loop, &s->task);
    }
}

bool cli_sink_is_full(const struct cli_sink *s)
{
    return s->filling.len >= CLI_SINK_HIGH_BYTES;
}

bool cli_sink_is_idle(const struct cli_sink *s)
{
    return !s->busy && (s->filling.len == 0 || s->sys != 0);
}
