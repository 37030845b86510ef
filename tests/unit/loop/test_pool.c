#include "cm.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/pool.h"

static struct flv_loop *loop;
static struct flv_pool *pool;

struct work {
    struct flv_work work; /* first */
    int ran, done, wrong;
    flv_rc rc;
    bool again;
};

/* A gate that workers wait at, so that tests decide when they go on. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int inside;
static bool closed;

static void set_gate(bool is_closed)
{
    pthread_mutex_lock(&gate);
    closed = is_closed;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&gate);
}

static void await_inside(int n)
{
    pthread_mutex_lock(&gate);
    while (inside < n) {
        pthread_cond_wait(&moved, &gate);
    }
    pthread_mutex_unlock(&gate);
}

static void run_work(struct flv_work *w)
{
    struct work *x = (struct work *)w;

    pthread_mutex_lock(&gate);
    inside++;
    pthread_cond_broadcast(&moved);
    while (closed) {
        pthread_cond_wait(&moved, &gate);
    }
    inside--;
    pthread_mutex_unlock(&gate);
    x->ran++;
    x->wrong += flv_loop_here(loop);
}

static void done_work(struct flv_work *w, flv_rc rc)
{
    struct work *x = (struct work *)w;

    x->done++;
    x->rc = rc;
    x->wrong += !flv_loop_here(loop);
    if (x->again) {
        x->again = false;
        if (flv_pool_submit(pool, w) != FLV_OK) {
            abort(); /* there is room: it was in the queue itself */
        }
    }
}

static void work_init(struct work *x)
{
    *x = (struct work){.work = {.run = run_work, .done = done_work}};
}

static int set_up(void **state)
{
    const struct flv_pool_conf conf = {
        .name = "test-of-a-pool", .threads_max = 2, .queue_max = 3};

    (void)state;
    closed = false;
    return flv_loop_create(&loop, 0, NULL) == FLV_OK &&
                   flv_pool_create(&pool, loop, &conf, NULL) == FLV_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    flv_pool_destroy(pool);
    flv_loop_destroy(loop);
    return 0;
}

static void work_is_done_once_on_the_loop(void **state)
{
    struct work x;

    (void)state;
    work_init(&x);
    x.again = true;
    assert_int_equal(flv_pool_threads(pool), 0);
    assert_int_equal(flv_pool_submit(pool, &x.work), FLV_OK);
    assert_int_equal(x.done, 0);
    assert_int_equal(flv_pool_pending(pool), 1);
    flv_loop_run(loop);
    assert_int_equal(x.ran, 2);
    assert_int_equal(x.done, 2);
    assert_int_equal(x.rc, FLV_OK);
    assert_int_equal(x.wrong, 0);
    assert_int_equal(flv_pool_pending(pool), 0);
    assert_int_equal(flv_pool_threads(pool), 1);
}

static void a_full_queue_is_busy(void **state)
{
    struct work x[6];

    (void)state;
    set_gate(true);
    for (size_t i = 0; i < COUNT(x); i++) {
        work_init(&x[i]);
        if (i < 2) {
            assert_int_equal(flv_pool_submit(pool, &x[i].work), FLV_OK);
            await_inside((int)i + 1);
        } else {
            assert_int_equal(flv_pool_submit(pool, &x[i].work),
                             i < 5 ? FLV_OK : FLV_E_BUSY);
        }
    }
    assert_int_equal(flv_pool_threads(pool), 2);
    set_gate(false);
    flv_loop_run(loop);
    for (size_t i = 0; i < COUNT(x); i++) {
        assert_int_equal(x[i].ran, i < 5);
        assert_int_equal(x[i].done, i < 5);
        assert_int_equal(x[i].wrong, 0);
    }
}

static void canceled_work_completes_without_running(void **state)
{
    struct work x[5];

    (void)state;
    set_gate(true);
    for (size_t i = 0; i < COUNT(x); i++) {
        work_init(&x[i]);
        assert_int_equal(flv_pool_submit(pool, &x[i].work), FLV_OK);
        if (i < 2) {
            await_inside((int)i + 1);
        }
    }
    assert_true(flv_pool_cancel(pool, &x[4].work));
    assert_true(flv_pool_cancel(pool, &x[2].work));
    assert_false(flv_pool_cancel(pool, &x[2].work));
    assert_false(flv_pool_cancel(pool, &x[0].work));
    assert_int_equal(x[4].done, 0);
    set_gate(false);
    flv_loop_run(loop);
    for (size_t i = 0; i < COUNT(x); i++) {
        bool canceled = i == 2 || i == 4;

        assert_int_equal(x[i].ran, !canceled);
        assert_int_equal(x[i].done, 1);
        assert_int_equal(x[i].rc, canceled ? FLV_E_CANCELED : FLV_OK);
    }
}

static void *open_gate(void *arg)
{
    (void)arg;
    set_gate(false);
    return NULL;
}

static void destroy_waits_and_cancels(void **state)
{
    struct work x[4];
    pthread_t opener;

    (void)state;
    set_gate(true);
    for (size_t i = 0; i < COUNT(x); i++) {
        work_init(&x[i]);
        assert_int_equal(flv_pool_submit(pool, &x[i].work), FLV_OK);
        if (i < 2) {
            await_inside((int)i + 1);
        }
    }
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    flv_pool_destroy(pool);
    pool = NULL;
    pthread_join(opener, NULL);
    for (size_t i = 0; i < COUNT(x); i++) {
        assert_int_equal(x[i].done, 1);
        assert_int_equal(x[i].ran, x[i].rc == FLV_OK);
        assert_true(i >= 2 || x[i].rc == FLV_OK);
        assert_int_equal(x[i].wrong, 0);
    }
}

static void wait_gives_up_and_tells(void **state)
{
    struct work x;

    (void)state;
    work_init(&x);
    assert_true(flv_pool_wait(pool, 0)); /* for nothing */
    set_gate(true);
    assert_int_equal(flv_pool_submit(pool, &x.work), FLV_OK);
    await_inside(1);
    assert_false(flv_pool_wait(pool, 5));
    assert_int_equal(x.done, 0);
    set_gate(false);
    assert_true(flv_pool_wait(pool, 60000));
    assert_int_equal(x.done, 1);
    assert_int_equal(x.rc, FLV_OK);
}

static void drain_runs_everything(void **state)
{
    struct work x[3];

    (void)state;
    for (size_t i = 0; i < COUNT(x); i++) {
        work_init(&x[i]);
        x[i].again = i == 0;
        assert_int_equal(flv_pool_submit(pool, &x[i].work), FLV_OK);
    }
    flv_pool_drain(pool);
    assert_int_equal(flv_pool_pending(pool), 0);
    for (size_t i = 0; i < COUNT(x); i++) {
        assert_int_equal(x[i].done, i == 0 ? 2 : 1);
        assert_int_equal(x[i].wrong, 0);
    }
}

#define MANY 20000

static void much_work_is_done_once_each(void **state)
{
    static struct work x[MANY];
    size_t next = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        work_init(&x[i]);
    }
    while (next < MANY) {
        if (flv_pool_submit(pool, &x[next].work) == FLV_OK) {
            next++;
        } else {
            (void)flv_loop_turn(loop, true);
        }
    }
    flv_loop_run(loop);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(x[i].ran, 1);
        assert_int_equal(x[i].done, 1);
        assert_int_equal(x[i].wrong, 0);
    }
}

static void a_pool_without_memory_is_refused(void **state)
{
    const struct flv_pool_conf conf = {
        .name = "x", .threads_max = 1, .queue_max = 1};
    struct flv_pool *none = NULL;

    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        flv__mem_fail_at(n);
        assert_int_equal(flv_pool_create(&none, loop, &conf, NULL),
                         FLV_E_NOMEM);
    }
    assert_null(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(work_is_done_once_on_the_loop),
        TEST(a_full_queue_is_busy),
        TEST(canceled_work_completes_without_running),
        TEST(destroy_waits_and_cancels),
        TEST(wait_gives_up_and_tells),
        TEST(drain_runs_everything),
        TEST(much_work_is_done_once_each),
        TEST(a_pool_without_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
