#include "cli/cli.h"

#include "cli/preflight.h"

#include <unistd.h>

struct check_conf {
    bool fix;
    char *data_dir, *log_dir;
    uint64_t sc_port, spu_port;
};

static const struct flv_opt check_opts[] = {
    {.name = "fix",
     FLV_FLAG(struct check_conf, fix),
     .help = "Attempt to fix recoverable errors: makes missing folders"},
    {.name = "data-dir",
     FLV_STR(struct check_conf, data_dir),
     .arg = "dir",
     .help = "Folder for the data; that of the last start, else "
             "~/.fluvio/data, if absent"},
    {.name = "log-dir",
     FLV_STR(struct check_conf, log_dir),
     .arg = "dir",
     .help = "Folder for the server's log file; that of the last start, else "
             "~/.fluvio/log, if absent"},
    {.name = "sc-port",
     FLV_U64(struct check_conf, sc_port),
     .env = "FLV_SC_PORT",
     .fallback = "9003",
     .max = UINT16_MAX,
     .flags = FLV_OPT_HIDDEN,
     .help = "Port of the SC; 0: any free one"},
    {.name = "spu-port",
     FLV_U64(struct check_conf, spu_port),
     .env = "FLV_SPU_PORT",
     .fallback = "9010",
     .max = UINT16_MAX,
     .flags = FLV_OPT_HIDDEN,
     .help = "Port of the SPU; 0: any free one"},
    {.name = NULL}};

static int cluster_check(struct flv_args *args, void *ctx)
{
    const struct check_conf *conf = flv_args_conf(args);
    struct cli_preflight p = {.out = stdout,
                              .icons = cli_colour(STDOUT_FILENO),
                              .sc_port = (uint16_t)conf->sc_port,
                              .spu_port = (uint16_t)conf->spu_port};
    struct cli_local l;
    struct flv_err err = {0};
    flv_rc rc = cli_local_find(&l, conf->data_dir, conf->log_dir, true, &err);
    if (rc == FLV_OK) {
        printf("Running pre-startup checks...\n");
        rc = conf->fix ? cli_local_prepare(&l, &err) : FLV_OK;
    }
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    cli_preflight_run(&p, ctx, &l);
    if (p.failures > 0) {
        return cli_failf("Some pre-flight check failed! (%u)", p.failures);
    }
    printf("%sAll checks passed!\n", p.icons ? "🎉 " : "");
    if (!p.runs) {
        printf("You may proceed with cluster startup\n"
               "next: run `fluvio cluster start`\n");
    }
    return 0;
}

const struct flv_cmd cli_cmd_cluster_check = {
    .name = "check",
    .about = "Check that all requirements for cluster startup have been met\n\n"
             "Looks for the programs, folders that can be written, space on "
             "the disk, limits, free ports and a profile file that can be "
             "read. Exit status 1 if one of them is in the way of a start.",
    .opts = check_opts,
    .conf_size = sizeof(struct check_conf),
    .run = cluster_check,
};
