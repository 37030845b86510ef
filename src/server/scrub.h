/*
 * scrub.h - stored records are read again before somebody needs them.
 *
 * Purpose    Walks over all partitions, one small read at a time, at a bounded
 *            rate, and reports damage: in the log, in the partition's health.
 *            It repairs nothing, cuts nothing, and readers are served as
 *            before.
 *
 *                start --after--> pass ... pass --every (from its start)-->
 * pass
 *
 * Threads    Loop thread; reads run in the read pool, one at a time.
 * Ownership  Embedded in the server; zeroed, it does nothing.
 * Units      _ms, bytes per second.
 * See        docs/durability.md, tests/e2e/operations.bats,
 *            tests/unit/store/test_store_scrub.c
 */
#ifndef FLV_SERVER_SCRUB_H
#define FLV_SERVER_SCRUB_H

#include "loop/loop.h"
#include "loop/pool.h"
#include "server/server.h"
#include "server/topics.h"
#include "store/log.h"

struct flv_server;

struct flv_scrub {
    struct flv_server *server; /* borrowed; NULL: off */
    struct flv_server_scrub_conf conf;
    struct flv_timer timer;
    struct flv_work work;
    struct flv_log_scrub step;
    struct flv_partition *reading; /* held; NULL: no read is out */
    /* Where the walk is: a topic by its name, since others come and go. */
    char topic[FLV_TOPIC_NAME_MAX + 1];
    uint64_t topic_id;
    uint32_t partition;
    bool passing;
    uint64_t pass_ms;                /* when this pass, or the last, began */
    uint64_t bytes, passes, damages; /* since the start */
};

/* As the server's settings say. Nothing fails but the timer. */
FLV_CHECKED flv_rc flv_scrub_start(struct flv_scrub *x,
                                   struct flv_server *server,
                                   struct flv_err *err);
/* No further reads; one that is out ends by itself. */
void flv_scrub_stop(struct flv_scrub *x);

#endif
