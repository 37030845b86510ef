#include "rig.h"

#include "cm.h"

void rig_done(void *user, const struct flv_err *err)
{
    struct note *n = user;

    n->came = true;
    n->times++;
    if (err != NULL) {
        n->err = *err;
    } else {
        flv_err_clear(&n->err);
    }
}

void rig_closed(void *user)
{
    rig_done(user, NULL);
}

void rig_wait(struct rig *r, const struct note *n)
{
    if (!fake_until(&r->f, &n->came, RIG_LIMIT_MS)) {
        fail_msg("the callback did not come");
    }
}

void rig_init(struct rig *r)
{
    r->c = NULL;
    r->answer_timeout_ms = 0;
    fake_init(&r->f);
}

static void create(struct rig *r,
                   uint32_t request_timeout_ms,
                   struct note *link,
                   uint32_t quiet_ms)
{
    const struct flv_client_conf conf = {
        .address = r->f.address,
        .client_id = "test",
        .connect_timeout_ms = 500,
        .answer_timeout_ms = r->answer_timeout_ms,
        .request_timeout_ms =
            request_timeout_ms != 0 ? request_timeout_ms : 10000,
        .metadata_timeout_ms =
            request_timeout_ms != 0 ? request_timeout_ms : 10000,
        .retry_min_ms = 5,
        .retry_max_ms = 20,
        .quiet_ms = quiet_ms,
        .link = link != NULL ? rig_done : NULL,
        .user = link,
    };
    struct flv_err err;

    if (flv_client_create(&r->c, r->f.loop, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
}

void rig_client(struct rig *r, uint32_t request_timeout_ms)
{
    create(r, request_timeout_ms, NULL, 0);
}

void rig_client_link(struct rig *r, struct note *link)
{
    create(r, 0, link, 0);
}

void rig_client_quiet(struct rig *r, struct note *link, uint32_t quiet_ms)
{
    create(r, 0, link, quiet_ms);
}

void rig_deinit(struct rig *r)
{
    struct note closed = {.came = false};

    if (r->c != NULL) {
        flv_client_close(r->c, rig_closed, &closed);
        rig_wait(r, &closed);
        assert_int_equal(closed.times, 1);
    }
    fake_deinit(&r->f);
}
