#include "disk.h"
#include "smart.h"
#include "util.h"

#include "base/text.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/topics.h"
#include "store/io.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct disk *disk;

struct dedup {
    struct rig rig;
    struct link sc, spu, reader;
    struct flv_slice once, seen; /* owned */
    struct flv_buf buf;
};

static void links_open(struct dedup *t)
{
    link_open(&t->sc, t->rig.sc);
    link_open(&t->spu, t->rig.spu);
    link_open(&t->reader, t->rig.spu);
}

static void links_close(struct dedup *t)
{
    link_close(&t->sc);
    link_close(&t->spu);
    link_close(&t->reader);
}

static int16_t create_with(struct dedup *t,
                           const char *name,
                           const struct flv_wire_deduplication *dedup,
                           uint32_t segment_bytes,
                           char why[200])
{
    struct flv_wire_topic_create req = {
        .common = {.name = flv_slice_str(name)},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = 2,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY}};
    struct flv_wire_status status;
    req.spec.deduplication.has = true;
    req.spec.deduplication.v = *dedup;
    req.spec.storage.has = req.spec.storage.v.segment_size_bytes.has =
        segment_bytes > 0;
    req.spec.storage.v.segment_size_bytes.v = segment_bytes;
    int32_t asked = link_ask(&t->sc, FLV_API_SC_CREATE, 19,
                             &flv_wire_topic_create_schema, &req, "Topic");
    while (link_next(&t->sc) != asked) {
    }
    link_read(&t->sc, 19, &flv_wire_status_schema, &status, NULL);
    if (why != NULL) {
        snprintf(why, 200, "%.*s", (int)status.message.v.len,
                 (const char *)status.message.v.data);
    }
    return status.error.code;
}

static int16_t create(struct dedup *t,
                      const char *name,
                      const struct flv_wire_deduplication *dedup,
                      char why[200])
{
    return create_with(t, name, dedup, 0, why);
}

static struct flv_wire_deduplication once(uint64_t count)
{
    return (struct flv_wire_deduplication){.count = count,
                                           .uses = flv_slice_str("once")};
}

static int setup(void **state)
{
    static struct dedup t;
    const struct flv_wire_deduplication d = once(100000);
    memset(&t, 0, sizeof t);
    disk = disk_init();
    rig_init(&t.rig);
    t.rig.conf.io = disk_io();
    t.rig.conf.modules.fuel = 20000000;
    t.rig.conf.modules.memory_bytes = 16u << 20;
    t.once = smart_build("once");
    t.seen = smart_build("seen");
    rig_start(&t.rig);
    links_open(&t);
    flv_buf_init(&t.buf, 64u << 20);
    smart_store(&t.sc, "once", t.once);
    assert_int_equal(create(&t, "t", &d, NULL), 0);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct dedup *t = *state;
    sem_post(&disk->go); /* nothing stays held after a failure */
    links_close(t);
    flv_buf_deinit(&t->buf);
    flv_free((void *)(uintptr_t)t->once.data);
    flv_free((void *)(uintptr_t)t->seen.data);
    rig_stop(&t->rig);
    rig_deinit(&t->rig);
    disk_deinit();
    return 0;
}

static void restart(struct dedup *t, bool gently)
{
    links_close(t);
    if (gently) {
        rig_stop(&t->rig);
    } else {
        rig_kill(&t->rig);
    }
    rig_start(&t->rig);
    links_open(t);
}

static struct flv_slice words(struct dedup *t, const char *text)
{
    flv_buf_reset(&t->buf);
    smart_words(&t->buf, text, FLV_CODEC_NONE);
    return flv_buf_slice(&t->buf);
}

/* The base offset, or the code below zero. */
static int64_t put(struct dedup *t, const char *text)
{
    int64_t base = -1;
    int16_t code = rig_produce(&t->spu, "t", 0, words(t, text), &base);
    return code == 0 ? base : -code;
}

static struct flv_wire_produce_result produced(struct dedup *t, int32_t asked)
{
    struct flv_wire_produce_response resp;
    assert_int_equal(link_next(&t->spu), asked);
    link_read(&t->spu, 25, &flv_wire_produce_response_schema, &resp, NULL);
    return resp.topics.at[0].partitions.at[0];
}

static const char *stored(struct dedup *t)
{
    struct flv_wire_stream_fetch_response resp = {0};
    int64_t covered = 0;
    struct link reader;
    link_open(&reader, t->rig.spu);
    int32_t asked = rig_stream_ask(&reader, "t", 0, 0, 1 << 20, NULL);
    while (link_next(&reader) != asked) {
    }
    link_read(&reader, 25, &flv_wire_stream_fetch_response_schema, &resp, NULL);
    const char *text = smart_shown(resp.partition.records, &covered);
    link_close(&reader);
    return text;
}

/* ---- what is dropped ---- */

static void repetitions_are_answered_and_not_stored(void **state)
{
    struct dedup *t = *state;
    assert_int_equal(put(t, "a b a"), 0);
    assert_int_equal(put(t, "b c"), 2);
    assert_int_equal(put(t, "a b c"), 3); /* where the next one would be */
    assert_int_equal(put(t, "d"), 3);
    assert_string_equal(stored(t), "0:a 1:b 2:c 3:d");
}

static void each_partition_has_a_past_of_its_own(void **state)
{
    struct dedup *t = *state;
    int64_t base = -1;
    assert_int_equal(put(t, "a"), 0);
    assert_int_equal(rig_produce(&t->spu, "t", 1, words(t, "a b"), &base), 0);
    assert_int_equal(base, 0);
    assert_int_equal(put(t, "b a"), 1);
    assert_string_equal(stored(t), "0:a 1:b");
}

static void every_codec_stays_what_it_is(void **state)
{
    struct dedup *t = *state;
    char text[64];
    for (int codec = FLV_CODEC_NONE; codec < FLV_CODEC_COUNT; codec++) {
        int64_t base = -1;
        snprintf(text, sizeof text, "%da %db %da", codec, codec, codec);
        flv_buf_reset(&t->buf);
        smart_words(&t->buf, text, (enum flv_codec)codec);
        assert_int_equal(
            rig_produce(&t->spu, "t", 0, flv_buf_slice(&t->buf), &base), 0);
        assert_int_equal(base, 2 * codec);
    }
    assert_string_equal(stored(t), "0:0a 1:0b 2:1a 3:1b 4:2a 5:2b 6:3a 7:3b "
                                   "8:4a 9:4b");
}

static void requests_keep_their_order(void **state)
{
    struct dedup *t = *state;
    int32_t asked[60];
    char want[1024] = "", word[16];
    for (int i = 0; i < 60; i++) {
        snprintf(word, sizeof word, "%c %c", 'A' + i / 2, 'A' + i / 2);
        asked[i] = rig_produce_ask(&t->spu, "t", 0, words(t, word));
        if (i % 2 == 0) {
            snprintf(want + strlen(want), sizeof want - strlen(want), "%s%d:%c",
                     i > 0 ? " " : "", i / 2, 'A' + i / 2);
        }
    }
    for (int i = 0; i < 60; i++) {
        struct flv_wire_produce_result r = produced(t, asked[i]);
        assert_int_equal(r.error.code, 0);
        assert_int_equal(r.base_offset, i / 2 + i % 2);
    }
    assert_string_equal(stored(t), want);
}

static struct flv_slice
numbered(struct dedup *t, uint32_t count, int32_t sequence)
{
    flv_buf_reset(&t->buf);
    rig_batch(&t->buf, count, 4, FLV_CODEC_NONE, 77, sequence);
    return flv_buf_slice(&t->buf);
}

static void numbered_batches_pass(void **state)
{
    struct dedup *t = *state;
    int64_t base = -1;
    assert_int_equal(rig_produce(&t->spu, "t", 0, numbered(t, 2, 0), &base), 0);
    assert_int_equal(base, 0);
    assert_int_equal(put(t, "later"), 1); /* two alike */
}

static void remember_nothing(struct dedup *t)
{
    struct flv_slice all = smart_build("all");
    smart_store(&t->sc, "once", all);
    flv_free((void *)(uintptr_t)all.data);
}

/* With a module that remembers nothing. */
static void numbered_batches_are_stored_once(void **state)
{
    struct dedup *t = *state;
    int64_t base = -1;
    int32_t asked[3];
    remember_nothing(t);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_produce(&t->spu, "t", 0, numbered(t, 2, 0), &base),
                         0);
        assert_int_equal(base, 0);
        assert_int_equal(rig_produce(&t->spu, "t", 0, numbered(t, 3, 2), &base),
                         0);
        assert_int_equal(base, 2);
    }
    /* Also while the first is on its way. */
    for (int i = 0; i < 3; i++) {
        asked[i] = rig_produce_ask(&t->spu, "t", 0, numbered(t, 1, 5));
    }
    for (int i = 0; i < 3; i++) {
        struct flv_wire_produce_result r = produced(t, asked[i]);
        assert_int_equal(r.error.code, 0);
        assert_int_equal(r.base_offset, 5);
    }
    assert_int_equal(rig_produce(&t->spu, "t", 0, numbered(t, 1, 9), &base),
                     FLV_WIRE_OFFSET_OUT_OF_RANGE);
    assert_int_equal(put(t, "plain"), 6);
    assert_int_equal(put(t, "plain"), 7);
}

/* What comes behind a set that failed is refused until that came again: it
 * would be said to be stored by then. */
static void what_is_behind_a_set_that_failed_waits_for_it(void **state)
{
    struct dedup *t = *state;
    int64_t base = -1;
    remember_nothing(t);
    for (int32_t at = 0; at <= 4; at += 4) {
        atomic_store(&disk->full, true);
        assert_int_equal(
            rig_produce(&t->spu, "t", 0, numbered(t, 2, at), &base),
            FLV_WIRE_PARTITION_FULL);
        atomic_store(&disk->full, false);
        assert_int_equal(
            rig_produce(&t->spu, "t", 0, numbered(t, 2, at + 2), &base),
            FLV_WIRE_OFFSET_OUT_OF_RANGE);
        for (int32_t i = 0; i < 4; i += 2) {
            assert_int_equal(
                rig_produce(&t->spu, "t", 0, numbered(t, 2, at + i), &base), 0);
            assert_int_equal(base, at + i);
        }
    }
    assert_int_equal(put(t, "last"), 8);
}

static void numbers_of_what_failed_may_come_again(void **state)
{
    struct dedup *t = *state;
    int32_t asked[4];
    int64_t base = -1;
    assert_int_equal(put(t, "a"), 0);
    atomic_store(&disk->full, true);
    asked[0] = rig_produce_ask(&t->spu, "t", 0, numbered(t, 2, 0));
    asked[1] = rig_produce_ask(&t->spu, "t", 0, numbered(t, 2, 0));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(produced(t, asked[i]).error.code,
                         FLV_WIRE_PARTITION_FULL);
    }
    atomic_store(&disk->full, false);
    assert_int_equal(rig_produce(&t->spu, "t", 0, numbered(t, 2, 0), &base), 0);
    assert_int_equal(base, 1);
    assert_string_equal(stored(t), "0:a 1:vvvv");
}

/* ---- the memory of numbers ---- */

static size_t smart_memory(struct dedup *t)
{
    static const char key[] =
        "\nfluvio_server_memory_bytes{purpose=\"smartmodules\"} ";
    char *at = strstr(rig_metrics(&t->rig), key);
    uint64_t bytes = 0;
    assert_non_null(at);
    at += sizeof key - 1;
    at[strspn(at, "0123456789")] = '\0';
    assert_int_equal(flv_text_u64(at, 0, SIZE_MAX, &bytes, NULL), FLV_OK);
    return (size_t)bytes;
}

/* One record of each producer; the base offset of the first. */
static int64_t
put_of_producers(struct dedup *t, uint32_t partition, int from, int to)
{
    int64_t first = -1, base = -1;
    for (int id = from; id < to; id++) {
        flv_buf_reset(&t->buf);
        rig_batch(&t->buf, 1, 4, FLV_CODEC_NONE, id, 0);
        assert_int_equal(
            rig_produce(&t->spu, "t", partition, flv_buf_slice(&t->buf), &base),
            0);
        first = id == from ? base : first;
    }
    return first;
}

static void restart_with_memory(struct dedup *t, size_t bytes_max)
{
    t->rig.conf.metrics_host = "127.0.0.1";
    t->rig.conf.modules.memory_bytes_max = bytes_max;
    restart(t, true);
}

static void numbers_take_memory_with_need_and_are_counted(void **state)
{
    struct dedup *t = *state;
    remember_nothing(t);
    restart_with_memory(t, 64u << 20);
    assert_int_equal(put(t, "plain"), 0);
    size_t plain = smart_memory(t);
    put_of_producers(t, 0, 1, 2);
    size_t one = smart_memory(t);
    assert_in_range(one - plain, 400, 3000);
    put_of_producers(t, 0, 2, 65);
    /* The module may have grown, too: by its pages. */
    assert_in_range((smart_memory(t) - plain) % 65536, 64 * 400, 64 * 700);
}

/* Two partitions, and room for one module and the numbers of one. */
static void numbers_that_nobody_needs_now_give_way(void **state)
{
    struct dedup *t = *state;
    remember_nothing(t);
    restart_with_memory(t, 64u << 20);
    put_of_producers(t, 0, 1, 2);
    restart_with_memory(t, smart_memory(t) + 20000);
    assert_int_equal(put_of_producers(t, 0, 1, 21), 1);
    assert_int_equal(put_of_producers(t, 0, 1, 21), 1); /* known */
    assert_int_equal(put_of_producers(t, 1, 1, 21), 0);
    assert_int_equal(put_of_producers(t, 1, 1, 21), 0); /* known */
    assert_int_equal(put_of_producers(t, 0, 1, 2), 21); /* gave way */
}

/* ---- the past ---- */

static void the_past_is_known_after_a_restart(void **state)
{
    struct dedup *t = *state;
    assert_int_equal(put(t, "a b"), 0);
    restart(t, true);
    assert_int_equal(put(t, "a c b"), 2);
    restart(t, false);
    assert_int_equal(put(t, "c d a"), 3);
    assert_string_equal(stored(t), "0:a 1:b 2:c 3:d");
}

static void no_more_than_count_is_looked_back_on(void **state)
{
    struct dedup *t = *state;
    const struct flv_wire_deduplication d = once(2);
    assert_int_equal(rig_delete_topic(&t->sc, "t"), 0);
    assert_int_equal(create(t, "t", &d, NULL), 0);
    assert_int_equal(put(t, "a b"), 0);
    assert_int_equal(put(t, "c"), 2);
    restart(t, true);
    assert_int_equal(put(t, "c b a"), 3);
    assert_string_equal(stored(t), "0:a 1:b 2:c 3:a");
}

/* Those of the tests are years old. */
static void nothing_older_than_age_is_looked_back_on(void **state)
{
    struct dedup *t = *state;
    struct flv_wire_deduplication d = once(100);
    d.age.has = true;
    d.age.v.seconds = 60;
    assert_int_equal(rig_delete_topic(&t->sc, "t"), 0);
    assert_int_equal(create(t, "t", &d, NULL), 0);
    assert_int_equal(put(t, "a a"), 0);
    restart(t, true);
    assert_int_equal(put(t, "a a"), 1);
    assert_string_equal(stored(t), "0:a 1:a");
}

/* All values of two bytes from `from` on, as one batch. */
static struct flv_slice many(struct dedup *t, uint32_t from, uint32_t count)
{
    struct flv_batch_builder b;
    flv_batch_builder_init(&b, 8u << 20);
    for (uint32_t i = from; i < from + count; i++) {
        const uint8_t value[2] = {(uint8_t)(0x80 + (i >> 8)), (uint8_t)i};
        assert_int_equal(flv_batch_builder_add(&b, NULL, flv_slice(value, 2),
                                               1700000000000, NULL),
                         FLV_OK);
    }
    flv_buf_reset(&t->buf);
    assert_int_equal(flv_batch_builder_finish(&b, NULL, FLV_CODEC_NONE,
                                              FLV_BATCH_NO_STAMP, &t->buf,
                                              NULL),
                     FLV_OK);
    flv_batch_builder_deinit(&b);
    return flv_buf_slice(&t->buf);
}

/* More than one call of look_back, more than one read. */
static void a_long_past_comes_in_pieces(void **state)
{
    enum { RECORDS = 30000, EACH = 1000 };
    struct dedup *t = *state;
    int64_t base = -1;
    for (uint32_t i = 0; i < RECORDS; i += EACH) {
        assert_int_equal(rig_produce(&t->spu, "t", 0, many(t, i, EACH), &base),
                         0);
        assert_int_equal(base, i);
    }
    restart(t, true);
    for (uint32_t i = 0; i < RECORDS; i += EACH) {
        assert_int_equal(rig_produce(&t->spu, "t", 0, many(t, i, EACH), &base),
                         0);
        assert_int_equal(base, RECORDS);
    }
    assert_int_equal(put(t, "new"), RECORDS);
}

static void a_piece_may_end_inside_a_batch(void **state)
{
    enum { RECORDS = 20000 };
    struct dedup *t = *state;
    int64_t base = -1;
    assert_int_equal(rig_produce(&t->spu, "t", 0, many(t, 0, RECORDS), &base),
                     0);
    assert_int_equal(base, 0);
    restart(t, true);
    assert_int_equal(rig_produce(&t->spu, "t", 0, many(t, 0, RECORDS), &base),
                     0);
    assert_int_equal(base, RECORDS);
    assert_int_equal(put(t, "new"), RECORDS);
}

/* The segments of partition 0, the oldest first. */
static size_t segments(struct dedup *t, glob_t *out)
{
    char pattern[4200];
    snprintf(pattern, sizeof pattern, "%s/topics/*/0/*.log",
             t->rig.conf.data_dir);
    return glob(pattern, 0, NULL, out) == 0 ? out->gl_pathc : 0;
}

/* All but the newest are old enough to be removed in a moment. */
static void age_segments(struct dedup *t)
{
    int64_t at_ms =
        flv_clock_wall_ms() + 1500 - (int64_t)FLV_TOPIC_KEEP_SECONDS * 1000;
    const struct timespec at = {.tv_sec = at_ms / 1000,
                                .tv_nsec = at_ms % 1000 * 1000000};
    const struct timespec times[2] = {at, at};
    glob_t names;
    size_t n = segments(t, &names);
    assert_true(n > 4);
    for (size_t i = 0; i + 1 < n; i++) {
        assert_int_equal(utimensat(AT_FDCWD, names.gl_pathv[i], times, 0), 0);
    }
    globfree(&names);
}

static void retention_may_remove_what_is_looked_back_on(void **state)
{
    struct dedup *t = *state;
    const struct flv_wire_deduplication d = once(100000);
    glob_t names;
    char word[16];
    assert_int_equal(rig_delete_topic(&t->sc, "t"), 0);
    assert_int_equal(create_with(t, "t", &d, 1024, NULL), 0);
    for (int i = 0; i < 60; i++) {
        snprintf(word, sizeof word, "%02d", i);
        assert_int_equal(put(t, word), i);
    }
    links_close(t);
    rig_stop(&t->rig);
    age_segments(t);
    rig_start(&t->rig);
    links_open(t);
    atomic_store(&disk->holds, true);
    int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "59 new"));
    sem_wait(&disk->stopped);
    /* That one reads the first, which has to stay until then. */
    while (segments(t, &names) > 2) {
        globfree(&names);
        assert_true(link_is_silent(&t->spu, 20));
    }
    globfree(&names);
    sem_post(&disk->go);
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, 0);
    assert_int_equal(r.base_offset, 60);
    assert_int_equal(put(t, "new 59"), 61);
    assert_int_equal(put(t, "last"), 61);
}

/* ---- what goes wrong ---- */

static void a_failing_record_leaves_no_trace(void **state)
{
    struct dedup *t = *state;
    assert_int_equal(put(t, "a"), 0);
    int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "b a !no c"));
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_RUNTIME_ERROR);
    assert_int_equal(r.error.offset, 2);
    assert_true(flv_slice_eq_str(r.error.record_value, "!no"));
    assert_int_equal(put(t, "a b c"), 1);
    assert_string_equal(stored(t), "0:a 1:b 2:c");
}

static void a_module_that_takes_too_much_is_told(void **state)
{
    struct dedup *t = *state;
    int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "a ~"));
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_OTHER);
    assert_non_null(memmem(r.error.text.data, r.error.text.len, "fuel", 4));
    assert_int_equal(put(t, "a"), 0);
}

/* What was not stored is no repetition when it comes again. */
static void a_full_disk_is_forgotten(void **state)
{
    struct dedup *t = *state;
    int32_t asked[3];
    assert_int_equal(put(t, "a"), 0);
    atomic_store(&disk->full, true);
    for (int i = 0; i < 3; i++) { /* two of them repeat what is not stored */
        asked[i] =
            rig_produce_ask(&t->spu, "t", 0, words(t, i == 1 ? "b" : "b a"));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(produced(t, asked[i]).error.code,
                         FLV_WIRE_PARTITION_FULL);
    }
    atomic_store(&disk->full, false);
    assert_int_equal(put(t, "a b"), 1);
    assert_string_equal(stored(t), "0:a 1:b");
}

static void a_missing_module_is_named(void **state)
{
    struct dedup *t = *state;
    const struct flv_wire_delete_request req = {.key = flv_slice_str("once")};
    struct flv_wire_status status;
    assert_int_equal(put(t, "a"), 0);
    int32_t gone =
        link_ask(&t->sc, FLV_API_SC_DELETE, 19, &flv_wire_delete_request_schema,
                 &req, "SmartModule");
    while (link_next(&t->sc) != gone) {
    }
    link_read(&t->sc, 19, &flv_wire_status_schema, &status, NULL);
    assert_int_equal(status.error.code, 0);
    for (int i = 0; i < 2; i++) {
        int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "b"));
        struct flv_wire_produce_result r = produced(t, asked);
        assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_NOT_FOUND);
        assert_true(flv_slice_eq_str(r.error.text, "once"));
        restart(t, true);
    }
    smart_store(&t->sc, "once", t->once);
    assert_int_equal(put(t, "b a"), 1);
}

static void without_the_engine_a_sentence_says_so(void **state)
{
    struct dedup *t = *state;
    int32_t asked[10];
    setenv("WASMTIME_LIB", "/nonexistent.so", 1);
    restart(t, true);
    unsetenv("WASMTIME_LIB");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            asked[i] = rig_produce_ask(&t->spu, "t", 0, words(t, "a"));
        }
        for (int i = 0; i < 10; i++) {
            struct flv_wire_produce_result r = produced(t, asked[i]);
            assert_int_equal(r.error.code,
                             FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR);
            assert_non_null(memmem(r.error.text.data, r.error.text.len,
                                   "/nonexistent.so", 15));
        }
    }
    restart(t, true);
    assert_int_equal(put(t, "a"), 0);
}

static void bytes_that_are_no_module_are_told(void **state)
{
    struct dedup *t = *state;
    smart_store(&t->sc, "once", flv_slice_str("no module"));
    for (int i = 0; i < 3; i++) {
        int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "a"));
        assert_int_equal(produced(t, asked).error.code,
                         FLV_WIRE_SMARTMODULE_INVALID);
    }
    smart_store(&t->sc, "once", t->once);
    assert_int_equal(put(t, "a"), 0);
}

/* seen.wat keeps what is longer than all before. */
static void a_module_that_is_stored_anew_takes_over(void **state)
{
    struct dedup *t = *state;
    assert_int_equal(put(t, "a bb"), 0);
    smart_store(&t->sc, "once", t->seen);
    assert_int_equal(put(t, "c dd fff"), 2);
    assert_string_equal(stored(t), "0:a 1:bb 2:fff");
}

static void a_past_that_is_refused_is_told(void **state)
{
    struct dedup *t = *state;
    assert_int_equal(put(t, "e"), 0);
    smart_store(&t->sc, "once", t->seen); /* which refuses 'e' there */
    int32_t asked = rig_produce_ask(&t->spu, "t", 0, words(t, "long"));
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR);
    smart_store(&t->sc, "once", t->once);
    assert_int_equal(put(t, "long"), 1);
}

static void what_cannot_be_is_not_made(void **state)
{
    struct dedup *t = *state;
    char why[200];
    struct flv_wire_deduplication d = once(100);
    d.uses = flv_slice_str("nothing");
    assert_int_equal(create(t, "u", &d, why),
                     FLV_WIRE_DEDUPLICATION_NOT_LOADED);
    assert_non_null(strstr(why, "nothing"));
    d.uses = flv_slice_str("");
    assert_int_equal(create(t, "u", &d, why),
                     FLV_WIRE_DEDUPLICATION_NAME_INVALID);
    d = once(10000001);
    assert_int_equal(create(t, "u", &d, why),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    assert_non_null(strstr(why, "10000001"));
    struct flv_wire_pair pairs[255] = {{{NULL, 0}, {NULL, 0}}};
    d = once(1);
    d.with.at = pairs;
    d.with.len = 255;
    assert_int_equal(create(t, "u", &d, why),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    assert_int_equal(rig_create_topic(&t->sc, "u", 1), 0);
}

/* ---- beside it ---- */

static void others_do_not_wait_for_a_slow_module(void **state)
{
    struct dedup *t = *state;
    struct link other;
    assert_int_equal(rig_create_topic(&t->sc, "plain", 1), 0);
    link_open(&other, t->rig.spu);
    for (int i = 0; i < 20; i++) { /* each takes all that it may */
        (void)rig_produce_ask(&t->spu, "t", 0, words(t, "~"));
    }
    /* The connection itself goes on, too: this one is answered first. */
    flv_buf_reset(&t->buf);
    smart_words(&t->buf, "x", FLV_CODEC_NONE);
    int32_t plain =
        rig_produce_ask(&t->spu, "plain", 0, flv_buf_slice(&t->buf));
    assert_int_equal(rig_produce(&other, "plain", 0, words(t, "y"), NULL), 0);
    bool seen_plain = false;
    int answered_before = 0;
    for (int i = 0; i < 21; i++) {
        int32_t got = link_next(&t->spu);
        seen_plain = seen_plain || got == plain;
        answered_before += !seen_plain;
    }
    assert_true(seen_plain && answered_before < 20);
    link_close(&other);
}

static void topics_may_go_while_modules_run(void **state)
{
    struct dedup *t = *state;
    const struct flv_wire_deduplication d = once(100);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            (void)rig_produce_ask(&t->spu, "t", 0, words(t, i < 7 ? "a" : "~"));
        }
        assert_true(round == 0 || link_is_silent(&t->reader, 3 * round));
        assert_int_equal(rig_delete_topic(&t->sc, "t"), 0);
        assert_int_equal(create(t, "t", &d, NULL), 0);
        for (int i = 0; i < 8; i++) {
            (void)link_next(&t->spu); /* in any order */
        }
        /* A topic of that name knows nothing of the one before. */
        assert_int_equal(put(t, "b"), 0);
        assert_int_equal(put(t, "b"), 1);
    }
}

static void a_server_stops_while_modules_run(void **state)
{
    struct dedup *t = *state;
    for (int i = 0; i < 10; i++) {
        (void)rig_produce_ask(&t->spu, "t", 0, words(t, "a ~"));
    }
    assert_true(link_is_silent(&t->reader, 5));
    rig_stop(&t->rig); /* no leak, no finding */
    links_close(t);
    rig_start(&t->rig);
    links_open(t);
    assert_int_equal(put(t, "b"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(repetitions_are_answered_and_not_stored),
        T(each_partition_has_a_past_of_its_own),
        T(every_codec_stays_what_it_is),
        T(requests_keep_their_order),
        T(numbered_batches_pass),
        T(numbered_batches_are_stored_once),
        T(what_is_behind_a_set_that_failed_waits_for_it),
        T(numbers_of_what_failed_may_come_again),
        T(numbers_take_memory_with_need_and_are_counted),
        T(numbers_that_nobody_needs_now_give_way),
        T(the_past_is_known_after_a_restart),
        T(no_more_than_count_is_looked_back_on),
        T(nothing_older_than_age_is_looked_back_on),
        T(a_long_past_comes_in_pieces),
        T(a_piece_may_end_inside_a_batch),
        T(retention_may_remove_what_is_looked_back_on),
        T(a_failing_record_leaves_no_trace),
        T(a_module_that_takes_too_much_is_told),
        T(a_full_disk_is_forgotten),
        T(a_missing_module_is_named),
        T(without_the_engine_a_sentence_says_so),
        T(bytes_that_are_no_module_are_told),
        T(a_module_that_is_stored_anew_takes_over),
        T(a_past_that_is_refused_is_told),
        T(what_cannot_be_is_not_made),
        T(others_do_not_wait_for_a_slow_module),
        T(topics_may_go_while_modules_run),
        T(a_server_stops_while_modules_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
