#include "cli/cli.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/commits.h"
#include "cli/format.h"
#include "cli/keys.h"
#include "cli/sink.h"
#include "cli/smart.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* After a signal, a reader that takes nothing may hold us so long. */
#define STOP_GRACE_MS 1000
#define TRUNCATE_COLUMNS 80
#define SCREEN_LINES 24
#define PARTITIONS_MAX 1024

struct consume_conf {
    char *topic;
    struct flv_list partitions;
    bool all_partitions;
    bool disable_continuous;
    bool disable_progressbar;
    bool key_value;
    char *format;
    char *table_format;
    uint64_t beginning;
    uint64_t head;
    uint64_t tail;
    uint64_t start;
    uint64_t end;
    uint64_t max_bytes;
    bool suppress_unknown;
    char *output;
    char *isolation;
    bool truncate;
    char *mirror;
    char *consumer;
    struct cli_smart_conf smart;
    /* of 0.9 */
    char *join, *derivedstream, *join_topic;
};

static const char *const table_format_aliases[] = {"tableformat", NULL};
static const char *const start_aliases[] = {"offset", NULL};
static const char *const end_aliases[] = {"end-offset", NULL};
static const char *const maxbytes_aliases[] = {"max-bytes", NULL};

#define OLD_OPT(n, field)                                                      \
    {                                                                          \
        .name = (n), FLV_STR(struct consume_conf, field),                      \
        .flags = FLV_OPT_HIDDEN, .help = "option of 0.9"                       \
    }

/* clang-format off */
static const struct flv_opt consume_opts[] = {
    {.name = "topic",
     FLV_STR(struct consume_conf, topic),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Topic name"},
    {.name = "partition",
     .letter = 'p',
     FLV_LIST(struct consume_conf, partitions),
     .arg = "integer",
     .help = "Partition id; may be repeated, all partitions if absent"},
    {.name = "all-partitions",
     .letter = 'A',
     FLV_FLAG(struct consume_conf, all_partitions),
     .help = "Consume records from all partitions"},
    {.name = "mirror",
     .letter = 'm',
     FLV_STR(struct consume_conf, mirror),
     .help = "Remote cluster to consume from (needs mirroring)"},
    {.name = "disable-continuous",
     .letter = 'd',
     FLV_FLAG(struct consume_conf, disable_continuous),
     .help = "Disable continuous processing of messages"},
    {.name = "disable-progressbar",
     FLV_FLAG(struct consume_conf, disable_progressbar),
     .help = "Disable the progress bar and wait spinner"},
    {.name = "key-value",
     .letter = 'k',
     FLV_FLAG(struct consume_conf, key_value),
     .help = "Print records in \"[key] value\" format, with \"[null]\" for no "
             "key"},
    {.name = "format",
     .letter = 'F',
     FLV_STR(struct consume_conf, format),
     .help = "Provide a template string to print records with a custom format: "
             "{{key}}, {{value}}, {{offset}}, {{partition}} and {{time}} are "
             "replaced"},
    {.name = "table-format",
     FLV_STR(struct consume_conf, table_format),
     .aliases = table_format_aliases,
     .help = "Consume records using the formatting rules defined by "
             "TableFormat name"},
    {.name = "beginning",
     .letter = 'B',
     FLV_U64(struct consume_conf, beginning),
     .arg = "integer",
     .bare = "0",
     .max = INT64_MAX,
     .group = "start",
     .help = "Consume records from the beginning of the log"},
    {.name = "head",
     .letter = 'H',
     FLV_U64(struct consume_conf, head),
     .arg = "integer",
     .max = INT64_MAX,
     .group = "start",
     .help = "Consume records starting <integer> from the beginning of the "
             "log"},
    {.name = "tail",
     .letter = 'T',
     FLV_U64(struct consume_conf, tail),
     .arg = "integer",
     .bare = "10",
     .max = INT64_MAX,
     .group = "start",
     .help = "Consume records starting <integer> from the end of the log; 10 "
             "if no number is given"},
    {.name = "start",
     .letter = 'o',
     FLV_U64(struct consume_conf, start),
     .arg = "integer",
     .aliases = start_aliases,
     .max = INT64_MAX,
     .group = "start",
     .help = "The absolute offset of the first record to begin consuming from"},
    {.name = "end",
     FLV_U64(struct consume_conf, end),
     .arg = "integer",
     .aliases = end_aliases,
     .max = INT64_MAX,
     .help = "Consume records until end offset (inclusive)"},
    {.name = "maxbytes",
     .letter = 'b',
     FLV_U64(struct consume_conf, max_bytes),
     .arg = "integer",
     .aliases = maxbytes_aliases,
     .min = 1,
     .max = INT32_MAX,
     .help = "Maximum number of bytes to be retrieved"},
    {.name = "isolation",
     FLV_STR(struct consume_conf, isolation),
     .help = "Isolation level that consumer must respect: read_committed "
             "(ReadCommitted) or read_uncommitted (ReadUncommitted)"},
    {.name = "suppress-unknown",
     FLV_FLAG(struct consume_conf, suppress_unknown),
     .help = "Suppress items that have an unknown output type"},
    {.name = "output",
     .letter = 'O',
     FLV_STR(struct consume_conf, output),
     .arg = "type",
     .help = "Output [possible values: dynamic, text, binary, json, raw, "
             "table, full_table]"},
    CLI_SMART_OPTS(struct consume_conf),
    {.name = "truncate",
     FLV_FLAG(struct consume_conf, truncate),
     .help = "Truncate the output to one line"},
    {.name = "consumer",
     .letter = 'c',
     FLV_STR(struct consume_conf, consumer),
     .help = "Consumer id: continue behind the stored offset, and store what "
             "was printed"},
    OLD_OPT("join", join),
    OLD_OPT("derivedstream", derivedstream),
    OLD_OPT("join-topic", join_topic),
    {.name = NULL}};
/* clang-format on */

struct consume {
    struct cli *cli; /* borrowed */
    const struct consume_conf *conf;
    const struct flv_opts *opts;
    struct flv_consumer *consumer; /* owned */
    struct cli_smart smart;
    struct cli_formatter formatter;
    struct cli_sink sink;
    struct cli_commits commits;
    struct flv_timer grace;
    uint32_t partitions[PARTITIONS_MAX];
    size_t partition_count;
    enum flv_isolation isolation;
    int64_t end_offset; /* -1: none */
    bool reached;       /* a record at or behind it came */
    bool paused;
    struct cli_keys keys;
    bool screen;   /* the terminal shows the table that is kept */
    bool has_keys; /* and somebody may press some */
    bool dirty;    /* and not as it is now */
    bool ended;    /* the consumer has nothing more for us */
    bool stopping; /* a signal came */
    bool closed;
    struct flv_err err; /* why it ended */
};

/* ---- Checking the options ---------------------------------------------- */

/* One that is named twice is read once. */
static bool is_named(const struct consume *k, uint32_t partition)
{
    bool found = false;
    for (size_t i = 0; i < k->partition_count && !found; i++) {
        found = k->partitions[i] == partition;
    }
    return found;
}

static flv_rc parse_partitions(struct consume *k, struct flv_err *err)
{
    const struct flv_list *list = &k->conf->partitions;
    if (list->count > PARTITIONS_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "at most %d --partition options can be given",
                        PARTITIONS_MAX);
    }
    for (size_t i = 0; i < list->count; i++) {
        uint64_t value = 0;
        struct flv_err why = {0};
        if (flv_text_u64(list->items[i], 0, INT32_MAX, &value, &why) !=
            FLV_OK) {
            return flv_fail(err, FLV_E_USAGE,
                            "invalid value for '--partition <integer>': %s",
                            why.text);
        }
        if (!is_named(k, (uint32_t)value)) {
            k->partitions[k->partition_count++] = (uint32_t)value;
        }
    }
    return FLV_OK;
}

static flv_rc parse_output(struct consume *k, struct flv_err *err)
{
    static const struct {
        const char *name;
        enum cli_value_form form;
    } forms[] = {{"dynamic", CLI_VALUE_DYNAMIC}, {"text", CLI_VALUE_TEXT},
                 {"binary", CLI_VALUE_BINARY},   {"json", CLI_VALUE_JSON},
                 {"raw", CLI_VALUE_RAW},         {"table", CLI_VALUE_TABLE}};
    const char *name = k->conf->output;
    if (name == NULL && k->conf->table_format != NULL) {
        k->formatter.form = CLI_VALUE_TABLE;
    }
    if (name == NULL) {
        return FLV_OK;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcasecmp(name, forms[i].name) == 0) {
            k->formatter.form = forms[i].form;
            return FLV_OK;
        }
    }
    if (strcasecmp(name, "full_table") == 0 ||
        strcasecmp(name, "full-table") == 0) {
        k->formatter.form = CLI_VALUE_TABLE;
        k->screen = isatty(STDOUT_FILENO) != 0;
        k->formatter.keep_rows = k->screen;
        k->dirty = k->screen;
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_USAGE,
                    "invalid value '%.40s' for '--output <type>' [possible "
                    "values: dynamic, text, binary, json, raw, table, "
                    "full_table]",
                    name);
}

static flv_rc check_conflicts(const struct consume *k, struct flv_err *err)
{
    const struct consume_conf *conf = k->conf;
    const char *first = NULL, *second = NULL;
    if (conf->format != NULL && conf->output != NULL) {
        first = "format";
        second = "output";
    } else if (conf->all_partitions && conf->partitions.count > 0) {
        first = "all-partitions";
        second = "partition";
    } else if (conf->truncate && (conf->output || conf->format)) {
        first = "truncate";
        second = conf->output != NULL ? "output" : "format";
    }
    if (first != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "the argument '--%s' cannot be used with '--%s'", first,
                        second);
    }
    return FLV_OK;
}

static flv_rc check_unsupported(const struct consume *k, struct flv_err *err)
{
    if (k->conf->mirror != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "this version has no mirroring; leave --mirror out");
    }
    if (k->conf->join != NULL || k->conf->join_topic != NULL ||
        k->conf->derivedstream != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "joins and derived streams of Fluvio 0.9 are gone; "
                        "leave --join, --join-topic and --derivedstream out");
    }
    return FLV_OK;
}

static size_t terminal_size(size_t *out_lines)
{
    struct winsize size;
    bool known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    *out_lines = known && size.ws_row > 0 ? size.ws_row : SCREEN_LINES;
    return known ? size.ws_col : TRUNCATE_COLUMNS;
}

static flv_rc parse_conf(struct consume *k, struct flv_err *err)
{
    const struct consume_conf *conf = k->conf;
    flv_rc rc = check_conflicts(k, err);
    rc = rc == FLV_OK ? parse_partitions(k, err) : rc;
    rc = rc == FLV_OK ? parse_output(k, err) : rc;
    if (rc == FLV_OK && conf->isolation != NULL) {
        rc = cli_parse_isolation(conf->isolation, &k->isolation, err);
    }
    rc = rc == FLV_OK ? check_unsupported(k, err) : rc;
    rc = rc == FLV_OK ? cli_smart_load(&k->smart, &conf->smart, err) : rc;
    rc = rc == FLV_OK ? cli_smart_check_remote(&k->smart, err) : rc;
    if (rc == FLV_OK && conf->format != NULL) {
        rc = cli_template_check(conf->format, err);
    }
    k->formatter.template = conf->format;
    k->formatter.key_value = conf->key_value;
    k->formatter.suppress = conf->suppress_unknown;
    size_t lines = 0;
    k->formatter.line_max = conf->truncate ? terminal_size(&lines) : 0;
    k->end_offset = flv_opts_given(k->opts, "end") ? (int64_t)conf->end : -1;
    if (rc == FLV_OK && k->end_offset >= 0 &&
        flv_opts_given(k->opts, "start") && conf->end < conf->start) {
        rc = flv_fail(err, FLV_E_INVALID,
                      "Argument end-offset must be greater than or equal to "
                      "specified start offset");
    }
    return rc;
}

static struct flv_start start_of(const struct consume *k)
{
    const struct consume_conf *conf = k->conf;
    if (flv_opts_given(k->opts, "beginning") && conf->beginning == 0) {
        return (struct flv_start){.kind = FLV_START_BEGINNING};
    }
    if (flv_opts_given(k->opts, "beginning")) {
        return (struct flv_start){.kind = FLV_START_FROM_BEGINNING,
                                  .n = (int64_t)conf->beginning};
    }
    if (flv_opts_given(k->opts, "head")) {
        return (struct flv_start){.kind = FLV_START_FROM_BEGINNING,
                                  .n = (int64_t)conf->head};
    }
    if (flv_opts_given(k->opts, "start")) {
        return (struct flv_start){.kind = FLV_START_ABSOLUTE,
                                  .n = (int64_t)conf->start};
    }
    if (flv_opts_given(k->opts, "tail")) {
        return (struct flv_start){.kind = FLV_START_FROM_END,
                                  .n = (int64_t)conf->tail};
    }
    return (struct flv_start){.kind = FLV_START_END};
}

/* ---- Notices ----------------------------------------------------------- */

static void print_notice(const struct consume *k, struct flv_start start)
{
    bool bold = cli_colour(STDERR_FILENO);
    if (!isatty(STDOUT_FILENO)) {
        return;
    }
    fprintf(stderr, "%sConsuming records from '%s'", bold ? "\033[1m" : "",
            k->conf->topic);
    switch (start.kind) {
    case FLV_START_BEGINNING:
        fprintf(stderr, " starting from the beginning of log");
        break;
    case FLV_START_FROM_BEGINNING:
        fprintf(stderr, " starting %" PRId64 " from the beginning of log",
                start.n);
        break;
    case FLV_START_ABSOLUTE:
        fprintf(stderr, " starting at offset %" PRId64, start.n);
        break;
    case FLV_START_FROM_END:
        fprintf(stderr, " starting %" PRId64 " from the end of log", start.n);
        break;
    case FLV_START_END:
        break;
    }
    if (k->end_offset >= 0) {
        fprintf(stderr, " until offset %" PRId64 " (inclusive)", k->end_offset);
    }
    fprintf(stderr, "%s\n", bold ? "\033[0m" : "");
}

/* ---- Running ----------------------------------------------------------- */

static bool is_done(const struct consume *k)
{
    return k->ended && cli_sink_is_idle(&k->sink) &&
           !cli_commits_are_pending(&k->commits);
}

/* Shows the table anew when the terminal has taken what came before, so a
 * slow one sees fewer pictures. */
static void redraw(struct consume *k)
{
    char title[200];
    size_t lines = 0;
    if (!k->dirty || !cli_sink_is_idle(&k->sink)) {
        return;
    }
    size_t columns = terminal_size(&lines);
    struct cli_grid *g = &k->formatter.grid;
    int n = snprintf(title, sizeof title, "(%s) | Items: %zu",
                     k->has_keys ? "q to exit, c to clear" : "Ctrl-C to exit",
                     g->row_count);
    if (k->formatter.no_rows > 0) {
        snprintf(title + n, sizeof title - (size_t)n,
                 " | records that are no rows: %" PRIu64, k->formatter.no_rows);
    }
    k->dirty = false;
    cli_ignore(cli_grid_draw(g, title, lines, columns,
                             cli_colour(STDOUT_FILENO), &k->sink.filling));
    cli_sink_kick(&k->sink);
}

/* At the end, what the output took is stored before we leave. */
static void check_done(struct consume *k)
{
    redraw(k);
    if (k->ended && cli_sink_is_idle(&k->sink)) {
        cli_commits_flush(&k->commits);
    }
    if (is_done(k)) {
        flv_loop_stop(k->cli->loop);
    }
}

static void end(struct consume *k, const struct flv_err *err)
{
    k->ended = true;
    if (err != NULL && k->err.rc == FLV_OK) {
        k->err = *err;
    }
    check_done(k);
}

static void got_batch(void *user, const struct flv_record_batch *batch)
{
    struct consume *k = user;
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    size_t i = 0;
    if (k->ended) {
        return;
    }
    for (; i < batch->count && rc == FLV_OK; i++) {
        rc = cli_format_record(&k->formatter, &batch->records[i],
                               batch->partition, &k->sink.filling, &err);
    }
    if (i > 0) {
        int64_t last = batch->records[i - 1].offset;
        k->reached =
            k->reached || (k->end_offset >= 0 && last >= k->end_offset);
        cli_commits_note(&k->commits, batch->partition, last);
    }
    k->dirty = k->screen;
    redraw(k);
    cli_sink_kick(&k->sink);
    if (rc != FLV_OK) {
        end(k, &err);
    } else if (cli_sink_is_full(&k->sink) && !k->paused) {
        k->paused = true;
        flv_consumer_pause(k->consumer);
    }
}

static void consumer_ended(void *user, const struct flv_err *err)
{
    end(user, err);
}

/* Room in the sink again, or the reader is gone, or the disk is full. */
static void sink_written(void *user)
{
    struct consume *k = user;
    if (k->sink.sys != 0) {
        struct flv_err err = {0};
        if (k->sink.sys != EPIPE) {
            (void)flv_fail_sys(&err, FLV_E_IO, k->sink.sys,
                               "cannot write to standard output");
        }
        end(k, k->sink.sys != EPIPE ? &err : NULL);
        return;
    }
    redraw(k);
    if (k->sink.filling.len == 0 && !k->dirty) {
        cli_commits_written(&k->commits);
    }
    if (k->paused && !cli_sink_is_full(&k->sink)) {
        k->paused = false;
        flv_consumer_resume(k->consumer);
    }
    check_done(k);
}

static void commit_failed(void *user, const struct flv_err *err)
{
    struct consume *k = user;
    if (err != NULL) {
        end(k, err);
    }
    check_done(k);
}

/* The reader of our output is stuck: leave what it does not take. */
static void grace_over(struct flv_timer *t)
{
    struct consume *k = FLV_OWNER_OF(t, struct consume, grace);
    k->cli->leave = true;
    flv_loop_stop(k->cli->loop);
}

static void on_signal(void *ctx, int signum)
{
    struct consume *k = ctx;
    (void)signum;
    if (k->stopping ||
        flv_timer_start(&k->grace, STOP_GRACE_MS, 0, NULL) != FLV_OK) {
        grace_over(&k->grace);
        return;
    }
    k->stopping = true;
    end(k, NULL);
}

/* The terminal has another size, or is ours again. */
static void on_resize(void *ctx, int signum)
{
    struct consume *k = ctx;
    (void)signum;
    cli_keys_again(&k->keys);
    k->dirty = true;
    redraw(k);
}

static void on_key(void *user, enum cli_key key)
{
    static const enum cli_grid_way ways[] = {
        [CLI_KEY_UP] = CLI_GRID_UP,
        [CLI_KEY_DOWN] = CLI_GRID_DOWN,
        [CLI_KEY_FIRST] = CLI_GRID_FIRST,
        [CLI_KEY_LAST] = CLI_GRID_LAST,
        [CLI_KEY_PAGE_UP] = CLI_GRID_PAGE_UP,
        [CLI_KEY_PAGE_DOWN] = CLI_GRID_PAGE_DOWN,
    };
    struct consume *k = user;
    if (key == CLI_KEY_QUIT) {
        on_signal(k, SIGINT);
        return;
    }
    if (key == CLI_KEY_CLEAR) {
        cli_grid_clear(&k->formatter.grid);
    } else {
        cli_grid_move(&k->formatter.grid, ways[key]);
    }
    k->dirty = true;
    redraw(k);
}

/* With a screen, every signal that somebody would end us with: the terminal
 * is put right. */
static const struct caught {
    int signum;
    bool screen; /* with one only */
    void (*run)(void *ctx, int signum);
} caught[] = {
    {SIGINT, false, on_signal},  {SIGTERM, false, on_signal},
    {SIGHUP, true, on_signal},   {SIGQUIT, true, on_signal},
    {SIGWINCH, true, on_resize}, {SIGCONT, true, on_resize},
};
#define CAUGHT_COUNT (sizeof caught / sizeof *caught)

static flv_rc catch_signals(struct consume *k, struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < CAUGHT_COUNT && rc == FLV_OK; i++) {
        if (k->screen || !caught[i].screen) {
            rc = flv_loop_on_signal(k->cli->loop, caught[i].signum,
                                    caught[i].run, k, err);
        }
    }
    return rc;
}

static void open_screen(struct consume *k)
{
    k->keys.pressed = on_key;
    k->keys.user = k;
    k->has_keys = cli_keys_open(&k->keys, k->cli->loop);
    cli_ignore(flv_buf_add_str(&k->sink.filling, "\033[2J"));
    cli_sink_kick(&k->sink); /* the empty table follows */
}

static void consumer_closed(void *user)
{
    struct consume *k = user;
    k->closed = true;
    flv_loop_stop(k->cli->loop);
}

static void run_to_end(struct consume *k)
{
    while (!k->cli->leave && !(k->ended && cli_sink_is_idle(&k->sink) &&
                               !cli_commits_are_pending(&k->commits))) {
        flv_loop_run(k->cli->loop);
        if (k->ended) {
            cli_commits_flush(&k->commits);
        }
    }
    if (!k->cli->leave) {
        flv_consumer_close(k->consumer, consumer_closed, k);
        while (!k->closed && !k->cli->leave) {
            flv_loop_run(k->cli->loop);
        }
    }
    flv_timer_stop(&k->grace);
}

static flv_rc open_all(struct consume *k, struct flv_err *err)
{
    const struct consume_conf *conf = k->conf;
    struct flv_loop *loop = k->cli->loop;
    struct flv_consumer_conf cc = flv_consumer_conf_default(conf->topic);
    cc.partitions = k->partition_count > 0 ? k->partitions : NULL;
    cc.partition_count = k->partition_count;
    cc.start = start_of(k);
    cc.end_offset = k->end_offset;
    cc.stop_at_end = conf->disable_continuous;
    cc.max_bytes = (uint32_t)conf->max_bytes;
    cc.consumer_id = conf->consumer;
    cc.smartmodules = k->smart.uses;
    cc.smartmodule_count = k->smart.count;
    cc.batch = got_batch;
    cc.ended = consumer_ended;
    cc.isolation = k->isolation;
    cc.user = k;
    flv_rc rc = cli_sink_init(&k->sink, loop, STDOUT_FILENO, err);
    if (rc != FLV_OK) {
        return rc;
    }
    k->sink.written = sink_written;
    k->sink.user = k;
    flv_timer_init(&k->grace, loop, grace_over);
    rc = catch_signals(k, err);
    if (rc == FLV_OK && k->screen) {
        open_screen(k);
    } else if (rc == FLV_OK) {
        print_notice(k, cc.start);
    }
    rc = rc == FLV_OK
             ? flv_consumer_open(&k->consumer, k->cli->client, &cc, err)
             : rc;
    if (rc == FLV_OK && conf->consumer != NULL) {
        rc = cli_commits_start(&k->commits, loop, k->consumer, commit_failed, k,
                               err);
    }
    return rc;
}

/* ---- The table format ---------------------------------------------------- */

struct format_call {
    struct cli_call call;
    struct consume *k; /* borrowed */
};

static void got_formats(void *user,
                        const struct flv_err *err,
                        const struct flv_table_format *formats,
                        size_t count)
{
    struct format_call *f = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_OK;
    if (err == NULL && count == 0) {
        rc = flv_fail(&own, FLV_E_NOT_FOUND, "TableFormat not found: %.120s",
                      f->k->conf->table_format);
    } else if (err == NULL) {
        rc = cli_grid_use(&f->k->formatter.grid, &formats[0], &own);
    }
    cli_call_end(&f->call, rc != FLV_OK ? &own : err);
}

static flv_rc load_format(struct consume *k, struct flv_err *err)
{
    struct format_call f = {.k = k};
    if (k->conf->table_format == NULL) {
        return FLV_OK;
    }
    cli_call_init(&f.call, k->cli);
    flv_rc rc = flv_client_table_formats(k->cli->client, k->conf->table_format,
                                         got_formats, &f, err);
    return rc == FLV_OK ? cli_call_wait(&f.call, err) : rc;
}

static void close_all(struct consume *k)
{
    struct flv_loop *loop = k->cli->loop;
    cli_keys_close(&k->keys);
    if (k->cli->leave) {
        return;
    }
    for (size_t i = 0; loop != NULL && i < CAUGHT_COUNT; i++) {
        cli_ignore(
            flv_loop_on_signal(loop, caught[i].signum, NULL, NULL, NULL));
    }
    cli_commits_stop(&k->commits);
    cli_sink_deinit(&k->sink);
    cli_formatter_deinit(&k->formatter);
    cli_smart_deinit(&k->smart);
}

static int finish(struct consume *k)
{
    if (k->err.rc != FLV_OK) {
        return cli_fail(&k->err);
    }
    if (k->stopping || k->sink.sys == EPIPE) {
        return 0;
    }
    if (k->reached) {
        fprintf(stderr, "End-offset has been reached; exiting\n");
    }
    if (!k->conf->disable_continuous) {
        fprintf(stderr, "Consumer stream has closed\n");
    }
    return 0;
}

static int consume_run(struct flv_args *args, void *ctx)
{
    static struct consume consume;
    struct consume *k = &consume;
    struct flv_err err = {0};
    k->cli = ctx;
    k->conf = flv_args_conf(args);
    k->opts = flv_args_opts(args);
    cli_formatter_init(&k->formatter);
    flv_rc rc = parse_conf(k, &err);
    if (rc == FLV_E_USAGE) {
        cli_formatter_deinit(&k->formatter);
        cli_smart_deinit(&k->smart);
        return cli_usage(k->cli, "%s", err.text);
    }
    k->cli->tells_link = !k->screen; /* it would be written into the table */
    rc = rc == FLV_OK ? cli_connect(k->cli, &err) : rc;
    rc = rc == FLV_OK ? load_format(k, &err) : rc;
    rc = rc == FLV_OK ? open_all(k, &err) : rc;
    if (rc == FLV_OK) {
        run_to_end(k);
    }
    int status = rc == FLV_OK ? finish(k) : cli_fail(&err);
    close_all(k);
    return status;
}

const struct flv_cmd cli_cmd_consume = {
    .name = "consume",
    .about = "Read messages from a topic/partition\n\n"
             "By default, consume operates in \"streaming\" mode, where the "
             "command will remain active and wait for new messages, printing "
             "them as they arrive. You can use the '-d' flag to exit after "
             "consuming all available messages.",
    .opts = consume_opts,
    .conf_size = sizeof(struct consume_conf),
    .run = consume_run,
};
