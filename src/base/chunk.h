/*
 * chunk.h - counted pieces of memory under one common ceiling.
 *
 * Purpose    The bytes of a frame, held by all who still need them, and the
 *            budget which bounds what is in flight in all. Who finds the
 *            budget empty waits in line and is told when bytes were granted.
 *            Large chunks that were freed may lie idle for the next one that
 *            wants their size: memory fresh from the system costs as much as
 *            copying the frame.
 * Threads    Loop thread only: the counts are not atomic. The bytes may be
 *            read by a worker while the loop thread holds a reference for it.
 * Ownership  flv_chunk_create() gives the first reference to the caller; the
 *            last flv_chunk_unref() frees. The budget outlives its chunks.
 * Errors     FLV_E_BUSY: budget exhausted for now; FLV_E_LIMIT: more than the
 *            budget can ever grant; FLV_E_NOMEM.
 */
#ifndef FLV_BASE_CHUNK_H
#define FLV_BASE_CHUNK_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flv_budget_waiter {
    /* Runs when `need` bytes were charged for this waiter: it now owns that
     * charge and gives it back with flv_budget_give(), or turns it into a
     * chunk. Called from inside somebody's flv_budget_give() or
     * flv_chunk_unref(): only take note and act later (flv_loop_defer). */
    void (*granted)(struct flv_budget_waiter *w);
    size_t need;
    struct flv_budget_waiter *next, *prev; /* private */
    bool waiting;                          /* private */
};

/* Up to this size a charge is a small one. */
#define FLV_BUDGET_SMALL ((size_t)64 << 10)

/* Chunks of at least so many bytes may lie idle for the next one. */
#define FLV_CHUNK_IDLE_MIN ((size_t)64 << 10)

/* The spare is for small charges alone: who asks for little is not held up by
 * those who hold much and do not move. */
struct flv_budget {
    size_t used, max;
    size_t spare_used, spare_max;
    struct flv_budget_waiter *head, *tail; /* borrowed, in order of arrival */
    struct flv_chunk *idle;                /* owned; the newest first */
    size_t idle_bytes, idle_max;           /* what is not used, of all chunks */
    bool idle_used;                        /* since the last tidying up */
};

/* Without a spare and with nothing idle; who wants that sets spare_max and
 * idle_max: both come on top of max. */
void flv_budget_init(struct flv_budget *g, size_t max);
/* Frees what lies idle; all chunks have been given back. */
void flv_budget_deinit(struct flv_budget *g);
/* Every now and then: frees what lies idle, unless some of it was of use since
 * the last time. */
void flv_budget_tidy(struct flv_budget *g);
/* Charges n bytes. FLV_E_BUSY when they are not free now or others wait
 * already, FLV_E_LIMIT when n is more than max. A small charge may come from
 * the spare, past those who wait. */
FLV_CHECKED flv_rc flv_budget_take(struct flv_budget *g, size_t n);
/* Gives n bytes back; may run `granted` of those who wait. */
void flv_budget_give(struct flv_budget *g, size_t n);
/* Puts w in line; need <= max. `granted` never runs from inside this call. */
void flv_budget_wait(struct flv_budget *g, struct flv_budget_waiter *w);
/* Leaves the line; nothing happens when w does not wait. */
void flv_budget_cancel(struct flv_budget *g, struct flv_budget_waiter *w);

struct flv_chunk {
    struct flv_budget *budget; /* borrowed, NULL: not charged */
    uint8_t *data;             /* owned, behind this struct */
    size_t size;
    size_t cap;             /* private: bytes there are, at least size */
    struct flv_chunk *next; /* private: while idle */
    uint32_t refs;
};

/* What a chunk of that size is charged: its bytes and its bookkeeping. */
size_t flv_chunk_cost(size_t size);
/* budget may be NULL. The bytes are not zeroed. */
FLV_CHECKED flv_rc flv_chunk_create(struct flv_budget *budget,
                                    size_t size,
                                    struct flv_chunk **out);
/* The same on a charge of flv_chunk_cost(size) which the caller holds and
 * which the chunk takes over; on failure it stays the caller's. */
FLV_CHECKED flv_rc flv_chunk_create_granted(struct flv_budget *budget,
                                            size_t size,
                                            struct flv_chunk **out);
struct flv_chunk *flv_chunk_ref(struct flv_chunk *c);
/* NULL is allowed. */
void flv_chunk_unref(struct flv_chunk *c);

#endif
