/*
 * fake_out.h - a stream that does what a test tells it to.
 *
 * Purpose    Takes appends (or says that it is full), keeps copies of the
 *            records, and settles when asked, in any order.
 * Threads    The test's.
 * Ownership  Owns the copies until fake_out_deinit().
 */
#ifndef FLV_TESTS_FAKE_OUT_H
#define FLV_TESTS_FAKE_OUT_H

#include "connector/pipeline.h"

#define FAKE_RECORDS_MAX 8192
#define FAKE_APPENDS_MAX 4096

struct fake_out {
    struct flv_source *src; /* to settle; set after open */
    struct flv_loop *loop;
    bool full;        /* answer FLV_E_BUSY */
    bool acknowledge; /* settle every append by itself, a turn later */
    flv_rc refuse;    /* answer this, unless FLV_OK */
    char *records[FAKE_RECORDS_MAX]; /* owned, NUL-terminated */
    size_t lens[FAKE_RECORDS_MAX];
    size_t record_count;
    size_t letters; /* of the records: to other lanes than the topic */
    uint64_t tokens[FAKE_APPENDS_MAX];
    size_t append_count, settled;
    unsigned pushes, closes;
    bool done; /* the pipeline is done */
    struct flv_task task;
    struct flv_task close_task;
    void (*closed)(void *arg);
    void *closed_arg;
};

extern const struct flv_out_ops fake_out_ops;

void fake_out_init(struct fake_out *o, struct flv_loop *loop);
void fake_out_deinit(struct fake_out *o);
/* Settles append i (from 0); err NULL: durable. */
void fake_out_settle(struct fake_out *o, size_t i, const struct flv_err *err);
/* Fills the pipeline's configuration but for type and conf. */
struct flv_pipeline_conf fake_out_conf(struct fake_out *o);
/* Turns the loop until the pipeline is done. */
void fake_out_run(struct fake_out *o);
/* Turns the loop until `count` records arrived (or the pipeline is done). */
void fake_out_wait(struct fake_out *o, size_t count);
/* A few turns without waiting. */
void fake_out_spin(struct fake_out *o);

#endif
