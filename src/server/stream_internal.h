/*
 * stream_internal.h - what stream.c and sifting.c share.
 *
 * Purpose    A stream sends what is stored; with SmartModules it has a second
 *            half, which stands between the reads and the frames:
 *
 *              read pool --> inputs --> chain (cpu pool) --> ready --> frame
 *                               ^          |                   ^
 *                     next one while it computes      while a frame is out
 *
 * Threads    Loop thread, but for what a job sees (struct flv__sifting).
 */
#ifndef FLV_SERVER_STREAM_INTERNAL_H
#define FLV_SERVER_STREAM_INTERNAL_H

#include "server/making.h"
#include "server/sift.h"
#include "server/state.h"
#include "server/stream.h"

#define FLV__STREAM_PARTS_MAX 256
#define FLV__STREAM_INPUTS_MAX 2
#define FLV__STREAM_BYTES_MIN 4096 /* of a read, and of a frame */

struct flv_stream;

/* What a disk read brought. */
struct flv__input {
    struct flv_chunk *chunk; /* owned */
    size_t len;              /* of whole batches at its start */
    int64_t base, next;      /* offsets */
};

/* What a stream with SmartModules has besides. */
struct flv__sifting {
    struct flv_plan *plan; /* owned; NULL: the chain is made */
    struct flv_sift sift;
    struct flv_sift_pass pass;
    struct flv_making making;
    struct flv_cpu_job job;
    bool busy; /* the job, or the making of the chain, is under way */
    struct flv__input inputs[FLV__STREAM_INPUTS_MAX]; /* ascending, gapless */
    uint32_t input_count;
    int64_t not_ahead; /* a read from here failed before it was its turn */
    /* Input of the job, each referenced. */
    struct flv_slice parts[FLV__STREAM_PARTS_MAX];
    struct flv_chunk *chunks[FLV__STREAM_PARTS_MAX];
    uint32_t part_count;
    struct flv_chunk *frame; /* owned: for what the job makes */
    size_t room;             /* of the next one */
    size_t out_need;         /* outputs of one record larger than bytes_max */
    int64_t to;              /* behind the last frame that was sent */
    struct flv_chunk *ready; /* owned: the next one, not asked for yet */
    size_t ready_bytes;
    int64_t ready_to;
    uint64_t ready_records;
    int64_t catch_up; /* the end of the partition when it began */
    size_t memory;    /* of the chain, as counted by the server */
    bool preparing;   /* the plan, then the chain */
    bool seek;        /* the client went elsewhere while it was busy */
    struct flv_stream *stream;
};

struct flv_stream {
    struct flv_peer *peer;               /* counted */
    struct flv_wire_request_header head; /* version and correlation */
    uint32_t id;
    char topic[FLV_TOPIC_NAME_MAX + 1];
    uint64_t topic_id;
    uint32_t index;
    struct flv_partition *partition; /* borrowed; NULL: gone */
    enum flv_isolation isolation;
    size_t bytes_max;
    int64_t offset; /* wanted next */
    char *consumer; /* owned, or NULL */
    struct flv_part_reader reader;
    struct flv_budget_waiter waiter;
    struct flv_task granted_task;
    size_t charge; /* bytes of the answers' budget held for the next frame */
    size_t need;   /* the batch at `offset` is larger than bytes_max */
    struct flv_wire_error final; /* code != NONE: to be sent, then over */
    char final_text[FLV_ERR_TEXT_MAX];
    bool ended;   /* no longer in the peer's list */
    bool unacked; /* a frame is out and not acknowledged */
    bool writing, reading;
    struct flv_work work;
    struct flv_log_read read;
    struct flv_chunk *chunk;              /* owned: of the read */
    struct flv_partition *read_partition; /* held while reading */
    flv_rc read_rc;
    struct flv_err read_err;
    struct flv__sifting *sm; /* owned; NULL: no SmartModules */
    LIST_ENTRY(flv_stream) link;
};

static inline struct flv_server *flv__stream_server(const struct flv_stream *s)
{
    return s->peer->server;
}

/* ---- stream.c ---- */

/* Does what can be done now. May free the stream. */
void flv__stream_pump(struct flv_stream *s);
void flv__stream_free_if_done(struct flv_stream *s);
/* Remembers the last words; the pump sends them when the way is free. */
void flv__stream_finish(struct flv_stream *s, struct flv_wire_error error);
/* Sends batches as the next frame. Takes over the references and as much of
 * the charge as is needed. */
void flv__stream_send(struct flv_stream *s,
                      const struct flv_slice *parts,
                      struct flv_chunk **chunks,
                      uint32_t n,
                      uint64_t records);
/* The size of the next frame's memory, as far as can be told. */
size_t flv__stream_bytes(const struct flv_stream *s);
/* Holds a charge of `cost` afterwards, or waits for it. */
bool flv__stream_charge(struct flv_stream *s, size_t cost);
void flv__stream_give_charge(struct flv_stream *s);
/* Begins to read from `offset` on into the chunk, which it takes over. A
 * failure is in s->read_err; OK without *out_started: that is the end. */
FLV_CHECKED flv_rc flv__stream_read(struct flv_stream *s,
                                    int64_t offset,
                                    struct flv_chunk *chunk,
                                    bool *out_started);
/* The same into a chunk of so many bytes, on the charge; waits at the end, and
 * what fails ends the stream. */
void flv__stream_read_next(struct flv_stream *s, int64_t offset, size_t bytes);
/* A chunk with much less in it than was set aside gives that back. */
struct flv_chunk *
flv__stream_fit(struct flv_stream *s, struct flv_chunk *chunk, size_t len);
/* What came of a read that brought nothing. */
void flv__stream_read_failed(struct flv_stream *s);

/* ---- sifting.c ---- */

/* The part for SmartModules; NULL: *why says it. */
struct flv__sifting *
flv__sifting_new(const struct flv_request *r,
                 const struct flv_wire_module_invocation *at,
                 uint32_t count,
                 struct flv_trouble *why);
/* NULL is allowed. Nothing may be under way. */
void flv__sifting_free(struct flv_smart *smart, struct flv__sifting *sm);
/* Prepares the chain; the stream's fields are there. */
void flv__sifting_begin(struct flv_stream *s);
/* What runs ends soon; what waits does not begin. */
void flv__sifting_end(struct flv_stream *s);
/* One step of the pump; false: something else has to happen first. */
bool flv__sifting_step(struct flv_stream *s);
/* What a disk read brought; takes over the chunk. */
void flv__sifting_read(struct flv_stream *s, struct flv_chunk *chunk);
/* The client wants `offset` next. */
void flv__sifting_update(struct flv_stream *s, int64_t offset);

#endif
