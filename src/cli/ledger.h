/*
 * ledger.h - what became of the letters of a topic.
 *
 * Purpose    Settlements are records among the letters themselves
 *            (docs/format/dead-letter.md). Read in order they say which
 *            letters are settled, and which replay has begun and not ended.
 *            Each names the one before it: one that was written on an older
 *            view than the topic's is void for every reader, so that two
 *            programs never settle or send the same letter twice.
 * Threads    One thread. No I/O.
 * Ownership  The ledger owns what it holds until cli_ledger_deinit(); writers
 *            borrow for the call.
 * Errors     FLV_E_UNSUPPORTED: a settlement of a version that is not known.
 *            FLV_E_LIMIT, FLV_E_NOMEM.
 * See        tests/unit/cli/test_cli_letters.c, tests/fuzz/fuzz_letter.c
 */
#ifndef FLV_CLI_LEDGER_H
#define FLV_CLI_LEDGER_H

#include "cli/ranges.h"

#include <fluvio/client.h>

/* Records of a begin, so that reading it stays bounded. */
#define CLI_BEGIN_RECORDS_MAX 100000
/* The bytes of a settlement: a record may be 31 MiB. */
#define CLI_SETTLEMENT_BYTES_MAX ((size_t)31 << 20)

/* What goes to one partition, as one batch. */
struct cli_parcel {
    uint32_t partition;
    int64_t end; /* of the partition before: it lies there or behind it */
    const struct flv_msg *records;
    size_t count;
};

/* A replay that has begun: enough to finish it, whatever was asked for. */
struct cli_begin {
    int64_t id;                 /* producer id of its batches */
    char *topic;                /* owned */
    struct cli_ranges letters;  /* owned; settled when all has arrived */
    struct cli_parcel *parcels; /* owned */
    size_t parcel_count;
    struct flv_msg *records; /* owned; of all parcels */
    size_t record_count;
    struct flv_buf bytes; /* owned; of the records */
    /* What it names was removed, as were all its letters: another begin, which
     * made this one void, may have stood between them. */
    bool doubtful;
};
void cli_begin_deinit(struct cli_begin *b);

struct cli_ledger {
    int64_t first; /* offset of the first record taken; -1: none yet */
    int64_t next;  /* behind the last record taken */
    int64_t last;  /* offset of the last settlement that counts; -1: none */
    /* While retention has removed the last one that counted: an end whose
     * begin was removed too, and the begin's offset. -1: none. */
    int64_t orphan, orphan_after;
    struct cli_ranges letters; /* owned; all that is no settlement */
    struct cli_ranges settled; /* owned */
    bool open;                 /* `begun` has not ended */
    struct cli_begin begun;    /* owned */
};

void cli_ledger_init(struct cli_ledger *l);
void cli_ledger_deinit(struct cli_ledger *l);

bool cli_is_settlement(struct flv_slice value);
/* Takes the next record of the topic. */
FLV_CHECKED flv_rc cli_ledger_take(struct cli_ledger *l,
                                   int64_t offset,
                                   struct flv_slice value,
                                   struct flv_err *err);
/* A letter that is neither settled nor part of the replay that has begun. */
bool cli_ledger_is_open(const struct cli_ledger *l, int64_t offset);
/* The first one from `from` on; -1: none. */
int64_t cli_ledger_next_open(const struct cli_ledger *l, int64_t from);
/* How many of first..last are. */
uint64_t
cli_ledger_count(const struct cli_ledger *l, int64_t first, int64_t last);

/* ---- Settlements to be written, on the ledger's view -------------------- */

FLV_CHECKED flv_rc cli_settle_begin(const struct cli_ledger *l,
                                    const struct cli_begin *b,
                                    struct flv_buf *out,
                                    struct flv_err *err);
/* The open one has arrived, or (false) is given up and its letters are open
 * again. */
FLV_CHECKED flv_rc cli_settle_end(const struct cli_ledger *l,
                                  bool arrived,
                                  struct flv_buf *out,
                                  struct flv_err *err);
/* why: "discarded", "filtered". */
FLV_CHECKED flv_rc cli_settle_letters(const struct cli_ledger *l,
                                      const struct cli_ranges *letters,
                                      const char *why,
                                      struct flv_buf *out,
                                      struct flv_err *err);

#endif
