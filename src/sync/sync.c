#include "sync/sync_priv.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 5000

/* ----------------------------------------------------------------- time */

flv__deadline flv__sync_deadline(uint32_t timeout_ms)
{
    return timeout_ms == FLV_FOREVER
               ? 0
               : flv_clock_mono_ns() + (uint64_t)timeout_ms * 1000000 + 1;
}

bool flv__sync_wait(struct flv_sync *s, pthread_cond_t *cond, flv__deadline at)
{
    const struct timespec until = {.tv_sec = (time_t)(at / 1000000000),
                                   .tv_nsec = (long)(at % 1000000000)};

    if (at == 0) {
        (void)pthread_cond_wait(cond, &s->lock);
        return true;
    }
    if (flv_clock_mono_ns() >= at) {
        return false;
    }
    (void)pthread_cond_timedwait(cond, &s->lock, &until);
    return true; /* whoever waits looks again, and at the clock */
}

flv_rc flv__sync_cond_init(pthread_cond_t *cond, struct flv_err *err)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc == 0) {
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(cond, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    return rc == 0 ? FLV_OK : flv_fail_sys(err, FLV_E_NOMEM, rc, "cannot wait");
}

flv_rc flv__sync_late(const struct flv_err *trouble,
                      flv_rc rc,
                      struct flv_err *err,
                      const char *text)
{
    if (trouble == NULL || trouble->rc == FLV_OK) {
        return flv_fail(err, rc, "%s", text);
    }
    (void)flv_fail(err, trouble->rc, "%.110s: %s", text, trouble->text);
    if (err != NULL) {
        err->wire = trouble->wire;
    }
    return trouble->rc;
}

/* ------------------------------------------------------------------ ops */

static void op_unref(struct flv__sync_op *op)
{
    struct flv_sync *s = op->sync;
    bool last = false;

    (void)pthread_mutex_lock(&s->lock);
    assert(op->refs > 0);
    last = --op->refs == 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (last) {
        if (op->drop != NULL) {
            op->drop(op);
        }
        (void)pthread_cond_destroy(&op->cond);
        flv_free(op);
    }
}

static void op_begin(struct flv_task *t)
{
    struct flv__sync_op *op = FLV_OWNER_OF(t, struct flv__sync_op, task);
    struct flv_sync *s = op->sync;
    bool left = false;

    (void)pthread_mutex_lock(&s->lock);
    left = op->left_behind;
    op->running = !left;
    op->refs++; /* run() may complete it */
    (void)pthread_mutex_unlock(&s->lock);
    if (left) {
        op_unref(op); /* the loop's, as run() will not */
    } else {
        op->run(op);
        (void)pthread_mutex_lock(&s->lock);
        op->running = false;
        (void)pthread_cond_signal(&op->cond);
        (void)pthread_mutex_unlock(&s->lock);
    }
    op_unref(op);
}

/* Where there is no way but to do it: a full mailbox is being emptied. */
static void post(struct flv_sync *s, struct flv_task *t)
{
    while (flv_loop_post(s->loop, t) != FLV_OK) {
        (void)sched_yield();
    }
}

flv_rc flv__sync_op_create(struct flv_sync *s,
                           size_t size,
                           void (*run)(struct flv__sync_op *op),
                           void *out_op,
                           struct flv_err *err)
{
    struct flv__sync_op *op = NULL;
    flv_rc rc = FLV_OK;

    assert(size >= sizeof(*op));
    op = flv_zalloc(1, size);
    if (op == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a call");
    }
    rc = flv__sync_cond_init(&op->cond, err);
    if (rc != FLV_OK) {
        flv_free(op);
        return rc;
    }
    flv_task_init(&op->task, op_begin);
    op->sync = s;
    op->run = run;
    op->refs = 1;
    *(void **)out_op = op;
    return FLV_OK;
}

/* With the lock: until it is done, or the time is up and run() not inside. */
static bool op_wait(struct flv__sync_op *op, flv__deadline at)
{
    bool in_time = true;

    while (!op->done && (in_time || op->running)) {
        in_time = flv__sync_wait(op->sync, &op->cond, in_time ? at : 0);
    }
    op->left_behind = !op->done;
    return op->done;
}

flv_rc flv__sync_call(struct flv__sync_op *op,
                      flv__deadline at,
                      const char *what,
                      struct flv_err *err)
{
    struct flv_sync *s = op->sync;
    struct flv_err answer;
    struct flv_err link;
    char text[FLV_ERR_TEXT_MAX];
    bool done = false;

    op->refs++; /* the loop's */
    if (flv_loop_post(s->loop, &op->task) != FLV_OK) {
        op->refs--;
        return flv_fail(err, FLV_E_BUSY, "too many calls at once wait for %s",
                        s->address);
    }
    (void)pthread_mutex_lock(&s->lock);
    done = op_wait(op, at);
    answer = op->err;
    link = s->link;
    (void)pthread_mutex_unlock(&s->lock);
    if (!done) {
        (void)snprintf(text, sizeof(text), "%s: no answer from %s in time",
                       what, s->address);
        return flv__sync_late(&link, FLV_E_TIMEOUT, err, text);
    }
    if (answer.rc != FLV_OK && err != NULL) {
        *err = answer;
    }
    return answer.rc;
}

void flv__sync_must(struct flv__sync_op *op)
{
    struct flv_sync *s = op->sync;

    op->refs++; /* the loop's */
    post(s, &op->task);
    (void)pthread_mutex_lock(&s->lock);
    (void)op_wait(op, 0);
    (void)pthread_mutex_unlock(&s->lock);
}

void flv__sync_op_release(struct flv__sync_op *op)
{
    if (op != NULL) {
        op_unref(op);
    }
}

void flv__sync_done(struct flv__sync_op *op, const struct flv_err *err)
{
    (void)pthread_mutex_lock(&op->sync->lock);
    assert(!op->done);
    if (err != NULL) {
        op->err = *err;
    }
    op->done = true;
    (void)pthread_cond_signal(&op->cond);
    (void)pthread_mutex_unlock(&op->sync->lock);
    op_unref(op);
}

void flv__sync_done_fn(void *op, const struct flv_err *err)
{
    flv__sync_done(op, err);
}

bool flv__sync_is_left(struct flv__sync_op *op)
{
    bool left = false;

    (void)pthread_mutex_lock(&op->sync->lock);
    left = op->left_behind;
    (void)pthread_mutex_unlock(&op->sync->lock);
    return left;
}

/* ------------------------------------------------------------- children */

void flv__sync_adopt(struct flv_sync *s, struct flv__sync_child *child)
{
    (void)pthread_mutex_lock(&s->lock);
    child->next = s->children.next;
    child->prev = &s->children;
    child->next->prev = child;
    s->children.next = child;
    (void)pthread_mutex_unlock(&s->lock);
}

void flv__sync_disown(struct flv_sync *s, struct flv__sync_child *child)
{
    (void)pthread_mutex_lock(&s->lock);
    if (child->next != NULL) {
        child->next->prev = child->prev;
        child->prev->next = child->next;
        child->next = NULL;
        child->prev = NULL;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* --------------------------------------------------------------- thread */

/* What the thread is started with; the opener's until it has started. */
struct start {
    struct flv_sync *sync;
    const struct flv_client_conf *conf;
};

void flv__sync_note(struct flv_sync *s,
                    struct flv_err *field,
                    const struct flv_err *err)
{
    (void)pthread_mutex_lock(&s->lock);
    if (err != NULL) {
        *field = *err;
    } else {
        flv_err_clear(field);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void on_link(void *user, const struct flv_err *err)
{
    struct flv_sync *s = user;

    flv__sync_note(s, &s->link, err);
}

static void *run_loop(void *user)
{
    const struct start *start = user;
    struct flv_sync *s = start->sync;
    struct flv_client_conf conf = *start->conf;
    struct flv_loop *loop = NULL;
    struct flv_client *client = NULL;
    struct flv_err err = {.rc = FLV_OK};

    conf.link = on_link;
    conf.user = s;
    if (flv_loop_create(&loop, 0, &err) == FLV_OK &&
        flv_client_create(&client, loop, &conf, &err) == FLV_OK) {
        flv_loop_hold(loop);
    }
    (void)pthread_mutex_lock(&s->lock);
    s->loop = loop;
    s->client = client;
    s->start_err = err;
    s->started = true;
    (void)pthread_cond_signal(&s->started_cond);
    (void)pthread_mutex_unlock(&s->lock);
    if (client != NULL) {
        flv_loop_run(loop);
    }
    flv_loop_destroy(loop);
    return NULL;
}

/* The thread has every signal blocked, from its beginning. */
static flv_rc start_thread(struct flv_sync *s,
                           const struct flv_client_conf *conf,
                           struct flv_err *err)
{
    struct start start = {.sync = s, .conf = conf};
    sigset_t all;
    sigset_t before;
    int rc = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->thread, NULL, run_loop, &start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return flv_fail_sys(err, FLV_E_NOMEM, rc, "no thread for a client");
    }
    (void)pthread_mutex_lock(&s->lock);
    while (!s->started) {
        (void)pthread_cond_wait(&s->started_cond, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (s->start_err.rc != FLV_OK) {
        (void)pthread_join(s->thread, NULL);
        if (err != NULL) {
            *err = s->start_err;
        }
    }
    return s->start_err.rc;
}

/* ----------------------------------------------------------------- open */

static void sync_free(struct flv_sync *s)
{
    (void)pthread_cond_destroy(&s->started_cond);
    (void)pthread_mutex_destroy(&s->lock);
    flv_free(s->address);
    flv_free(s);
}

static flv_rc
make(struct flv_sync **out, uint32_t timeout_ms, struct flv_err *err)
{
    struct flv_sync *s = flv_zalloc(1, sizeof(*s));
    flv_rc rc = FLV_OK;

    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a client");
    }
    rc = flv__sync_cond_init(&s->started_cond, err);
    if (rc != FLV_OK) {
        flv_free(s);
        return rc;
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    s->timeout_ms = timeout_ms;
    s->children.next = &s->children;
    s->children.prev = &s->children;
    *out = s;
    return FLV_OK;
}

/* The texts of *out are the configuration's or those of *profiles. */
static flv_rc client_conf(const struct flv_sync_conf *conf,
                          struct flv_client_conf *out,
                          struct flv_profiles **profiles,
                          struct flv_err *err)
{
    struct flv_profile profile;
    flv_rc rc = FLV_OK;

    *out = (struct flv_client_conf){.address = conf->address, .tls = conf->tls};
    if (conf->address == NULL) {
        rc = flv_profiles_load(profiles, conf->profile_path, err);
        if (rc == FLV_OK) {
            rc = flv_profiles_find(*profiles, conf->profile, &profile, err);
        }
        if (rc == FLV_OK) {
            rc = flv_client_conf_profile(out, &profile, err);
        }
    }
    if (rc == FLV_OK && conf->client_id != NULL) {
        out->client_id = conf->client_id;
    }
    return rc;
}

struct connect_op {
    struct flv__sync_op op;
    uint32_t wait_ms;
};

static void connect_run(struct flv__sync_op *op)
{
    const struct connect_op *o = FLV_OWNER_OF(op, struct connect_op, op);
    struct flv_err err;

    if (flv_client_connect(op->sync->client, o->wait_ms, flv__sync_done_fn, op,
                           &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

static flv_rc connect(struct flv_sync *s, uint32_t wait_ms, struct flv_err *err)
{
    const uint64_t limit_ms = (uint64_t)s->timeout_ms + wait_ms;
    struct connect_op *o = NULL;
    flv_rc rc = flv__sync_op_create(s, sizeof(*o), connect_run, &o, err);

    if (rc == FLV_OK) {
        o->wait_ms = wait_ms;
        rc = flv__sync_call(&o->op,
                            flv__sync_deadline(limit_ms < FLV_FOREVER
                                                   ? (uint32_t)limit_ms
                                                   : FLV_FOREVER),
                            "connecting", err);
        flv__sync_op_release(&o->op);
    }
    return rc;
}

static flv_rc
start(struct flv_sync *s, const struct flv_sync_conf *conf, struct flv_err *err)
{
    struct flv_profiles *profiles = NULL;
    struct flv_client_conf client;
    flv_rc rc = client_conf(conf, &client, &profiles, err);

    if (rc == FLV_OK) {
        client.connect_timeout_ms = s->timeout_ms < CONNECT_TIMEOUT_MS
                                        ? s->timeout_ms
                                        : CONNECT_TIMEOUT_MS;
        /* What is wrong with a topic is known before the time is up. */
        client.metadata_timeout_ms = s->timeout_ms - s->timeout_ms / 8;
        client.quiet_ms = conf->quiet_ms;
        s->address = flv_strdup(client.address);
        rc = s->address != NULL
                 ? start_thread(s, &client, err)
                 : flv_fail(err, FLV_E_NOMEM, "out of memory for a client");
    }
    flv_profiles_destroy(profiles);
    return rc;
}

flv_rc flv_sync_open(struct flv_sync **out,
                     const struct flv_sync_conf *conf,
                     struct flv_err *err)
{
    static const struct flv_sync_conf zeroed;
    struct flv_sync *s = NULL;
    flv_rc rc = FLV_OK;

    conf = conf != NULL ? conf : &zeroed;
    rc = make(&s, conf->timeout_ms != 0 ? conf->timeout_ms : TIMEOUT_MS, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = start(s, conf, err);
    if (rc != FLV_OK) {
        sync_free(s);
        return rc;
    }
    rc = connect(s, conf->wait_ms, err);
    if (rc != FLV_OK) {
        flv_sync_close(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

/* ---------------------------------------------------------------- close */

struct closing {
    struct flv_task task;
    struct flv_sync *sync;
};

static void client_closed(void *user)
{
    const struct flv_sync *s = user;

    flv_loop_release(s->loop); /* runs dry, and the thread ends */
}

static void close_run(struct flv_task *t)
{
    struct flv_sync *s = FLV_OWNER_OF(t, struct closing, task)->sync;

    flv_client_close(s->client, client_closed, s);
}

void flv_sync_close(struct flv_sync *s)
{
    struct closing closing = {.sync = s};

    if (s == NULL) {
        return;
    }
    while (s->children.next != &s->children) {
        s->children.next->close(s->children.next);
    }
    flv_task_init(&closing.task, close_run);
    post(s, &closing.task);
    (void)pthread_join(s->thread, NULL);
    sync_free(s);
}
