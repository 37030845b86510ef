/*
 * real.h - fluvio-server itself, in a folder of its own.
 *
 * Purpose    What tests against the real server begin and end with. Ports are
 *            chosen at the first start and kept at the next ones.
 * Threads    The test's thread.
 * Errors     Fail the test.
 */
#ifndef FLV_TESTS_UNIT_CLIENT_REAL_H
#define FLV_TESTS_UNIT_CLIENT_REAL_H

#include "tmpdir.h"
#include <sys/types.h>

struct server {
    struct tmpdir tmp;
    char ports[2][16];
    pid_t pid;
};

/* Makes the folder and starts the server. */
void server_init(struct server *s);
void server_deinit(struct server *s);
/* Returns when it is ready. */
void server_start(struct server *s);
void server_stop(struct server *s, int signum);

#endif
