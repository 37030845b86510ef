/*
 * rig.h - a server in a child process and a blocking client to question it.
 *
 * Purpose    Shared by the tests that talk to a server over sockets. Frames
 *            are made and read with wire's own messages, or by hand where a
 *            test wants to lie.
 * Threads    Test thread only; the server has a process of its own, so that
 *            leaks and sanitizer findings become its exit code.
 * Ownership  struct rig and struct link are the test's; _stop and _close
 *            give back what they hold.
 * Errors     What must not happen fails the test from inside the helper.
 */
#ifndef FLV_TESTS_SERVER_RIG_H
#define FLV_TESTS_SERVER_RIG_H

#include "cm.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "server/server.h"
#include "tmpdir.h"
#include "wire/api.h"
#include "wire/batch.h"
#include "wire/ext.h"
#include "wire/sc.h"
#include "wire/spu.h"

#include <sys/types.h>

/* Longer than a busy machine takes: who waits so long waits in vain. */
#define RIG_WAIT_MS 25000

struct rig {
    struct tmpdir tmp;
    pid_t pid; /* 0: not running */
    uint16_t sc, spu;
    struct flv_server_conf conf; /* for the next start */
};

void rig_init(struct rig *r);
void rig_start(struct rig *r);
/* SIGTERM; the server has to end with 0 (no leak, no finding). */
void rig_stop(struct rig *r);
/* SIGKILL. */
void rig_kill(struct rig *r);
/* Stops if it runs, removes the folder. */
void rig_deinit(struct rig *r);
/* Tries to start a second server on the same folder: its error. */
flv_rc rig_second(const struct rig *r, struct flv_err *err);
/* Resident memory of the server. */
size_t rig_rss_bytes(const struct rig *r);

struct link {
    int fd;
    int32_t correlation;    /* of the next request */
    struct flv_buf in;      /* bytes received, not cut yet */
    struct flv_buf frame;   /* the last frame, without its length */
    struct flv_arena arena; /* of what was decoded */
};

void link_open(struct link *l, uint16_t port);
void link_close(struct link *l);
void link_send(struct link *l, const void *bytes, size_t len);
/* Returns the correlation id. body may be NULL. */
int32_t link_ask(struct link *l,
                 uint16_t api,
                 int16_t version,
                 const struct flv_wire_schema *schema,
                 const void *body,
                 const char *label);
/* The next frame; its correlation id is returned and cut off. */
int32_t link_next(struct link *l);
/* Decodes the frame into out; label of the envelope, or NULL. */
void link_read(struct link *l,
               int16_t version,
               const struct flv_wire_schema *schema,
               void *out,
               const char *label);
/* ask, next, read: for requests that have one answer and nothing else. */
void link_call(struct link *l,
               uint16_t api,
               int16_t version,
               const struct flv_wire_schema *schema,
               const void *body,
               const struct flv_wire_schema *out_schema,
               void *out);
/* True: nothing comes for that long. */
bool link_is_silent(struct link *l, int wait_ms);
/* Cuts the next frame as link_next() does; true: the server ended instead. */
bool link_ends_or_frame(struct link *l);
/* True: the server ends the connection (after at most RIG_WAIT_MS). */
bool link_ends(struct link *l);

/* ---- ready-made requests ---- */

int16_t
rig_create_topic(struct link *sc, const char *name, uint32_t partitions);
/* Of durability page-cache. */
int16_t
rig_create_page_cache(struct link *sc, const char *name, uint32_t partitions);
int16_t rig_delete_topic(struct link *sc, const char *name);
/* One batch of `count` records of value_bytes each. */
void rig_batch(struct flv_buf *out,
               uint32_t count,
               size_t value_bytes,
               enum flv_codec codec,
               int64_t producer_id,
               int32_t sequence);
/* Produces one record set; returns the code, *out_base may be NULL. */
int16_t rig_produce(struct link *spu,
                    const char *topic,
                    uint32_t partition,
                    struct flv_slice records,
                    int64_t *out_base);
/* Appends the request for that to the socket without reading the answer. */
int32_t rig_produce_ask(struct link *spu,
                        const char *topic,
                        uint32_t partition,
                        struct flv_slice records);
int32_t rig_stream_ask(struct link *spu,
                       const char *topic,
                       uint32_t partition,
                       int64_t offset,
                       int32_t max_bytes,
                       const char *consumer);

/* The page of metrics; conf.metrics_host is set. Static. */
char *rig_metrics(const struct rig *r);

#endif
