/* fluvio smartmodule test: a chain over records that are given here, or over
 * those of a topic. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/file.h"
#include "cli/smart.h"
#include "smartmodule/section.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)64 << 20)
#define SECTION_BYTES_MAX ((size_t)128 << 20)
#define CHUNK_RECORDS 1024
#define FAILURES_SHOWN_MAX 20

struct test_conf {
    struct flv_list text;
    bool from_stdin;
    char *file;
    bool raw;
    char *key;
    bool key_value;
    bool verbose;
    struct flv_list record;
    uint64_t lookback_last;
    char *wasm_file;
    char *topic;
    uint64_t partition;
    uint64_t offset;
    struct cli_smart_conf smart;
};

static const char *const key_value_aliases[] = {"key-value", NULL};

/* clang-format off */
static const struct flv_opt test_opts[] = {
    {.name = "text",
     FLV_LIST(struct test_conf, text),
     .help = "Provide test input with this flag; may be repeated"},
    {.name = "stdin",
     FLV_FLAG(struct test_conf, from_stdin),
     .help = "Read the test input from the StdIn (e.g. Unix piping), one "
             "record a line"},
    {.name = "file",
     FLV_STR(struct test_conf, file),
     .help = "Path to a test file, one record a line"},
    {.name = "raw",
     FLV_FLAG(struct test_conf, raw),
     .help = "With --file or --stdin, all of it is one record"},
    {.name = "topic",
     FLV_STR(struct test_conf, topic),
     .help = "Take the records of this topic, up to its end"},
    {.name = "partition",
     .letter = 'p',
     FLV_U64(struct test_conf, partition),
     .arg = "integer",
     .max = INT32_MAX,
     .help = "With --topic, of this partition; all if absent"},
    {.name = "offset",
     FLV_U64(struct test_conf, offset),
     .arg = "integer",
     .max = INT64_MAX,
     .help = "With --topic, from this offset on"},
    {.name = "key",
     FLV_STR(struct test_conf, key),
     .help = "Key to use with the test record(s)"},
    {.name = "keyval",
     .letter = 'k',
     FLV_FLAG(struct test_conf, key_value),
     .aliases = key_value_aliases,
     .help = "Print records in \"[key] value\" format, with \"[null]\" for no "
             "key"},
    {.name = "verbose",
     .letter = 'v',
     FLV_FLAG(struct test_conf, verbose),
     .help = "Print the number of records first, and what each SmartModule "
             "took (on stderr)"},
    {.name = "record",
     .letter = 'r',
     FLV_LIST(struct test_conf, record),
     .help = "Records which act as existing in the topic before the ones to "
             "be tested; may be repeated"},
    {.name = "lookback-last",
     .letter = 'l',
     FLV_U64(struct test_conf, lookback_last),
     .arg = "integer",
     .help = "Sets the lookback parameter to the last N records"},
    {.name = "wasm-file",
     FLV_STR(struct test_conf, wasm_file),
     .help = "Path to the SmartModule, a WASM file"},
    CLI_SMART_OPTS(struct test_conf),
    {.name = NULL}};
/* clang-format on */

struct test {
    struct cli *cli; /* borrowed */
    const struct test_conf *conf;
    const struct flv_opts *opts;
    struct cli_smart smart;
    struct flv_sm_chain *chain; /* owned */
    struct flv_buf section;     /* of the records that run next */
    size_t in_section;
    struct flv_buf input; /* what files and stdin gave */
    struct flv_buf out;   /* printed at the end, behind the count */
    uint64_t in, outputted, filtered, failed;
    uint64_t number; /* of the first record in the section, from 1 */
    int64_t first_offset;
    bool shown_past; /* look_back was called */
    bool over;
    struct flv_err err;
};

/* ---- Running ----------------------------------------------------------- */

static flv_rc print_record(struct test *t, const struct flv_sm_record *r)
{
    flv_rc rc = FLV_OK;
    if (t->conf->key_value) {
        rc = flv_buf_add_str(&t->out, "[");
        if (rc == FLV_OK) {
            rc = r->has_key ? flv_buf_add(&t->out, r->key.data, r->key.len)
                            : flv_buf_add_str(&t->out, "null");
        }
        rc = rc == FLV_OK ? flv_buf_add_str(&t->out, "] ") : rc;
    }
    rc = rc == FLV_OK ? flv_buf_add(&t->out, r->value.data, r->value.len) : rc;
    return rc == FLV_OK ? flv_buf_add_str(&t->out, "\n") : rc;
}

static void print_failure(struct test *t, const struct flv_sm_failure *f)
{
    if (++t->failed > FAILURES_SHOWN_MAX) {
        return;
    }
    if (t->conf->topic != NULL) {
        cli_failf("offset %" PRId64 ": %s", t->first_offset + f->input,
                  f->text);
    } else {
        cli_failf("record %" PRIu64 ": %s", t->number + f->input, f->text);
    }
}

/* Past records that the chain asks to see. */
static flv_rc show_past(struct test *t, struct flv_err *err)
{
    const struct flv_list *past = &t->conf->record;
    struct flv_sm_look_back want;
    t->shown_past = true;
    for (size_t from = 0; flv_sm_chain_wants_look_back(t->chain, from, &want);
         from = want.step + 1) {
        struct flv_buf b;
        size_t skip = want.last > 0 && want.last < past->count
                          ? past->count - (size_t)want.last
                          : 0;
        flv_buf_init(&b, SECTION_BYTES_MAX);
        flv_rc rc = past->count == 0 ? flv_buf_add_u32(&b, 0) : FLV_OK;
        for (size_t i = skip; i < past->count && rc == FLV_OK; i++) {
            rc = flv_sm_section_add(&b, false, flv_slice(NULL, 0),
                                    flv_slice_str(past->items[i]), 0);
        }
        rc = rc == FLV_OK ? flv_sm_chain_look_back(t->chain, want.step,
                                                   flv_buf_slice(&b), err)
                          : flv_fail(err, rc, "no memory for past records");
        flv_buf_deinit(&b);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    return FLV_OK;
}

static flv_rc run_section(struct test *t, struct flv_err *err)
{
    struct flv_sm_result made;
    if (t->in_section == 0) {
        return FLV_OK;
    }
    flv_rc rc = t->shown_past ? FLV_OK : show_past(t, err);
    const struct flv_sm_input in = {.section = flv_buf_slice(&t->section),
                                    .base_offset = t->first_offset,
                                    .base_timestamp_ms = flv_clock_wall_ms()};
    rc = rc == FLV_OK ? flv_sm_chain_run(t->chain, &in, false, &made, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    for (size_t i = 0; i < made.record_count && rc == FLV_OK; i++) {
        rc = print_record(t, &made.records[i]);
    }
    for (size_t i = 0; i < made.failure_count; i++) {
        print_failure(t, &made.failures[i]);
    }
    t->in += made.in;
    t->outputted += made.record_count;
    t->filtered += made.filtered;
    t->number += t->in_section;
    t->first_offset += (int64_t)t->in_section;
    t->in_section = 0;
    flv_buf_reset(&t->section);
    return rc == FLV_OK
               ? FLV_OK
               : flv_fail(err, rc, "more output than %zu bytes", t->out.max);
}

static flv_rc add_record(struct test *t,
                         bool has_key,
                         struct flv_slice key,
                         struct flv_slice value,
                         struct flv_err *err)
{
    flv_rc rc = flv_sm_section_add(&t->section, has_key, key, value, 0);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no room for the record");
    }
    return ++t->in_section == CHUNK_RECORDS ? run_section(t, err) : FLV_OK;
}

static flv_rc
add_value(struct test *t, struct flv_slice value, struct flv_err *err)
{
    const char *key = t->conf->key;
    return add_record(t, key != NULL,
                      key != NULL ? flv_slice_str(key) : flv_slice(NULL, 0),
                      value, err);
}

/* ---- Input ------------------------------------------------------------- */

static flv_rc add_lines(struct test *t, struct flv_err *err)
{
    struct flv_slice rest = flv_buf_slice(&t->input);
    flv_rc rc = FLV_OK;
    if (t->conf->raw) {
        return add_value(t, rest, err);
    }
    while (rest.len > 0 && rc == FLV_OK) {
        const uint8_t *lf = memchr(rest.data, '\n', rest.len);
        size_t len = lf != NULL ? (size_t)(lf - rest.data) : rest.len;
        size_t used = lf != NULL ? len + 1 : len;
        rc = add_value(t, flv_slice(rest.data, len), err);
        rest = flv_slice(rest.data + used, rest.len - used);
    }
    return rc;
}

static void end_topic(struct test *t, const struct flv_err *err, flv_rc rc)
{
    if (rc != FLV_OK && t->err.rc == FLV_OK) {
        t->err = *err;
    }
    t->over = true;
    flv_loop_stop(t->cli->loop);
}

static void got_batch(void *user, const struct flv_record_batch *batch)
{
    struct test *t = user;
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    if (t->over) {
        return;
    }
    t->first_offset = batch->records[0].offset;
    for (size_t i = 0; i < batch->count && rc == FLV_OK; i++) {
        const struct flv_record_view *r = &batch->records[i];
        rc = add_record(t, r->has_key, r->key, r->value, &err);
    }
    rc = rc == FLV_OK ? run_section(t, &err) : rc;
    if (rc != FLV_OK) {
        end_topic(t, &err, rc);
    }
}

static void topic_ended(void *user, const struct flv_err *err)
{
    end_topic(user, err, err != NULL ? err->rc : FLV_OK);
}

static void topic_closed(void *user)
{
    struct test *t = user;
    t->over = true;
    flv_loop_stop(t->cli->loop);
}

static flv_rc run_topic(struct test *t, struct flv_err *err)
{
    const struct test_conf *conf = t->conf;
    struct flv_consumer *k = NULL;
    const uint32_t partition = (uint32_t)conf->partition;
    struct flv_consumer_conf cc = flv_consumer_conf_default(conf->topic);
    cc.start = (struct flv_start){.kind = FLV_START_BEGINNING};
    if (flv_opts_given(t->opts, "offset")) {
        cc.start = (struct flv_start){.kind = FLV_START_ABSOLUTE,
                                      .n = (int64_t)conf->offset};
    }
    if (flv_opts_given(t->opts, "partition")) {
        cc.partitions = &partition;
        cc.partition_count = 1;
    }
    cc.stop_at_end = true;
    cc.batch = got_batch;
    cc.ended = topic_ended;
    cc.user = t;
    flv_rc rc = t->cli->client != NULL ? FLV_OK : cli_connect(t->cli, err);
    rc = rc == FLV_OK ? flv_consumer_open(&k, t->cli->client, &cc, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    while (!t->over) {
        flv_loop_run(t->cli->loop);
    }
    t->over = false;
    flv_consumer_close(k, topic_closed, t);
    while (!t->over) {
        flv_loop_run(t->cli->loop);
    }
    if (t->err.rc != FLV_OK) {
        *err = t->err;
    }
    return t->err.rc;
}

static flv_rc run_input(struct test *t, struct flv_err *err)
{
    const struct test_conf *conf = t->conf;
    flv_rc rc = FLV_OK;
    if (conf->topic != NULL) {
        return run_topic(t, err);
    }
    for (size_t i = 0; i < conf->text.count && rc == FLV_OK; i++) {
        rc = add_value(t, flv_slice_str(conf->text.items[i]), err);
    }
    if (rc == FLV_OK && (conf->from_stdin || conf->file != NULL)) {
        rc = cli_file_read(conf->file != NULL ? conf->file : "/dev/stdin",
                           &t->input, err);
        rc = rc == FLV_OK ? add_lines(t, err) : rc;
    }
    return rc == FLV_OK ? run_section(t, err) : rc;
}

/* ---- Figures ----------------------------------------------------------- */

static void print_figures(const struct test *t)
{
    fprintf(stderr,
            "%" PRIu64 " records in, %" PRIu64 " outputted, %" PRIu64
            " filtered, %" PRIu64 " failed\n",
            t->in, t->outputted, t->filtered, t->failed);
    for (size_t i = 0; i < flv_sm_chain_steps(t->chain); i++) {
        struct flv_sm_stats s;
        struct flv_sm_module_info info =
            flv_sm_module_info(flv_sm_chain_module(t->chain, i));
        char memory[FLV_TEXT_FORMAT_MAX];
        flv_sm_chain_stats(t->chain, i, &s);
        flv_text_format_size(s.memory_bytes, memory);
        uint64_t n = s.records > 0 ? s.records : 1;
        fprintf(stderr,
                "%s (%s): %" PRIu64 " records in %" PRIu64 " calls, %" PRIu64
                ".%" PRIu64 " us and %" PRIu64 " fuel a record, memory %s, "
                "%" PRIu64 " replays\n",
                info.name, flv_sm_kind_name(info.kind), s.records, s.calls,
                s.cpu_ns / n / 1000, s.cpu_ns / n % 1000 / 100, s.fuel / n,
                memory, s.replays);
    }
}

/* ---- The command ------------------------------------------------------- */

static flv_rc check_input(const struct test *t, struct flv_err *err)
{
    const struct test_conf *conf = t->conf;
    int ways = (conf->text.count > 0) + conf->from_stdin +
               (conf->file != NULL) + (conf->topic != NULL);
    if (ways != 1) {
        return flv_fail(err, FLV_E_USAGE,
                        "exactly one of '--text', '--stdin', '--file' and "
                        "'--topic' says what to test with");
    }
    if (conf->topic != NULL && (conf->key != NULL || conf->raw)) {
        return flv_fail(err, FLV_E_USAGE,
                        "the argument '--%s' cannot be used with '--topic'",
                        conf->raw ? "raw" : "key");
    }
    if (conf->topic == NULL && (flv_opts_given(t->opts, "partition") ||
                                flv_opts_given(t->opts, "offset"))) {
        return flv_fail(err, FLV_E_USAGE,
                        "'--partition' and '--offset' need '--topic'");
    }
    return FLV_OK;
}

static flv_rc load(struct test *t, struct flv_err *err)
{
    struct cli_smart_conf smart = t->conf->smart;
    flv_rc rc = check_input(t, err);
    if (rc == FLV_OK && t->conf->wasm_file != NULL) {
        if (smart.smartmodule_path != NULL) {
            return flv_fail(err, FLV_E_USAGE,
                            "the argument '--wasm-file' cannot be used with "
                            "'--smartmodule-path'");
        }
        smart.smartmodule_path = t->conf->wasm_file;
    }
    rc = rc == FLV_OK ? cli_smart_load(&t->smart, &smart, err) : rc;
    if (rc == FLV_OK && t->smart.count == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "no SmartModule is given; use '--wasm-file <FILE>', "
                        "'--smartmodule <NAME>' or '--transforms <FILE>'");
    }
    for (size_t i = 0; i < t->smart.count && rc == FLV_OK; i++) {
        if (t->conf->lookback_last > 0) {
            t->smart.uses[i].look_back_last = t->conf->lookback_last;
        }
    }
    return rc;
}

static int test_run(struct flv_args *args, void *ctx)
{
    static struct test test;
    struct test *t = &test;
    struct flv_err err = {0};
    t->cli = ctx;
    t->conf = flv_args_conf(args);
    t->opts = flv_args_opts(args);
    t->number = 1;
    flv_buf_init(&t->section, SECTION_BYTES_MAX);
    flv_buf_init(&t->input, INPUT_BYTES_MAX);
    flv_buf_init(&t->out, INPUT_BYTES_MAX);
    flv_rc rc = load(t, &err);
    bool usage = rc == FLV_E_USAGE;
    rc =
        rc == FLV_OK ? cli_smart_chain(&t->smart, t->cli, &t->chain, &err) : rc;
    rc = rc == FLV_OK ? run_input(t, &err) : rc;
    if (t->chain != NULL && t->conf->verbose) {
        printf("%" PRIu64 " records outputted\n", t->outputted);
    }
    cli_put(&t->out);
    int status = rc == FLV_OK && t->failed == 0 ? 0 : CLI_EXIT_FAILURE;
    if (rc != FLV_OK) {
        status = usage ? cli_usage(t->cli, "%s", err.text) : cli_fail(&err);
    } else if (t->failed > FAILURES_SHOWN_MAX) {
        cli_failf("%" PRIu64 " records failed, the first ones are above",
                  t->failed);
    }
    if (t->chain != NULL && t->conf->verbose) {
        fflush(stdout);
        print_figures(t);
    }
    flv_sm_chain_destroy(t->chain);
    cli_smart_deinit(&t->smart);
    flv_buf_deinit(&t->section);
    flv_buf_deinit(&t->input);
    flv_buf_deinit(&t->out);
    return status;
}

const struct flv_cmd cli_cmd_smartmodule_test = {
    .name = "test",
    .about = "Test SmartModules with records given here, or with those of a "
             "topic\n\n"
             "The chain runs in this program, with the budget that servers "
             "and connectors give it. A record that fails is reported and the "
             "others go on.",
    .opts = test_opts,
    .conf_size = sizeof(struct test_conf),
    .run = test_run,
};
