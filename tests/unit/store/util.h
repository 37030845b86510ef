/*
 * util.h - a log to play with, for the tests of store.
 *
 * Purpose    Appends and jobs in one call, on the simulated disk or in a
 *            temporary directory.
 * Errors     None: what has to work is asserted here.
 */
#ifndef FLV_TESTS_STORE_UTIL_H
#define FLV_TESTS_STORE_UTIL_H

#include "batches.h"
#include "io_sim.h"
#include "store/log.h"

#define LOG_DIR "/p"
#define LOG_ID 0x1122334455667788u

/* One record set on its way, and how it ended. */
struct sent {
    struct flv_append append;
    uint8_t *bytes;
    unsigned ended; /* how often done was called */
    flv_rc rc;
    struct flv_err err;
};

struct flv_log_conf test_conf(struct sim *disk);
/* Opens or fails the test. */
struct flv_log *open_log(const struct flv_log_conf *conf,
                         struct flv_log_report *report);

/* Fills *s with these batches; its own until forget(). */
void make(struct sent *s, const struct batch_spec *specs, unsigned count);
void forget(struct sent *s);
/* One plain batch of `bytes` bytes and one record. */
void make_plain(struct sent *s, uint32_t bytes);
/* A batch of a producer; `records` from `sequence` on. */
void make_numbered(struct sent *s,
                   int64_t id,
                   int16_t epoch,
                   int32_t sequence,
                   uint32_t records);

/* Runs and ends a job, NULL is allowed; its result. */
flv_rc run_job(struct flv_log_job *job);
/* All that wait: commit after commit. */
void commit_all(struct flv_log *log);
/* Stages and commits one plain batch, which has to work; its offset. */
int64_t append_plain(struct flv_log *log, uint32_t bytes);

/* One read: OK, CLOSED for nothing there yet, or the error. *rd has to have
 * offset and isolation; buf is filled in and static. */
flv_rc read_once(struct flv_log *log, struct flv_log_read *rd);
/* How many records there are from the start on; fails the test on any error
 * and if they do not continue one another. */
int64_t count_records(struct flv_log *log);

#endif
