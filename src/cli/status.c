#include "cli/cli.h"

#include "base/text.h"
#include "cli/local.h"

#include <inttypes.h>
#include <unistd.h>

/* ---- cluster status ---------------------------------------------------- */

struct status_call {
    struct cli_call call;
    size_t online, spus, topics;
    uint64_t bytes;
};

static void line(bool good, const char *fmt, ...) FLV_PRINTF(2, 3);

static void line(bool good, const char *fmt, ...)
{
    va_list args;
    FILE *out = good ? stdout : stderr;
    fflush(stdout);
    fprintf(out, "    %s", !cli_colour(fileno(out)) ? "" : good ? "✅ " : "❌ ");
    va_start(args, fmt);
    vfprintf(out, fmt, args);
    va_end(args);
    fputc('\n', out);
}

static void got_spus(void *user,
                     const struct flv_err *err,
                     const struct flv_spu_info *spus,
                     size_t count)
{
    struct status_call *s = user;
    s->spus = count;
    for (size_t i = 0; i < count; i++) {
        s->online += spus[i].state == FLV_SPU_ONLINE;
    }
    cli_call_end(&s->call, err);
}

static void got_topics(void *user,
                       const struct flv_err *err,
                       const struct flv_topic_info *topics,
                       size_t count)
{
    struct status_call *s = user;
    (void)topics;
    s->topics = count;
    cli_call_end(&s->call, err);
}

static void got_partitions(void *user,
                           const struct flv_err *err,
                           const struct flv_partition_info *parts,
                           size_t count)
{
    struct status_call *s = user;
    for (size_t i = 0; i < count; i++) {
        s->bytes += parts[i].size_bytes > 0 ? (uint64_t)parts[i].size_bytes : 0;
    }
    cli_call_end(&s->call, err);
}

static flv_rc check_spus(struct cli *c, struct flv_err *err)
{
    struct status_call s = {0};
    cli_call_init(&s.call, c);
    flv_rc rc = flv_client_spus(c->client, got_spus, &s, err);
    rc = rc == FLV_OK ? cli_call_wait(&s.call, err) : rc;
    if (rc == FLV_OK) {
        bool good = s.spus > 0 && s.online == s.spus;
        line(good, "(%zu/%zu) SPUs are online", s.online, s.spus);
        if (!good) {
            rc = flv_fail(err, FLV_E_BUSY, "%zu of %zu SPUs are offline",
                          s.spus - s.online, s.spus);
        }
    }
    return rc;
}

static flv_rc check_topics(struct cli *c, struct flv_err *err)
{
    struct status_call s = {0};
    char size[FLV_TEXT_FORMAT_MAX];
    cli_call_init(&s.call, c);
    flv_rc rc = flv_client_topics(c->client, NULL, false, got_topics, &s, err);
    rc = rc == FLV_OK ? cli_call_wait(&s.call, err) : rc;
    if (rc == FLV_OK) {
        cli_call_init(&s.call, c);
        rc = flv_client_partitions(c->client, false, got_partitions, &s, err);
    }
    rc = rc == FLV_OK ? cli_call_wait(&s.call, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    if (s.topics == 0) {
        line(true, "No topics present");
        return FLV_OK;
    }
    flv_text_format_size(s.bytes, size);
    line(true, "%zu topics using %s", s.topics, size);
    return FLV_OK;
}

/* The manager of the local cluster, when that is the one looked at. */
static flv_rc check_manager(const struct flv_profile *target,
                            struct flv_err *err)
{
    struct cli_local l;
    struct cli_holder server, manager;
    const char *colon = strrchr(target->endpoint, ':');
    uint64_t port = 0;
    if (colon == NULL ||
        flv_text_u64(colon + 1, 1, UINT16_MAX, &port, NULL) != FLV_OK ||
        cli_local_find(&l, NULL, NULL, true, NULL) != FLV_OK ||
        cli_local_holder(&l, &server, NULL) != FLV_OK || server.port != port ||
        access(l.manager_dir, F_OK) != 0) {
        return FLV_OK;
    }
    flv_rc rc = cli_manager_holder(&l, &manager, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (!manager.held) {
        line(false, "Connector manager does not run");
        return flv_fail(err, FLV_E_CLOSED,
                        "the connector manager does not run; see %.100s, then "
                        "`fluvio cluster start`",
                        l.manager_log);
    }
    line(true, "Connector manager is ok");
    return FLV_OK;
}

static int cluster_status(struct flv_args *args, void *ctx)
{
    (void)args;
    struct cli *c = ctx;
    struct flv_profile target;
    struct flv_err err = {0};
    flv_rc rc = cli_target(c, &target, &err);
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    printf("%sRunning cluster status checks with profile %s\n",
           cli_colour(STDOUT_FILENO) ? "📝 " : "",
           target.name != NULL ? target.name : target.endpoint);
    rc = cli_connect_to(c, &target, &err);
    line(rc == FLV_OK, rc == FLV_OK ? "SC is ok" : "SC is not reachable");
    rc = rc == FLV_OK ? check_spus(c, &err) : rc;
    rc = rc == FLV_OK ? check_topics(c, &err) : rc;
    rc = rc == FLV_OK ? check_manager(&target, &err) : rc;
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_cluster_status = {
    .name = "status",
    .about = "Check the status of a Fluvio cluster",
    .run = cluster_status,
};
