/*
 * smart_priv.h - what smart.c (life) and smart_run.c (batches) share.
 *
 * Purpose    The struct behind smart.h.
 * Threads    See smart.h: everything below `run` is the thread's while a batch
 *            is in work.
 */
#ifndef FLV_CONNECTOR_SMART_PRIV_H
#define FLV_CONNECTOR_SMART_PRIV_H

#include <stdatomic.h>

#include "connector/smart.h"
#include "loop/pool.h"

/* What a batch may become, letters included; beyond it the connector stops at
 * the record. */
#define FLV__SMART_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Keeps the log readable when every record fails. */
struct flv__complaint {
    uint64_t next_ms; /* not before */
    uint64_t hidden;  /* since the last one */
};

struct flv_smart {
    struct flv_smart_conf conf;
    struct flv_pool *pool;        /* owned; one thread */
    struct flv_sm_engine *engine; /* a reference */
    struct flv_sm_chain *chain;   /* owned */
    struct flv_stage stage;
    void (*staged)(void *arg, const struct flv_stage_result *result);
    void *staged_arg; /* who is answered */
    /* opening */
    struct flv_stream *stream; /* borrowed */
    size_t next;               /* the step that is looked after */
    struct flv_task begin, looking;
    struct flv_work compiling, showing;
    struct flv_buf past; /* what a step is shown */
    struct flv_err trouble;
    flv_done_fn done;
    void *done_user;
    /* run */
    struct flv_work work;
    const struct flv_batch *in; /* borrowed; NULL: idle */
    atomic_bool hurry;
    bool stop_at_failure; /* a step's policy is halt or retry */
    bool stop;            /* the same for this batch */
    bool single;          /* outputs tell their record only one by one */
    struct flv_buf section;
    struct flv_arena arena; /* owns letters, and outputs of earlier calls */
    struct flv_msg *msgs;   /* owned; [borrowed..] point into the chain */
    size_t msg_count, msg_cap, borrowed;
    struct flv_letter *letters; /* owned */
    size_t letter_count, letter_cap;
    /* For a sink, owned: see struct flv_stage_result. */
    uint32_t *origins;
    uint8_t *fates;
    size_t origin_cap, fate_cap;
    struct flv_stage_result result;
    struct flv_stage_counts each[FLV_SM_STEPS_MAX];
    struct flv_stage_counts shown[FLV_SM_STEPS_MAX]; /* the loop's copy */
    struct flv__complaint complaints[FLV_SM_STEPS_MAX];
};

void flv__smart_run_init(struct flv_smart *s);
void flv__smart_run_deinit(struct flv_smart *s);
/* On the thread: s->in becomes s->result. */
void flv__smart_run(struct flv_smart *s);

#endif
