/* How a server is, asked by a client of ours. */
#include "server/service.h"

#include "base/clock.h"
#include "base/mem.h"
#include "server/state.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TROUBLES_MAX 10000

struct look {
    struct flv_work work; /* first */
    struct flv_token token;
    uint32_t troubles_max;
    struct statvfs disk;
    bool disk_known;
};

static void note_trouble(struct flv_arena *arena,
                         const struct flv_topic *t,
                         uint32_t index,
                         enum flv_part_health h,
                         struct flv_wire_server_state *out)
{
    struct flv_err why;
    flv_partition_trouble(t->partitions[index], &why);
    const char *cause = flv_arena_text(arena, why.text, strlen(why.text));
    out->troubles.at[out->troubles.len++] = (struct flv_wire_trouble){
        .topic = flv_slice_str(t->name),
        .partition = index,
        .kind = flv_slice_str(flv_health_word(h)),
        .cause = flv_slice_str(cause != NULL ? cause : "")};
}

/* Counts all, tells the first ones. */
static void add_partitions(const struct flv_server *s,
                           struct flv_arena *arena,
                           uint32_t max,
                           struct flv_wire_server_state *out)
{
    out->troubles.at = FLV_ARENA_NEW(arena, struct flv_wire_trouble, max + 1);
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        if (!flv_topic_has_logs(t)) {
            continue;
        }
        for (uint32_t p = 0; p < t->partition_count; p++) {
            enum flv_part_health h = flv_partition_health(t->partitions[p]);
            out->partitions++;
            out->troubled += h != FLV_HEALTH_OK;
            if (h != FLV_HEALTH_OK && out->troubles.at != NULL &&
                out->troubles.len < max) {
                note_trouble(arena, t, p, h, out);
            }
        }
    }
}

static void answer(struct look *l, struct flv_arena *arena)
{
    const struct flv_server *s = l->token.peer->server;
    uint64_t unit = l->disk_known ? l->disk.f_frsize : 0;
    struct flv_wire_server_state out = {
        .version = flv_slice_str(FLV_VERSION),
        .platform = flv_slice_str(FLV_PLATFORM_VERSION),
        .data_dir = flv_slice_str(s->dir.path),
        .pid = (uint64_t)getpid(),
        .uptime_ms = flv_clock_mono_ms() - s->started_ms,
        .restarts = s->conf.deaths,
        .disk_bytes = unit * l->disk.f_blocks,
        .disk_free_bytes = unit * l->disk.f_bavail};
    add_partitions(s, arena, l->troubles_max, &out);
    flv_token_answer(&l->token, &flv_wire_server_state_schema, &out, NULL);
}

static void look_run(struct flv_work *w)
{
    struct look *l = (struct look *)w;
    const struct flv_server *s = l->token.peer->server;
    l->disk_known = statvfs(s->dir.path, &l->disk) == 0;
}

static void look_done(struct flv_work *w, flv_rc rc)
{
    struct look *l = (struct look *)w;
    struct flv_arena *arena = &l->token.peer->server->arena;
    (void)rc;
    answer(l, arena);
    flv_arena_reset(arena);
    flv_free(l);
}

flv_rc flv_server_look_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_server_look req;
    flv_rc rc = flv_wire_server_look_decode(r->head.version, &r->body,
                                            &s->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct look *l = flv_zalloc(1, sizeof *l);
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    l->troubles_max =
        req.troubles_max < TROUBLES_MAX ? req.troubles_max : TROUBLES_MAX;
    l->token = flv_peer_hold(r);
    l->work.run = look_run;
    l->work.done = look_done;
    if (flv_pool_submit(s->read_pool, &l->work) != FLV_OK) {
        answer(l, &s->arena); /* without the disk; on_frame resets the arena */
        flv_free(l);
    }
    return FLV_OK;
}
