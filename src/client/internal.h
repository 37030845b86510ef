/*
 * internal.h - what the files of this room share.
 *
 * Purpose    The client handle: the metadata connection, the copy of the
 *            metadata, one peer per SPU, and everything that is under way and
 *            has to be completed when the client closes.
 * Threads    Loop thread only.
 * Ownership  The client owns peers and metadata; ops are owned by themselves:
 *            an op leaves the client's ring when it completes or is cancelled.
 */
#ifndef FLV_CLIENT_INTERNAL_H
#define FLV_CLIENT_INTERNAL_H

#include <fluvio/client.h>

#include "base/chunk.h"
#include "client/meta.h"
#include "client/peer.h"
#include "loop/loop.h"

#define FLV__CLIENT_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define FLV__CLIENT_ARENA_MAX ((size_t)128 * 1024 * 1024)
#define FLV__NAME_MAX 256 /* topic, consumer id; with the NUL */

/* Something under way on a client. */
struct flv__op {
    /* The client closes: complete with err (FLV_E_CANCELED), free. */
    void (*cancel)(struct flv__op *op, const struct flv_err *err);
    struct flv__op *next, *prev; /* private */
};

struct flv__spu_link {
    int32_t id;             /* the key */
    struct flv__peer *peer; /* owned */
    bool lost;
    UT_hash_handle hh;
};

struct flv_client {
    struct flv_loop *loop; /* borrowed */
    struct flv_client_conf conf;
    char *client_id, *address;      /* owned */
    struct flv_tls *tls;            /* owned; NULL: plain */
    char *domain;                   /* owned; of certificates, or NULL */
    struct flv_budget budget;       /* of received frames */
    struct flv__peer *sc;           /* owned */
    struct flv__peer_listener link; /* attached where somebody is told */
    bool link_lost;                 /* as told */
    struct flv__meta meta;
    struct flv__spu_link *spus; /* owned hash */
    struct flv__op ops;         /* head of a ring */
    struct flv_task close_task;
    size_t peers_open; /* not closed to the end */
    bool closing;
    flv_closed_fn closed;
    void *closed_user;
};

void flv__op_add(struct flv_client *c, struct flv__op *op);
void flv__op_remove(struct flv__op *op);

/* The peer of an SPU, made or moved to where the metadata says it is.
 * FLV_E_NOT_FOUND: the metadata does not know it. */
FLV_CHECKED flv_rc flv__client_spu(struct flv_client *c,
                                   int32_t id,
                                   struct flv__peer **out,
                                   struct flv_err *err);

/* The answer to whatever is asked of a client that is closing. */
static inline flv_rc flv__closing(struct flv_err *err)
{
    return flv_fail(err, FLV_E_CANCELED, "the client is closing");
}

/* Copies a name that travels as a protocol string. */
FLV_CHECKED flv_rc flv__name_copy(char out[FLV__NAME_MAX],
                                  const char *name,
                                  const char *what,
                                  struct flv_err *err);

/* The codes are the topic's; ANY for what we do not know. */
enum flv_compression flv__compression_of(uint8_t wire);
uint8_t flv__compression_wire(enum flv_compression c);

/* Whether a server's error may be gone on the next try. */
bool flv__may_pass(const struct flv_err *err);
/* Capped and jittered, by the number of failures in a row. */
uint64_t flv__backoff_ms(const struct flv_client *c, unsigned attempts);

/* Waits until the metadata knows a topic with all its leaders and where they
 * are. Embedded. */
struct flv__finder {
    struct flv_client *client;
    const char *topic; /* borrowed */
    uint32_t wait_ms;  /* for a topic that is not there; 0: it is an error */
    /* Exactly one of both is NULL. Ends the lookup. */
    void (*done)(struct flv__finder *l,
                 const struct flv__topic_meta *t,
                 const struct flv_err *err);
    struct flv__meta_listener listener; /* private, as the rest */
    struct flv_timer timer;
    struct flv_task task;
    bool active, waits;
};

/* Needs client, topic and done. */
FLV_CHECKED flv_rc flv__finder_start(struct flv__finder *l,
                                     struct flv_err *err);
/* `done` does not run any more; nothing happens to a zeroed one. */
void flv__finder_stop(struct flv__finder *l);

#endif
