/* The producer: order, exactly one completion, repetition after losses. */
#include "rig.h"

#include "cm.h"
#include <stdio.h>

#define SENDS_MAX 4096

struct sent {
    struct flv_send send;
    struct note n;
    int64_t offset;
    uint32_t partition;
    unsigned order; /* of completion */
};

static struct sent sends[SENDS_MAX];
static unsigned completed;

static void send_done(struct flv_send *send, const struct flv_err *err)
{
    struct sent *s = send->user;

    s->offset = send->offset;
    s->partition = send->partition;
    s->order = completed++;
    rig_done(&s->n, err);
}

static void forget_sends(void)
{
    memset(sends, 0, sizeof(sends));
    completed = 0;
}

static struct flv_producer *open_producer(struct rig *r,
                                          const struct flv_producer_conf *conf)
{
    struct flv_producer *p = NULL;
    struct note n = {.came = false};

    assert_int_equal(flv_producer_open(&p, r->c, conf, rig_done, &n, NULL),
                     FLV_OK);
    assert_false(n.came);
    rig_wait(r, &n);
    if (n.err.rc != FLV_OK) {
        fail_msg("%s", n.err.text);
    }
    return p;
}

static flv_rc send_n(struct flv_producer *p, unsigned i, int32_t partition)
{
    char value[16];
    const int len = snprintf(value, sizeof(value), "r%u", i);
    const struct flv_msg msg = {.value = flv_slice(value, (size_t)len),
                                .partition = partition};

    assert_true(i < SENDS_MAX);
    sends[i].send.done = send_done;
    sends[i].send.user = &sends[i];
    return flv_producer_send(p, &msg, 1, &sends[i].send, NULL);
}

static void flush(struct rig *r, struct flv_producer *p)
{
    struct note n = {.came = false};

    assert_int_equal(flv_producer_flush(p, rig_done, &n, NULL), FLV_OK);
    rig_wait(r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
}

static void close_producer(struct rig *r, struct flv_producer *p)
{
    struct note n = {.came = false};

    flv_producer_close(p, 0, rig_closed, &n);
    rig_wait(r, &n);
}

/* Records 0 to count - 1 were stored once, in order, in partition 0, and
 * every send was completed once, with its offset. */
static void assert_stored(struct rig *r, unsigned count)
{
    char value[32];
    char expected[32];

    assert_int_equal(completed, count);
    assert_int_equal(r->f.parts[0].leo, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(sends[i].n.times, 1);
        assert_int_equal(sends[i].n.err.rc, FLV_OK);
        assert_int_equal(sends[i].offset, i);
        assert_true(fake_value(&r->f, 0, i, value, sizeof(value)));
        (void)snprintf(expected, sizeof(expected), "r%u", i);
        assert_string_equal(value, expected);
    }
}

static struct flv_producer_conf small_batches(void)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");

    conf.batch_size_bytes = 100; /* two or three records */
    return conf;
}

static void stores_records_in_order_and_completes_each(void **state)
{
    const struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    assert_int_equal(completed, 0); /* never from inside the call */
    assert_true(flv_producer_buffered_bytes(p) > 0);
    flush(&r, p);
    assert_stored(&r, 500);
    assert_int_equal(flv_producer_buffered_bytes(p), 0);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(sends[i].order, i);
    }
    close_producer(&r, p);
    rig_deinit(&r);
}

static void opening_tells_of_a_missing_topic(void **state)
{
    const struct flv_producer_conf conf = flv_producer_conf_default("absent");
    struct flv_producer *p = NULL;
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    assert_int_equal(flv_producer_open(&p, r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    assert_int_equal(send_n(p, 0, -1), FLV_E_BUSY);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_NOT_FOUND);
    assert_string_equal(n.err.text, "Topic not found: absent");
    assert_int_equal(send_n(p, 0, -1), FLV_E_NOT_FOUND);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void opening_waits_for_a_leader_only_so_long(void **state)
{
    const struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    rig_init(&r);
    r.f.no_leader = true;
    rig_client(&r, 100);
    assert_int_equal(flv_producer_open(&p, r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(n.err.text, "without a leader"));
    close_producer(&r, p);
    rig_deinit(&r);
}

/* --- losses --------------------------------------------------------------- */

static enum fake_act every_third_breaks(struct fake *f,
                                        uint32_t partition,
                                        const struct flv_batch_header *h,
                                        int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    (void)code;
    ++*n;
    return *n % 6 == 3   ? FAKE_ACT_CLOSE_BEFORE
           : *n % 6 == 0 ? FAKE_ACT_CLOSE_AFTER
                         : FAKE_ACT_ANSWER;
}

/* Sends so many records through a server that answers like that, and finds
 * each of them stored, in order; how often it was connected to. */
static unsigned
all_are_stored(enum fake_act (*on_produce)(struct fake *f,
                                           uint32_t partition,
                                           const struct flv_batch_header *h,
                                           int16_t *code),
               bool refuses_gaps,
               unsigned records)
{
    const struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;
    unsigned n = 0, connects;

    forget_sends();
    rig_init(&r);
    r.f.refuses_gaps = refuses_gaps;
    r.f.on_produce = on_produce;
    r.f.user = &n;
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < records; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flush(&r, p);
    assert_stored(&r, records);
    connects = r.f.connects;
    close_producer(&r, p);
    rig_deinit(&r);
    return connects;
}

static void losses_neither_repeat_nor_lose_nor_reorder(void **state)
{
    (void)state;
    assert_true(all_are_stored(every_third_breaks, true, 120) > 5);
}

static enum fake_act errors_that_pass(struct fake *f,
                                      uint32_t partition,
                                      const struct flv_batch_header *h,
                                      int16_t *code)
{
    static const int16_t codes[] = {
        FLV_WIRE_STORAGE_ERROR, FLV_WIRE_NOT_LEADER_FOR_PARTITION,
        FLV_WIRE_PARTITION_NOT_LEADER, FLV_WIRE_PARTITION_FULL,
        FLV_WIRE_SPU_OFFLINE};
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    ++*n;
    *code = codes[*n % COUNT(codes)];
    /* scattered, so that no batch meets an error on every try */
    return *n * 2654435761u >> 30 == 0 ? FAKE_ACT_ERROR : FAKE_ACT_ANSWER;
}

static void errors_that_pass_keep_the_order(void **state)
{
    (void)state;
    (void)all_are_stored(errors_that_pass, true, 100);
}

static enum fake_act not_yet_the_leader(struct fake *f,
                                        uint32_t partition,
                                        const struct flv_batch_header *h,
                                        int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    ++*n;
    *code = FLV_WIRE_NOT_LEADER_FOR_PARTITION;
    if (*n % 10 == 0) {
        return FAKE_ACT_CLOSE_BEFORE;
    }
    return *n == 1 || *n % 10 == 1 ? FAKE_ACT_ERROR : FAKE_ACT_ANSWER;
}

/* As a server of Fluvio's does, which knows no sequences: the first request of
 * a connection comes too early, those behind it do not. */
static void a_leader_to_be_gets_the_first_batch_alone(void **state)
{
    (void)state;
    assert_true(all_are_stored(not_yet_the_leader, false, 120) > 5);
}

static enum fake_act second_is_refused(struct fake *f,
                                       uint32_t partition,
                                       const struct flv_batch_header *h,
                                       int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    ++*n;
    *code = FLV_WIRE_MESSAGE_TOO_LARGE;
    return *n == 2 ? FAKE_ACT_ERROR : FAKE_ACT_ANSWER;
}

static void a_refused_batch_fails_alone(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;
    unsigned n = 0;
    unsigned failed = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.on_produce = second_is_refused;
    r.f.user = &n;
    rig_client(&r, 0);
    conf.batch_size_bytes = 1; /* one record each */
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flush(&r, p);
    assert_int_equal(completed, 20);
    for (unsigned i = 0; i < 20; i++) {
        char value[32];
        char expected[32];

        assert_int_equal(sends[i].n.times, 1);
        if (sends[i].n.err.rc != FLV_OK) {
            assert_int_equal(i, 1);
            assert_int_equal(sends[i].n.err.wire, FLV_WIRE_MESSAGE_TOO_LARGE);
            failed++;
            continue;
        }
        (void)snprintf(expected, sizeof(expected), "r%u", i);
        assert_true(
            fake_value(&r.f, 0, (int64_t)i - (i > 1), value, sizeof(value)));
        assert_string_equal(value, expected);
    }
    assert_int_equal(failed, 1);
    assert_int_equal(r.f.parts[0].leo, 19);
    close_producer(&r, p);
    rig_deinit(&r);
}

static enum fake_act disk_is_full(struct fake *f,
                                  uint32_t partition,
                                  const struct flv_batch_header *h,
                                  int16_t *code)
{
    (void)f;
    (void)partition;
    (void)h;
    *code = FLV_WIRE_PARTITION_FULL;
    return FAKE_ACT_ERROR;
}

static void a_full_disk_is_told_at_once_on_request(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.on_produce = disk_is_full;
    rig_client(&r, 0);
    conf.fail_on_storage = true;
    p = open_producer(&r, &conf);
    assert_int_equal(send_n(p, 0, -1), FLV_OK);
    rig_wait(&r, &sends[0].n);
    assert_int_equal(sends[0].n.err.wire, FLV_WIRE_PARTITION_FULL);
    assert_int_equal(r.f.produces, 1);
    r.f.on_produce = NULL;
    assert_int_equal(send_n(p, 1, -1), FLV_OK);
    rig_wait(&r, &sends[1].n);
    assert_int_equal(sends[1].n.err.rc, FLV_OK);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* A server that forgot the producer takes what is left under a new id. */
static void a_forgotten_producer_begins_anew(void **state)
{
    const struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flush(&r, p);
    r.f.producer_count = 0;
    for (unsigned i = 10; i < 30; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flush(&r, p);
    assert_stored(&r, 30);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* A later producer that sends the same under the same id adds nothing. */
static void what_is_sent_again_under_one_id_is_stored_once(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct rig r;

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    conf.producer_id = 4711;
    for (int life = 0; life < 2; life++) {
        struct flv_producer *p = open_producer(&r, &conf);

        forget_sends();
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(send_n(p, i, 0), FLV_OK);
        }
        flush(&r, p);
        assert_stored(&r, 3);
        close_producer(&r, p);
    }
    rig_deinit(&r);
}

static void an_id_of_the_callers_is_never_changed(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    conf.producer_id = 4711;
    p = open_producer(&r, &conf);
    assert_int_equal(send_n(p, 0, 0), FLV_OK);
    flush(&r, p);
    r.f.producer_count = 0; /* forgotten: what follows is out of sequence */
    assert_int_equal(send_n(p, 1, 0), FLV_OK);
    rig_wait(&r, &sends[1].n);
    assert_int_equal(sends[1].n.err.wire, FLV_WIRE_OFFSET_OUT_OF_RANGE);
    assert_int_equal(r.f.parts[0].leo, 1);
    close_producer(&r, p);
    conf.delivery = FLV_AT_MOST_ONCE;
    assert_int_equal(flv_producer_open(&p, r.c, &conf, rig_done, NULL, NULL),
                     FLV_E_INVALID);
    rig_deinit(&r);
}

static enum fake_act answers_nonsense_once(struct fake *f,
                                           uint32_t partition,
                                           const struct flv_batch_header *h,
                                           int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    (void)code;
    ++*n;
    return *n == 1   ? FAKE_ACT_GARBAGE
           : *n == 2 ? FAKE_ACT_OTHER
                     : FAKE_ACT_ANSWER;
}

static void nonsense_for_an_answer_is_an_error(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;
    unsigned n = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.on_produce = answers_nonsense_once;
    r.f.user = &n;
    rig_client(&r, 0);
    conf.batch_size_bytes = 1;
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
        flush(&r, p);
    }
    assert_int_equal(sends[0].n.err.rc, FLV_E_PROTOCOL);
    assert_int_equal(sends[1].n.err.rc, FLV_E_PROTOCOL);
    assert_int_equal(sends[2].n.err.rc, FLV_OK);
    close_producer(&r, p);
    rig_deinit(&r);
}

static enum fake_act silent_once(struct fake *f,
                                 uint32_t partition,
                                 const struct flv_batch_header *h,
                                 int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)h;
    (void)code;
    return ++*n == 2 ? FAKE_ACT_SILENT : FAKE_ACT_ANSWER;
}

static void a_hanging_server_is_left_and_asked_again(void **state)
{
    const struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;
    unsigned n = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.on_produce = silent_once;
    r.f.user = &n;
    rig_client(&r, 150);
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flush(&r, p);
    assert_stored(&r, 10);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void delivery_has_a_limit_that_names_the_reason(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    conf.delivery_timeout_ms = 150;
    p = open_producer(&r, &conf);
    fake_stop_spu(&r.f);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    rig_wait(&r, &sends[9].n);
    assert_int_equal(completed, 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(sends[i].n.err.rc, FLV_E_TIMEOUT);
        assert_int_equal(sends[i].order, i);
    }
    assert_non_null(strstr(sends[0].n.err.text, "127.0.0.1"));
    fake_start_spu(&r.f);
    assert_int_equal(send_n(p, 10, -1), FLV_OK);
    rig_wait(&r, &sends[10].n);
    assert_int_equal(sends[10].n.err.rc, FLV_OK);
    close_producer(&r, p);
    rig_deinit(&r);
}

static enum fake_act first_is_lost(struct fake *f,
                                   uint32_t partition,
                                   const struct flv_batch_header *h,
                                   int16_t *code)
{
    unsigned *n = f->user;

    (void)partition;
    (void)code;
    assert_int_equal(h->producer_id, -1);
    return ++*n == 1 ? FAKE_ACT_CLOSE_AFTER : FAKE_ACT_ANSWER;
}

static void at_most_once_is_never_repeated(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;
    unsigned n = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.on_produce = first_is_lost;
    r.f.user = &n;
    rig_client(&r, 0);
    conf.delivery = FLV_AT_MOST_ONCE;
    p = open_producer(&r, &conf);
    assert_int_equal(send_n(p, 0, -1), FLV_OK);
    rig_wait(&r, &sends[0].n);
    assert_int_equal(sends[0].n.err.rc, FLV_E_CLOSED);
    assert_int_equal(send_n(p, 1, -1), FLV_OK);
    rig_wait(&r, &sends[1].n);
    assert_int_equal(sends[1].n.err.rc, FLV_OK);
    assert_int_equal(r.f.parts[0].leo, 2);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* --- limits -----------------------------------------------------------------
 */

static void writable_came(void *user)
{
    rig_done(user, NULL);
}

static void a_full_buffer_pushes_back_until_writable(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct note writable = {.came = false};
    struct rig r;
    unsigned i = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    conf.buffer_bytes_max = 2000;
    conf.writable = writable_came;
    conf.user = &writable;
    p = open_producer(&r, &conf);
    while (send_n(p, i, -1) == FLV_OK) {
        i++;
        assert_true(i < 100);
    }
    assert_int_equal(send_n(p, i, -1), FLV_E_BUSY);
    assert_true(flv_producer_buffered_bytes(p) <= 2000);
    assert_int_equal(sends[i].n.times, 0);
    rig_wait(&r, &writable);
    assert_true(flv_producer_buffered_bytes(p) <= 1000);
    assert_int_equal(send_n(p, i, -1), FLV_OK);
    flush(&r, p);
    assert_stored(&r, i + 1);
    assert_int_equal(writable.times, 1);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void what_can_never_be_sent_is_refused(void **state)
{
    static char big[5000];
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    const struct flv_msg large = {.value = flv_slice(big, sizeof(big)),
                                  .partition = -1};
    const struct flv_msg stray = {.value = flv_slice("x", 1), .partition = 7};
    struct flv_msg many[3] = {{.value = flv_slice(big, 900), .partition = -1},
                              {.value = flv_slice(big, 900), .partition = -1},
                              {.value = flv_slice(big, 900), .partition = -1}};
    struct flv_producer *p = NULL;
    struct flv_err err;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    conf.request_size_bytes_max = 4096;
    conf.buffer_bytes_max = 2000;
    p = open_producer(&r, &conf);
    sends[0].send.done = send_done;
    sends[0].send.user = &sends[0];
    assert_int_equal(flv_producer_send(p, &large, 1, &sends[0].send, &err),
                     FLV_E_LIMIT);
    assert_non_null(strstr(err.text, "exceeded maximum request size"));
    assert_int_equal(flv_producer_send(p, &stray, 1, &sends[0].send, &err),
                     FLV_E_INVALID);
    assert_int_equal(flv_producer_send(p, many, 3, &sends[0].send, &err),
                     FLV_E_LIMIT);
    assert_int_equal(completed, 0);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void one_send_can_span_partitions(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct flv_msg msgs[40];
    struct rig r;
    int64_t total = 0;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.partitions = 4;
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    assert_int_equal(flv_producer_partition_count(p), 4);
    for (size_t i = 0; i < COUNT(msgs); i++) {
        msgs[i] = (struct flv_msg){.value = flv_slice("v", 1), .partition = -1};
    }
    sends[0].send.done = send_done;
    sends[0].send.user = &sends[0];
    assert_int_equal(
        flv_producer_send(p, msgs, COUNT(msgs), &sends[0].send, NULL), FLV_OK);
    flush(&r, p);
    assert_int_equal(sends[0].n.times, 1);
    assert_int_equal(sends[0].offset, 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(r.f.parts[i].leo, 10); /* round robin */
        total += r.f.parts[i].leo;
    }
    assert_int_equal(total, COUNT(msgs));
    assert_int_equal(r.f.produces, 4);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* Keys with the partitions that Fluvio's own producers choose, of 4. */
static void keys_go_where_fluvio_puts_them(void **state)
{
    static const struct {
        const char *key;
        uint32_t partition;
    } cases[] = {{"k", 2}, {"hello", 2}, {"key 0", 0}, {"abcdefghi", 2}};
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    r.f.partitions = 4;
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct flv_msg msg = {.key = flv_slice_str(cases[i].key),
                                    .value = flv_slice("v", 1),
                                    .has_key = true,
                                    .partition = -1};

        sends[i].send.done = send_done;
        sends[i].send.user = &sends[i];
        assert_int_equal(flv_producer_send(p, &msg, 1, &sends[i].send, NULL),
                         FLV_OK);
        rig_wait(&r, &sends[i].n);
        assert_int_equal(sends[i].partition, cases[i].partition);
    }
    close_producer(&r, p);
    rig_deinit(&r);
}

static void every_codec_arrives(void **state)
{
    (void)state;
    for (int codec = FLV_COMPRESSION_NONE; codec <= FLV_COMPRESSION_ZSTD;
         codec++) {
        struct flv_producer_conf conf = flv_producer_conf_default("events");
        struct flv_producer *p = NULL;
        struct rig r;

        forget_sends();
        rig_init(&r);
        rig_client(&r, 0);
        conf.compression = (enum flv_compression)codec;
        p = open_producer(&r, &conf);
        for (unsigned i = 0; i < 50; i++) {
            assert_int_equal(send_n(p, i, -1), FLV_OK);
        }
        flush(&r, p);
        assert_stored(&r, 50);
        close_producer(&r, p);
        rig_deinit(&r);
    }
}

static void the_topics_codec_is_kept_to(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    rig_init(&r);
    r.f.compression = FLV_WIRE_COMPRESSION_ZSTD;
    rig_client(&r, 0);
    conf.compression = FLV_COMPRESSION_GZIP;
    assert_int_equal(flv_producer_open(&p, r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_INVALID);
    assert_non_null(strstr(n.err.text, "zstd"));
    close_producer(&r, p);
    rig_deinit(&r);
}

static void lingering_records_share_a_batch(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    conf.linger_ms = 500;
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
        fake_run(&r.f, 2);
    }
    assert_int_equal(r.f.produces, 0);
    rig_wait(&r, &sends[4].n);
    assert_int_equal(r.f.produces, 1);
    assert_stored(&r, 5);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* --- metadata
 * ----------------------------------------------------------------- */

static void a_deleted_topic_fails_what_waits(void **state)
{
    struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    fake_stop_spu(&r.f);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    fake_set_topic(&r.f, false, 1);
    rig_wait(&r, &sends[4].n);
    assert_int_equal(sends[4].n.err.rc, FLV_E_NOT_FOUND);
    assert_int_equal(send_n(p, 5, -1), FLV_E_NOT_FOUND);
    fake_start_spu(&r.f);
    fake_set_topic(&r.f, true, 1);
    fake_run(&r.f, 30);
    assert_int_equal(send_n(p, 6, -1), FLV_OK);
    rig_wait(&r, &sends[6].n);
    assert_int_equal(sends[6].n.err.rc, FLV_OK);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void added_partitions_are_used(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    assert_int_equal(flv_producer_partition_count(p), 1);
    fake_set_topic(&r.f, true, 3);
    fake_run(&r.f, 30);
    assert_int_equal(flv_producer_partition_count(p), 3);
    assert_int_equal(send_n(p, 0, 2), FLV_OK);
    flush(&r, p);
    assert_int_equal(sends[0].partition, 2);
    assert_int_equal(r.f.parts[2].leo, 1);
    close_producer(&r, p);
    rig_deinit(&r);
}

static void an_spu_that_moves_is_followed(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    assert_int_equal(send_n(p, 0, -1), FLV_OK);
    flush(&r, p);
    fake_stop_spu(&r.f);
    assert_int_equal(send_n(p, 1, -1), FLV_OK);
    r.f.spu_port = 0;
    fake_start_spu(&r.f);
    fake_set_topic(&r.f, true, 1);
    flush(&r, p);
    assert_stored(&r, 2);
    close_producer(&r, p);
    rig_deinit(&r);
}

/* --- closing
 * ------------------------------------------------------------------ */

static void closing_drains_or_cancels(void **state)
{
    const struct flv_producer_conf conf = small_batches();
    struct flv_producer *p = NULL;
    struct note closed = {.came = false};
    struct rig r;

    (void)state;
    forget_sends();
    rig_init(&r);
    rig_client(&r, 0);
    p = open_producer(&r, &conf);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    flv_producer_close(p, 10000, rig_closed, &closed);
    rig_wait(&r, &closed);
    assert_stored(&r, 20);
    p = open_producer(&r, &conf);
    fake_stop_spu(&r.f);
    for (unsigned i = 20; i < 30; i++) {
        assert_int_equal(send_n(p, i, -1), FLV_OK);
    }
    closed = (struct note){.came = false};
    flv_producer_close(p, 50, rig_closed, &closed);
    rig_wait(&r, &closed);
    for (unsigned i = 20; i < 30; i++) {
        assert_int_equal(sends[i].n.times, 1);
        assert_int_equal(sends[i].n.err.rc, FLV_E_CANCELED);
    }
    rig_deinit(&r);
}

static void closing_at_any_moment_completes_every_send(void **state)
{
    const struct flv_producer_conf conf = small_batches();

    (void)state;
    for (unsigned turns = 0; turns < 60; turns++) {
        struct flv_producer *p = NULL;
        struct note opened = {.came = false};
        struct rig r;
        unsigned n = 0;
        unsigned count = 0;

        forget_sends();
        rig_init(&r);
        r.f.on_produce = every_third_breaks;
        r.f.user = &n;
        rig_client(&r, 0);
        assert_int_equal(
            flv_producer_open(&p, r.c, &conf, rig_done, &opened, NULL), FLV_OK);
        for (unsigned i = 0; i < turns; i++) {
            (void)flv_loop_turn(r.f.loop, false);
            if (opened.came && send_n(p, count, -1) == FLV_OK) {
                count++;
            }
        }
        rig_deinit(&r); /* closes the client with everything on it */
        assert_int_equal(opened.times, 1);
        assert_int_equal(completed, count);
    }
}

static void survives_each_failing_allocation(void **state)
{
    const struct flv_producer_conf conf = small_batches();
    uint64_t nth = 1;

    (void)state;
    for (bool fired = true; fired; nth++) {
        struct flv_producer *p = NULL;
        struct note n = {.came = false};
        struct rig r;
        unsigned count = 0;

        forget_sends();
        rig_init(&r);
        rig_client(&r, 300);
        fake_fail_at(nth);
        if (flv_producer_open(&p, r.c, &conf, rig_done, &n, NULL) == FLV_OK) {
            rig_wait(&r, &n);
            for (unsigned i = 0; n.err.rc == FLV_OK && i < 8; i++) {
                if (send_n(p, count, -1) == FLV_OK) {
                    count++;
                }
            }
            for (unsigned i = 0; i < count; i++) {
                rig_wait(&r, &sends[i].n);
            }
        }
        fired = fake_fail_end();
        assert_int_equal(completed, count);
        rig_deinit(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_records_in_order_and_completes_each),
        cmocka_unit_test(opening_tells_of_a_missing_topic),
        cmocka_unit_test(opening_waits_for_a_leader_only_so_long),
        cmocka_unit_test(losses_neither_repeat_nor_lose_nor_reorder),
        cmocka_unit_test(errors_that_pass_keep_the_order),
        cmocka_unit_test(a_leader_to_be_gets_the_first_batch_alone),
        cmocka_unit_test(a_refused_batch_fails_alone),
        cmocka_unit_test(a_full_disk_is_told_at_once_on_request),
        cmocka_unit_test(a_forgotten_producer_begins_anew),
        cmocka_unit_test(what_is_sent_again_under_one_id_is_stored_once),
        cmocka_unit_test(an_id_of_the_callers_is_never_changed),
        cmocka_unit_test(nonsense_for_an_answer_is_an_error),
        cmocka_unit_test(a_hanging_server_is_left_and_asked_again),
        cmocka_unit_test(delivery_has_a_limit_that_names_the_reason),
        cmocka_unit_test(at_most_once_is_never_repeated),
        cmocka_unit_test(a_full_buffer_pushes_back_until_writable),
        cmocka_unit_test(what_can_never_be_sent_is_refused),
        cmocka_unit_test(one_send_can_span_partitions),
        cmocka_unit_test(keys_go_where_fluvio_puts_them),
        cmocka_unit_test(every_codec_arrives),
        cmocka_unit_test(the_topics_codec_is_kept_to),
        cmocka_unit_test(lingering_records_share_a_batch),
        cmocka_unit_test(a_deleted_topic_fails_what_waits),
        cmocka_unit_test(added_partitions_are_used),
        cmocka_unit_test(an_spu_that_moves_is_followed),
        cmocka_unit_test(closing_drains_or_cancels),
        cmocka_unit_test(closing_at_any_moment_completes_every_send),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
