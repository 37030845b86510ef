/*
 * admin.h - one request to the metadata service, from start to answer.
 *
 * Purpose    What admin.c, which has most of the requests, shares with files
 *            that have one more of them.
 * Threads    That of the client's loop.
 * Ownership  An op belongs to its client from flv__admin_submit() on; before,
 *            flv__admin_drop() frees it.
 * Errors     Those of starting are returned and the op is gone; later ones go
 *            to the callback.
 * See        src/client/internal.h
 */
#ifndef FLV_CLIENT_ADMIN_H
#define FLV_CLIENT_ADMIN_H

#include "client/internal.h"
#include "wire/ext.h"
#include "wire/spu.h"

struct admin_op;

/* Who is told, in the shape of what was asked for. */
union admin_fn {
    flv_done_fn done;
    flv_topics_fn topics;
    flv_partitions_fn partitions;
    flv_spus_fn spus;
    flv_smartmodules_fn modules;
    flv_table_formats_fn formats;
    flv_offsets_fn offsets;
};

/* What is special to a list. */
struct list_kind {
    enum flv_wire_object object;
    const struct flv_wire_schema *schema; /* of a struct with items alone */
    size_t wire_size, info_size;
    /* *keep = false: it was not asked for. */
    flv_rc (*fill)(struct admin_op *o,
                   const void *wire,
                   void *info,
                   bool *keep,
                   struct flv_err *err);
    /* See admin_op. */
    void (*deliver)(struct admin_op *o,
                    const struct flv_err *err,
                    const void *infos,
                    size_t count);
};

/* What is asked for of a list. */
struct list_ask {
    const char *name; /* NULL: all */
    bool system, summary;
};

struct admin_op {
    struct flv__op op;
    struct flv_client *client; /* borrowed */
    struct flv__call call;
    struct flv__finder lookup; /* offsets only, as the next two */
    struct flv_timer again;
    unsigned tries;
    struct flv_arena arena;   /* of request and answer */
    char name[FLV__NAME_MAX]; /* topic or consumer, "" for all */
    /* Calls fn with what was asked for, or with err and nothing. */
    void (*deliver)(struct admin_op *o,
                    const struct flv_err *err,
                    const void *infos,
                    size_t count);
    union admin_fn fn;
    const struct list_kind *list; /* lists only */
    void *user;
    union {
        struct flv_wire_topic_create create;
        struct flv_wire_topic_create_ext create_ext;
        struct flv_wire_smartmodule_create module_create;
        struct flv_wire_table_format_create format_create;
        struct flv_wire_topic_update update;
        struct flv_wire_delete_request remove;
        struct flv_wire_list_request list;
        struct flv_wire_fetch_consumer_offsets_request offsets;
        struct flv_wire_delete_consumer_offset_request offset_delete;
    } body;
};

/* A request that is not sent yet; the caller fills in fn, deliver, body and
 * call. */
FLV_CHECKED flv_rc flv__admin_new(struct flv_client *c,
                                  void *user,
                                  struct admin_op **out,
                                  struct flv_err *err);
void flv__admin_drop(struct admin_op *o);
/* Sends it to the metadata service; a failure drops it. */
FLV_CHECKED flv_rc flv__admin_submit(struct admin_op *o, struct flv_err *err);
/* Asks for a list. */
FLV_CHECKED flv_rc flv__admin_list(struct flv_client *c,
                                   const struct list_kind *kind,
                                   const struct list_ask *ask,
                                   union admin_fn fn,
                                   void *user,
                                   struct flv_err *err);
/* Deletes the object of that name. */
struct remove_ask {
    enum flv_wire_object object;
    const char *name;
    bool force;
};
FLV_CHECKED flv_rc flv__admin_remove(struct flv_client *c,
                                     const struct remove_ask *ask,
                                     flv_done_fn done,
                                     void *user,
                                     struct flv_err *err);
/* For call.done: the answer is a status. */
void flv__admin_status(struct flv__call *call,
                       const struct flv__answer *a,
                       const struct flv_err *err);
/* For deliver: fn.done is told. */
void flv__admin_deliver(struct admin_op *o,
                        const struct flv_err *err,
                        const void *infos,
                        size_t count);

#endif
