#include "cli/cli.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "cli/smart.h"
#include "cli/source.h"
#include "smartmodule/section.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP_MAX 128
#define TOKENS_MAX 4096
#define FAILURES_SHOWN_MAX 5
#define BUFFER_BYTES ((size_t)32 << 20)
/* A line may be longer than a record may be by its key and separator; the
 * producer then names the exact size. */
#define LINE_SLACK_BYTES ((size_t)1 << 20)
#define REQUEST_BYTES_MAX 33554432
#define REQUEST_BYTES_DEFAULT "33554432"

struct produce_conf {
    char *topic;
    bool verbose;
    char *key;
    char *key_separator;
    bool raw;
    char *file;
    int compression;
    uint64_t linger_ms;
    uint64_t batch_size;
    uint64_t max_request_size;
    char *isolation;
    char *delivery_semantic;
    uint64_t partition;
    char *mirror;
    struct cli_smart_conf smart;
};

static const char *const compressions[] = {"none", "gzip", "snappy",
                                           "lz4",  "zstd", NULL};

/* clang-format off */
static const struct flv_opt produce_opts[] = {
    {.name = "topic",
     FLV_STR(struct produce_conf, topic),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the Topic to produce to"},
    {.name = "verbose",
     .letter = 'v',
     FLV_FLAG(struct produce_conf, verbose),
     .help = "Print progress output when sending records"},
    {.name = "key",
     FLV_STR(struct produce_conf, key),
     .group = "key",
     .help = "Sends key/value records with this value as key"},
    {.name = "key-separator",
     FLV_STR(struct produce_conf, key_separator),
     .group = "key",
     .help = "Sends key/value records split on the first instance of the "
             "separator"},
    {.name = "raw",
     FLV_FLAG(struct produce_conf, raw),
     .help = "Send all input as one record. Use this when producing binary "
             "files"},
    {.name = "compression",
     FLV_CHOICE(struct produce_conf, compression),
     .choices = compressions,
     .help = "Compression algorithm to use when sending records"},
    {.name = "file",
     .letter = 'f',
     FLV_STR(struct produce_conf, file),
     .help = "Path to a file to produce to the topic. If absent, producer will "
             "read stdin"},
    {.name = "linger",
     FLV_DURATION(struct produce_conf, linger_ms),
     .fallback = "0s",
     .max = 86400000,
     .help = "Time to wait before sending, such as '150ms', '20s'"},
    {.name = "batch-size",
     FLV_SIZE(struct produce_conf, batch_size),
     .fallback = "16384",
     .min = 1,
     .max = 1 << 30,
     .help = "Max amount of bytes accumulated before sending"},
    {.name = "max-request-size",
     FLV_SIZE(struct produce_conf, max_request_size),
     .fallback = REQUEST_BYTES_DEFAULT,
     .min = 1,
     .max = 1 << 30,
     .help = "Max amount of bytes that the server is allowed to handle in a "
             "single request"},
    {.name = "isolation",
     FLV_STR(struct produce_conf, isolation),
     .help = "Isolation level that producer must respect: read_committed "
             "(ReadCommitted) or read_uncommitted (ReadUncommitted)"},
    {.name = "delivery-semantic",
     FLV_STR(struct produce_conf, delivery_semantic),
     .fallback = "at-least-once",
     .help = "Delivery guarantees that producer must respect: at_most_once "
             "(AtMostOnce) or at_least_once (AtLeastOnce)"},
    {.name = "partition",
     .letter = 'p',
     FLV_U64(struct produce_conf, partition),
     .arg = "integer",
     .max = INT32_MAX,
     .group = "where",
     .help = "Partition id"},
    {.name = "mirror",
     .letter = 'm',
     FLV_STR(struct produce_conf, mirror),
     .group = "where",
     .help = "Remote cluster to produce to (needs mirroring)"},
    CLI_SMART_OPTS(struct produce_conf),
    {.name = NULL}};
/* clang-format on */

/* One send on its way. Free ones are chained. */
struct token {
    struct flv_send send;
    uint64_t first_line, last_line;
    uint64_t read_bytes; /* of the input, when it was sent */
    struct token *next_free;
};

struct produce {
    struct cli *cli; /* borrowed */
    const struct produce_conf *conf;
    const struct flv_opts *opts;
    struct flv_producer *producer; /* owned */
    struct cli_source source;
    struct cli_smart smart;
    struct flv_sm_chain *chain; /* owned; NULL: records go as they are */
    struct flv_buf section;     /* owned; the chain's input */
    /* What the chain made of the last lines, and how much of it was taken. */
    struct flv_sm_result made;
    size_t taken;
    int fd;
    bool interactive;
    struct token *tokens, *free_tokens; /* tokens: owned array */
    /* The group being sent: lines read, the records made of them. */
    struct flv_slice lines[GROUP_MAX];
    struct flv_msg msgs[GROUP_MAX];
    uint64_t numbers[GROUP_MAX]; /* line of each record */
    uint64_t inputs[GROUP_MAX];  /* line of each record given to the chain */
    size_t input_count;
    size_t count, sent;
    bool singly;   /* the group was refused as a whole: find the culprit */
    uint64_t line; /* lines read so far */
    uint64_t read_bytes;
    struct cli_progress progress;
    size_t pending;
    uint64_t failures;
    bool stop; /* read no more */
    bool flushing;
    bool done; /* nothing pending, nothing more to read */
    bool closed;
    int signum;
};

static struct produce *produce_of(struct flv_send *send)
{
    return send->user;
}

static struct token *token_of(struct flv_send *send)
{
    return FLV_OWNER_OF(send, struct token, send);
}

/* What the chain made and nobody has taken. */
static void drop_made(struct produce *p)
{
    p->made = (struct flv_sm_result){.record_count = 0};
    p->taken = 0;
}

/* ---- Failures ---------------------------------------------------------- */

static void report(struct produce *p,
                   uint64_t first,
                   uint64_t last,
                   const struct flv_err *err)
{
    p->stop = true;
    p->count = p->sent;
    drop_made(p);
    if (++p->failures > FAILURES_SHOWN_MAX) {
        return;
    }
    cli_progress_clear(&p->progress);
    if (p->conf->raw) {
        cli_failf("%s", err->text);
    } else if (first == last) {
        cli_failf("line %" PRIu64 ": %s", first, err->text);
    } else {
        cli_failf("lines %" PRIu64 " to %" PRIu64 ": %s", first, last,
                  err->text);
    }
}

/* Fluvio takes any number; more than this no server here can. */
static uint64_t request_max(const struct produce *p)
{
    uint64_t wanted = p->conf->max_request_size;
    return wanted < REQUEST_BYTES_MAX ? wanted : REQUEST_BYTES_MAX;
}

static void report_too_long(struct produce *p)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_LIMIT,
                   "Producer error: record size (more than %" PRIu64
                   " bytes), exceeded maximum request size (%" PRIu64 " bytes)",
                   request_max(p), request_max(p));
    report(p, p->line + 1, p->line + 1, &err);
}

/* ---- From lines to records --------------------------------------------- */

/* False: the line has no separator and is skipped, which counts as failed. */
static bool
make_msg(struct produce *p, struct flv_slice line, struct flv_msg *out)
{
    const struct produce_conf *conf = p->conf;
    *out = (struct flv_msg){.value = line, .partition = -1};
    if (flv_opts_given(p->opts, "partition")) {
        out->partition = (int32_t)conf->partition;
    }
    if (conf->key != NULL) {
        out->has_key = true;
        out->key = flv_slice_str(conf->key);
    } else if (conf->key_separator != NULL) {
        size_t len = strlen(conf->key_separator);
        const uint8_t *at =
            line.len > 0 ? memmem(line.data, line.len, conf->key_separator, len)
                         : NULL;
        if (at == NULL) {
            return false;
        }
        out->has_key = true;
        out->key = flv_slice(line.data, (size_t)(at - line.data));
        out->value = flv_slice(at + len, line.len - out->key.len - len);
    }
    return true;
}

static void skip_line(struct produce *p, struct flv_slice line)
{
    if (++p->failures <= FAILURES_SHOWN_MAX) {
        cli_progress_clear(&p->progress);
        cli_failf("line %" PRIu64 ": Failed to find separator '%s' in record, "
                  "skipping: '%.*s'",
                  p->line, p->conf->key_separator,
                  (int)(line.len < 80 ? line.len : 80),
                  (const char *)line.data);
    }
}

static void prompt(const struct produce *p)
{
    if (p->interactive && !p->stop) {
        fflush(stdout);
        fputs("> ", stderr);
    }
}

/* ---- Through SmartModules ------------------------------------------------ */

static bool has_made(const struct produce *p)
{
    return p->taken < p->made.record_count || p->made.failure_count > 0;
}

/* The lines of the group, in one piece, to the chain. */
static void run_chain(struct produce *p)
{
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    drop_made(p);
    flv_buf_reset(&p->section);
    for (size_t i = 0; i < p->count && rc == FLV_OK; i++) {
        const struct flv_msg *m = &p->msgs[i];
        p->inputs[i] = p->numbers[i];
        rc = flv_sm_section_add(&p->section, m->has_key, m->key, m->value, 0);
    }
    const struct flv_sm_input in = {.section = flv_buf_slice(&p->section),
                                    .base_timestamp_ms = flv_clock_wall_ms()};
    if (rc == FLV_OK && p->count > 0) {
        rc = flv_sm_chain_run(p->chain, &in, true, &p->made, &err);
    }
    p->input_count = p->count;
    p->count = 0;
    if (rc != FLV_OK) {
        if (err.rc == FLV_OK) {
            (void)flv_fail(&err, rc, "no memory for the records");
        }
        drop_made(p);
        report(p, p->inputs[0], p->line, &err);
    }
}

/* The next records that the chain made; behind the last one, its failure. */
static void take_made(struct produce *p)
{
    p->count = 0;
    p->sent = 0;
    p->singly = false;
    if (p->taken == p->made.record_count && p->made.failure_count > 0) {
        const struct flv_sm_failure *f = &p->made.failures[0];
        uint64_t line = p->inputs[f->input];
        struct flv_err err = {0};
        (void)flv_fail(&err, FLV_E_REFUSED, "%s", f->text);
        drop_made(p);
        report(p, line, line, &err);
        return;
    }
    while (p->taken < p->made.record_count && p->count < GROUP_MAX) {
        const struct flv_sm_record *r = &p->made.records[p->taken++];
        size_t n = p->count++;
        p->msgs[n] = (struct flv_msg){.has_key = r->has_key,
                                      .key = r->key,
                                      .value = r->value,
                                      .partition = -1};
        if (flv_opts_given(p->opts, "partition")) {
            p->msgs[n].partition = (int32_t)p->conf->partition;
        }
        p->numbers[n] = r->origin < p->input_count
                            ? p->inputs[r->origin]
                            : p->inputs[p->input_count - 1];
    }
}

/* Fills the group with the next records. */
static enum cli_line next_group(struct produce *p)
{
    size_t lines = 1;
    if (has_made(p)) {
        take_made(p);
        return CLI_LINE_GOT;
    }
    enum cli_line got =
        p->conf->raw ? cli_source_all(&p->source, p->lines)
                     : cli_source_lines(&p->source, p->lines,
                                        p->interactive ? 1 : GROUP_MAX, &lines);
    p->count = 0;
    p->sent = 0;
    p->singly = false;
    for (size_t i = 0; got == CLI_LINE_GOT && i < lines; i++) {
        p->line++;
        p->read_bytes += p->lines[i].len + (p->conf->raw ? 0 : 1);
        if (make_msg(p, p->lines[i], &p->msgs[p->count])) {
            p->numbers[p->count++] = p->line;
        } else {
            skip_line(p, p->lines[i]);
            prompt(p);
        }
    }
    if (got == CLI_LINE_GOT && p->conf->raw) {
        p->stop = true;
    }
    if (p->chain != NULL && p->count > 0) {
        run_chain(p);
        if (!has_made(p)) {
            prompt(p); /* nothing is left to be acknowledged */
        }
    }
    return got;
}

static void print_sent(const struct produce *p, size_t from, size_t to)
{
    for (size_t i = from; i < to && p->conf->verbose; i++) {
        const struct flv_msg *m = &p->msgs[i];
        fputc('[', stdout);
        if (m->has_key) {
            fwrite(m->key.data, 1, m->key.len, stdout);
        } else {
            fputs("null", stdout);
        }
        fputs("] ", stdout);
        fwrite(m->value.data, 1, m->value.len, stdout);
        fputc('\n', stdout);
    }
    if (p->conf->verbose) {
        fflush(stdout);
    }
}

/* ---- Sending ----------------------------------------------------------- */

static void pump(struct produce *p);

static void print_ok(void)
{
    bool colour = cli_colour(STDOUT_FILENO);
    printf("%sOk!%s\n", colour ? "\033[32m" : "", colour ? "\033[0m" : "");
}

static void sent(struct flv_send *send, const struct flv_err *err)
{
    struct produce *p = produce_of(send);
    struct token *t = token_of(send);
    assert(p->pending > 0);
    p->pending--;
    if (err != NULL) {
        report(p, t->first_line, t->last_line, err);
    } else if (p->interactive) {
        print_ok();
    } else {
        cli_progress_show(&p->progress, t->read_bytes);
    }
    t->next_free = p->free_tokens;
    p->free_tokens = t;
    prompt(p);
    pump(p);
}

/* Sends what is left of the group, or one record of it. FLV_E_BUSY: later. */
static flv_rc send_group(struct produce *p)
{
    struct token *t = p->free_tokens;
    struct flv_err err = {0};
    size_t n = p->singly ? 1 : p->count - p->sent;
    if (t == NULL) {
        return FLV_E_BUSY;
    }
    t->send = (struct flv_send){.done = sent, .user = p};
    t->first_line = p->numbers[p->sent];
    t->last_line = p->numbers[p->sent + n - 1];
    t->read_bytes = p->read_bytes;
    flv_rc rc =
        flv_producer_send(p->producer, p->msgs + p->sent, n, &t->send, &err);
    if (rc == FLV_OK) {
        p->free_tokens = t->next_free;
        p->pending++;
        print_sent(p, p->sent, p->sent + n);
        p->sent += n;
    } else if (rc != FLV_E_BUSY && n > 1) {
        p->singly = true;
        return FLV_OK;
    } else if (rc != FLV_E_BUSY) {
        report(p, t->first_line, t->last_line, &err);
    }
    return rc;
}

static void flushed(void *user, const struct flv_err *err)
{
    (void)user;
    (void)err; /* each send reports its own failure */
}

/* What lingers goes now; ends the loop when nothing is on its way. */
static void finish_sending(struct produce *p)
{
    struct flv_err err = {0};
    if (!p->flushing && p->pending > 0) {
        p->flushing = true;
        if (flv_producer_flush(p->producer, flushed, p, &err) != FLV_OK) {
            report(p, p->line, p->line, &err);
        }
    }
    if (p->pending == 0 && !p->done) {
        p->done = true;
        flv_loop_stop(p->cli->loop);
    }
}

/* Reads and sends until the producer is full, the input has nothing yet, or
 * the end. Called again whenever one of these changes. */
static void pump(struct produce *p)
{
    while (p->sent < p->count || has_made(p) || !p->stop) {
        if (p->sent < p->count) {
            flv_rc rc = send_group(p);
            if (rc == FLV_E_BUSY) {
                return;
            }
            continue;
        }
        if (p->interactive && p->pending > 0) {
            return;
        }
        enum cli_line got = next_group(p);
        if (got == CLI_LINE_WAIT) {
            return;
        }
        if (got == CLI_LINE_TOO_LONG) {
            report_too_long(p);
        }
        p->stop = p->stop || got != CLI_LINE_GOT;
    }
    finish_sending(p);
}

static void pump_again(void *user)
{
    pump(user);
}

static void on_signal(void *ctx, int signum)
{
    struct produce *p = ctx;
    if (p->signum != 0) {
        p->cli->leave = true;
        flv_loop_stop(p->cli->loop);
        return;
    }
    p->signum = signum;
    p->stop = true;
    p->count = p->sent;
    drop_made(p);
    finish_sending(p);
}

/* ---- Setting up -------------------------------------------------------- */

static int check_options(struct produce *p, struct flv_err *err)
{
    const struct produce_conf *conf = p->conf;
    if (conf->key_separator != NULL && conf->key_separator[0] == '\0') {
        return cli_usage(p->cli,
                         "invalid value '' for '--key-separator "
                         "<KEY_SEPARATOR>': must be non-empty. If using '=', "
                         "type it as '--key-separator \"=\"'");
    }
    if (conf->raw && conf->key_separator != NULL) {
        return cli_usage(p->cli, "the argument '--raw' cannot be used with "
                                 "'--key-separator <KEY_SEPARATOR>'");
    }
    if (conf->mirror != NULL) {
        (void)flv_fail(err, FLV_E_UNSUPPORTED,
                       "this version has no mirroring; leave --mirror out");
        return cli_fail(err);
    }
    flv_rc rc = cli_smart_load(&p->smart, &conf->smart, err);
    if (rc == FLV_E_USAGE) {
        return cli_usage(p->cli, "%s", err->text);
    }
    return rc == FLV_OK ? 0 : cli_fail(err);
}

static flv_rc make_chain(struct produce *p, struct flv_err *err)
{
    struct flv_sm_look_back want;
    flv_buf_init(&p->section,
                 (size_t)request_max(p) + (size_t)GROUP_MAX * LINE_SLACK_BYTES);
    if (p->smart.count == 0) {
        return FLV_OK;
    }
    flv_rc rc = cli_smart_chain(&p->smart, p->cli, &p->chain, err);
    if (rc == FLV_OK && flv_sm_chain_wants_look_back(p->chain, 0, &want)) {
        rc = flv_fail(err, FLV_E_UNSUPPORTED,
                      "%.80s wants to look back at past records, which a "
                      "producer does not have; remove lookback",
                      p->smart.uses[want.step].name);
    }
    return rc;
}

/* FLV_E_USAGE for values in no known spelling. */
static flv_rc producer_conf(struct produce *p,
                            struct flv_producer_conf *out,
                            struct flv_err *err)
{
    const struct produce_conf *conf = p->conf;
    *out = flv_producer_conf_default(conf->topic);
    out->linger_ms = (uint32_t)conf->linger_ms;
    out->batch_size_bytes = (uint32_t)conf->batch_size;
    out->request_size_bytes_max = (uint32_t)request_max(p);
    out->buffer_bytes_max = BUFFER_BYTES;
    if (request_max(p) > BUFFER_BYTES / 2) {
        out->buffer_bytes_max = 2 * (size_t)request_max(p);
    }
    out->compression = FLV_COMPRESSION_ANY;
    if (flv_opts_given(p->opts, "compression")) {
        out->compression = (enum flv_compression)conf->compression;
    }
    out->fail_on_storage = true;
    out->writable = pump_again;
    out->user = p;
    flv_rc rc = FLV_OK;
    if (conf->isolation != NULL) {
        rc = cli_parse_isolation(conf->isolation, &out->isolation, err);
    }
    return rc == FLV_OK ? cli_parse_delivery(conf->delivery_semantic,
                                             &out->delivery, err)
                        : rc;
}

/* A file's end is known, a pipe's is not. Verbose output is progress enough. */
static void start_progress(struct produce *p)
{
    struct stat st;
    uint64_t total = 0;
    if (fstat(p->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        const off_t at = lseek(p->fd, 0, SEEK_CUR);
        total = at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
    }
    cli_progress_start(&p->progress, NULL, total);
    p->progress.on = p->progress.on && !p->interactive && !p->conf->verbose;
}

static flv_rc open_input(struct produce *p, struct flv_err *err)
{
    const struct produce_conf *conf = p->conf;
    p->fd = STDIN_FILENO;
    if (conf->file != NULL) {
        p->fd = open(conf->file, O_RDONLY | O_CLOEXEC);
        if (p->fd < 0) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s",
                                conf->file);
        }
    }
    p->interactive = conf->file == NULL && !conf->raw && isatty(p->fd) != 0;
    start_progress(p);
    return FLV_OK;
}

static flv_rc make_tokens(struct produce *p, struct flv_err *err)
{
    p->tokens = flv_zalloc(TOKENS_MAX, sizeof *p->tokens);
    if (p->tokens == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        p->tokens[i].next_free = p->free_tokens;
        p->free_tokens = &p->tokens[i];
    }
    return FLV_OK;
}

static flv_rc open_all(struct produce *p,
                       const struct flv_producer_conf *conf,
                       struct flv_err *err)
{
    struct flv_loop *loop = p->cli->loop;
    struct cli_call call;
    cli_call_init(&call, p->cli);
    flv_rc rc = make_tokens(p, err);
    rc = rc == FLV_OK ? flv_producer_open(&p->producer, p->cli->client, conf,
                                          cli_call_done, &call, err)
                      : rc;
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    rc = cli_source_init(&p->source, loop, p->fd,
                         (size_t)request_max(p) + LINE_SLACK_BYTES, err);
    p->source.filled = pump_again;
    p->source.user = p;
    rc =
        rc == FLV_OK ? flv_loop_on_signal(loop, SIGINT, on_signal, p, err) : rc;
    return rc == FLV_OK ? flv_loop_on_signal(loop, SIGTERM, on_signal, p, err)
                        : rc;
}

static void producer_closed(void *user)
{
    struct produce *p = user;
    p->closed = true;
    flv_loop_stop(p->cli->loop);
}

static void close_all(struct produce *p)
{
    struct cli *c = p->cli;
    if (p->source.busy) {
        /* A read that nobody can call back, such as of a terminal. */
        c->leave = true;
    }
    if (c->leave) {
        return;
    }
    if (p->producer != NULL) {
        flv_producer_close(p->producer, 0, producer_closed, p);
        while (!p->closed) {
            flv_loop_run(c->loop);
        }
    }
    if (c->loop != NULL) {
        cli_ignore(flv_loop_on_signal(c->loop, SIGINT, NULL, NULL, NULL));
        cli_ignore(flv_loop_on_signal(c->loop, SIGTERM, NULL, NULL, NULL));
    }
    cli_source_deinit(&p->source);
    flv_sm_chain_destroy(p->chain);
    flv_buf_deinit(&p->section);
    cli_smart_deinit(&p->smart);
    flv_free(p->tokens);
    if (p->fd > STDIN_FILENO) {
        close(p->fd);
    }
}

static int finish(struct produce *p)
{
    if (p->source.sys != 0) {
        return cli_failf("cannot read %s: %s",
                         p->conf->file != NULL ? p->conf->file
                                               : "standard input",
                         strerror(p->source.sys));
    }
    if (p->failures > FAILURES_SHOWN_MAX) {
        cli_failf("%" PRIu64 " failures in all, the first ones are above",
                  p->failures);
    }
    if (p->signum != 0) {
        return 128 + p->signum;
    }
    return p->failures > 0 ? CLI_EXIT_FAILURE : 0;
}

static void run_to_end(struct produce *p)
{
    prompt(p);
    pump(p);
    while (!p->done && !p->cli->leave) {
        flv_loop_run(p->cli->loop);
    }
    cli_progress_clear(&p->progress);
    if (p->interactive && p->signum == 0 && p->failures == 0) {
        fputc('\n', stderr);
    }
}

static int produce_run(struct flv_args *args, void *ctx)
{
    static struct produce produce;
    struct produce *p = &produce;
    struct flv_producer_conf conf;
    struct flv_err err = {0};
    p->cli = ctx;
    p->conf = flv_args_conf(args);
    p->opts = flv_args_opts(args);
    int status = check_options(p, &err);
    flv_rc rc = status == 0 ? producer_conf(p, &conf, &err) : FLV_OK;
    if (rc == FLV_E_USAGE) {
        status = cli_usage(p->cli, "%s", err.text);
    }
    if (status != 0) {
        cli_smart_deinit(&p->smart);
        return status;
    }
    rc = rc == FLV_OK ? open_input(p, &err) : rc;
    rc = rc == FLV_OK ? cli_connect(p->cli, &err) : rc;
    rc = rc == FLV_OK ? make_chain(p, &err) : rc;
    rc = rc == FLV_OK ? open_all(p, &conf, &err) : rc;
    if (rc == FLV_OK) {
        run_to_end(p);
    }
    status = rc == FLV_OK ? finish(p) : cli_fail(&err);
    close_all(p);
    return status;
}

const struct flv_cmd cli_cmd_produce = {
    .name = "produce",
    .about = "Write messages to a topic/partition\n\n"
             "When no '--file' is provided, the producer will read from "
             "'stdin' and send each line of input as one record.\n\n"
             "If a file is given with '--file', each line of it is sent as "
             "one record; with '--raw' all of the input is one record.\n\n"
             "If '--key-separator' is used, records are sent as key/value "
             "pairs, and the keys are used to determine which partition the "
             "records are sent to.",
    .opts = produce_opts,
    .conf_size = sizeof(struct produce_conf),
    .run = produce_run,
};
