/*
 * frame.h - frames of "i32 size, then size bytes" from a connection.
 *
 * Purpose    Cuts the stream into chunks. Large frames are read straight into
 *            their chunk, many small ones come from one read. Knows nothing
 *            of what is inside.
 * Threads    The loop's thread.
 * Ownership  struct flv_frames is embedded by the user. The chunk handed to
 *            on_frame is borrowed: flv_chunk_ref() to keep it. The connection
 *            stays the user's; while started, flv_frames is its reader.
 * Errors     on_end, once; nothing comes after it:
 *            FLV_OK        the peer closed between two frames
 *            FLV_E_CLOSED  the peer closed within a frame, or the link broke
 *            FLV_E_PROTOCOL a negative size
 *            FLV_E_LIMIT   a size over the ceiling, or over the whole budget
 *            FLV_E_TIMEOUT a frame came too slowly
 *            FLV_E_NOMEM
 *            The user then closes the connection.
 * Budget     A frame is charged when its size is known. When the budget is
 *            used up, this connection is not read until its turn in line.
 */
#ifndef FLV_LOOP_FRAME_H
#define FLV_LOOP_FRAME_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/chunk.h"
#include "loop/loop.h"
#include "loop/net.h"

struct flv_frames_conf {
    size_t frame_bytes_max;    /* ceiling of a frame's size */
    struct flv_budget *budget; /* borrowed; NULL: none */
    uint64_t stall_ms_max;     /* longest wait for the next bytes of a frame
                                  that has begun; 0: no limit */
    uint64_t frame_ms_max;     /* longest time from the first to the last byte
                                  of a frame; 0: no limit */
    void (*on_frame)(void *ctx, struct flv_chunk *frame);
    void (*on_end)(void *ctx, flv_rc rc, const struct flv_err *err);
    void *ctx; /* borrowed */
};

/* All private. Bytes read but not cut yet wait in the stash while the user
 * pauses or the budget is used up; then nothing more is read. */
struct flv_frames {
    struct flv_reader reader;
    struct flv_frames_conf conf;
    struct flv_conn *conn; /* borrowed */
    struct flv_loop *loop; /* borrowed */
    struct flv_budget_waiter waiter;
    struct flv_timer timer;
    struct flv_task again;
    struct flv_chunk *chunk; /* owned: frame in progress, or NULL */
    size_t filled;           /* bytes of it */
    struct flv_buf stash;
    size_t stash_pos; /* cut so far */
    size_t granted;   /* charge held without a chunk */
    uint64_t begun_ms, moved_ms;
    uint8_t head[4];
    uint8_t head_len;
    bool paused, ended, direct;
    bool *gone; /* set when deinit runs inside a callback */
};

/* Reads nothing before flv_frames_resume(). */
void flv_frames_init(struct flv_frames *f,
                     struct flv_conn *conn,
                     const struct flv_frames_conf *conf);
/* Stops reading, gives back what is held. May be called from on_frame and
 * on_end; before the connection is closed. Zeroed and deinited are fine. */
void flv_frames_deinit(struct flv_frames *f);

/* No on_frame runs after this; at most one read's worth is kept back. */
void flv_frames_pause(struct flv_frames *f);
/* Goes on; frames never come from inside this call. */
void flv_frames_resume(struct flv_frames *f);
bool flv_frames_paused(const struct flv_frames *f);
/* Nothing of a further frame has arrived. */
bool flv_frames_between(const struct flv_frames *f);

#endif
