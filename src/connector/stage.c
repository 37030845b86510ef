#include "connector/stage.h"

#include <assert.h>

flv_rc flv__chain_init(struct flv_chain *c,
                       const struct flv_stage *stages,
                       size_t count,
                       struct flv_err *err)
{
    assert(count <= FLV_STAGES_MAX);
    *c = (struct flv_chain){.stages = stages, .count = count};
    for (int i = 0; i < 2 && count > 0; i++) {
        flv_rc rc = flv__batch_init(&c->scratch[i], err);
        if (rc != FLV_OK) {
            flv__chain_deinit(c);
            return rc;
        }
    }
    return FLV_OK;
}

void flv__chain_deinit(struct flv_chain *c)
{
    flv__batch_deinit(&c->scratch[0]);
    flv__batch_deinit(&c->scratch[1]);
}

static bool adds_up(const struct flv_stage_counts *n)
{
    return n->in == n->passed + n->filtered + n->failed;
}

/* One stage over one batch; a stage that stops the connector has failed for
 * all records of the batch. */
static flv_rc apply_one(struct flv_chain *c,
                        size_t i,
                        const struct flv_batch *in,
                        struct flv_batch *out,
                        struct flv_err *err)
{
    struct flv_stage_counts now = {0};
    flv__batch_reset(out, FLV_BATCH_RECORDS_MAX, in->first_number);
    flv_rc rc = c->stages[i].apply(c->stages[i].state, in, out, &now, err);
    if (rc != FLV_OK) {
        now = (struct flv_stage_counts){.failed = in->count};
        flv__batch_reset(out, 0, in->first_number);
        flv_err_prefix(err, "stage %s", c->stages[i].name);
    }
    now.in = in->count;
    assert(adds_up(&now));
    assert(out->count >= now.passed);
    c->each[i].in += now.in;
    c->each[i].passed += now.passed;
    c->each[i].filtered += now.filtered;
    c->each[i].failed += now.failed;
    c->all.in += out->count - now.passed;
    c->all.filtered += now.filtered;
    c->all.failed += now.failed;
    return rc;
}

flv_rc flv__chain_apply(struct flv_chain *c,
                        struct flv_batch *in,
                        struct flv_batch **out,
                        struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    struct flv_batch *current = in;
    c->all.in += in->count;
    for (size_t i = 0; i < c->count && rc == FLV_OK; i++) {
        struct flv_batch *next = &c->scratch[i % 2];
        rc = apply_one(c, i, current, next, err);
        current = next;
    }
    c->all.passed += current->count;
    assert(adds_up(&c->all));
    *out = current;
    return rc;
}
