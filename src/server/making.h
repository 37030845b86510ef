/*
 * making.h - a fresh chain that has seen the past.
 *
 * Purpose    Makes the chain of a prepared plan, and, for modules that ask
 *            for it, shows them the records that are in the partition: the
 *            last n, or those not older than a time, or both.
 *
 *              chain (cpu pool) -> find, read (read pool) -> look_back (cpu)
 *                                   ^------- for each such module -------|
 *
 * Threads    Loop thread; reads and jobs run in the pools.
 * Ownership  Embedded by its owner, zeroed, with the first fields filled.
 *            Holds the partition until done. The chain is the owner's then.
 * Errors     `why`; the chain is NULL then.
 * Units      Past records of one module: at most FLV_SM_RECORDS_MAX of them
 *            and FLV_BATCH_SECTION_MAX bytes, for one chain at a time, so that
 *            the memory for it is bounded; or, where they come in pieces, any
 *            number. What retention removes meanwhile is passed over.
 */
#ifndef FLV_SERVER_MAKING_H
#define FLV_SERVER_MAKING_H

#include "server/partition.h"
#include "server/smart.h"

struct flv_past; /* records that are read for one module */

struct flv_making {
    struct flv_smart *smart;         /* borrowed */
    struct flv_plan *plan;           /* borrowed, prepared */
    struct flv_partition *partition; /* to look back in */
    void (*done)(struct flv_making *k);
    /* For who writes there: everything that is written, also what readers do
     * not see yet, shown to the module piece by piece. */
    bool pieces;
    struct flv_sm_chain *chain;    /* out */
    struct flv_trouble why;        /* out */
    struct flv_cpu_job job;        /* private */
    struct flv_past *past;         /* private, owned */
    struct flv_sm_look_back back;  /* private: what the step wants */
    STAILQ_ENTRY(flv_making) link; /* private: waits to read */
    bool waiting, left;            /* private */
};

/* done runs once, later. */
void flv_making_start(struct flv_making *k);
/* True: it ended here, done will not be called. Else that comes soon. */
bool flv_making_cancel(struct flv_making *k);

#endif
