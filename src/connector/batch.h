/*
 * batch.h - the records of one pull.
 *
 * Purpose    Holds records between source, stages and stream: an array of
 *            messages over one arena, so that no record costs an allocation.
 *            The public half is in <fluvio/connector.h>.
 * Threads    Loop thread only.
 * Ownership  The batch owns all bytes added to it until its next reset.
 * Errors     FLV_E_BUSY when a record does not fit besides those that are
 *            there, FLV_E_LIMIT when it would not fit alone.
 */
#ifndef FLV_CONNECTOR_BATCH_H
#define FLV_CONNECTOR_BATCH_H

#include <fluvio/connector.h>

#include "base/arena.h"
#include "stream/stream.h"

#define FLV_BATCH_RECORDS_MAX 1024
/* One record with its key; below the largest request of a stream. */
#define FLV_BATCH_BYTES_MAX ((size_t)31 * 1024 * 1024)

struct flv_batch {
    struct flv_arena arena; /* owns keys and values */
    struct flv_msg *msgs;   /* owned; FLV_BATCH_RECORDS_MAX of them */
    uint32_t count;
    uint32_t limit;        /* of count, for this pull */
    size_t bytes;          /* of keys and values */
    uint64_t first_number; /* of msgs[0] */
    /* Where the records come from, when that is a topic; else NULL. */
    const char *topic;
    const int64_t *offsets, *timestamps;
    uint32_t partition;
};

FLV_CHECKED flv_rc flv__batch_init(struct flv_batch *b, struct flv_err *err);
void flv__batch_deinit(struct flv_batch *b);
/* Empties it for at most limit records, numbered from first_number. */
void flv__batch_reset(struct flv_batch *b,
                      uint32_t limit,
                      uint64_t first_number);

#endif
