/*
 * look.h - how the server of a cluster is, in its own words.
 *
 * Purpose    What only fluvio-server answers: version, uptime, disk, and what
 *            is wrong with which partition.
 * Threads    Loop thread only.
 * Ownership  The state is the callback's for the call.
 * Errors     FLV_E_UNSUPPORTED: a cluster that does not know the question.
 */
#ifndef FLV_CLIENT_LOOK_H
#define FLV_CLIENT_LOOK_H

#include "wire/ext.h"

#include <fluvio/client.h>

/* Once; exactly one of err and state is NULL. */
typedef void (*flv_server_state_fn)(void *user,
                                    const struct flv_err *err,
                                    const struct flv_wire_server_state *state);
/* With the troubles of at most so many partitions. */
FLV_CHECKED flv_rc flv_client_server_state(struct flv_client *c,
                                           uint32_t troubles_max,
                                           flv_server_state_fn done,
                                           void *user,
                                           struct flv_err *err);

#endif
