/*
 * numbers.h - which numbered record sets a partition has let through already.
 *
 * Purpose    The store knows numbered record sets by what is stored of them.
 *            Where records are dropped on their way in, that tells nothing: a
 *            set may be stored in part, or not at all. So what came of each
 *            producer is kept here, by the numbers with which it came. It is
 *            forgotten with the server, or when it is cleared: a producer that
 *            is not known may begin with any number, and what is below that is
 *            refused then: nobody can tell whether it went through.
 * Threads    One at a time.
 * Ownership  Embedded, zeroed is empty; flv_numbers_clear() gives all back.
 * Errors     FLV_E_NOMEM: not even the first producer finds room. Further ones
 *            take the place of the one idle for longest then.
 * Units      Sequences count records, as those of the store.
 * See        dedup.h, docs/durability.md, tests/unit/server/test_numbers.c
 */
#ifndef FLV_SERVER_NUMBERS_H
#define FLV_SERVER_NUMBERS_H

#include "base/bytes.h"

#include <stdbool.h>

#define FLV_NUMBERS_PRODUCERS_MAX 256
/* As many as a producer has under way at once, unless it was told otherwise:
 * what is older is known to have gone through, not where it is. */
#define FLV_NUMBERS_WINDOW 32

/* The numbers of one record set. */
struct flv_run {
    int64_t producer_id;
    int16_t epoch;
    int32_t first, last;
};
/* False: it has none, or none that make sense. */
bool flv_run_of(struct flv_slice set, struct flv_run *out);

struct flv_numbered; /* one producer */

struct flv_numbers {
    /* Asked before it holds more, told when it holds less; NULL: it may. */
    bool (*may_hold)(struct flv_numbers *n, size_t bytes);
    struct flv_numbered *producers; /* owned */
    uint32_t count, cap;
    uint64_t turn;
};

enum flv_number {
    FLV_NUMBER_NEXT,  /* new, in order */
    FLV_NUMBER_KNOWN, /* let through already; *base says where, -1: unknown */
    FLV_NUMBER_WRONG, /* skips ahead, overlaps, or of an epoch that is over */
};
enum flv_number flv_numbers_judge(const struct flv_numbers *n,
                                  const struct flv_run *run,
                                  int64_t *base);
/* One that was judged NEXT goes through; where it went may be told later. Of
 * more producers than there is room for the one idle for longest is
 * forgotten. */
FLV_CHECKED flv_rc flv_numbers_note(struct flv_numbers *n,
                                    const struct flv_run *run);
/* One that was judged NEXT did not, whether or not it was noted: it is NEXT
 * again, and what came behind it is WRONG until it went through. */
FLV_CHECKED flv_rc flv_numbers_undo(struct flv_numbers *n,
                                    const struct flv_run *run);
void flv_numbers_place(struct flv_numbers *n,
                       const struct flv_run *run,
                       int64_t base);
void flv_numbers_clear(struct flv_numbers *n);
size_t flv_numbers_memory(const struct flv_numbers *n);

#endif
