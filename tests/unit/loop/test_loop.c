#include "cm.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"

static struct flv_loop *loop;

static int set_up(void **state)
{
    (void)state;
    return flv_loop_create(&loop, 8, NULL) == FLV_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    flv_loop_destroy(loop);
    return 0;
}

/* ---- Timers ------------------------------------------------------------ */

struct alarm {
    struct flv_timer timer; /* first */
    int fired;
    int stop_after;
    uint64_t at_ms;
    int place; /* among those that fired */
};

static int places;

static char order[64];
static size_t order_len;

static void ring(struct flv_timer *t)
{
    struct alarm *a = (struct alarm *)t;

    a->fired++;
    a->at_ms = flv_clock_mono_ms();
    a->place = places++;
    if (a->fired == a->stop_after) {
        flv_timer_stop(t);
    }
}

static void timers_fire_in_order_and_not_early(void **state)
{
    struct alarm a[5];
    uint64_t start = flv_clock_mono_ms();

    (void)state;
    for (size_t i = 0; i < COUNT(a); i++) {
        a[i] = (struct alarm){.fired = 0};
        flv_timer_init(&a[i].timer, loop, ring);
        assert_int_equal(flv_timer_start(&a[i].timer, 25 - 5 * i, 0, NULL),
                         FLV_OK);
    }
    flv_timer_stop(&a[2].timer);
    assert_false(flv_timer_active(&a[2].timer));
    flv_loop_run(loop);
    for (size_t i = 0; i < COUNT(a); i++) {
        assert_int_equal(a[i].fired, i == 2 ? 0 : 1);
        /* The loop's clock counts whole milliseconds. */
        assert_true(i == 2 || a[i].at_ms + 1 >= start + 25 - 5 * i);
        assert_false(flv_timer_active(&a[i].timer));
    }
    for (size_t i = 0; i + 1 < COUNT(a); i++) {
        const struct alarm *x = &a[i], *y = &a[i + 1];

        /* On a machine that stood still while they were armed, too. */
        assert_true(i == 1 || i == 2 ||
                    (x->timer.at_ms <= y->timer.at_ms) ==
                        (x->place < y->place));
    }
}

static void a_repeating_timer_goes_on_until_stopped(void **state)
{
    struct alarm a = {.stop_after = 3};

    (void)state;
    flv_timer_init(&a.timer, loop, ring);
    assert_int_equal(flv_timer_start(&a.timer, 0, 1, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(a.fired, 3);
}

static void free_other(struct flv_timer *t)
{
    struct alarm *a = (struct alarm *)t;

    a->fired++;
    flv_timer_stop(&a[1].timer);
    flv_timer_stop(&a[2].timer);
}

static void a_timer_stopped_by_another_never_fires(void **state)
{
    struct alarm a[3] = {{.fired = 0}};

    (void)state;
    flv_timer_init(&a[0].timer, loop, free_other);
    flv_timer_init(&a[1].timer, loop, ring);
    flv_timer_init(&a[2].timer, loop, ring);
    for (size_t i = 0; i < COUNT(a); i++) {
        assert_int_equal(flv_timer_start(&a[i].timer, 1, i == 2, NULL), FLV_OK);
    }
    flv_loop_run(loop);
    assert_int_equal(a[0].fired, 1);
    assert_int_equal(a[1].fired, 0);
    assert_int_equal(a[2].fired, 0);
    flv_timer_stop(&a[2].timer);
}

static void note_rank(struct flv_timer *t)
{
    struct alarm *a = (struct alarm *)t;

    assert(a->at_ms >= order_len);
    order_len = a->at_ms;
    a->fired++;
}

static void a_thousand_timers_keep_their_order(void **state)
{
    static struct alarm a[1000];
    uint32_t seed = 1;

    (void)state;
    order_len = 0;
    for (size_t i = 0; i < COUNT(a); i++) {
        seed = seed * 1103515245 + 12345;
        a[i] = (struct alarm){.at_ms = (seed >> 16) % 40};
        flv_timer_init(&a[i].timer, loop, note_rank);
    }
    /* All at once, so that the loop's time does not move in between. */
    for (size_t i = 0; i < COUNT(a); i++) {
        assert_int_equal(
            flv_timer_start(&a[i].timer, 50 * a[i].at_ms / 10, 0, NULL),
            FLV_OK);
    }
    for (size_t i = 0; i < COUNT(a); i += 3) {
        flv_timer_stop(&a[i].timer);
    }
    /* Times moved a little while arming: ranks of one step may mix. */
    for (size_t i = 0; i < COUNT(a); i++) {
        a[i].at_ms = a[i].timer.at_ms;
    }
    flv_loop_run(loop);
    for (size_t i = 0; i < COUNT(a); i++) {
        assert_int_equal(a[i].fired, i % 3 == 0 ? 0 : 1);
    }
}

static void a_timer_without_memory_stays_unarmed(void **state)
{
    struct alarm a = {.fired = 0};
    struct flv_err err;

    (void)state;
    flv_timer_init(&a.timer, loop, ring);
    flv__mem_fail_at(1);
    assert_int_equal(flv_timer_start(&a.timer, 1, 0, &err), FLV_E_NOMEM);
    assert_false(flv_timer_active(&a.timer));
    flv_loop_run(loop);
    assert_int_equal(a.fired, 0);
}

/* ---- Tasks ------------------------------------------------------------- */

struct job {
    struct flv_task task; /* first */
    char name;
    struct job *then;
    struct job *not_then;
};

static void do_job(struct flv_task *t)
{
    struct job *j = (struct job *)t;

    order[order_len++] = j->name;
    order[order_len] = '\0';
    if (j->then != NULL) {
        flv_loop_defer(loop, &j->then->task);
    }
    if (j->not_then != NULL) {
        flv_loop_undefer(loop, &j->not_then->task);
    }
}

static void job_init(struct job *j, char name)
{
    *j = (struct job){.name = name};
    flv_task_init(&j->task, do_job);
}

static void deferred_tasks_run_later_once_in_order(void **state)
{
    struct job a, b, c;

    (void)state;
    job_init(&a, 'a');
    job_init(&b, 'b');
    job_init(&c, 'c');
    order_len = 0;
    a.then = &c;
    flv_loop_defer(loop, &a.task);
    flv_loop_defer(loop, &b.task);
    flv_loop_defer(loop, &a.task);
    assert_int_equal(order_len, 0);
    flv_loop_run(loop);
    assert_string_equal(order, "abc");
}

static void a_task_taken_back_does_not_run(void **state)
{
    struct job a, b, c;

    (void)state;
    job_init(&a, 'a');
    job_init(&b, 'b');
    job_init(&c, 'c');
    order_len = 0;
    a.not_then = &c;
    flv_loop_defer(loop, &b.task);
    flv_loop_defer(loop, &a.task);
    flv_loop_defer(loop, &c.task);
    flv_loop_undefer(loop, &b.task);
    flv_loop_undefer(loop, &b.task);
    flv_loop_run(loop);
    assert_string_equal(order, "a");
    assert_int_equal(flv_loop_post(loop, &b.task), FLV_OK);
    flv_loop_undefer(loop, &b.task);
    flv_loop_run(loop);
    assert_string_equal(order, "a");
}

static void a_full_mailbox_is_busy(void **state)
{
    struct job jobs[9];

    (void)state;
    order_len = 0;
    for (size_t i = 0; i < COUNT(jobs); i++) {
        job_init(&jobs[i], (char)('0' + i));
        assert_int_equal(flv_loop_post(loop, &jobs[i].task),
                         i < 8 ? FLV_OK : FLV_E_BUSY);
    }
    flv_loop_run(loop);
    assert_string_equal(order, "01234567");
    assert_int_equal(flv_loop_post(loop, &jobs[8].task), FLV_OK);
    flv_loop_run(loop);
    assert_string_equal(order, "012345678");
}

#define POSTS 2000

struct letter {
    struct flv_task task; /* first */
    struct sender *from;
    int number;
};

struct sender {
    struct letter letters[POSTS];
    pthread_t thread;
    int next, wrong;
};

static int senders_left;

static void take_letter(struct flv_task *t)
{
    struct letter *l = (struct letter *)t;

    l->from->wrong += l->number != l->from->next || !flv_loop_here(loop);
    l->from->next++;
    if (l->from->next == POSTS && --senders_left == 0) {
        flv_loop_release(loop);
    }
}

static void *send_letters(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < POSTS; i++) {
        while (flv_loop_post(loop, &s->letters[i].task) == FLV_E_BUSY) {
            sched_yield();
        }
    }
    return NULL;
}

static void threads_post_in_order(void **state)
{
    static struct sender senders[3];

    (void)state;
    senders_left = 3;
    flv_loop_hold(loop);
    for (size_t i = 0; i < 3; i++) {
        senders[i].next = 0;
        senders[i].wrong = 0;
        for (int j = 0; j < POSTS; j++) {
            struct letter *l = &senders[i].letters[j];

            flv_task_init(&l->task, take_letter);
            l->from = &senders[i];
            l->number = j;
        }
        assert_int_equal(
            pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]),
            0);
    }
    flv_loop_run(loop);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].next, POSTS);
        assert_int_equal(senders[i].wrong, 0);
    }
}

/* ---- Running ----------------------------------------------------------- */

static void stop_loop(struct flv_timer *t)
{
    flv_loop_stop(t->loop);
}

static void a_stopped_loop_can_run_again(void **state)
{
    struct alarm a = {.fired = 0}, b = {.fired = 0};

    (void)state;
    flv_timer_init(&a.timer, loop, stop_loop);
    flv_timer_init(&b.timer, loop, ring);
    assert_int_equal(flv_timer_start(&a.timer, 1, 0, NULL), FLV_OK);
    assert_int_equal(flv_timer_start(&b.timer, 1000000, 0, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(b.fired, 0);
    assert_true(flv_timer_active(&b.timer));
    assert_int_equal(flv_timer_start(&b.timer, 0, 0, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(b.fired, 1);
}

/* A timer that is due rings before the loop looks for anything else. */
static void a_stop_from_a_due_timer_does_not_wait(void **state)
{
    struct alarm a = {.fired = 0}, b = {.fired = 0};

    (void)state;
    flv_timer_init(&a.timer, loop, stop_loop);
    flv_timer_init(&b.timer, loop, ring);
    assert_int_equal(flv_timer_start(&b.timer, 1000000, 0, NULL), FLV_OK);
    assert_int_equal(flv_timer_start(&a.timer, 0, 0, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(b.fired, 0);
    flv_timer_stop(&b.timer);
}

static int ran;

static void run_once(struct flv_task *t)
{
    (void)t;
    ran++;
}

static void a_turn_in_which_something_ran_does_not_wait(void **state)
{
    struct alarm a = {.fired = 0}, b = {.fired = 0};
    struct flv_task task;

    (void)state;
    flv_timer_init(&a.timer, loop, ring);
    flv_timer_init(&b.timer, loop, ring);
    flv_task_init(&task, run_once);
    assert_int_equal(flv_timer_start(&b.timer, 1000000, 0, NULL), FLV_OK);
    assert_int_equal(flv_timer_start(&a.timer, 0, 0, NULL), FLV_OK);
    assert_true(flv_loop_turn(loop, true));
    assert_int_equal(a.fired, 1);
    ran = 0;
    flv_loop_defer(loop, &task);
    assert_true(flv_loop_turn(loop, true));
    assert_int_equal(ran, 1);
    flv_timer_stop(&b.timer);
}

static int caught;

static void catch_signal(void *ctx, int signum)
{
    caught = signum;
    flv_loop_stop(ctx);
}

static void signals_arrive_on_the_loop(void **state)
{
    struct alarm a = {.fired = 0};

    (void)state;
    assert_int_equal(
        flv_loop_on_signal(loop, SIGTERM, catch_signal, loop, NULL), FLV_OK);
    assert_int_equal(flv_loop_on_signal(loop, SIGHUP, catch_signal, loop, NULL),
                     FLV_OK);
    flv_loop_run(loop); /* handlers alone do not keep it running */
    flv_timer_init(&a.timer, loop, ring);
    assert_int_equal(flv_timer_start(&a.timer, 10000, 0, NULL), FLV_OK);
    caught = 0;
    raise(SIGTERM);
    flv_loop_run(loop);
    assert_int_equal(caught, SIGTERM);
    raise(SIGHUP);
    flv_loop_run(loop);
    assert_int_equal(caught, SIGHUP);
    assert_int_equal(flv_loop_on_signal(loop, SIGHUP, NULL, NULL, NULL),
                     FLV_OK);
    flv_timer_stop(&a.timer);
}

static void writing_to_a_closed_pipe_is_no_signal(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    close(fds[1]);
}

static void a_forgotten_timer_aborts_destroy(void **state)
{
    pid_t child;
    int status = 0;

    (void)state;
    child = fork();
    if (child == 0) {
        static struct alarm a;
        struct flv_loop *mine = NULL;

        if (freopen("/dev/null", "w", stderr) == NULL ||
            flv_loop_create(&mine, 0, NULL) != FLV_OK) {
            _exit(1);
        }
        signal(SIGABRT, SIG_DFL);
        flv_timer_init(&a.timer, mine, ring);
        if (flv_timer_start(&a.timer, 1000, 0, NULL) != FLV_OK) {
            _exit(1);
        }
        flv_loop_destroy(mine);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_loop_without_memory_is_refused(void **state)
{
    struct flv_loop *none = NULL;

    (void)state;
    flv__mem_fail_at(1);
    assert_int_equal(flv_loop_create(&none, 0, NULL), FLV_E_NOMEM);
    assert_null(none);
    flv_loop_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order_and_not_early),
        TEST(a_repeating_timer_goes_on_until_stopped),
        TEST(a_timer_stopped_by_another_never_fires),
        TEST(a_thousand_timers_keep_their_order),
        TEST(a_timer_without_memory_stays_unarmed),
        TEST(deferred_tasks_run_later_once_in_order),
        TEST(a_task_taken_back_does_not_run),
        TEST(a_full_mailbox_is_busy),
        TEST(threads_post_in_order),
        TEST(a_stopped_loop_can_run_again),
        TEST(a_stop_from_a_due_timer_does_not_wait),
        TEST(a_turn_in_which_something_ran_does_not_wait),
        TEST(signals_arrive_on_the_loop),
        TEST(writing_to_a_closed_pipe_is_no_signal),
        TEST(a_forgotten_timer_aborts_destroy),
        TEST(a_loop_without_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
