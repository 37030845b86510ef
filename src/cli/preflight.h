/*
 * preflight.h - is this machine fit for a local cluster?
 *
 * Purpose    The checks of `fluvio cluster check`: programs, folders, disk,
 *            limits, ports, profile file. Nothing is changed.
 * Threads    One; the checks block for a moment.
 * Errors     What is wrong is a line and counts; there is no other error.
 * See        docs/cli.md, section cluster
 */
#ifndef FLV_CLI_PREFLIGHT_H
#define FLV_CLI_PREFLIGHT_H

#include "cli/cli.h"
#include "cli/local.h"

struct cli_preflight {
    FILE *out;         /* borrowed */
    bool icons;        /* in front of the lines */
    uint16_t sc_port;  /* of the cluster that would be started */
    uint16_t spu_port; /* 0: any free one */
    /* What came of it. */
    unsigned failures, warnings;
    bool runs; /* a cluster, from this data folder */
};

void cli_preflight_run(struct cli_preflight *p,
                       struct cli *c,
                       const struct cli_local *l);

#endif
