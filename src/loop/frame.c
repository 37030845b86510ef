#include "loop/frame.h"

#include <assert.h>
#include <string.h>

#include "base/field.h"
#include "loop/loop_priv.h"

/* From that many missing bytes on, a frame is read straight into its chunk;
 * below, one read into the scratch memory may bring further frames too. */
#define DIRECT_MIN (16U << 10)
/* One read takes no more, so that one connection does not hold up others. */
#define DIRECT_MAX (1U << 20)

static bool is_blocked(const struct flv_frames *f)
{
    return f->paused || f->ended || f->waiter.waiting;
}

static bool is_partial(const struct flv_frames *f)
{
    return f->head_len > 0 || f->chunk != NULL;
}

bool flv_frames_between(const struct flv_frames *f)
{
    return !is_partial(f) && f->stash.len == f->stash_pos;
}

bool flv_frames_paused(const struct flv_frames *f)
{
    return f->paused;
}

/* ---- The end ----------------------------------------------------------- */

static void stop(struct flv_frames *f)
{
    flv_conn_read_stop(f->conn);
    flv_timer_stop(&f->timer);
}

/* Runs on_end; f may be gone after it. */
static void end(struct flv_frames *f, const struct flv_err *err)
{
    assert(!f->ended);
    f->ended = true;
    stop(f);
    f->conf.on_end(f->conf.ctx, err->rc, err);
}

static void fail_size(struct flv_frames *f, int32_t size)
{
    struct flv_err err = {.rc = FLV_OK};

    if (size < 0) {
        (void)flv_fail(&err, FLV_E_PROTOCOL, "frame size %d is negative", size);
    } else {
        (void)flv_fail(&err, FLV_E_LIMIT,
                       "frame of %d bytes is over the limit of %zu bytes", size,
                       f->conf.frame_bytes_max);
    }
    end(f, &err);
}

static void fail_memory(struct flv_frames *f)
{
    struct flv_err err = {.rc = FLV_OK};

    (void)flv_fail(&err, FLV_E_NOMEM, "out of memory for a frame");
    end(f, &err);
}

/* ---- Time -------------------------------------------------------------- */

/* When the frame under way is late at the latest; UINT64_MAX: never. */
static uint64_t late_at(const struct flv_frames *f)
{
    uint64_t stall = f->conf.stall_ms_max, all = f->conf.frame_ms_max;
    uint64_t a = stall > 0 ? f->moved_ms + stall : UINT64_MAX;
    uint64_t b = all > 0 ? f->begun_ms + all : UINT64_MAX;

    return a < b ? a : b;
}

static bool arm(struct flv_frames *f, uint64_t now)
{
    uint64_t at = late_at(f);

    if (at == UINT64_MAX || flv_timer_active(&f->timer)) {
        return true;
    }
    return flv_timer_start(&f->timer, at > now ? at - now : 0, 0, NULL) ==
           FLV_OK;
}

static void timer_cb(struct flv_timer *t)
{
    struct flv_frames *f = FLV_OWNER_OF(t, struct flv_frames, timer);
    uint64_t now = flv_loop_now_ms(f->loop);
    struct flv_err err = {.rc = FLV_OK};

    if (now < late_at(f)) {
        if (!arm(f, now)) {
            fail_memory(f);
        }
        return;
    }
    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "a frame stopped after %zu bytes, begun %llu ms ago",
                   f->head_len + f->filled,
                   (unsigned long long)(now - f->begun_ms));
    end(f, &err);
}

/* ---- Cutting ----------------------------------------------------------- */

static flv_rc open_chunk(struct flv_frames *f, size_t size)
{
    struct flv_budget *budget = f->conf.budget;
    flv_rc rc;

    if (f->granted > 0) {
        rc = flv_chunk_create_granted(budget, size, &f->chunk);
        if (rc == FLV_OK) {
            f->granted = 0;
        }
        return rc;
    }
    rc = flv_chunk_create(budget, size, &f->chunk);
    if (rc == FLV_E_BUSY) {
        f->waiter.need = flv_chunk_cost(size);
        flv_budget_wait(budget, &f->waiter);
    }
    return rc;
}

/* The size is known: checks it and takes memory. False: nothing can go on. */
static bool begin_frame(struct flv_frames *f)
{
    int32_t size = (int32_t)flv_get_u32(f->head);
    flv_rc rc;

    assert(f->chunk == NULL && f->head_len == sizeof(f->head));
    if (size < 0 || (uint32_t)size > f->conf.frame_bytes_max) {
        fail_size(f, size);
        return false;
    }
    rc = open_chunk(f, (size_t)size);
    f->filled = 0;
    if (rc == FLV_E_LIMIT) {
        fail_size(f, size);
    } else if (rc == FLV_E_NOMEM) {
        fail_memory(f);
    }
    return rc == FLV_OK;
}

static void finish_frame(struct flv_frames *f)
{
    struct flv_chunk *chunk = f->chunk;

    f->chunk = NULL;
    f->filled = 0;
    f->head_len = 0;
    f->conf.on_frame(f->conf.ctx, chunk);
    flv_chunk_unref(chunk);
}

static void begin_time(struct flv_frames *f, uint64_t now)
{
    if (!is_partial(f)) {
        f->begun_ms = now;
    }
}

/* Cuts from data until it is used up or nothing can go on; returns the bytes
 * used. *gone: f is no more. */
static size_t
cut(struct flv_frames *f, const uint8_t *data, size_t len, const bool *gone)
{
    uint64_t now = flv_loop_now_ms(f->loop);
    size_t pos = 0;

    while (!*gone && !is_blocked(f)) {
        size_t n;

        if (f->chunk == NULL && f->head_len < sizeof(f->head)) {
            if (pos == len) {
                break;
            }
            begin_time(f, now);
            n = sizeof(f->head) - f->head_len;
            n = n < len - pos ? n : len - pos;
            memcpy(f->head + f->head_len, data + pos, n);
            f->head_len = (uint8_t)(f->head_len + n);
            pos += n;
            continue;
        }
        if (f->chunk == NULL && !begin_frame(f)) {
            break;
        }
        n = f->chunk->size - f->filled;
        n = n < len - pos ? n : len - pos;
        if (n > 0) {
            memcpy(f->chunk->data + f->filled, data + pos, n);
        }
        f->filled += n;
        pos += n;
        if (f->filled < f->chunk->size) {
            break;
        }
        finish_frame(f);
    }
    return pos;
}

/* After bytes came: the clock of a begun frame runs while we read. */
static void settle(struct flv_frames *f)
{
    if (f->ended) {
        return;
    }
    if (is_blocked(f)) {
        stop(f);
        return;
    }
    if (!is_partial(f)) {
        flv_timer_stop(&f->timer);
    } else if (!arm(f, flv_loop_now_ms(f->loop))) {
        fail_memory(f);
        return;
    }
    flv_conn_read_start(f->conn, &f->reader);
}

/* ---- The connection's reader ------------------------------------------- */

static void *space_cb(struct flv_reader *r, size_t *out_size)
{
    struct flv_frames *f = FLV_OWNER_OF(r, struct flv_frames, reader);
    size_t missing = f->chunk != NULL ? f->chunk->size - f->filled : 0;

    f->direct = missing >= DIRECT_MIN;
    if (f->direct) {
        *out_size = missing < DIRECT_MAX ? missing : DIRECT_MAX;
        return f->chunk->data + f->filled;
    }
    return flv_conn_scratch(f->conn, out_size);
}

static void data_cb(struct flv_reader *r, size_t n)
{
    struct flv_frames *f = FLV_OWNER_OF(r, struct flv_frames, reader);
    bool gone = false;
    size_t size = 0, used;
    const uint8_t *scratch;

    assert(!f->ended && f->stash.len == 0);
    f->gone = &gone;
    f->moved_ms = flv_loop_now_ms(f->loop);
    if (f->direct) {
        f->filled += n;
        assert(f->filled <= f->chunk->size);
        if (f->filled == f->chunk->size) {
            finish_frame(f);
        }
    } else {
        scratch = flv_conn_scratch(f->conn, &size);
        assert(n <= size);
        used = cut(f, scratch, n, &gone);
        if (!gone && !f->ended && used < n &&
            flv_buf_add(&f->stash, scratch + used, n - used) != FLV_OK) {
            fail_memory(f);
        }
    }
    if (!gone) {
        settle(f);
    }
    if (!gone) {
        f->gone = NULL;
    }
}

static void end_cb(struct flv_reader *r, flv_rc rc)
{
    struct flv_frames *f = FLV_OWNER_OF(r, struct flv_frames, reader);
    struct flv_err err = {.rc = FLV_OK};

    if (rc != FLV_OK) {
        err = *flv_conn_error(f->conn);
        err.rc = FLV_E_CLOSED;
    } else if (is_partial(f)) {
        (void)flv_fail(&err, FLV_E_CLOSED,
                       "%s closed the connection within a frame, after %zu "
                       "bytes of it",
                       flv_conn_peer(f->conn), f->head_len + f->filled);
    }
    end(f, &err);
}

/* Cuts what is stashed, then goes on reading. */
static void again_cb(struct flv_task *t)
{
    struct flv_frames *f = FLV_OWNER_OF(t, struct flv_frames, again);
    bool gone = false;
    const uint8_t *left = f->stash.data;
    size_t used;

    if (is_blocked(f)) {
        return;
    }
    f->gone = &gone;
    /* The peer is not to blame for the time we did not read. */
    f->begun_ms = flv_loop_now_ms(f->loop);
    f->moved_ms = f->begun_ms;
    if (f->stash_pos > 0) {
        left += f->stash_pos;
    }
    used = cut(f, left, f->stash.len - f->stash_pos, &gone);
    if (!gone) {
        f->stash_pos += used;
        if (f->stash_pos == f->stash.len) {
            flv_buf_deinit(&f->stash);
            f->stash_pos = 0;
        }
        settle(f);
    }
    if (!gone) {
        f->gone = NULL;
    }
}

static void granted_cb(struct flv_budget_waiter *w)
{
    struct flv_frames *f = FLV_OWNER_OF(w, struct flv_frames, waiter);

    f->granted = w->need;
    flv_loop_defer(f->loop, &f->again);
}

/* ---- Life -------------------------------------------------------------- */

void flv_frames_init(struct flv_frames *f,
                     struct flv_conn *conn,
                     const struct flv_frames_conf *conf)
{
    assert(conf->on_frame != NULL && conf->on_end != NULL);
    assert(conf->frame_bytes_max > 0 && conf->frame_bytes_max <= INT32_MAX);
    *f = (struct flv_frames){
        .reader = {.space = space_cb, .data = data_cb, .end = end_cb},
        .conf = *conf,
        .conn = conn,
        .loop = flv_conn_loop(conn),
        .waiter = {.granted = granted_cb},
        .paused = true};
    flv_buf_init(&f->stash, FLV_LOOP_SCRATCH_BYTES);
    flv_timer_init(&f->timer, f->loop, timer_cb);
    flv_task_init(&f->again, again_cb);
}

void flv_frames_deinit(struct flv_frames *f)
{
    if (f == NULL || f->conn == NULL) {
        return;
    }
    if (!f->ended) {
        stop(f);
    }
    flv_loop_undefer(f->loop, &f->again);
    if (f->conf.budget != NULL) {
        flv_budget_cancel(f->conf.budget, &f->waiter);
        if (f->granted > 0) {
            flv_budget_give(f->conf.budget, f->granted);
        }
    }
    flv_chunk_unref(f->chunk);
    flv_buf_deinit(&f->stash);
    if (f->gone != NULL) {
        *f->gone = true;
    }
    *f = (struct flv_frames){.conn = NULL};
}

void flv_frames_pause(struct flv_frames *f)
{
    f->paused = true;
    stop(f);
}

void flv_frames_resume(struct flv_frames *f)
{
    if (f->paused) {
        f->paused = false;
        flv_loop_defer(f->loop, &f->again);
    }
}
