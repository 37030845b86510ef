/*
 * rest.h - the manager's REST API.
 *
 * Purpose    Turns requests into operations of the manager and what it knows
 *            into JSON, as docs/rest.md says.
 * Threads    Loop thread only.
 * Ownership  create/destroy; borrows the manager, and the token for its life.
 * Errors     Requests get a status and a sentence.
 * See        docs/rest.md, tests/e2e/rest.bats
 */
#ifndef FLV_MANAGER_REST_H
#define FLV_MANAGER_REST_H

#include "manager/manager.h"

struct flv_rest;

struct flv_rest_conf {
    struct flv_loop *loop;
    struct flv_manager *manager;
    const char *token; /* asked for on TCP; borrowed */
    int unix_fd;       /* listening; taken */
    int tcp_fd;        /* listening; taken; -1: none */
    uint16_t tcp_port; /* 0: none */
};

FLV_CHECKED flv_rc flv_rest_create(struct flv_rest **out,
                                   const struct flv_rest_conf *conf,
                                   struct flv_err *err);
/* Requests that wait get 503. NULL is allowed. */
void flv_rest_destroy(struct flv_rest *r);

#endif
