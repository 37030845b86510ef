/*
 * nginx.h - a real web server for tests.
 *
 * Purpose    Runs nginx in a directory of its own as the current user, on
 *            sockets that the test has bound already: no port can be taken in
 *            between and nobody has to wait until it listens.
 * Threads    The test's.
 * Ownership  nginx_stop() ends the process and removes the directory.
 * Errors     False; the reason is printed on stderr.
 */
#ifndef FLV_TESTS_NGINX_H
#define FLV_TESTS_NGINX_H

#include <stdbool.h>
#include <sys/types.h>

#include "tmpdir.h"

struct nginx {
    pid_t pid;
    struct tmpdir tmp; /* html/, ca.pem, access.log */
    unsigned port;     /* http */
    unsigned tls_port; /* https, certificate of ca.pem for localhost */
};

/* `locations` are lines for the server block; "PORT" in them becomes the
 * http port. */
bool nginx_start(struct nginx *n, const char *locations);
void nginx_stop(struct nginx *n);
/* A file under html/, of `size` bytes: text, then dots. */
bool nginx_file(const struct nginx *n,
                const char *name,
                const char *text,
                size_t size);

/* A socket that listens and is never served. */
int tcp_listen(unsigned *out_port);

/* A port on which nobody listens: for a program that has to be told one, or to
 * be refused. It is below those that the kernel hands out by itself, so that
 * nobody gets it meanwhile. */
unsigned tcp_free_port(void);

#endif
