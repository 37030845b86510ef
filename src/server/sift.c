#include "server/sift.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A job that took so long lets others have a turn. */
#define TURN_MS 20
/* Smaller ones do not gain by compression. */
#define COMPRESS_FROM_BYTES 1024
#define COUNT_BYTES 4
#define BATCH_OVERHEAD (FLV_BATCH_HEADER_SIZE + COUNT_BYTES)

/* ---- frames ---- */

/* A frame while it is written: a batch that is open in the bench's builder,
 * finished ones in `out`, which is the pass's room. */
struct writer {
    struct flv_bench *bench;
    struct flv_buf out;
    int64_t cover; /* what is finished stands for all below this */
    int64_t base;  /* of the open batch */
    int64_t next;  /* the offset that continues it */
    enum flv_codec codec;
    flv_rc rc;
};

/* What is compressed goes through the bench, as it may turn out larger. */
static flv_rc finish_batch(struct writer *w)
{
    struct flv_bench *b = w->bench;
    const size_t start = w->out.len;
    const size_t plain = flv_batch_builder_size(&b->builder);
    bool small = false;
    flv_rc rc = FLV_OK;
    if (w->codec != FLV_CODEC_NONE && plain >= COMPRESS_FROM_BYTES) {
        flv_buf_reset(&b->out);
        rc = flv_batch_builder_finish(&b->builder, b->z, w->codec,
                                      FLV_BATCH_NO_STAMP, &b->out, NULL);
        small = rc == FLV_OK && b->out.len <= plain;
        if (small) {
            rc = flv_buf_add(&w->out, b->out.data, b->out.len);
        }
    }
    if (rc == FLV_OK && !small) {
        rc = flv_batch_builder_finish(&b->builder, b->z, FLV_CODEC_NONE,
                                      FLV_BATCH_NO_STAMP, &w->out, NULL);
    }
    if (rc == FLV_OK) {
        flv_batch_set_base_offset(w->out.data + start, w->base);
    }
    flv_batch_builder_reset(&b->builder);
    return rc;
}

/* Ends the open batch; it stands for the offsets up to `to`. */
static void close_batch(struct writer *w, int64_t to)
{
    struct flv_batch_builder *builder = &w->bench->builder;
    if (w->rc != FLV_OK || builder->count == 0) {
        return;
    }
    assert(to >= w->base && to - w->base <= INT32_MAX);
    builder->has_span = true;
    builder->span = (uint32_t)(to - w->base);
    w->rc = finish_batch(w);
    w->cover = to;
}

flv_rc flv_sift_nothing(int64_t from, int64_t to, struct flv_buf *out)
{
    struct flv_batch_builder builder;
    flv_rc rc = FLV_OK;
    flv_batch_builder_init(&builder, 2 * FLV_BATCH_HEADER_SIZE);
    while (from < to && rc == FLV_OK) {
        size_t start = out->len;
        int64_t span = to - from < INT32_MAX ? to - from : INT32_MAX;
        flv_batch_builder_reset(&builder);
        builder.has_span = true;
        builder.span = (uint32_t)span;
        builder.first_timestamp_ms = -1;
        builder.last_timestamp_ms = -1;
        rc = flv_batch_builder_finish(&builder, NULL, FLV_CODEC_NONE,
                                      FLV_BATCH_NO_STAMP, out, NULL);
        if (rc == FLV_OK) {
            flv_batch_set_base_offset(out->data + start, from);
        }
        from += span;
    }
    flv_batch_builder_deinit(&builder);
    return rc;
}

static size_t frame_size(const struct writer *w)
{
    const struct flv_bench *b = w->bench;
    return w->out.len +
           (b->builder.count > 0 ? flv_batch_builder_size(&b->builder) : 0);
}

/* Begins where the record is; what was dropped since belongs to the batch
 * before it, or to an empty one. */
static void open_batch(struct writer *w, int64_t offset, enum flv_codec codec)
{
    if (w->bench->builder.count > 0) {
        close_batch(w, offset);
    } else if (w->rc == FLV_OK && w->cover < offset) {
        w->rc = flv_sift_nothing(w->cover, offset, &w->out);
        w->cover = offset;
    }
    w->base = offset;
    w->codec = codec;
}

static void put(struct writer *w,
                const struct flv_sm_record *r,
                int64_t at_ms,
                int64_t offset,
                enum flv_codec codec)
{
    struct flv_batch_builder *builder = &w->bench->builder;
    const struct flv_slice *key = r->has_key ? &r->key : NULL;
    if (builder->count == 0 || offset != w->next || codec != w->codec ||
        flv_batch_builder_size(builder) > FLV_SMART_BATCH_MAX) {
        open_batch(w, offset, codec);
    }
    if (w->rc == FLV_OK) {
        w->rc = flv_batch_builder_add(builder, key, r->value, at_ms, NULL);
        if (w->rc == FLV_E_LIMIT && builder->count > 0) {
            /* Its time is too far from the first one's. */
            w->rc = FLV_OK;
            open_batch(w, offset, codec);
            if (w->rc == FLV_OK) {
                w->rc =
                    flv_batch_builder_add(builder, key, r->value, at_ms, NULL);
            }
        }
    }
    w->next = offset + 1;
}

/* ---- results ---- */

static void fail(struct flv_sift *s, const char *what)
{
    if (s->why.error.code == FLV_WIRE_NONE) {
        flv_trouble_set(&s->why, FLV_WIRE_OTHER, what);
    }
}

static int64_t offset_of(const struct flv_sift *s, size_t i)
{
    uint32_t origin = s->result.records[i].origin;
    return s->result_base +
           (s->loose || origin == FLV_SM_NO_ORIGIN ? 0 : (int64_t)origin);
}

/* The outputs of one input record from i on: how many, and what they take in
 * a frame at most. */
static size_t group_at(const struct flv_sift *s, size_t i, size_t *bytes)
{
    size_t n = i;
    *bytes = 0;
    while (n < s->result.record_count && offset_of(s, n) == offset_of(s, i)) {
        const struct flv_sm_record *r = &s->result.records[n++];
        *bytes +=
            2 * BATCH_OVERHEAD + 4 * FLV_VARINT_MAX + r->key.len + r->value.len;
    }
    return n - i;
}

/* Moves outputs into the frame; false: it is full, *w->cover tells how far it
 * goes then. */
static bool
take_result(struct flv_sift *s, struct writer *w, struct flv_sift_pass *pass)
{
    while (s->taken < s->result.record_count && w->rc == FLV_OK) {
        size_t bytes;
        size_t n = group_at(s, s->taken, &bytes);
        int64_t offset = offset_of(s, s->taken);
        size_t used = frame_size(w);
        if (used + bytes > w->out.max) {
            pass->need_bytes = used == 0 ? bytes : 0;
            pass->to = offset;
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            const struct flv_sm_record *r = &s->result.records[s->taken + i];
            put(w, r, s->loose ? s->loose_ms : r->timestamp_ms, offset,
                s->result_codec);
        }
        s->taken += n;
        pass->records += n;
    }
    s->has_result = false;
    if (s->result.failure_count > 0) {
        const struct flv_sm_failure *f = &s->result.failures[0];
        s->scan = s->result_base + (s->loose ? 0 : f->input);
        flv_trouble_record(&s->why, s->chain, f, s->scan);
    }
    pass->to = s->scan;
    return true;
}

/* ---- input ---- */

/* Where the reader of the bench is in the batches of a pass. */
struct input {
    const struct flv_sift_pass *pass;
    uint32_t part;
    struct flv_slice rest; /* of the part */
    bool open;             /* the bench's reader has a batch */
};

/* Opens the batch that holds `offset`; false: it is not here. */
static bool open_input(struct input *in,
                       struct flv_bench *b,
                       int64_t offset,
                       struct flv_err *err)
{
    while (!in->open ||
           b->reader.header.base_offset + (int64_t)b->reader.header.count <=
               offset) {
        struct flv_slice batch;
        struct flv_batch_header h;
        in->open = false;
        while (in->rest.len == 0) {
            if (in->part == in->pass->part_count) {
                return false;
            }
            in->rest = in->pass->parts[in->part++];
        }
        if (flv_batch_walk(&in->rest, &batch, &h, err) != FLV_OK) {
            return false;
        }
        if (h.base_offset + (int64_t)h.count > offset) {
            if (flv_batch_reader_open(&b->reader, batch, err) != FLV_OK) {
                return false;
            }
            in->open = true;
        }
    }
    return true;
}

/* The records from `offset` on, at most `max`, as a section. Mostly it is the
 * whole batch, where it lies. */
static flv_rc cut_section(struct flv_bench *b,
                          int64_t offset,
                          uint32_t max,
                          struct flv_slice *out,
                          uint32_t *out_count,
                          int64_t *last_ms,
                          struct flv_err *err)
{
    const struct flv_batch_header *h = &b->reader.header;
    uint32_t skip = (uint32_t)(offset - h->base_offset);
    uint32_t count = h->count - skip < max ? h->count - skip : max;
    *out_count = count;
    /* That of the last record. */
    *last_ms = h->first_timestamp_ms > 0 ? h->max_timestamp_ms : -1;
    if (count == h->count) {
        *out = flv_batch_reader_section(&b->reader);
        return FLV_OK;
    }
    if (b->reader.next > skip) { /* a call ended before its last record */
        b->reader.next = 0;
        b->reader.rest = flv_slice(b->reader.section.data + COUNT_BYTES,
                                   b->reader.section.len - COUNT_BYTES);
    }
    flv_buf_reset(&b->section);
    flv_rc rc = flv_buf_add_u32(&b->section, count);
    while (rc == FLV_OK && b->reader.next < skip + count) {
        struct flv_record r;
        bool more = false;
        bool wanted = b->reader.next >= skip;
        rc = flv_batch_reader_next(&b->reader, &r, &more, err);
        if (rc == FLV_OK && wanted) {
            *last_ms = r.timestamp_ms;
            rc = flv_buf_add(&b->section, r.raw.data, r.raw.len);
        }
    }
    *out = flv_buf_slice(&b->section);
    return rc;
}

/* A chain that is quick gets whole batches, one that is slow little at once:
 * a call of many records can take the budget of each. */
static flv_rc run_chain(struct flv_sift *s,
                        struct flv_sm_input *input,
                        uint32_t count,
                        const atomic_bool *stop,
                        struct flv_err *err)
{
    uint64_t start_ns = flv_clock_mono_ns();
    /* A single record goes to its end: each turn gets somewhere. */
    input->stop = count > 1 ? stop : NULL;
    flv_rc rc = flv_sm_chain_run(s->chain, input, true, &s->result, err);
    uint64_t took_ms = (flv_clock_mono_ns() - start_ns) / 1000000;
    if (took_ms > TURN_MS) {
        s->piece = count > 8 ? count / 8 : 1;
    } else if (took_ms <= TURN_MS / 8 && count == s->piece &&
               s->piece < FLV_SM_RECORDS_MAX) {
        s->piece = 8 * s->piece < FLV_SM_RECORDS_MAX ? 8 * s->piece
                                                     : FLV_SM_RECORDS_MAX;
    }
    return rc;
}

/* Runs the chain on the next piece of input; false: there is none, or an
 * error (s->why). */
static bool
next_result(struct flv_sift *s, struct input *in, struct flv_bench *b)
{
    struct flv_err err = {0};
    struct flv_sm_input input = {.base_offset = 0};
    uint32_t count = 0;
    flv_rc rc = FLV_OK;
    if (!open_input(in, b, s->scan, &err)) {
        if (err.rc != FLV_OK) {
            fail(s, err.text);
        }
        return false;
    }
    input.base_offset = s->scan; /* chains count from the section's first */
    input.base_timestamp_ms = b->reader.header.first_timestamp_ms;
    rc = cut_section(b, s->scan, s->loose ? 1 : s->piece, &input.section,
                     &count, &s->loose_ms, &err);
    if (rc == FLV_OK) {
        rc = run_chain(s, &input, count, in->pass->stop, &err);
    }
    if (rc != FLV_OK) {
        fail(s, err.text[0] != '\0' ? err.text : flv_rc_text(rc));
        return false;
    }
    s->has_result = true;
    s->taken = 0;
    s->result_base = s->scan;
    s->result_codec = b->reader.header.codec;
    s->scan += s->result.in;
    return true;
}

/* ---- a pass ---- */

void flv_sift_run(struct flv_sift *s,
                  struct flv_sift_pass *pass,
                  struct flv_bench *b)
{
    struct writer w = {.bench = b,
                       .out = {.data = pass->room,
                               .cap = pass->room_bytes,
                               .max = pass->room_bytes},
                       .cover = pass->from};
    struct input in = {.pass = pass};
    uint64_t until_ms = flv_clock_mono_ms() + TURN_MS;
    if (s->piece == 0) {
        s->piece = 1;
    }
    flv_sm_chain_set_cancel(s->chain, &b->job->cancel);
    flv_batch_builder_reset(&b->builder);
    pass->need_bytes = 0;
    pass->to = s->scan;
    for (;;) {
        if (s->has_result && !take_result(s, &w, pass)) {
            break;
        }
        if (s->why.error.code != FLV_WIRE_NONE || w.rc != FLV_OK ||
            atomic_load(pass->stop) || flv_clock_mono_ms() >= until_ms ||
            !next_result(s, &in, b)) {
            break;
        }
    }
    close_batch(&w, pass->to);
    if (w.rc != FLV_OK) {
        fail(s, "out of memory for what SmartModules made");
    }
    pass->frame_bytes = w.rc == FLV_OK ? w.out.len : 0;
}

void flv_sift_seek(struct flv_sift *s, int64_t offset)
{
    s->has_result = false;
    s->scan = offset;
}

void flv_sift_deinit(struct flv_sift *s)
{
    flv_sm_chain_destroy(s->chain);
    s->chain = NULL;
    flv_trouble_clear(&s->why);
}

size_t flv_sift_memory(const struct flv_sift *s)
{
    return s->chain != NULL ? flv_sm_chain_memory(s->chain) : 0;
}

/* ---- record sets on their way in ---- */

struct set_writer {
    struct flv_sift_sets *sets; /* borrowed, as all here */
    struct flv_bench *bench;
    struct flv_trouble *why;
    enum flv_codec codec;
};

static bool set_flush(struct set_writer *w)
{
    struct flv_bench *b = w->bench;
    struct flv_err err = {0};
    if (b->builder.count == 0) {
        return true;
    }
    flv_rc rc = flv_batch_builder_finish(&b->builder, b->z, w->codec,
                                         FLV_BATCH_NO_STAMP, &b->out, &err);
    flv_batch_builder_reset(&b->builder);
    if (rc == FLV_E_LIMIT) {
        *w->why = (struct flv_trouble){
            .error = flv_wire_error(FLV_WIRE_MESSAGE_TOO_LARGE)};
    } else if (rc != FLV_OK) {
        flv_trouble_set(w->why, FLV_WIRE_OTHER, err.text);
    }
    return rc == FLV_OK;
}

static bool set_put(struct set_writer *w, const struct flv_sm_record *r)
{
    struct flv_batch_builder *builder = &w->bench->builder;
    const struct flv_slice *key = r->has_key ? &r->key : NULL;
    flv_rc rc = FLV_E_LIMIT;
    if (flv_batch_builder_size_with(builder, key, r->value, r->timestamp_ms) <=
        w->sets->batch_bytes_max) {
        rc = flv_batch_builder_add(builder, key, r->value, r->timestamp_ms,
                                   NULL);
    }
    if (rc == FLV_E_LIMIT && builder->count > 0) {
        if (!set_flush(w)) {
            return false;
        }
        return set_put(w, r);
    }
    if (rc == FLV_E_LIMIT) {
        *w->why = (struct flv_trouble){
            .error = flv_wire_error(FLV_WIRE_MESSAGE_TOO_LARGE)};
    } else if (rc != FLV_OK) {
        flv_trouble_set(w->why, FLV_WIRE_OTHER, "out of memory");
    }
    w->sets->out += rc == FLV_OK;
    return rc == FLV_OK;
}

/* The open batch of the reader, piece by piece. */
static bool set_batch(struct flv_sift *s, struct set_writer *w)
{
    struct flv_bench *b = w->bench;
    const atomic_bool *stop = w->sets->stop;
    int64_t position = (int64_t)w->sets->in; /* of its first record */
    int64_t base = b->reader.header.base_offset;
    int64_t end = base + (int64_t)b->reader.header.count;
    s->scan = base;
    w->codec = b->reader.header.codec;
    while (s->scan < end) {
        struct flv_err err = {0};
        struct flv_sm_input input = {.base_offset = position + (s->scan - base),
                                     .base_timestamp_ms =
                                         b->reader.header.first_timestamp_ms};
        uint32_t count = 0;
        flv_rc rc = cut_section(b, s->scan, s->piece, &input.section, &count,
                                &s->loose_ms, &err);
        if (rc == FLV_OK) {
            rc = run_chain(s, &input, count, stop, &err);
        }
        if (rc != FLV_OK) {
            w->sets->lost = rc == FLV_E_POISONED;
            flv_trouble_set(w->why, FLV_WIRE_OTHER, err.text);
            return false;
        }
        if (s->result.failure_count > 0) {
            const struct flv_sm_failure *f = &s->result.failures[0];
            if (f->memory_wanted > 0) {
                flv_trouble_memory(w->why, f->memory_wanted, f->memory_max);
                return false;
            }
            flv_trouble_record(w->why, s->chain, f,
                               position + (s->scan - base) + f->input);
            return false;
        }
        for (size_t i = 0; i < s->result.record_count; i++) {
            if (!set_put(w, &s->result.records[i])) {
                return false;
            }
        }
        s->scan += s->result.in;
        if (atomic_load(stop)) {
            flv_trouble_set(w->why, FLV_WIRE_OTHER,
                            "the SmartModules took too long for these "
                            "records; send fewer at once");
            return false;
        }
    }
    return set_flush(w);
}

static bool
set_batches(struct flv_sift *s, struct set_writer *w, struct flv_slice set)
{
    struct flv_bench *b = w->bench;
    for (;;) {
        struct flv_slice batch;
        struct flv_batch_header h;
        struct flv_err err = {0};
        flv_rc rc = flv_batch_walk(&set, &batch, &h, &err);
        if (rc == FLV_OK && batch.len == 0) {
            return true;
        }
        if (rc == FLV_OK) {
            rc = flv_batch_reader_open(&b->reader, batch, &err);
        }
        if (rc != FLV_OK) {
            flv_trouble_set(w->why, FLV_WIRE_OTHER, err.text);
            return false;
        }
        if (!set_batch(s, w)) {
            return false;
        }
        w->sets->in += h.count;
    }
}

bool flv_sift_set(struct flv_sift_sets *sets,
                  struct flv_slice set,
                  struct flv_bench *b,
                  struct flv_trouble *why)
{
    struct flv_sift s = {.chain = sets->chain,
                         .piece = sets->piece > 0 ? sets->piece : 1};
    struct set_writer w = {.sets = sets, .bench = b, .why = why};
    sets->in = sets->out = 0;
    sets->lost = false;
    flv_buf_reset(&b->out);
    flv_batch_builder_reset(&b->builder);
    bool ok = set_batches(&s, &w, set);
    sets->piece = s.piece;
    return ok;
}

bool flv_made_put(struct flv_made *m,
                  uint8_t *place,
                  size_t room,
                  const struct flv_buf *made)
{
    assert(m->grown == NULL);
    m->bytes = made->len;
    if (made->len == 0) {
        return true;
    }
    if (made->len > room) {
        if (flv_chunk_create(NULL, made->len, &m->grown) != FLV_OK) {
            return false;
        }
        place = m->grown->data;
    }
    memcpy(place, made->data, made->len);
    return true;
}

bool flv_made_charge(struct flv_made *m, struct flv_budget *requests)
{
    assert(m->grown != NULL && m->grown->budget == NULL);
    if (flv_budget_take(requests, flv_chunk_cost(m->grown->size)) != FLV_OK) {
        flv_chunk_unref(m->grown);
        m->grown = NULL;
        return false;
    }
    m->grown->budget = requests;
    return true;
}
