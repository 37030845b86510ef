#include "server/scrub.h"

#include "base/field.h"
#include "base/log.h"
#include "server/state.h"

#include <assert.h>
#include <string.h>

#define STEP_BYTES_MAX ((uint64_t)1 << 20)
#define STEP_BYTES_MIN ((uint64_t)64 << 10)
#define STEPS_PER_SECOND 4
/* What lacks memory, descriptors or threads now may have them then. */
#define UNREAD_WAIT_MS 1000
/* Partitions without a read in between: the loop has other work. */
#define LOOKS_MAX 64

static void wake_after(struct flv_scrub *x, uint64_t ms)
{
    if (x->server->phase != FLV_SERVER_SERVING) {
        return;
    }
    if (flv_timer_start(&x->timer, ms, 0, NULL) != FLV_OK) {
        x->passing = false; /* no memory: over until the next start */
    }
}

/* ---- where the walk is ---- */

/* The topic the walk is in, or the first behind it; NULL: none. */
static struct flv_topic *find_topic(struct flv_scrub *x)
{
    const struct flv_topics *set = &x->server->topics;
    for (size_t i = 0; i < set->len; i++) {
        struct flv_topic *t = set->sorted[i];
        int order = strcmp(t->name, x->topic);
        if (order < 0 || !flv_topic_has_logs(t) ||
            (t->id == x->topic_id && x->partition >= t->partition_count)) {
            continue;
        }
        if (t->id != x->topic_id) {
            memcpy(x->topic, t->name, sizeof x->topic);
            x->topic_id = t->id;
            x->partition = 0;
            x->step = (struct flv_log_scrub){0};
        }
        return t;
    }
    return NULL;
}

static void next_partition(struct flv_scrub *x)
{
    x->partition++;
    x->step = (struct flv_log_scrub){0};
}

/* ---- one read ---- */

static void run(struct flv_work *w)
{
    flv_log_scrub_run(&FLV_OWNER_OF(w, struct flv_scrub, work)->step);
}

static void judge(struct flv_scrub *x, struct flv_partition *p)
{
    if (x->step.damage.rc == FLV_OK ||
        flv_partition_state(p) != FLV_PART_ONLINE) {
        return;
    }
    x->damages++;
    flv_partition_note_damage(p, x->step.base, &x->step.damage);
}

static void done(struct flv_work *w, flv_rc rc)
{
    struct flv_scrub *x = FLV_OWNER_OF(w, struct flv_scrub, work);
    struct flv_partition *p = x->reading;
    x->reading = NULL;
    flv_log_scrub_finish(&x->step);
    if (rc == FLV_OK) {
        judge(x, p);
        x->bytes += x->step.bytes;
    }
    flv_partition_release(p);
    wake_after(x, x->step.unread
                      ? UNREAD_WAIT_MS
                      : x->step.bytes * 1000 / x->conf.bytes_per_s + 1);
    flv_server_ended(x->server);
}

/* False: this partition has nothing more. */
static bool submit(struct flv_scrub *x, struct flv_partition *p)
{
    struct flv_log *log = flv_partition_log(p);
    x->step.bytes_max = x->conf.bytes_per_s / STEPS_PER_SECOND;
    if (x->step.bytes_max > STEP_BYTES_MAX) {
        x->step.bytes_max = STEP_BYTES_MAX;
    } else if (x->step.bytes_max < STEP_BYTES_MIN) {
        x->step.bytes_max = STEP_BYTES_MIN;
    }
    if (log == NULL || !flv_log_scrub_prepare(log, &x->step)) {
        return false;
    }
    x->reading = p;
    x->work.run = run;
    x->work.done = done;
    flv_partition_hold(p);
    flv_server_began(x->server);
    if (flv_pool_submit(x->server->read_pool, &x->work) != FLV_OK) {
        x->step.unread = true;
        done(&x->work, FLV_E_BUSY);
    }
    return true;
}

/* ---- passes ---- */

static void begin_pass(struct flv_scrub *x)
{
    x->passing = true;
    x->pass_ms = flv_loop_now_ms(x->server->loop);
    x->topic[0] = '\0';
    x->topic_id = 0;
    x->partition = 0;
    x->step = (struct flv_log_scrub){0};
}

static void end_pass(struct flv_scrub *x)
{
    uint64_t took_ms = flv_loop_now_ms(x->server->loop) - x->pass_ms;
    x->passing = false;
    x->passes++;
    flv_log_debug("scrub", "read everything once",
                  FLV_KV_U64("took_ms", took_ms),
                  FLV_KV_U64("damages", x->damages));
    wake_after(x, took_ms < x->conf.every_ms ? x->conf.every_ms - took_ms : 1);
}

static void step(struct flv_scrub *x)
{
    assert(x->reading == NULL);
    for (int i = 0; i < LOOKS_MAX; i++) {
        struct flv_topic *t = find_topic(x);
        if (t == NULL) {
            end_pass(x);
            return;
        }
        if (submit(x, t->partitions[x->partition])) {
            return;
        }
        next_partition(x);
    }
    wake_after(x, 1);
}

static void fired(struct flv_timer *timer)
{
    struct flv_scrub *x = FLV_OWNER_OF(timer, struct flv_scrub, timer);
    if (!x->passing) {
        begin_pass(x);
    }
    step(x);
}

flv_rc flv_scrub_start(struct flv_scrub *x,
                       struct flv_server *server,
                       struct flv_err *err)
{
    x->conf = server->conf.scrub;
    if (x->conf.bytes_per_s == 0) {
        return FLV_OK;
    }
    x->server = server;
    flv_timer_init(&x->timer, server->loop, fired);
    return flv_timer_start(&x->timer, x->conf.after_ms, 0, err);
}

void flv_scrub_stop(struct flv_scrub *x)
{
    flv_timer_stop(&x->timer);
}
