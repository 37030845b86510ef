/*
 * instance.h - one running copy of a module, with its budget.
 *
 * Purpose    Instantiates, gives memory to inputs, calls, and says how a call
 *            ended in terms of chain.h.
 * Threads    One at a time; see chain.h for the stack.
 * Ownership  An instance borrows module and budget. Slices into its memory
 *            are good until the next call into it.
 * Errors     `false` and a filled fault: what the guest did. An instance that
 *            trapped must not be called again.
 */
#ifndef FLV_SMARTMODULE_INSTANCE_H
#define FLV_SMARTMODULE_INSTANCE_H

#include "base/bytes.h"
#include "smartmodule/chain.h"
#include "smartmodule/engine_priv.h"

struct flv__fault {
    bool host;     /* not the guest's doing: the host is out of memory */
    bool canceled; /* with `host`: whoever asked wants it no more */
    enum flv_sm_cause cause;
    int64_t offset;         /* of the record it complains of; -1: not known */
    uint64_t memory_wanted; /* MEMORY: what was refused; 0: not known */
    /* The module's words: of an error of its own, or behind a trap what it
     * last wrote to standard error. */
    struct flv_slice hint; /* borrows from the instance's memory */
    char text[FLV_ERR_TEXT_MAX];
};
/* Fills *f and returns false. */
bool flv__fault(struct flv__fault *f,
                enum flv_sm_cause cause,
                const char *fmt,
                ...) FLV_PRINTF(3, 4);

enum flv__entry {
    FLV__ENTRY_TRANSFORM,
    FLV__ENTRY_INIT,
    FLV__ENTRY_LOOK_BACK,
    FLV__ENTRY_ALLOC,
    FLV__ENTRY_DEALLOC,
    FLV__ENTRY_COUNT,
};

/* The last bytes that a call wrote to standard error. */
#define FLV__SM_WORDS_MAX 1024

struct flv__inst {
    struct flv_sm_module *module;       /* borrowed */
    const struct flv_sm_budget *budget; /* borrowed, all filled */
    wasmtime_store_t *store;            /* owned */
    wasmtime_context_t *ctx;            /* of the store */
    wasmtime_memory_t memory;
    wasmtime_func_t funcs[FLV__ENTRY_COUNT]; /* store_id 0: has none */
    struct flv__sm_memory_limit limit;
    const atomic_bool *cancel; /* borrowed; NULL: nobody can */
    /* of the call that runs, or of the last one */
    uint64_t cpu_end_ns;
    bool late, canceled;
    bool announced;
    uint32_t out_ptr, out_len;
    char words[FLV__SM_WORDS_MAX]; /* printable, and newlines */
    size_t words_len;
    bool words_cut; /* there was more before; they begin with "..." */
};

/* Runs the start function, if there is one, under the budget. `cancel` may be
 * NULL; when it becomes true, the call that runs ends with a fault. */
bool flv__inst_create(struct flv__inst **out,
                      struct flv_sm_module *module,
                      const struct flv_sm_budget *budget,
                      const atomic_bool *cancel,
                      struct flv__fault *f);
void flv__inst_destroy(struct flv__inst *in); /* NULL is allowed */

/* A fresh budget from here on, until flv__inst_end(). */
void flv__inst_begin(struct flv__inst *in);
void flv__inst_end(struct flv__inst *in, struct flv_sm_stats *stats);

/* `size` bytes of guest memory for an input; *host is where they lie until
 * the next call. */
bool flv__inst_alloc(struct flv__inst *in,
                     size_t size,
                     uint32_t *ptr,
                     uint8_t **host,
                     struct flv__fault *f);
/* entry(ptr, size, version); *rc is what it returned. */
bool flv__inst_call(struct flv__inst *in,
                    enum flv__entry entry,
                    uint32_t ptr,
                    size_t size,
                    int32_t *rc,
                    struct flv__fault *f);
/* What the call announced through copy_records. */
bool flv__inst_output(struct flv__inst *in,
                      struct flv_slice *out,
                      struct flv__fault *f);
/* Gives announced output back to the guest. */
bool flv__inst_dealloc(struct flv__inst *in, struct flv__fault *f);

size_t flv__inst_memory(const struct flv__inst *in);
/* Copies of the whole memory; restoring grows it to that size. */
FLV_CHECKED flv_rc flv__inst_save(const struct flv__inst *in,
                                  struct flv_buf *out);
bool flv__inst_restore(struct flv__inst *in,
                       struct flv_slice image,
                       struct flv__fault *f);

#endif
