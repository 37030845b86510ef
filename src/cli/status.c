#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/local.h"
#include "client/look.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define TROUBLES_SHOWN 20
/* Less than that, and soon nothing can be stored. */
#define DISK_FREE_MIN ((uint64_t)64 << 20)

/* ---- cluster status ---------------------------------------------------- */

struct status_call {
    struct cli_call call;
    size_t online, spus, topics;
    uint32_t troubled;
    bool disk_full;
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
    cli_vsay(out, fmt, args);
    va_end(args);
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

static void show_troubles(const struct flv_wire_server_state *st)
{
    for (uint32_t i = 0; i < st->troubles.len; i++) {
        const struct flv_wire_trouble *t = &st->troubles.at[i];
        line(false, "Partition %.*s-%" PRIu32 " is %.*s: %.*s",
             (int)t->topic.len, (const char *)t->topic.data, t->partition,
             (int)t->kind.len, (const char *)t->kind.data, (int)t->cause.len,
             (const char *)t->cause.data);
    }
    if (st->troubled > st->troubles.len) {
        line(false, "and %" PRIu32 " more", st->troubled - st->troubles.len);
    }
}

static void show_state(const struct flv_wire_server_state *st)
{
    char text[FLV_TEXT_FORMAT_MAX], whole[FLV_TEXT_FORMAT_MAX];
    flv_text_format_duration(st->uptime_ms / 1000 * 1000, text);
    line(true, "Server %.*s (Fluvio platform %.*s), pid %" PRIu64 ", up %s",
         (int)st->version.len, (const char *)st->version.data,
         (int)st->platform.len, (const char *)st->platform.data, st->pid, text);
    if (st->troubled == 0) {
        line(true, "All %" PRIu32 " partitions are healthy", st->partitions);
    }
    show_troubles(st);
    if (st->disk_bytes > 0) {
        flv_text_format_size(st->disk_free_bytes, text);
        flv_text_format_size(st->disk_bytes, whole);
        line(st->disk_free_bytes >= DISK_FREE_MIN,
             "%s of %s are free on the disk of %.*s", text, whole,
             (int)st->data_dir.len, (const char *)st->data_dir.data);
    }
}

static void got_state(void *user,
                      const struct flv_err *err,
                      const struct flv_wire_server_state *st)
{
    struct status_call *s = user;
    if (err != NULL && err->rc == FLV_E_UNSUPPORTED) {
        err = NULL; /* a cluster that is not ours says no more than this */
    } else if (err == NULL) {
        show_state(st);
        s->troubled = st->troubled;
        s->disk_full =
            st->disk_bytes > 0 && st->disk_free_bytes < DISK_FREE_MIN;
    }
    cli_call_end(&s->call, err);
}

static flv_rc check_server(struct cli *c, struct flv_err *err)
{
    struct status_call s = {0};
    cli_call_init(&s.call, c);
    flv_rc rc =
        flv_client_server_state(c->client, TROUBLES_SHOWN, got_state, &s, err);
    rc = rc == FLV_OK ? cli_call_wait(&s.call, err) : rc;
    if (rc == FLV_OK && s.troubled > 0) {
        rc = flv_fail(err, FLV_E_IO,
                      "%" PRIu32 " partitions are in trouble; see "
                      "docs/server.md, When something is wrong",
                      s.troubled);
    } else if (rc == FLV_OK && s.disk_full) {
        rc = flv_fail(err, FLV_E_NOSPACE, "the disk is nearly full");
    }
    return rc;
}

static void show_unit(const struct cli_local *l)
{
    char text[64] = "";
    struct cli_unit_state u;
    if (!cli_unit_look(l->server_unit, &u)) {
        return;
    }
    if (u.failed) {
        snprintf(text, sizeof text, ", which has given it up (%s)", u.result);
    } else if (u.restarts > 0) {
        snprintf(text, sizeof text,
                 ", which brought its guard back %" PRIu32 " times",
                 u.restarts);
    }
    line(!u.failed, "Server is %s of systemd%s", l->server_unit, text);
}

/* What the guard of the local server has seen. */
static void show_deaths(const struct flv_profile *target)
{
    struct cli_local l;
    struct cli_deaths d;
    char text[FLV_TEXT_FORMAT_MAX];
    if (strncmp(target->endpoint, "127.", 4) != 0 &&
        strncmp(target->endpoint, "localhost:", 10) != 0) {
        return;
    }
    if (cli_local_find(&l, NULL, NULL, true, NULL) != FLV_OK) {
        return;
    }
    show_unit(&l);
    if (!cli_local_deaths(&l, &d)) {
        return;
    }
    int64_t ago_s = flv_clock_wall_ms() / 1000 - d.wall_s;
    flv_text_format_duration((uint64_t)(ago_s > 0 ? ago_s : 0) * 1000, text);
    if (d.given_up) {
        line(false,
             "Server died %u times in a row and was given up %s ago: %s; see "
             "%s",
             d.row, text, d.why, l.log_file);
    } else {
        line(true, "Server died %s ago and was brought back: %s", text, d.why);
    }
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
    bool reached = rc == FLV_OK;
    rc = rc == FLV_OK ? check_spus(c, &err) : rc;
    rc = rc == FLV_OK ? check_topics(c, &err) : rc;
    if (rc == FLV_OK) {
        rc = check_server(c, &err);
    }
    show_deaths(&target);
    /* One trouble does not hide another; the first is the exit's reason. */
    flv_rc other =
        reached ? check_manager(&target, rc == FLV_OK ? &err : NULL) : FLV_OK;
    rc = rc == FLV_OK ? other : rc;
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

const struct flv_cmd cli_cmd_cluster_status = {
    .name = "status",
    .about = "Check the status of a Fluvio cluster\n\n"
             "Shows the server, its disk, and partitions in trouble with the "
             "cause; exits with 1 when something is wrong.",
    .run = cluster_status,
};
