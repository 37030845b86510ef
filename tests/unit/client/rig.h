/*
 * rig.h - a fake cluster with a client on it.
 *
 * Purpose    What most tests of this folder begin and end with. Callbacks only
 *            note what came; tests assert in their own body.
 * Threads    The loop's thread.
 */
#ifndef FLV_TESTS_UNIT_CLIENT_RIG_H
#define FLV_TESTS_UNIT_CLIENT_RIG_H

#include <fluvio/client.h>

#include "fake.h"

#define RIG_LIMIT_MS 20000

struct note { /* of one callback */
    bool came;
    unsigned times;
    struct flv_err err;
};

struct rig {
    struct fake f;
    struct flv_client *c;
    uint32_t answer_timeout_ms; /* of the client to be made; 0: as it is */
};

void rig_init(struct rig *r);
/* With short back-offs; request and metadata limits as given (0: 10 s). */
void rig_client(struct rig *r, uint32_t request_timeout_ms);
/* The same, and `link` hears of the connection, by rig_done(). */
void rig_client_link(struct rig *r, struct note *link);
/* The same, and a server is asked after so long a silence. */
void rig_client_quiet(struct rig *r, struct note *link, uint32_t quiet_ms);
/* Closes the client (unless NULL), then the fake. */
void rig_deinit(struct rig *r);

void rig_done(void *user, const struct flv_err *err); /* user: struct note */
void rig_closed(void *user);
/* Waits for the note; fails the test when it does not come. */
void rig_wait(struct rig *r, const struct note *n);

#endif
