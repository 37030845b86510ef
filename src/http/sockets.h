/*
 * sockets.h - curl's sockets, watched by the loop.
 *
 * Purpose    curl forgets a connection's socket between two requests and asks
 *            for it anew with each. Here it stays registered with the kernel
 *            until it is closed, so that a kept connection costs no system
 *            call beside its send and receive. Private to this room.
 *
 *              --wanted--> armed --removed--> idle, still armed --closed-->
 *                            ^                   | an event: disarmed
 *                            +------wanted-------+
 *
 * Threads    Loop thread only.
 * Ownership  The caller owns struct flv__sockets. Its memory is still looked
 *            at by the loop until `open` is 0.
 * Errors     curl's own: -1.
 * See        tests/unit/http/test_http_client.c
 */
#ifndef FLV_HTTP_SOCKETS_H
#define FLV_HTTP_SOCKETS_H

#include <curl/curl.h>
#include <stddef.h>

struct flv_loop;
struct flv__socket;

struct flv__sockets {
    struct flv_loop *loop; /* borrowed */
    /* Something happened: CURL_CSELECT_* */
    void (*ready)(void *arg, curl_socket_t fd, int events);
    void (*gone)(void *arg); /* one has left the loop */
    void *arg;
    struct flv__socket **by_fd; /* owned array */
    size_t cap;
    size_t open; /* handles that the loop knows */
};

void flv__sockets_deinit(struct flv__sockets *all);

/* For CURLMOPT_SOCKETFUNCTION: what is CURL_POLL_*; 0, or -1. */
int flv__sockets_want(struct flv__sockets *all,
                      CURL *easy,
                      curl_socket_t fd,
                      int what);

/* For CURLOPT_CLOSESOCKETFUNCTION; arg is struct flv__sockets. */
int flv__sockets_close(void *arg, curl_socket_t fd);

#endif
