/*
 * names.h - what lies in a partition's directory.
 *
 * Purpose    The files of a log by their names: what opening and the offline
 *            check begin with. Internal to store.
 * Threads    Any thread, blocks.
 */
#ifndef FLV_STORE_NAMES_H
#define FLV_STORE_NAMES_H

#include <stdbool.h>

#include "store/io.h"

/* Offsets from the names of files, in order. */
struct flv__bases {
    int64_t *at; /* owned */
    uint32_t len, cap;
};

struct flv__names {
    struct flv__bases segments;
    struct flv__bases nexts; /* segments to come */
    uint32_t torn;           /* what was set aside */
    bool no_memory;          /* private */
};

/* Fills a zeroed *out, which is to be deinited in any case. NOT_FOUND: there
 * is no such directory. */
FLV_CHECKED flv_rc flv__names_list(struct flv_io *io,
                                   const char *dir,
                                   struct flv__names *out,
                                   struct flv_err *err);
void flv__names_deinit(struct flv__names *names);

#endif
