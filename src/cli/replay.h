/*
 * replay.h - the next letters of a replay, made into what is to be sent.
 *
 * Purpose    A chunk is what one settlement covers: letters in order that go
 *            to one topic, what the modules made of each, and the partition
 *            it belongs to. All that one letter becomes goes to one partition,
 *            in one batch: so it is there whole or not at all.
 *
 *      letters --gather--> items, made --address--> parcels (cli_begin)
 *
 * Threads    One.
 * Ownership  A chunk owns what it holds until cli_chunk_deinit().
 * Errors     What is wrong with one letter goes to `complain`; it stays open.
 * See        docs/format/dead-letter.md
 */
#ifndef FLV_CLI_REPLAY_H
#define FLV_CLI_REPLAY_H

#include "cli/letters.h"
#include "smartmodule/chain.h"

/* So that a settlement stays below 2 MB, the most that a Fluvio cluster takes
 * as one batch unless it is told otherwise; a single letter may be larger. */
#define CLI_CHUNK_LETTERS 1000
#define CLI_CHUNK_BYTES ((size_t)1 << 19)

struct cli_chunk_item {
    int64_t offset;
    size_t first, count; /* of made; 0: filtered */
    uint32_t partition;
    bool left_out;
};

struct cli_made {
    bool has_key;
    size_t key_at, key_len, value_at, value_len; /* in bytes */
};

struct cli_chunk {
    /* set by the caller */
    struct cli_letters *letters;
    struct flv_sm_chain *chain; /* NULL: records as they were */
    const char *to;             /* NULL: where each belongs */
    void (*complain)(void *user, int64_t offset, const char *text);
    void *user;
    /* filled by gather */
    char *topic;                  /* owned; NULL: nothing was gathered */
    struct cli_chunk_item *items; /* owned */
    size_t item_count;
    struct cli_made *made; /* owned */
    size_t made_count, made_cap;
    struct flv_buf bytes;   /* owned */
    struct flv_buf section; /* owned; the chain's input */
    int64_t next;           /* where the letters behind the chunk begin */
};

FLV_CHECKED flv_rc cli_chunk_init(struct cli_chunk *c, struct flv_err *err);
void cli_chunk_deinit(struct cli_chunk *c);

/* The next letters of the choice from c->next on. No items: there are none. */
FLV_CHECKED flv_rc cli_chunk_gather(struct cli_chunk *c,
                                    const struct cli_choice *choice,
                                    struct flv_err *err);
/* Lays the chunk out for the partitions of an open producer, whose `ends` are
 * given. Letters that belong to several partitions are complained of and left
 * out. *out borrows bytes from the chunk; no parcels: nothing is to be sent. */
FLV_CHECKED flv_rc cli_chunk_address(struct cli_chunk *c,
                                     const struct flv_producer *producer,
                                     const int64_t *ends,
                                     struct cli_begin *out,
                                     struct flv_err *err);

#endif
