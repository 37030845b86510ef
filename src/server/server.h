/*
 * server.h - fluvio-server as an object: both services in one process.
 *
 * Purpose    Opens a data directory, listens on two ports, serves, and stops
 *            in good order. main.c adds options and signals.
 * Threads    Everything on the loop's thread; open blocks.
 * Ownership  open gives the server to the caller, who may destroy it only
 *            behind `stopped`. The loop is borrowed and outlives it.
 * Errors     One sentence that names what is in the way (port, folder, lock).
 * Units      _ms, _bytes.
 * See        docs/server.md
 */
#ifndef FLV_SERVER_SERVER_H
#define FLV_SERVER_SERVER_H

#include "loop/loop.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

struct flv_io;
struct flv_datadir;

struct flv_server_conf {
    const char *data_dir;
    struct flv_datadir *held; /* that folder, opened already: taken; or NULL */
    long guard;               /* pid of it; 0: none */
    uint32_t deaths;          /* that it saw */
    const char *bind;         /* address to listen on */
    const char *advertise;    /* host that clients are told to connect to */
    uint16_t sc_port, spu_port; /* 0: any free one */
    /* PEM files; cert NULL: plain TCP. client_ca NULL: nobody is asked for a
     * certificate. */
    struct flv_server_tls_conf {
        const char *cert, *key, *client_ca;
    } tls;
    const char *metrics_host; /* of GET /metrics; NULL: none */
    uint16_t metrics_port;    /* 0: any free one */
    const char *policy; /* file of rules, policy.h; NULL: all may do all */
    uint64_t frame_bytes_max;  /* size of one request */
    uint64_t memory_bytes_max; /* requests and answers in flight, in all */
    uint64_t batch_bytes_max;  /* of one record batch */
    uint64_t stall_ms_max;     /* silence inside a frame */
    uint64_t frame_ms_max;     /* from its first to its last byte */
    uint64_t stop_ms_max;      /* for what is under way at the end */
    struct flv_server_modules_conf {
        uint64_t fuel;             /* of one module and record; 0: default */
        uint64_t cpu_ms;           /* the same, of the thread */
        uint64_t memory_bytes;     /* of one instance */
        uint64_t memory_bytes_max; /* of the instances of all streams */
        uint64_t streams_max;      /* with SmartModules */
    } modules;
    struct flv_server_scrub_conf {
        uint64_t bytes_per_s;        /* 0: off */
        uint64_t after_ms, every_ms; /* first pass; from pass to pass */
    } scrub;
    struct flv_io *io; /* borrowed: disk of the logs; NULL: the real one */
};

struct flv_server;

FLV_CHECKED flv_rc flv_server_open(struct flv_server **out,
                                   struct flv_loop *loop,
                                   const struct flv_server_conf *conf,
                                   struct flv_err *err);
uint16_t flv_server_sc_port(const struct flv_server *s);
uint16_t flv_server_spu_port(const struct flv_server *s);
/* Of the metrics; 0: there is none. */
uint16_t flv_server_metrics_port(const struct flv_server *s);

/* Reads certificates and policy again. They hold for connections, requests and
 * streams from now on: a stream whose reader may no longer consume ends. After
 * an error everything is as before. Blocks for the files. */
FLV_CHECKED flv_rc flv_server_reload(struct flv_server *s, struct flv_err *err);

/* Accepts nothing more, answers what was staged, closes the logs and the
 * database, then calls stopped. Once. */
void flv_server_stop(struct flv_server *s,
                     void (*stopped)(void *ctx),
                     void *ctx);
void flv_server_destroy(struct flv_server *s);

#endif
