/*
 * Streams with SmartModules that come from disk: the next frame is read while
 * this one is made (src/server/sifting.c).
 */
#include "smart.h"

#include "base/mem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- frames from disk ---- */

#define STORED_BATCHES 400
#define SMALL_FRAME 2048

/* Two records a batch, the even ones pass; in no tail any more. */
static void store_pairs(struct smart *t)
{
    for (int i = 0; i < STORED_BATCHES; i++) {
        char words[32];
        snprintf(words, sizeof words, "k%d x%d", 2 * i, 2 * i + 1);
        smart_put(t, words);
    }
    smart_restart(t);
}

static int32_t fetch_from(struct smart *t,
                          int64_t offset,
                          int32_t max_bytes,
                          bool through_module)
{
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .fetch_offset = offset,
                                                .max_bytes = max_bytes};
    req.smartmodules.at = &m;
    req.smartmodules.len = through_module;
    return link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 25,
                    &flv_wire_stream_fetch_request_schema, &req, NULL);
}

static int32_t fetch_small(struct smart *t, bool through_module)
{
    return fetch_from(t, 0, SMALL_FRAME, through_module);
}

/* A frame that begins at `from` and has what passes from there on; where it
 * ends. */
static int64_t expect_frame(const struct flv_wire_fetch_partition *p,
                            int64_t from)
{
    static char want[1 << 16];
    int64_t covered = 0;
    size_t len = 0;
    want[0] = '\0';
    assert_int_equal(p->error.code, 0);
    assert_true(p->records.len >= 8);
    assert_int_equal(flv_get_u64(p->records.data), from);
    for (int64_t o = from; o < p->next_filter_offset; o++) {
        if (o % 2 == 0) {
            len += (size_t)snprintf(want + len, sizeof want - len,
                                    "%s%lld:k%lld", len > 0 ? " " : "",
                                    (long long)o, (long long)o);
        }
    }
    assert_string_equal(smart_shown(p->records, &covered), want);
    assert_int_equal(from + covered, p->next_filter_offset);
    return p->next_filter_offset;
}

static void frames_from_disk_follow_each_other(void **state)
{
    struct smart *t = *state;
    int64_t next = 0;
    int frames = 0;
    store_pairs(t);
    int32_t asked = fetch_small(t, true);
    while (next < 2 * STORED_BATCHES) {
        const struct flv_wire_fetch_partition p = smart_frame(t, asked);
        next = expect_frame(&p, next);
        frames++;
        smart_ack(t, 1, next);
    }
    assert_true(frames > 4);
    smart_put(t, "k800");
    const struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_int_equal(expect_frame(&p, next), 2 * STORED_BATCHES + 1);
}

/* What was read or made ahead is of no use then. */
static void a_client_may_go_elsewhere_between_frames(void **state)
{
    struct smart *t = *state;
    unsigned dice = 7;
    store_pairs(t);
    int32_t asked = fetch_small(t, true);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    int64_t next = expect_frame(&p, 0);
    for (int i = 0; i < 200; i++) {
        dice = dice * 1103515245 + 12345;
        if (i % 3 != 0 || next >= 2 * STORED_BATCHES - 200) {
            next = (int64_t)(dice >> 16) % (2 * STORED_BATCHES - 200);
        }
        smart_ack(t, 1, next);
        p = smart_frame(t, asked);
        next = expect_frame(&p, next);
    }
}

/* Twice at once: of the first place there may be a frame, or none. */
static void a_client_may_change_its_mind(void **state)
{
    struct smart *t = *state;
    unsigned dice = 11;
    store_pairs(t);
    int32_t asked = fetch_small(t, true);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    (void)expect_frame(&p, 0);
    for (int i = 0; i < 200; i++) {
        dice = dice * 1103515245 + 12345;
        const int64_t first = (int64_t)(dice >> 16) % STORED_BATCHES;
        const int64_t then = STORED_BATCHES + first / 2;
        smart_ack(t, 1, first);
        smart_ack(t, 1, then);
        p = smart_frame(t, asked);
        if (flv_get_u64(p.records.data) == (uint64_t)first) {
            (void)expect_frame(&p, first);
            p = smart_frame(t, asked);
        }
        (void)expect_frame(&p, then);
    }
}

/* Reads the stream until it fails: how far it came. */
static int64_t read_to_failure(struct smart *t, int32_t asked, uint32_t stream)
{
    int64_t next = 0;
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    while (p.error.code == 0) {
        struct flv_slice batch;
        struct flv_batch_header h;
        while (flv_batch_walk(&p.records, &batch, &h, NULL) == FLV_OK &&
               batch.len > 0) {
            assert_int_equal(h.base_offset, next);
            next += h.count;
        }
        smart_ack(t, stream, next);
        p = smart_frame(t, asked);
    }
    assert_int_equal(p.error.code, FLV_WIRE_OTHER);
    return next;
}

static void damage_is_met_behind_what_comes_before_it(void **state)
{
    struct smart *t = *state;
    char path[256];
    struct stat st;
    store_pairs(t);
    snprintf(path, sizeof path, "%s/topics/2/0/%020d.log", t->rig.tmp.sub, 0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(pwrite(fd, "damage", 6, st.st_size / 2), 6);
    close(fd);
    int64_t plain = read_to_failure(t, fetch_small(t, false), 1);
    assert_in_range(plain, STORED_BATCHES / 2, 2 * STORED_BATCHES - 1);
    assert_int_equal(read_to_failure(t, fetch_small(t, true), 2), plain);
}

#define STREAMS_MAX 16

/* So many batches of three records, of which the first and the last pass and
 * have `bytes` each. */
static void store_large(struct smart *t, int batches, size_t bytes)
{
    char *words = flv_alloc(2 * bytes + 4);
    assert_non_null(words);
    for (int i = 0; i < batches; i++) {
        memset(words, 'a' + i % 26, 2 * bytes + 3);
        words[2 * bytes + 3] = '\0';
        words[0] = 'k';
        memcpy(words + bytes, " x k", 4);
        smart_put(t, words);
    }
    flv_free(words);
    smart_restart(t);
}

/* Reads all records with so many streams at once, every second one without
 * modules, or none. */
static void read_large(struct smart *t,
                       int64_t records,
                       int streams,
                       int32_t max_bytes,
                       bool plain_too)
{
    int64_t next[STREAMS_MAX] = {0};
    int32_t asked[STREAMS_MAX];
    int left = streams;
    for (int i = 0; i < streams; i++) {
        asked[i] = fetch_from(t, 0, max_bytes, i % 2 != 0 || !plain_too);
    }
    while (left > 0) {
        const int32_t got = link_next(&t->reader);
        struct flv_wire_stream_fetch_response resp = {0};
        struct flv_slice batch;
        struct flv_batch_header h;
        int i = 0;
        while (i < streams && asked[i] != got) {
            i++;
        }
        if (i == streams) {
            continue; /* the answer to an ack */
        }
        link_read(&t->reader, 25, &flv_wire_stream_fetch_response_schema, &resp,
                  NULL);
        assert_int_equal(resp.partition.error.code, 0);
        while (flv_batch_walk(&resp.partition.records, &batch, &h, NULL) ==
                   FLV_OK &&
               batch.len > 0) {
            assert_int_equal(h.base_offset, next[i]);
            assert_int_equal(flv_batch_check_crc(batch, NULL), FLV_OK);
            next[i] += h.count;
        }
        left -= next[i] == records;
        smart_ack(t, resp.stream_id, next[i]);
    }
}

/* Their memory is used again by the others: what a chain writes to is its
 * own. (The thread sanitizer looks on.) */
static void large_frames_pass_beside_each_other(void **state)
{
    struct smart *t = *state;
    store_large(t, 48, 32 << 10);
    read_large(t, 3 * 48, 4, 1 << 20, true);
}

/* Who waits for memory holds none: else each would wait for the others. A
 * frame has room for what the client asks for, so a record that passes needs
 * more than its stream had at first. */
static void streams_with_modules_share_little_memory(void **state)
{
    enum { BATCHES = 6 };
    struct smart *t = *state;
    t->rig.conf.memory_bytes_max = 6u << 20;
    store_large(t, BATCHES, 300 << 10);
    for (int i = 0; i < 3; i++) {
        read_large(t, 3 * BATCHES, STREAMS_MAX, 64 << 10, false);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, smart_setup, smart_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(frames_from_disk_follow_each_other),
        T(a_client_may_go_elsewhere_between_frames),
        T(a_client_may_change_its_mind),
        T(damage_is_met_behind_what_comes_before_it),
        T(large_frames_pass_beside_each_other),
        T(streams_with_modules_share_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
