/*
 * smart.h - where a server runs SmartModules: engine, threads, modules.
 *
 * Purpose    One cpu pool with a bounded number of jobs in it and a line of
 *            those that wait; the engine, opened when the first request needs
 *            it; compiled modules, kept under what their bytes are; the plan
 *            of a request, which makes chains of them.
 *
 *              request --flv_plan_create--> plan --prepare--> modules
 *                                            |                  |
 *                         (job of the pool)  +-> flv_plan_chain +-> chain
 *
 * Threads    Loop thread, except where it says "job": from within
 *            flv_cpu_job.run, on a thread of the pool. A job sees what its
 *            owner does not touch meanwhile, and the bench it was given.
 * Ownership  flv_smart is embedded in the server. A plan belongs to who made
 *            it and goes with flv_plan_drop(), also while it is prepared.
 * Errors     Those of requests are Fluvio codes with a sentence (struct
 *            flv_trouble).
 * See        docs/server.md (SmartModules), tests/unit/server/test_transform.c
 */
#ifndef FLV_SERVER_SMART_H
#define FLV_SERVER_SMART_H

#include "loop/pool.h"
#include "server/modules.h"
#include "smartmodule/chain.h"
#include "wire/batch.h"
#include "wire/error.h"
#include "wire/spu.h"

#include <sys/queue.h>

struct flv_server;

#define FLV_SMART_THREADS_MAX 64
/* Of one batch that a frame has, beyond a single record: it is put together,
 * counted and copied while it is in a core's cache. */
#define FLV_SMART_BATCH_MAX ((size_t)64 << 10)

/* ---- troubles ---- */

/* An error of a request with the bytes that it speaks of. */
struct flv_trouble {
    struct flv_wire_error error; /* code NONE: there is none */
    char text[FLV_ERR_TEXT_MAX];
    char name[FLV_SM_NAME_MAX + 1];
    uint8_t *record; /* owned: key, value and hint of a runtime error */
};
/* `text` is copied and cut. */
void flv_trouble_set(struct flv_trouble *t, int16_t code, const char *text);
void flv_trouble_clear(struct flv_trouble *t);
/* A second one that says the same; the bytes of a record are not copied. */
void flv_trouble_copy(struct flv_trouble *to, const struct flv_trouble *from);
/* Hands it on; `from` is clear afterwards. */
void flv_trouble_move(struct flv_trouble *to, struct flv_trouble *from);
/* There is no SmartModule of that name. */
void flv_trouble_not_found(struct flv_trouble *t, struct flv_slice name);
/* A module wanted more memory than it may have. */
void flv_trouble_memory(struct flv_trouble *t, uint64_t wanted, uint64_t max);
/* Codes that a client of this version does not know keep their sentence. */
void flv_trouble_downgrade(struct flv_trouble *t, int16_t version);
/* A record on which a module failed: 6004 when the module said so, else 2.
 * Job or loop. */
void flv_trouble_record(struct flv_trouble *t,
                        const struct flv_sm_chain *chain,
                        const struct flv_sm_failure *f,
                        int64_t offset);

/* ---- the cpu pool ---- */

/* What a thread needs for a job; one for each that can run at once. */
struct flv_bench {
    struct flv_compressor *z; /* owned */
    struct flv_batch_reader reader;
    struct flv_batch_builder builder;
    struct flv_buf section, out;
    struct flv_cpu_job *job; /* whose it is now */
    bool ready;
};

enum flv_cpu_state { FLV_CPU_IDLE, FLV_CPU_WAITS, FLV_CPU_RUNS };

/* Embedded by its owner, zeroed, with run, done and smart filled. */
struct flv_cpu_job {
    void (*run)(struct flv_cpu_job *j, struct flv_bench *b); /* job */
    /* Loop, once; may submit again. CANCELED or NOMEM: it did not run. */
    void (*done)(struct flv_cpu_job *j, flv_rc rc);
    struct flv_smart *smart; /* borrowed */
    /* Set by the loop after turn_ms (0: a second) and by flv_cpu_stop(); for
     * run to look at. */
    atomic_bool stop;
    /* Set by flv_cpu_cancel() and when the server closes: nobody wants it any
     * more. Modules that run end within moments. */
    atomic_bool cancel;
    uint32_t turn_ms;
    bool yields;              /* nobody waits for it when the server stops */
    uint64_t began_ms;        /* private */
    struct flv_work work;     /* private */
    struct flv_task late;     /* private: without a thread */
    struct flv_bench *bench;  /* private */
    enum flv_cpu_state state; /* private */
    STAILQ_ENTRY(flv_cpu_job) link; /* private */
};
/* In line behind those that wait: each has its turn. */
void flv_cpu_submit(struct flv_cpu_job *j);
/* True: it waited, and done will not be called. Else it is told to stop. */
bool flv_cpu_cancel(struct flv_cpu_job *j);

/* ---- the server's part ---- */

struct flv_smart_conf {
    struct flv_sm_budget budget; /* of each module; zeroes: the defaults */
    size_t memory_bytes_max;     /* chains of all streams; 0: 512 MiB */
    uint32_t streams_max;        /* with modules; 0: 256 */
};

struct flv_smart_module; /* one compiled module in memory */

struct flv_smart {
    struct flv_server *server; /* borrowed */
    struct flv_smart_conf conf;
    struct flv_pool *pool; /* owned */
    struct flv_bench benches[FLV_SMART_THREADS_MAX];
    uint32_t threads, running;
    STAILQ_HEAD(, flv_cpu_job) line;
    struct flv_sm_engine *engine; /* owned; NULL: not opened */
    struct flv_cpu_job opening;
    struct flv_sm_engine *opened; /* what that job made */
    flv_rc opening_rc;
    struct flv_err opening_err;
    STAILQ_HEAD(, flv_plan) waiting;     /* for the engine */
    STAILQ_HEAD(, flv_making) look_line; /* wait to look back */
    bool looking;                        /* one does */
    TAILQ_HEAD(flv_smart_modules, flv_smart_module)
    modules; /* last used first */
    size_t module_count, module_bytes;
    uint64_t mac_keys[4]; /* of the hash of bytes sent along */
    uint32_t streams;     /* counted by flv_smart_enter */
    size_t memory_bytes;  /* of their chains, as last seen */
    uint64_t told_ms;     /* when a module that cannot run was last logged */
};

FLV_CHECKED flv_rc flv_smart_init(struct flv_smart *m,
                                  struct flv_server *server,
                                  const struct flv_smart_conf *conf,
                                  struct flv_err *err);
/* Waits (blocks) for jobs that run; nothing may be submitted any more. */
void flv_smart_deinit(struct flv_smart *m);
/* About once a second: ends turns, gives back memory that nobody needs. */
void flv_smart_tick(struct flv_smart *m);
/* The server stops: what yields ends soon or does not begin; later all. */
void flv_smart_drain(struct flv_smart *m);
void flv_smart_stop(struct flv_smart *m);

/* A stream with modules begins; false: there are too many, *out says it. */
bool flv_smart_enter(struct flv_smart *m, struct flv_trouble *out);
void flv_smart_leave(struct flv_smart *m);
/* The chain of a stream or topic has grown or shrunk; false: too much in all,
 * also without the chains of topics that have nothing to do. */
bool flv_smart_resize(struct flv_smart *m, size_t *held, size_t now);

/* ---- compiled modules ---- */

/* What bytes are: a revision of a stored module, or a hash that nobody
 * outside can aim at. */
struct flv_smart_source {
    uint64_t revision; /* 0: the bytes came along */
    uint64_t mac[2], len;
};
struct flv_smart_source flv_smart_source(const struct flv_smart *m,
                                         struct flv_slice bytes);
/* A reference for the caller, or NULL. */
struct flv_sm_module *flv_smart_recall(struct flv_smart *m,
                                       const struct flv_smart_source *source);
void flv_smart_remember(struct flv_smart *m,
                        const struct flv_smart_source *source,
                        struct flv_sm_module *module);

/* ---- plans ---- */

struct flv_plan;

/* What a request asks for, checked and copied. `frame` holds the request and
 * is kept while bytes that came along are needed; NULL where there are none.
 * Returns NULL: *out says why. */
struct flv_plan *flv_plan_create(struct flv_smart *m,
                                 const struct flv_wire_module_invocation *at,
                                 uint32_t count,
                                 struct flv_chunk *frame,
                                 struct flv_trouble *out);
/* Opens the engine, reads and compiles what is missing. done runs once, never
 * from inside this call, unless the plan is dropped first; `why` is there for
 * the call and may be moved. */
void flv_plan_prepare(struct flv_plan *p,
                      void (*done)(void *ctx, struct flv_trouble *why),
                      void *ctx);
/* NULL is allowed. No job may use the plan. */
void flv_plan_drop(struct flv_plan *p);
/* Job: a fresh chain of a prepared plan, which ends when `cancel` says so;
 * NULL: *out says why. */
struct flv_sm_chain *flv_plan_chain(const struct flv_plan *p,
                                    const atomic_bool *cancel,
                                    struct flv_trouble *out);
/* Some step breaks the tie of input and output inside a batch. */
bool flv_plan_is_loose(const struct flv_plan *p);

#endif
