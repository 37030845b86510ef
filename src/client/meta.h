/*
 * meta.h - what the metadata service says about topics, partitions, SPUs.
 *
 * Purpose    A copy of the cluster's objects, kept current by three Watch
 *            streams, so that producers and consumers look up leaders without
 *            asking. After a loss the old copy stays in use until the new one
 *            has come.
 * Threads    Loop thread only.
 * Ownership  Embedded in the client. Entries are borrowed until the next
 *            `changed`.
 * Errors     An answer that cannot be read or kept drops the connection; the
 *            copy is then made anew.
 */
#ifndef FLV_CLIENT_META_H
#define FLV_CLIENT_META_H

#include "client/peer.h"
#include "client/table.h"
#include "wire/sc.h"

#define FLV__META_TOPICS_MAX 65536
#define FLV__META_PARTITIONS_MAX 65536 /* of one topic */
#define FLV__META_SPUS_MAX 4096

struct flv__part_meta {
    int32_t leader; /* SPU id, -1 = not known */
    bool online;
};

struct flv__topic_meta {
    char *name;          /* owned; the key */
    bool known;          /* the topic itself was seen, not only partitions */
    uint32_t partitions; /* by the topic's spec */
    uint8_t compression; /* enum flv_wire_topic_compression */
    uint8_t resolution;  /* enum flv_wire_topic_resolution */
    struct flv__part_meta *parts; /* owned */
    uint32_t part_count, part_cap;
    bool lost;
    UT_hash_handle hh;
};

struct flv__spu_meta {
    int32_t id; /* the key */
    char *name; /* owned; of the object */
    char *host; /* owned */
    uint16_t port;
    char *local_host; /* owned, or NULL */
    uint16_t local_port;
    bool stale; /* of a replaced copy */
    bool lost;
    UT_hash_handle hh;
};

struct flv__meta_listener {
    /* Something changed, or the first copy is complete. */
    void (*changed)(struct flv__meta_listener *l);
    struct flv__meta_listener *next, *prev; /* private */
};

#define FLV__META_WATCHES 3

struct flv__meta {
    struct flv__peer *sc; /* borrowed */
    bool started;
    struct flv__peer_listener link;
    struct flv__call watches[FLV__META_WATCHES];
    bool fresh[FLV__META_WATCHES]; /* seen since the last connect */
    struct flv_wire_watch_request body;
    struct flv__topic_meta *topics; /* owned hash */
    struct flv__spu_meta *spus;     /* owned hash */
    struct flv__meta_listener listeners;
    struct flv__meta_listener *cursor;
    struct flv_err last_err; /* why there is no connection */
};

void flv__meta_init(struct flv__meta *m, struct flv__peer *sc);
void flv__meta_deinit(struct flv__meta *m);
/* Begins to watch; idempotent. */
void flv__meta_start(struct flv__meta *m);
/* All three copies are as new as the present connection. */
bool flv__meta_fresh(const struct flv__meta *m);
/* NULL: no such topic in the copy. */
const struct flv__topic_meta *flv__meta_topic(const struct flv__meta *m,
                                              const char *name);
/* SPU id of the leader, -1 when not known. */
int32_t flv__meta_leader(const struct flv__topic_meta *t, uint32_t partition);
const struct flv__spu_meta *flv__meta_spu(const struct flv__meta *m,
                                          int32_t id);
/* "TOPIC-NUMBER" split at the last dash. */
bool flv__partition_name(struct flv_slice name,
                         struct flv_slice *out_topic,
                         uint32_t *out_number);
void flv__meta_listen(struct flv__meta *m, struct flv__meta_listener *l);
void flv__meta_unlisten(struct flv__meta *m, struct flv__meta_listener *l);

#endif
