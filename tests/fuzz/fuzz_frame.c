/* fuzz-libs: flv_loop */
/*
 * A peer that sends anything and hangs up: the frames that come out are those
 * that a plain reading of the same bytes finds, and the end says why.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loop/frame.h"

#define FRAME_MAX 4096U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct flv_loop *loop;
static struct flv_listener *listener;
static struct flv_connect dial;
static struct flv_conn *near_conn, *far_conn;
static struct flv_budget budget;

static const uint8_t *want; /* borrowed: what is left to come */
static size_t want_len;
static int ended, wrote;
static flv_rc end_rc;

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void on_accepted(void *ctx, struct flv_conn *conn)
{
    (void)ctx;
    far_conn = conn;
}

static void on_dialed(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    (void)c;
    (void)err;
    demand(rc == FLV_OK);
    near_conn = conn;
}

static void on_wrote(struct flv_write *w, flv_rc rc)
{
    (void)w;
    (void)rc;
    wrote = 1;
}

static void on_frame(void *ctx, struct flv_chunk *frame)
{
    struct flv_frames *f = ctx;

    demand(want_len >= 4 && flv_get_u32(want) == frame->size);
    demand(want_len - 4 >= frame->size);
    demand(frame->size == 0 || memcmp(want + 4, frame->data, frame->size) == 0);
    want += 4 + frame->size;
    want_len -= 4 + frame->size;
    if (frame->size % 3 == 1) {
        flv_frames_pause(f);
    }
}

static void on_end(void *ctx, flv_rc rc, const struct flv_err *err)
{
    (void)ctx;
    (void)err;
    ended = 1;
    end_rc = rc;
}

static void connect_ends(void)
{
    if (loop == NULL) {
        const struct flv_listen_conf conf = {.host = "127.0.0.1",
                                             .accepted = on_accepted};

        demand(flv_loop_create(&loop, 0, NULL) == FLV_OK);
        demand(flv_listener_open(&listener, loop, &conf, NULL) == FLV_OK);
    }
    dial = (struct flv_connect){.host = "127.0.0.1",
                                .port = flv_listener_port(listener),
                                .timeout_ms = 10000,
                                .done = on_dialed};
    near_conn = NULL;
    far_conn = NULL;
    demand(flv_connect_start(&dial, loop, NULL) == FLV_OK);
    while (near_conn == NULL || far_conn == NULL) {
        (void)flv_loop_turn(loop, true);
    }
}

/* How the bytes that no frame took have to end. */
static flv_rc wanted_end(void)
{
    int32_t size = want_len >= 4 ? (int32_t)flv_get_u32(want) : 0;

    if (want_len == 0) {
        return FLV_OK;
    }
    if (size < 0) {
        return FLV_E_PROTOCOL;
    }
    return (uint32_t)size > FRAME_MAX ? FLV_E_LIMIT : FLV_E_CLOSED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_slice part = flv_slice(data, size);
    struct flv_frames frames;
    struct flv_write w;

    connect_ends();
    flv_budget_init(&budget, 2U * FRAME_MAX);
    want = data;
    want_len = size;
    ended = 0;
    wrote = 0;
    flv_frames_init(&frames, far_conn,
                    &(struct flv_frames_conf){.frame_bytes_max = FRAME_MAX,
                                              .budget = &budget,
                                              .on_frame = on_frame,
                                              .on_end = on_end,
                                              .ctx = &frames});
    flv_frames_resume(&frames);
    flv_conn_write(near_conn, &w, &part, 1, on_wrote);
    while (!ended) {
        (void)flv_loop_turn(loop, true);
        flv_frames_resume(&frames);
        if (wrote && near_conn != NULL) {
            flv_conn_close(near_conn, NULL, NULL);
            near_conn = NULL;
        }
    }
    demand(end_rc == wanted_end());
    flv_frames_deinit(&frames);
    demand(budget.used == 0);
    if (near_conn != NULL) {
        flv_conn_close(near_conn, NULL, NULL);
    }
    flv_conn_close(far_conn, NULL, NULL);
    (void)flv_loop_turn(loop, false);
    return 0;
}
