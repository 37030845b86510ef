/* The module that deduplicates, against a model which remembers everything. */
#include "cm.h"
#include "native.h"

#include <stdio.h>
#include <string.h>

#define VERSION 22
#define KEYS 24

native_entry dedup_init, dedup_filter, dedup_look_back;

static int fresh(void **state)
{
    (void)state;
    native_reset();
    return 0;
}

static int32_t init(const char *const *pairs)
{
    struct flv_buf in;
    flv_buf_init(&in, 1 << 16);
    native_params(&in, pairs);
    int32_t rc = native_call(dedup_init, flv_buf_slice(&in), VERSION);
    flv_buf_deinit(&in);
    return rc;
}

static int32_t
call(native_entry *entry, const struct native_record *records, size_t count)
{
    struct flv_buf in;
    flv_buf_init(&in, 1 << 20);
    native_input(&in, VERSION, 0, 1000, records, count, NULL);
    int32_t rc = native_call(entry, flv_buf_slice(&in), VERSION);
    flv_buf_deinit(&in);
    return rc;
}

/* Whether that one record stays. */
static bool stays(const char *key, const char *value, int64_t ms)
{
    const struct native_record r = {key, value, ms, 0};
    int32_t rc = call(dedup_filter, &r, 1);
    assert_true(rc == 0 || rc == 1);
    return rc == 1;
}

static void keys_and_values_are_told_apart(void **state)
{
    static const char *const by_key[] = {"count", "100", NULL};
    static const char *const by_value[] = {"by", "value", NULL};
    (void)state;
    assert_int_equal(init(by_key), 0);
    assert_true(stays("k", "a", 0));
    assert_false(stays("k", "b", 0));
    assert_true(stays("", "a", 0)); /* an empty key is one */
    assert_false(stays("", "b", 0));
    assert_true(stays(NULL, "a", 0));
    assert_false(stays(NULL, "a", 0));
    assert_true(stays(NULL, "k", 0)); /* a value is no key */
    assert_true(stays(NULL, "", 0));
    assert_false(stays(NULL, "", 0));
    assert_int_equal(init(by_value), 0);
    assert_true(stays("k", "a", 0));
    assert_false(stays("l", "a", 0));
    assert_false(stays(NULL, "a", 0));
}

/* Around the ends of the blocks of a fingerprint above all. */
static void every_length_is_another_value(void **state)
{
    static const char *const p[] = {"count", "1000", NULL};
    char text[260];
    (void)state;
    assert_int_equal(init(p), 0);
    for (int again = 0; again < 2; again++) {
        for (size_t n = 0; n < sizeof text; n++) {
            memset(text, 'x', n);
            text[n] = '\0';
            assert_int_equal(stays(NULL, text, 0), again == 0);
        }
    }
    for (size_t n = 0; n + 1 < sizeof text; n++) {
        text[n] = 'y'; /* one byte anywhere */
        assert_true(stays(NULL, text, 0));
        text[n] = 'x';
    }
}

/* ---- the model ---- */

struct model {
    struct {
        int key;
        int64_t ms;
    } kept[1 << 14];
    size_t len;
    size_t count;
    int64_t age;
};

static bool model_stays(struct model *m, int key, int64_t ms)
{
    size_t first = m->len > m->count ? m->len - m->count : 0;
    for (size_t i = m->len; i > first; i--) {
        if (m->kept[i - 1].key == key) {
            if (ms - m->kept[i - 1].ms <= m->age) {
                return false;
            }
            break;
        }
    }
    assert_true(m->len < sizeof m->kept / sizeof m->kept[0]);
    m->kept[m->len].key = key;
    m->kept[m->len++].ms = ms;
    return true;
}

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % sides;
}

static void start(const struct model *m)
{
    char count[24], age[24];
    const char *const p[] = {"count", count, "age", age, NULL};
    snprintf(count, sizeof count, "%zu", m->count);
    snprintf(age, sizeof age, "%lld", (long long)m->age);
    native_reset();
    assert_int_equal(init(p), 0);
}

/* As after a restart: the last ones that stayed. */
static void look_back(const struct model *m)
{
    size_t first = m->len > m->count ? m->len - m->count : 0;
    for (size_t i = first; i < m->len; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", m->kept[i].key);
        const struct native_record r = {key, "v", m->kept[i].ms, 0};
        assert_true(call(dedup_look_back, &r, 1) >= 0);
    }
}

static void it_does_what_the_model_does(void **state)
{
    static struct model m;
    uint32_t seed = 1;
    (void)state;
    for (size_t count = 1; count <= 2 * KEYS; count += count < 6 ? 1 : 7) {
        m.len = 0;
        m.count = count;
        m.age = count % 3 == 0 ? INT64_MAX : 5 * (int64_t)count;
        start(&m);
        for (int64_t ms = 0; ms < 600; ms++) {
            int k = (int)dice(&seed, KEYS);
            char key[16];
            snprintf(key, sizeof key, "key %d", k);
            assert_int_equal(stays(key, "v", ms), model_stays(&m, k, ms));
            if (dice(&seed, 100) == 0) {
                start(&m);
                look_back(&m);
            }
        }
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const wrong[][3] = {
        {"count", "0", NULL},    {"count", "10000001", NULL},
        {"count", "many", NULL}, {"age", "0", NULL},
        {"age", "1h", NULL},     {"by", "offset", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(init(wrong[i]), -2);
        assert_true(native_answer().len > 2);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, fresh)
    const struct CMUnitTest tests[] = {
        T(keys_and_values_are_told_apart),
        T(every_length_is_another_value),
        T(it_does_what_the_model_does),
        T(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
