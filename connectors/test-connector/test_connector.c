#include "test_connector.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/field.h"
#include "base/opt.h"
#include "loop/loop.h"

struct test_conf {
    uint64_t timeout_ms;
    int64_t count;
    bool skip_loop;
    char *fluvio_test_path, *runner_opts, *test_name, *test_opts;
};

struct test_state {
    const struct test_conf *conf; /* borrowed */
    struct flv_source *src;
    struct flv_timer pause;
    int64_t made; /* records so far */
};

static const char *const topic_aliases[] = {"topic", NULL};

/* clang-format off */
static const struct flv_opt opts[] = {
    {.name = "count", FLV_I64(struct test_conf, count),
     .fallback = "9223372036854775807", .min = 0, .max = INT64_MAX,
     .example = "100", .help = "Number of records to make, then finish"},
    {.name = "timeout", FLV_DURATION(struct test_conf, timeout_ms),
     .unit_ms = 1, .fallback = "1000", .max = UINT64_C(1) << 40,
     .example = "1s", .help = "Pause between two records"},
    {.name = "fluvio-test-path", FLV_STR(struct test_conf, fluvio_test_path),
     .flags = FLV_OPT_HIDDEN, .help = "Program of the Fluvio test runner"},
    {.name = "runner-opts", FLV_STR(struct test_conf, runner_opts),
     .flags = FLV_OPT_HIDDEN | FLV_OPT_DASH_OK,
     .help = "Options of the Fluvio test runner"},
    {.name = "test-name", FLV_STR(struct test_conf, test_name),
     .flags = FLV_OPT_HIDDEN, .help = "Test of the Fluvio test runner"},
    {.name = "test-opts", FLV_STR(struct test_conf, test_opts),
     .flags = FLV_OPT_HIDDEN | FLV_OPT_DASH_OK,
     .help = "Options of that test"},
    {.name = "skip-loop", FLV_FLAG(struct test_conf, skip_loop),
     .flags = FLV_OPT_HIDDEN, .help = "Run the Fluvio test runner once"},
    {.name = NULL},
};
/* clang-format on */

static flv_rc check(void *data, struct flv_err *err)
{
    const struct test_conf *conf = data;
    if (conf->skip_loop || conf->fluvio_test_path != NULL ||
        conf->runner_opts != NULL || conf->test_name != NULL ||
        conf->test_opts != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "fluvio-test-path, runner-opts, test-name, test-opts "
                        "and skip-loop start the Fluvio test runner, which is "
                        "not part of this connector");
    }
    return FLV_OK;
}

static bool is_over(const struct test_state *s)
{
    return s->made >= s->conf->count;
}

static void on_pause_over(struct flv_timer *timer)
{
    struct test_state *s = FLV_OWNER_OF(timer, struct test_state, pause);
    flv_source_wake(s->src);
}

static flv_rc
add_record(struct test_state *s, struct flv_batch *batch, struct flv_err *err)
{
    char text[64];
    int len =
        snprintf(text, sizeof(text), "Hello, Fluvio! - %" PRId64, s->made + 1);
    flv_rc rc = flv_batch_add(batch, NULL, 0, text, (size_t)len, err);
    if (rc == FLV_OK) {
        s->made++;
        flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 1);
        (void)printf("Sending %s\n", text);
    }
    return rc;
}

static void pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct test_state *s = state;
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    if (is_over(s)) {
        flv_source_end(s->src);
        return;
    }
    if (flv_timer_active(&s->pause)) {
        return;
    }
    /* Without a pause as many as there is room for. */
    uint32_t want = s->conf->timeout_ms > 0 ? 1 : credit;
    while (rc == FLV_OK && want-- > 0 && !is_over(s)) {
        rc = add_record(s, batch, &err);
    }
    (void)fflush(stdout);
    if (rc == FLV_OK && s->conf->timeout_ms > 0 && !is_over(s)) {
        rc = flv_timer_start(&s->pause, s->conf->timeout_ms, 0, &err);
    }
    if (rc != FLV_OK && rc != FLV_E_BUSY) {
        flv_source_fail(s->src, &err);
    }
}

static flv_rc open_source(void *state,
                          const void *conf,
                          struct flv_source *src,
                          struct flv_err *err)
{
    struct test_state *s = state;
    (void)err;
    s->conf = conf;
    s->src = src;
    flv_timer_init(&s->pause, flv_source_loop(src), on_pause_over);
    flv_source_well(src); /* there is no far side that could be ill */
    return FLV_OK;
}

static void close_source(void *state)
{
    struct test_state *s = state;
    flv_timer_stop(&s->pause);
    flv_source_closed(s->src);
}

static const struct flv_source_ops source = {
    .state_size = sizeof(struct test_state),
    .open = open_source,
    .pull = pull,
    .close = close_source,
};

const struct flv_connector test_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "test-connector",
    .version = FLV_VERSION,
    .summary = "Makes numbered records, for trying a cluster",
    .opts = opts,
    .conf_size = sizeof(struct test_conf),
    .check = check,
    .topic_aliases = topic_aliases,
    .source = &source,
};
