/*
 * postgres.h - a PostgreSQL server for one test program.
 *
 * Purpose    initdb and postgres in a temporary folder, reachable over a unix
 *            socket only. A server refuses to run as root: then it runs as
 *            the user "postgres", or "nobody".
 * Threads    Test thread only.
 * Errors     False, and a line on stderr that says why.
 */
#ifndef FLV_TESTS_UNIT_POSTGRES_H
#define FLV_TESTS_UNIT_POSTGRES_H

#include <stdbool.h>
#include <sys/types.h>

#include "tmpdir.h"

struct postgres {
    struct tmpdir tmp;
    char bin[128]; /* folder of its programs */
    char url[256]; /* as its superuser */
    unsigned uid, gid;
    pid_t pid;
};

/* Are its programs here? */
bool postgres_find(struct postgres *p);
bool postgres_start(struct postgres *p); /* makes the folder, too */
/* kill -9 of the server and all its processes; then start it again in the same
 * folder. */
void postgres_kill(struct postgres *p);
bool postgres_restart(struct postgres *p);
void postgres_stop(struct postgres *p);

#endif
