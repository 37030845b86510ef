/*
 * child.h - connectors as child processes: the deployer that is always
 *             there.
 *
 * Purpose    One process group per connector, in a session of its own, with
 *            an inherited lock that proves that no name runs twice, a control
 *            socket, an exit file and a log file. A manager that comes back
 *            finds its connectors by their locks.
 * Files      run/NAME.lock   pid; locked while any process of it lives
 *            run/NAME.yml    its configuration, mode 0600
 *            run/NAME.sock   its control socket
 *            run/NAME.exit   how it ended, in its own words
 *            run/NAME.tally  counters and how the last run ended
 *            log/NAME.log    its output; older ones are NAME.log.1, ...
 * Threads    Loop thread. Forks: everything between fork and exec is
 *            async-signal-safe.
 * See        deploy.h, docs/operations.md
 */
#ifndef FLV_MANAGER_CHILD_H
#define FLV_MANAGER_CHILD_H

#include "loop/loop.h"
#include "manager/deploy.h"

extern const struct flv_deployer_ops flv_deploy_children;

struct flv_child_conf {
    struct flv_loop *loop;
    const char *dir;     /* the manager's folder; borrowed */
    const char *cluster; /* host:port for connectors; borrowed; or NULL */
};

FLV_CHECKED flv_rc flv_children_create(struct flv_deployer **out,
                                       const struct flv_child_conf *conf,
                                       struct flv_err *err);
/* Its connectors have ended or were released. NULL is allowed. */
void flv_children_destroy(struct flv_deployer *d);

/* From a line of the control socket, and from an exit file. FLV_E_INVALID
 * says what is wrong. */
FLV_CHECKED flv_rc flv__told_parse(struct flv_slice line,
                                   struct flv_told *out,
                                   struct flv_err *err);
FLV_CHECKED flv_rc flv__ended_parse(struct flv_slice text,
                                    struct flv_ended *out,
                                    struct flv_err *err);

/* The tally as text and back; at most FLV_TALLY_BYTES. */
#define FLV_TALLY_BYTES ((size_t)48 * 1024)
FLV_CHECKED flv_rc flv__tally_format(const struct flv_tally *t,
                                     struct flv_buf *out);
FLV_CHECKED flv_rc flv__tally_parse(struct flv_slice text,
                                    struct flv_tally *out,
                                    struct flv_err *err);

#endif
