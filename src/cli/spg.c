/* Commands of Fluvio's clusters that this version does not have, most of them
 * about more SPUs: their options parse, so that what is said is the reason and
 * not a mistake in the spelling. */
#include "cli/cli.h"

static int refuse(const char *what)
{
    return cli_failf("%s: a cluster of this version is one server with one "
                     "SPU, 5001; give a topic more partitions instead",
                     what);
}

struct spu_conf {
    char *id, *name, *rack;
    char *public_server, *public_local, *private_server;
};

#define TEXT_OPT(conf, n, l, field, text)                                      \
    {                                                                          \
        .name = (n), .letter = (l), FLV_STR(struct conf, field),               \
        .help = (text)                                                         \
    }

/* ---- cluster spu register, unregister ------------------------------------ */

static const struct flv_opt register_opts[] = {
    TEXT_OPT(spu_conf, "id", 'i', id, "SPU id"),
    TEXT_OPT(spu_conf, "name", 'n', name, "SPU name"),
    TEXT_OPT(spu_conf, "rack", 'r', rack, "Rack name"),
    TEXT_OPT(spu_conf, "public-server", 'p', public_server, "HOST:PORT"),
    TEXT_OPT(spu_conf, "public-server-local", 'l', public_local, "HOST:PORT"),
    TEXT_OPT(spu_conf, "private-server", 'v', private_server, "HOST:PORT"),
    {.name = NULL}};

static int register_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return refuse("cannot register an SPU");
}

const struct flv_cmd cli_cmd_spu_register = {
    .name = "register",
    .about = "Register a new custom SPU with the cluster (not in this version)",
    .opts = register_opts,
    .conf_size = sizeof(struct spu_conf),
    .run = register_run,
};

static const struct flv_opt unregister_opts[] = {
    TEXT_OPT(spu_conf, "id", 'i', id, "SPU id"),
    TEXT_OPT(spu_conf, "name", 'n', name, "SPU name"),
    {.name = NULL}};

static int unregister_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return refuse("cannot unregister an SPU");
}

const struct flv_cmd cli_cmd_spu_unregister = {
    .name = "unregister",
    .about = "Unregister a custom SPU from the cluster (not in this version)",
    .opts = unregister_opts,
    .conf_size = sizeof(struct spu_conf),
    .run = unregister_run,
};

/* ---- cluster spg --------------------------------------------------------- */

struct spg_conf {
    char *name, *replicas, *min_id, *rack, *storage_size;
    int output;
};

#define NAME_OPT                                                               \
    {                                                                          \
        .name = "name", FLV_STR(struct spg_conf, name),                        \
        .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,                        \
        .help = "The name of the SPU Group"                                    \
    }

static const struct flv_opt create_opts[] = {
    NAME_OPT,
    TEXT_OPT(spg_conf, "replicas", 'r', replicas, "The number of SPUs"),
    TEXT_OPT(spg_conf, "min-id", 0, min_id, "Minimum SPU ID"),
    TEXT_OPT(spg_conf, "rack", 0, rack, "Rack name"),
    TEXT_OPT(spg_conf, "storage-size", 0, storage_size, "Storage of the SPG"),
    {.name = NULL}};

static int create_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return refuse("cannot create an SPU Group");
}

static const struct flv_cmd create_cmd = {
    .name = "create",
    .about = "Create a new managed SPU Group (not in this version)",
    .opts = create_opts,
    .conf_size = sizeof(struct spg_conf),
    .run = create_run,
};

static const struct flv_opt delete_opts[] = {NAME_OPT, {.name = NULL}};

static int delete_run(struct flv_args *args, void *ctx)
{
    const struct spg_conf *conf = flv_args_conf(args);
    (void)ctx;
    return cli_failf("there is no SPU Group %.80s: a cluster of this version "
                     "has none",
                     conf->name);
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete a managed SPU Group (not in this version)",
    .opts = delete_opts,
    .conf_size = sizeof(struct spg_conf),
    .run = delete_run,
};

static const struct flv_opt list_opts[] = {{.name = "output",
                                            .letter = 'O',
                                            FLV_CHOICE(struct spg_conf, output),
                                            .choices = cli_format_names,
                                            .flags = FLV_OPT_ANY_CASE,
                                            .arg = "type",
                                            .fallback = "table",
                                            .help = "Output"},
                                           {.name = NULL}};

static int list_run(struct flv_args *args, void *ctx)
{
    struct flv_err err = {0};
    (void)args;
    if (cli_connect(ctx, &err) != FLV_OK) {
        return cli_fail(&err);
    }
    printf("no groups\n");
    return 0;
}

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List all SPU Groups, of which a cluster of this version has none",
    .opts = list_opts,
    .conf_size = sizeof(struct spg_conf),
    .run = list_run,
};

static const struct flv_cmd *const spg_commands[] = {&create_cmd, &delete_cmd,
                                                     &list_cmd, NULL};

const struct flv_cmd cli_cmd_spg = {
    .name = "spg",
    .about = "Manage and view SPU Groups (SPGs)",
    .commands = spg_commands,
};

/* ---- cluster upgrade ------------------------------------------------------
 */

struct upgrade_conf {
    bool force, local;
};

static const struct flv_opt upgrade_opts[] = {
    {.name = "force",
     .letter = 'f',
     FLV_FLAG(struct upgrade_conf, force),
     .help = "Upgrade without confirmation"},
    {.name = "local",
     FLV_FLAG(struct upgrade_conf, local),
     .help = "Upgrade the local cluster"},
    {.name = NULL}};

static int upgrade_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return cli_failf("install the new programs, then run `fluvio cluster "
                     "shutdown` and `fluvio cluster start`: data, profile and "
                     "connectors stay");
}

const struct flv_cmd cli_cmd_cluster_upgrade = {
    .name = "upgrade",
    .about = "Say how an installed cluster is upgraded",
    .opts = upgrade_opts,
    .conf_size = sizeof(struct upgrade_conf),
    .run = upgrade_run,
};
