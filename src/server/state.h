/*
 * state.h - what the files of this room share: struct flv_server.
 *
 * Purpose    The one place where the parts of a server hang together. Not
 *            for other rooms.
 * Threads    Loop thread only, except where a field says otherwise.
 * Ownership  server.c makes and frees everything here.
 */
#ifndef FLV_SERVER_STATE_H
#define FLV_SERVER_STATE_H

#include "base/arena.h"
#include "base/chunk.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "loop/pool.h"
#include "server/datadir.h"
#include "server/dedup.h"
#include "server/formats.h"
#include "server/metadb.h"
#include "server/metrics.h"
#include "server/modules.h"
#include "server/offsets.h"
#include "server/partition.h"
#include "server/peer.h"
#include "server/scrub.h"
#include "server/server.h"
#include "server/smart.h"
#include "server/topics.h"
#include "wire/compress.h"

enum flv_server_phase {
    FLV_SERVER_STARTING,
    FLV_SERVER_SERVING,
    FLV_SERVER_DRAINING, /* no new requests; waits for answers */
    FLV_SERVER_CLOSING,  /* waits for logs and database */
    FLV_SERVER_STOPPED,
};

struct flv_server {
    struct flv_server_conf conf; /* strings owned */
    struct flv_loop *loop;       /* borrowed */
    enum flv_server_phase phase;
    struct flv_datadir dir;
    struct flv_metadb *db;       /* used in meta_pool only, while serving */
    struct flv_metrics *metrics; /* owned; NULL: no port was asked for */
    struct flv_server_counts {
        uint64_t connections[2]; /* accepted, by service */
        uint64_t turned_away;
        uint64_t module_failures;
    } counts;
    uint64_t started_ms; /* monotonic */
    bool published;      /* server.json is ours */
    struct flv_pool *meta_pool, *read_pool;
    struct flv_part_env part_env;
    struct flv_budget requests, answers;
    struct flv_tls *tls;       /* owned; NULL: plain TCP */
    struct flv_policy *policy; /* owned; NULL: all may do all */
    struct flv_listener *sc, *spu;
    struct flv_topics topics;
    uint64_t store_id; /* of the data directory: no other has it */
    struct flv_modules modules;
    struct flv_formats formats;
    LIST_HEAD(, flv_topic_op) doubts; /* see lifecycle.c */
    struct flv_offsets offsets;
    struct flv_smart smart;
    struct flv_dedups dedups;
    struct flv_compressor *compressor;
    struct flv_arena arena; /* of the request being served, reset after */
    struct flv_buf scratch; /* of the answer being encoded */
    LIST_HEAD(, flv_peer) peers;
    uint32_t peer_count;
    uint64_t crowded_ms; /* when a client was last turned away aloud */
    uint64_t refused_ms; /* when a refusal of the policy was last told */
    LIST_HEAD(, flv_watch) watchers; /* all peers' */
    int64_t epoch;                   /* of the metadata, for watches */
    struct flv_timer tick;
    struct flv_scrub scrub;
    uint32_t pending; /* operations that must end before the server does */
    struct flv_timer stop_timer;
    struct flv_task stop_task;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* Brackets around an operation that the end of the server has to await. */
void flv_server_began(struct flv_server *s);
void flv_server_ended(struct flv_server *s);
/* A request was answered: a server that stops may go on. */
void flv_server_poke(struct flv_server *s);

/* ENOSPC and the like, as a code that this client knows, with the text. */
struct flv_wire_error flv_server_error(const struct flv_err *err);

#endif
