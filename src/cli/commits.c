#include "cli/commits.h"

#include "base/field.h"
#include "base/mem.h"

#include <assert.h>

#define FLUSH_PERIOD_MS 2000
#define PARTITIONS_MAX 65536

struct cli_commit {
    uint32_t partition;
    int64_t noted, written, asked; /* offsets; -1: none */
};

static void timer_fired(struct flv_timer *t)
{
    struct cli_commits *c = FLV_OWNER_OF(t, struct cli_commits, timer);
    cli_commits_flush(c);
}

flv_rc cli_commits_start(struct cli_commits *c,
                         struct flv_loop *loop,
                         struct flv_consumer *consumer,
                         flv_done_fn ended,
                         void *user,
                         struct flv_err *err)
{
    *c = (struct cli_commits){
        .loop = loop, .consumer = consumer, .ended = ended, .user = user};
    flv_timer_init(&c->timer, loop, timer_fired);
    return flv_timer_start(&c->timer, FLUSH_PERIOD_MS, FLUSH_PERIOD_MS, err);
}

void cli_commits_stop(struct cli_commits *c)
{
    if (c->loop != NULL) {
        flv_timer_stop(&c->timer);
        flv_free(c->list);
        *c = (struct cli_commits){0};
    }
}

static struct cli_commit *find(struct cli_commits *c, uint32_t partition)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].partition == partition) {
            return &c->list[i];
        }
    }
    if (c->count == c->cap) {
        size_t cap = c->cap > 0 ? 2 * c->cap : 8;
        struct cli_commit *list = cap <= PARTITIONS_MAX
                                      ? flv_realloc(c->list, cap * sizeof *list)
                                      : NULL;
        if (list == NULL) {
            return NULL;
        }
        c->list = list;
        c->cap = cap;
    }
    c->list[c->count] = (struct cli_commit){
        .partition = partition, .noted = -1, .written = -1, .asked = -1};
    return &c->list[c->count++];
}

void cli_commits_note(struct cli_commits *c, uint32_t partition, int64_t offset)
{
    if (c->loop == NULL) {
        return;
    }
    struct cli_commit *p = find(c, partition);
    struct flv_err err = {0};
    if (p == NULL) {
        (void)flv_fail(&err, FLV_E_NOMEM,
                       "no memory for another partition's offset");
        c->ended(c->user, &err);
    } else if (offset > p->noted) {
        p->noted = offset;
    }
}

void cli_commits_written(struct cli_commits *c)
{
    for (size_t i = 0; i < c->count; i++) {
        c->list[i].written = c->list[i].noted;
    }
}

static void stored(void *user, const struct flv_err *err)
{
    struct cli_commits *c = user;
    assert(c->pending > 0);
    c->pending--;
    c->ended(c->user, err);
}

void cli_commits_flush(struct cli_commits *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct cli_commit *p = &c->list[i];
        struct flv_err err = {0};
        if (p->written <= p->asked) {
            continue;
        }
        p->asked = p->written;
        if (flv_consumer_commit(c->consumer, p->partition, p->written, stored,
                                c, &err) == FLV_OK) {
            c->pending++;
        } else {
            c->ended(c->user, &err);
        }
    }
}

bool cli_commits_are_pending(const struct cli_commits *c)
{
    if (c->pending > 0) {
        return true;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].written > c->list[i].asked) {
            return true;
        }
    }
    return false;
}
