/*
 * fake.h - a cluster on the test's own loop that can be told to misbehave.
 *
 * Purpose    Speaks the protocol well enough for the client (SC and one SPU,
 *            one topic, producer ids, streams, consumer offsets) and breaks it
 *            where a test asks for that. The ordinary behaviour is tested
 *            against the real server; this one exists for the rest.
 * Threads    The loop's thread.
 * Ownership  init/deinit; the loop is the fake's.
 */
#ifndef FLV_TESTS_UNIT_CLIENT_FAKE_H
#define FLV_TESTS_UNIT_CLIENT_FAKE_H

#include "base/bytes.h"
#include "loop/frame.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "wire/batch.h"
#include "wire/spu.h"

#define FAKE_PARTITIONS 4
#define FAKE_PRODUCERS 32
#define FAKE_STREAMS 16
#define FAKE_REMEMBERED 64

/* How a connection is received. */
enum fake_hello {
    FAKE_HELLO_ANSWER,
    FAKE_HELLO_SILENT,
    FAKE_HELLO_CLOSE,
    FAKE_HELLO_GARBAGE,
    FAKE_HELLO_HUGE,       /* a length of 2 GiB */
    FAKE_HELLO_NEGATIVE,   /* a length below 0 */
    FAKE_HELLO_CUT,        /* half of the answer, then the end */
    FAKE_HELLO_WRONG_ID,   /* correlation 7 */
    FAKE_HELLO_NO_VERSION, /* platform version "x" */
    FAKE_HELLO_STRAY,      /* frames nobody asked for behind the answer */
};

/* What happens to a produce request. */
enum fake_act {
    FAKE_ACT_ANSWER,
    FAKE_ACT_CLOSE_BEFORE, /* not stored */
    FAKE_ACT_CLOSE_AFTER,  /* stored, not answered */
    FAKE_ACT_SILENT,       /* stored, not answered */
    FAKE_ACT_ERROR,        /* not stored, answered with the code */
    FAKE_ACT_GARBAGE,      /* stored, the answer is no message */
    FAKE_ACT_OTHER,        /* stored, answered for another partition */
};

struct fake_conn {
    struct fake *fake; /* borrowed */
    enum flv_wire_side side;
    struct flv_conn *conn; /* owned */
    struct flv_frames frames;
    uint32_t next_stream;
    struct fake_conn *next, *prev;
};

struct fake_producer {
    int64_t id;
    uint32_t partition;
    int32_t next_sequence;
    struct {
        int32_t sequence;
        int64_t base;
    } seen[FAKE_REMEMBERED];
    size_t seen_count;
};

struct fake_stream {
    struct fake_conn *conn; /* borrowed; NULL: free */
    struct flv_wire_request_header header;
    uint32_t id, partition;
    int64_t offset; /* wanted next */
    size_t max_bytes;
    bool outstanding;
    bool named; /* has a consumer id */
};

struct fake_partition {
    struct flv_buf log; /* batches with their offsets */
    int64_t leo;
    int64_t stored_offset; /* of the consumer "c"; -1: none */
};

struct fake {
    struct flv_loop *loop; /* owned */
    struct flv_listener *sc, *spu;
    uint16_t sc_port, spu_port;
    char address[32];
    struct fake_conn conns; /* head of a ring */
    struct flv_compressor *z;
    struct fake_partition parts[FAKE_PARTITIONS];
    struct fake_producer producers[FAKE_PRODUCERS];
    size_t producer_count;
    struct fake_stream streams[FAKE_STREAMS];

    /* told by the test */
    enum fake_hello hello_sc, hello_spu;
    uint32_t partitions;
    uint8_t compression; /* of the topic "events" */
    bool no_topic, no_leader;
    bool spus_late;    /* where they are is not answered yet */
    bool no_offsets;   /* the topic of consumer offsets is not there yet */
    bool refuses_gaps; /* as fluvio-server does; true at first */
    bool lists_ext;    /* the extension key is advertised */
    int16_t spu_version_max; /* 25 at first */
    size_t frame_batches_max;
    bool cuts_frames; /* at the bytes that were asked for, as Fluvio does */
    size_t frame_bytes_max; /* then also here; 0: no matter */
    enum fake_act (*on_produce)(struct fake *f,
                                uint32_t partition,
                                const struct flv_batch_header *h,
                                int16_t *code);
    int16_t fetch_error, stream_error, create_error, offsets_error;
    int64_t failing_offset; /* of the stream's error, with that code */
    void *user;

    /* seen by the test */
    unsigned connects, hellos, produces, creates, ext_creates, commits,
        stream_fetches, frames;
    uint8_t ext_durability;
};

void fake_init(struct fake *f);
/* Closes what is open, runs the loop dry and destroys it. */
void fake_deinit(struct fake *f);
/* Breaks every connection (of one side). */
void fake_break(struct fake *f, enum flv_wire_side side);
/* No longer listens (of the SPU); connections are broken. */
void fake_stop_spu(struct fake *f);
void fake_start_spu(struct fake *f);
/* The topic comes and goes; tells the watches. */
void fake_set_topic(struct fake *f, bool exists, uint32_t partitions);
/* The value of the record at that offset is copied to out; false: none. */
bool fake_value(
    struct fake *f, uint32_t partition, int64_t offset, char *out, size_t size);
/* Appends a batch of count records "PREFIXn", n from `first` on. */
void fake_append(struct fake *f,
                 uint32_t partition,
                 const char *prefix,
                 int first,
                 int count);

/* The nth allocation from now fails, the fake's own not counted. */
void fake_fail_at(uint64_t nth);
/* No more; whether there were so many. */
bool fake_fail_end(void);

/* Turns the loop until *flag (true) or the limit (false). */
bool fake_until(struct fake *f, const bool *flag, uint64_t limit_ms);
/* Turns it for that long. */
void fake_run(struct fake *f, uint64_t ms);

#endif
