#include "cli/cli.h"

#include "cli/table.h"

#include <inttypes.h>
#include <time.h>

/* A Fluvio cluster answers before the SPUs have made the partitions. */
#define WAIT_MS 10000
#define PAUSE_MS 100
#define TEXT_BYTES_MAX (64 << 10)

struct grow_conf {
    char *topic;
    uint64_t count;
};

static const struct flv_opt grow_opts[] = {
    {.name = "topic",
     FLV_STR(struct grow_conf, topic),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Topic name"},
    {.name = "count",
     .letter = 'c',
     FLV_U64(struct grow_conf, count),
     .arg = "count",
     .fallback = "1",
     .min = 1,
     .max = UINT32_MAX,
     .help = "Number of partitions to add"},
    {.name = NULL}};

/* The partitions that the topic has; their SPUs as rows from `first` on. */
struct look {
    struct cli_call call;
    const char *topic; /* borrowed */
    uint32_t first;
    size_t count;
    struct cli_table *rows; /* borrowed; NULL: count only */
};

static void looked(void *user,
                   const struct flv_err *err,
                   const struct flv_topic_info *topics,
                   size_t count)
{
    struct look *l = user;
    l->count = 0;
    for (size_t i = 0; err == NULL && i < count; i++) {
        if (strcmp(topics[i].name, l->topic) != 0) {
            continue;
        }
        l->count = topics[i].replica_count;
        for (size_t p = 0; l->rows != NULL && p < l->count; p++) {
            const struct flv_replica *r = &topics[i].replicas[p];
            if (r->partition >= l->first && r->spu_count > 0) {
                cli_table_cellf(l->rows, "%" PRIu32, r->partition);
                cli_table_cellf(l->rows, "%" PRId32, r->spus[0]);
                cli_table_end_row(l->rows);
            }
        }
    }
    cli_call_end(&l->call, err);
}

static flv_rc look(struct cli *c, struct look *l, struct flv_err *err)
{
    cli_call_init(&l->call, c);
    flv_rc rc = flv_client_topics(c->client, l->topic, false, looked, l, err);
    return rc == FLV_OK ? cli_call_wait(&l->call, err) : rc;
}

static flv_rc
ask_for_more(struct cli *c, const struct grow_conf *conf, struct flv_err *err)
{
    struct cli_call call;
    struct flv_err why = {0};
    cli_call_init(&call, c);
    flv_rc rc = flv_client_topic_add_partitions(c->client, conf->topic,
                                                (uint32_t)conf->count,
                                                cli_call_done, &call, &why);
    rc = rc == FLV_OK ? cli_call_wait(&call, &why) : rc;
    return rc == FLV_OK
               ? FLV_OK
               : flv_fail(err, rc, "add partition failed: %s", why.text);
}

/* Until all are there: at once from fluvio-server. */
static flv_rc
wait_for(struct cli *c, struct look *l, size_t wanted, struct flv_err *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    for (int waited_ms = 0;; waited_ms += PAUSE_MS) {
        flv_rc rc = look(c, l, err);
        if (rc != FLV_OK || l->count >= wanted) {
            return rc;
        }
        if (waited_ms >= WAIT_MS) {
            return flv_fail(err, FLV_E_TIMEOUT,
                            "the cluster took the request, but topic \"%s\" "
                            "has %zu of %zu partitions after %d seconds; see "
                            "'fluvio partition list'",
                            l->topic, l->count, wanted, WAIT_MS / 1000);
        }
        nanosleep(&pause, NULL);
    }
}

static flv_rc show(struct cli *c, struct look *l, struct flv_err *err)
{
    static const char *const header[] = {"PARTITION", "SPU", NULL};
    struct cli_table t;
    struct flv_buf text;
    cli_table_init(&t, 0);
    flv_buf_init(&text, TEXT_BYTES_MAX);
    cli_table_row(&t, header);
    l->rows = &t;
    flv_rc rc = look(c, l, err);
    rc = rc == FLV_OK ? cli_table_print(&t, &text, err) : rc;
    if (rc == FLV_OK) {
        printf("added new partitions to topic: \"%s\"\n", l->topic);
        cli_put(&text);
    }
    flv_buf_deinit(&text);
    cli_table_deinit(&t);
    return rc;
}

static int topic_grow(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct grow_conf *conf = flv_args_conf(args);
    struct look l = {.topic = conf->topic};
    struct flv_err err = {0};
    flv_rc rc = cli_connect(c, &err);
    rc = rc == FLV_OK ? look(c, &l, &err) : rc;
    if (rc == FLV_OK && l.count == 0) {
        rc = flv_fail(&err, FLV_E_NOT_FOUND, "topic \"%s\" not found",
                      conf->topic);
    }
    l.first = (uint32_t)l.count;
    rc = rc == FLV_OK ? ask_for_more(c, conf, &err) : rc;
    rc = rc == FLV_OK ? wait_for(c, &l, l.first + conf->count, &err) : rc;
    rc = rc == FLV_OK ? show(c, &l, &err) : rc;
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

/* ---- topic add-mirror ---------------------------------------------------- */

struct mirror_conf {
    char *topic, *remote;
    bool home_to_remote;
};

static const struct flv_opt mirror_opts[] = {
    {.name = "topic",
     FLV_STR(struct mirror_conf, topic),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Topic name"},
    {.name = "remote",
     FLV_STR(struct mirror_conf, remote),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Remote cluster"},
    {.name = "home-to-remote",
     FLV_FLAG(struct mirror_conf, home_to_remote),
     .help = "Mirror from home to remote"},
    {.name = NULL}};

static int mirror_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return cli_failf("this version has no mirroring between clusters");
}

const struct flv_cmd cli_cmd_topic_add_mirror = {
    .name = "add-mirror",
    .about = "Add a mirror to a topic (not in this version)",
    .opts = mirror_opts,
    .conf_size = sizeof(struct mirror_conf),
    .run = mirror_run,
};

const struct flv_cmd cli_cmd_topic_add_partition = {
    .name = "add-partition",
    .about = "Add partitions to a topic\n\n"
             "Records stay where they are; a key may go to another partition "
             "from then on.",
    .opts = grow_opts,
    .conf_size = sizeof(struct grow_conf),
    .run = topic_grow,
};
