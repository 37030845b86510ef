/* fluvio dead-letter replay. */
#include "cli/replay.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cli/dead_letter.h"
#include "cli/progress.h"
#include "cli/smart.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>

#define COMPLAINTS_SHOWN_MAX 20
#define BATCH_BYTES_MAX (32u << 20)
#define PARTITIONS_MAX 65536
/* A cluster that is away, or somebody else at the same letters: how long to
 * try without getting on. */
#define PATIENCE_MS 60000
#define PAUSE_MS 500
/* Error code of a producer that is out of sequence. */
#define WIRE_OUT_OF_SEQUENCE 1

struct replay_conf {
    struct cli_which_conf which;
    char *to;
    struct flv_list with;
    struct flv_list params;
    char *transforms;
    bool dry_run;
    int in_doubt;
};

enum in_doubt { IN_DOUBT_STOP, IN_DOUBT_SEND, IN_DOUBT_SETTLE };
static const char *const in_doubt_names[] = {"stop", "send", "settle", NULL};

struct replay {
    struct cli *cli; /* borrowed */
    const struct replay_conf *conf;
    struct cli_letters letters;
    struct cli_choice choice;
    struct cli_smart smart;
    struct flv_sm_chain *chain; /* owned; NULL: none */
    struct cli_chunk chunk;
    struct cli_progress progress;
    /* Ends of the partitions of `ends_of`, which is where the last replay of
     * this process went; a lower bound is good enough. */
    char *ends_of; /* owned */
    int64_t *ends; /* owned */
    uint32_t end_count;
    int64_t chunk_id;      /* of the begin this process wrote last */
    int64_t complained_of; /* highest offset so far */
    int64_t chunk_first;
    uint64_t replayed, records, filtered, failed, finished;
    uint64_t got_on_ms; /* when something was settled last */
    bool told;          /* of trouble since */
    int signum;
};

/* ---- What stays --------------------------------------------------------- */

/* Once per letter: a chunk may be gathered again. */
static void complain(void *user, int64_t offset, const char *text)
{
    struct replay *r = user;
    if (offset <= r->complained_of) {
        return;
    }
    r->complained_of = offset;
    if (++r->failed <= COMPLAINTS_SHOWN_MAX) {
        cli_progress_clear(&r->progress);
        cli_failf("letter %" PRId64 " %s", offset, text);
    }
}

static void show_progress(struct replay *r)
{
    cli_progress_show(&r->progress, r->replayed + r->filtered + r->failed);
}

/* ---- Trouble that may pass ---------------------------------------------- */

struct pause {
    struct flv_timer timer;
    struct cli_call call;
};

static void pause_over(struct flv_timer *t)
{
    struct pause *p = (struct pause *)(void *)t;
    cli_call_end(&p->call, NULL);
}

static void wait_a_little(struct replay *r)
{
    struct pause p;
    cli_call_init(&p.call, r->cli);
    flv_timer_init(&p.timer, r->cli->loop, pause_over);
    const uint64_t ms = 1 + flv_rand_below(PAUSE_MS);
    if (flv_timer_start(&p.timer, ms, 0, NULL) == FLV_OK) {
        cli_ignore(cli_call_wait(&p.call, NULL));
    }
}

static void got_on(struct replay *r)
{
    r->got_on_ms = flv_clock_mono_ms();
    r->told = false;
}

/* Waits and returns true where it is worth trying again. */
static bool try_again(struct replay *r, const struct flv_err *err)
{
    const bool may_pass = flv_rc_class(err->rc) == FLV_CLASS_RETRY ||
                          err->wire == WIRE_OUT_OF_SEQUENCE;
    if (r->signum != 0 || !may_pass ||
        flv_clock_mono_ms() - r->got_on_ms > PATIENCE_MS) {
        return false;
    }
    if (!r->told && err->rc != FLV_E_BUSY) {
        cli_progress_clear(&r->progress);
        fprintf(stderr, "%s; trying again\n", err->text);
        r->told = true;
    }
    wait_a_little(r);
    return r->signum == 0;
}

/* ---- Where batches go --------------------------------------------------- */

static flv_rc open_producer(struct replay *r,
                            const char *topic,
                            int64_t id,
                            struct flv_producer **out,
                            struct flv_err *err)
{
    struct flv_producer_conf conf = flv_producer_conf_default(topic);
    conf.producer_id = id;
    /* A parcel is one send and has to be one batch. */
    conf.batch_size_bytes = BATCH_BYTES_MAX;
    conf.request_size_bytes_max = BATCH_BYTES_MAX;
    conf.buffer_bytes_max = (size_t)4 * BATCH_BYTES_MAX;
    conf.delivery_timeout_ms = CLI_LETTERS_PATIENCE_MS;
    return cli_producer_open(r->cli, &conf, out, err);
}

static flv_rc know_ends(struct replay *r,
                        const char *topic,
                        uint32_t count,
                        struct flv_err *err)
{
    if (r->ends_of != NULL && strcmp(r->ends_of, topic) == 0 &&
        r->end_count == count) {
        return FLV_OK;
    }
    flv_free(r->ends_of);
    flv_free(r->ends);
    r->end_count = 0;
    r->ends_of = flv_strdup(topic);
    r->ends = flv_zalloc(count, sizeof *r->ends);
    if (r->ends_of == NULL || r->ends == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for partitions");
    }
    flv_rc rc = cli_positions(r->cli, topic, true, count, r->ends, err);
    if (rc == FLV_OK) {
        r->end_count = count;
    }
    return rc;
}

/* ---- Whether a batch has arrived ---------------------------------------- */

struct search {
    int64_t id;
    bool found;
};

static flv_rc
look(void *user, const struct flv_record_batch *batch, struct flv_err *err)
{
    struct search *s = user;
    (void)err;
    s->found = s->found || batch->producer_id == s->id;
    return s->found ? FLV_E_CANCELED : FLV_OK;
}

enum arrival { MISSING, ARRIVED, UNKNOWN };

/* The batch lies at parcel->end or behind it, or nowhere; `first` is where the
 * partition begins now. */
static flv_rc search_parcel(struct replay *r,
                            const struct cli_begin *b,
                            const struct cli_parcel *p,
                            int64_t first,
                            enum arrival *out,
                            struct flv_err *err)
{
    struct search s = {.id = b->id};
    const struct cli_stretch what = {.topic = b->topic,
                                     .partition = p->partition,
                                     .first = p->end > first ? p->end : first,
                                     .last = -1};
    flv_rc rc = cli_read(r->cli, &what, look, &s, err);
    if (rc == FLV_OK) {
        *out = s.found                         ? ARRIVED
               : p->end < first || b->doubtful ? UNKNOWN
                                               : MISSING;
    }
    return rc;
}

static flv_rc in_doubt(const struct replay *r,
                       const struct cli_begin *b,
                       const struct cli_parcel *p,
                       enum arrival *arrival,
                       struct flv_err *err)
{
    if (r->conf->in_doubt == IN_DOUBT_STOP) {
        return flv_fail(err, FLV_E_REFUSED,
                        "whether %zu records of an interrupted replay came to "
                        "partition %" PRIu32 " of topic %.60s cannot be told: "
                        "%s; say '--in-doubt send' or '--in-doubt settle'",
                        p->count, p->partition, b->topic,
                        b->doubtful ? "retention removed its letters and what "
                                      "stood before it"
                                    : "its retention went past them");
    }
    *arrival = r->conf->in_doubt == IN_DOUBT_SEND ? MISSING : ARRIVED;
    return FLV_OK;
}

/* ---- Sending what has begun --------------------------------------------- */

static flv_rc send_parcel(struct replay *r,
                          struct flv_producer *producer,
                          const struct cli_begin *b,
                          const struct cli_parcel *p,
                          struct flv_err *err)
{
    int64_t offset = -1;
    flv_rc rc =
        cli_producer_send(r->cli, producer, p->records, p->count, &offset, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "topic %.60s", b->topic);
        return rc;
    }
    if (offset >= 0 && r->ends_of != NULL &&
        strcmp(r->ends_of, b->topic) == 0 && p->partition < r->end_count) {
        r->ends[p->partition] = offset + (int64_t)p->count;
    }
    return FLV_OK;
}

static flv_rc send_all(struct replay *r,
                       struct flv_producer *producer,
                       const struct cli_begin *b,
                       struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < b->parcel_count && rc == FLV_OK; i++) {
        rc = send_parcel(r, producer, b, &b->parcels[i], err);
    }
    return rc;
}

/* Sends those that have not arrived: the same bytes under the same id, so that
 * a server that has them after all stores them once. */
static flv_rc finish_parcels(struct replay *r,
                             struct flv_producer *producer,
                             const struct cli_begin *b,
                             struct flv_err *err)
{
    const uint32_t count = flv_producer_partition_count(producer);
    int64_t *firsts = flv_zalloc(count, sizeof *firsts);
    if (firsts == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for partitions");
    }
    flv_rc rc = cli_positions(r->cli, b->topic, false, count, firsts, err);
    for (size_t i = 0; i < b->parcel_count && rc == FLV_OK; i++) {
        const struct cli_parcel *p = &b->parcels[i];
        enum arrival arrival = MISSING;
        rc = search_parcel(r, b, p, firsts[p->partition], &arrival, err);
        if (rc == FLV_OK && arrival == UNKNOWN) {
            rc = in_doubt(r, b, p, &arrival, err);
        }
        if (rc == FLV_OK && arrival == MISSING) {
            rc = send_parcel(r, producer, b, p, err);
        }
    }
    flv_free(firsts);
    return rc;
}

/* The chunk that was gathered last is settled. */
static void count_chunk(struct replay *r, uint64_t records)
{
    for (size_t i = 0; i < r->chunk.item_count; i++) {
        const struct cli_chunk_item *item = &r->chunk.items[i];
        if (!item->left_out) {
            *(item->count > 0 ? &r->replayed : &r->filtered) += 1;
        }
    }
    r->records += records;
}

static flv_rc note_end(struct replay *r, bool arrived, struct flv_err *err)
{
    struct flv_buf note;
    const struct cli_begin *b = &r->letters.ledger.begun;
    const bool own = b->id == r->chunk_id;
    const uint64_t records = b->record_count;
    const uint64_t count = cli_ranges_count(&b->letters, 0, INT64_MAX - 1);
    flv_buf_init(&note, CLI_SETTLEMENT_BYTES_MAX);
    flv_rc rc = cli_settle_end(&r->letters.ledger, arrived, &note, err);
    rc = rc == FLV_OK ? cli_letters_append(&r->letters, &note, err) : rc;
    flv_buf_deinit(&note);
    if (rc == FLV_OK && arrived && own) {
        count_chunk(r, records);
    } else if (rc == FLV_OK && arrived) {
        r->finished += count;
    }
    return rc;
}

/* A topic that was made anew can have fewer. */
static bool has_partitions(const struct flv_producer *producer,
                           const struct cli_begin *b)
{
    const uint32_t count = flv_producer_partition_count(producer);
    bool all = true;
    for (size_t i = 0; i < b->parcel_count; i++) {
        all = all && b->parcels[i].partition < count;
    }
    return all;
}

/* What an interrupted replay has begun, this process's or another's. */
static flv_rc finish_begun(struct replay *r, struct flv_err *err)
{
    const struct cli_begin *b = &r->letters.ledger.begun;
    struct flv_producer *producer = NULL;
    flv_rc rc = open_producer(r, b->topic, b->id, &producer, err);
    if (rc == FLV_E_NOT_FOUND ||
        (rc == FLV_OK && !has_partitions(producer, b))) {
        /* Nothing of it is anywhere: the topic is gone. */
        cli_producer_close(r->cli, producer);
        cli_progress_clear(&r->progress);
        cli_say(stderr,
                "topic %s of an interrupted replay is not there any more; its "
                "letters are open again",
                b->topic);
        return note_end(r, false, err);
    }
    rc = rc == FLV_OK ? finish_parcels(r, producer, b, err) : rc;
    cli_producer_close(r->cli, producer);
    return rc == FLV_OK ? note_end(r, true, err) : rc;
}

/* ---- One chunk ---------------------------------------------------------- */

static flv_rc note_filtered(struct replay *r,
                            const struct cli_ranges *letters,
                            struct flv_err *err)
{
    struct flv_buf note;
    if (letters->count == 0) {
        return FLV_OK;
    }
    flv_buf_init(&note, CLI_SETTLEMENT_BYTES_MAX);
    flv_rc rc =
        cli_settle_letters(&r->letters.ledger, letters, "filtered", &note, err);
    rc = rc == FLV_OK ? cli_letters_append(&r->letters, &note, err) : rc;
    flv_buf_deinit(&note);
    return rc;
}

/* Nothing is sent before the note of it is on disk and counts. */
static flv_rc
note_begin(struct replay *r, struct cli_begin *b, struct flv_err *err)
{
    struct flv_buf note;
    const struct cli_ledger *l = &r->letters.ledger;
    flv_buf_init(&note, CLI_SETTLEMENT_BYTES_MAX);
    flv_rc rc = cli_settle_begin(l, b, &note, err);
    rc = rc == FLV_OK ? cli_letters_append(&r->letters, &note, err) : rc;
    flv_buf_deinit(&note);
    if (rc == FLV_OK && (!l->open || l->begun.id != b->id)) {
        rc = flv_fail(err, FLV_E_BUSY, "somebody else replays letters of %.60s",
                      r->letters.topic);
    }
    return rc;
}

static flv_rc replay_begin(struct replay *r,
                           struct flv_producer *producer,
                           struct cli_begin *b,
                           struct flv_err *err)
{
    if (b->parcel_count == 0) {
        flv_rc done = note_filtered(r, &b->letters, err);
        if (done == FLV_OK) {
            count_chunk(r, 0);
        }
        return done;
    }
    flv_rc rc = note_begin(r, b, err);
    rc = rc == FLV_OK ? send_all(r, producer, b, err) : rc;
    return rc == FLV_OK ? note_end(r, true, err) : rc;
}

static flv_rc replay_chunk(struct replay *r, struct flv_err *err)
{
    struct flv_producer *producer = NULL;
    struct cli_begin b = {.id = 0};
    const int64_t id = (int64_t)(flv_rand_u64() >> 1 | 1);
    r->chunk_id = id;
    flv_rc rc = open_producer(r, r->chunk.topic, id, &producer, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const uint32_t count = flv_producer_partition_count(producer);
    rc = know_ends(r, r->chunk.topic, count, err);
    if (rc == FLV_OK) {
        rc = cli_chunk_address(&r->chunk, producer, r->ends, &b, err);
    }
    if (rc == FLV_OK) {
        b.id = id;
        rc = replay_begin(r, producer, &b, err);
    }
    cli_producer_close(r->cli, producer);
    cli_begin_deinit(&b);
    return rc;
}

/* What would be: nothing is written. */
static void count_dry(struct replay *r)
{
    for (size_t i = 0; i < r->chunk.item_count; i++) {
        const size_t count = r->chunk.items[i].count;
        *(count > 0 ? &r->replayed : &r->filtered) += 1;
        r->records += count;
    }
}

/* ---- All of them -------------------------------------------------------- */

static flv_rc replay_rest(struct replay *r, struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    while (rc == FLV_OK && r->signum == 0) {
        r->chunk_first = r->chunk.next;
        rc = cli_chunk_gather(&r->chunk, &r->choice, err);
        if (rc != FLV_OK || r->chunk.item_count == 0) {
            return rc;
        }
        if (r->conf->dry_run) {
            count_dry(r);
        } else {
            rc = replay_chunk(r, err);
        }
        if (rc == FLV_OK) {
            got_on(r);
            show_progress(r);
        }
    }
    return rc;
}

/* Whatever went wrong, the ledger says how far things are: the way on is the
 * same as that of a program that was killed and is run again. */
static flv_rc replay_all(struct replay *r, struct flv_err *err)
{
    for (;;) {
        flv_rc rc = FLV_OK;
        if (r->letters.ledger.open && !r->conf->dry_run) {
            rc = finish_begun(r, err);
        }
        rc = rc == FLV_OK ? replay_rest(r, err) : rc;
        if (rc == FLV_OK || !try_again(r, err)) {
            return rc;
        }
        while ((rc = cli_letters_update(&r->letters, err)) != FLV_OK) {
            if (!try_again(r, err)) {
                return rc;
            }
        }
        r->chunk.next = r->chunk_first;
        flv_err_clear(err);
    }
}

/* ---- The command -------------------------------------------------------- */

/* The chunk on its way is finished; a second signal ends at once. */
static void on_signal(void *ctx, int signum)
{
    struct replay *r = ctx;
    r->signum = signum;
    cli_ignore(flv_loop_on_signal(r->cli->loop, signum, NULL, NULL, NULL));
}

static flv_rc check_modules(const struct replay *r, struct flv_err *err)
{
    for (size_t i = 0; i < flv_sm_chain_steps(r->chain); i++) {
        const struct flv_sm_module_info info =
            flv_sm_module_info(flv_sm_chain_module(r->chain, i));
        if (info.kind == FLV_SM_AGGREGATE) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            "%.100s is an aggregate: what it makes of a letter "
                            "depends on all before it, which a replay that is "
                            "run again does not know",
                            info.name);
        }
    }
    return FLV_OK;
}

static flv_rc load(struct replay *r, struct flv_err *err)
{
    const struct replay_conf *conf = r->conf;
    const struct cli_smart_conf file = {.transforms = conf->transforms};
    if (conf->to != NULL && strcmp(conf->to, conf->which.topic) == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "letters of topic %.60s cannot be replayed into it",
                        conf->to);
    }
    if (conf->with.count > 0 && conf->transforms != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "the argument '--with' cannot be used with "
                        "'--transforms'");
    }
    if (conf->params.count > 0 && conf->with.count == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "'--params' needs a SmartModule, '--with <MODULE>'");
    }
    return conf->with.count > 0
               ? cli_smart_load_list(&r->smart, &conf->with, &conf->params, err)
               : cli_smart_load(&r->smart, &file, err);
}

static flv_rc
open_letters(struct replay *r, const struct flv_opts *opts, struct flv_err *err)
{
    const struct cli_which_conf *which = &r->conf->which;
    for (;;) {
        flv_rc rc = cli_letters_open(&r->letters, r->cli, which->topic,
                                     cli_partition_of(which, opts), err);
        if (rc == FLV_OK || !try_again(r, err)) {
            return rc;
        }
        cli_letters_close(&r->letters);
    }
}

static flv_rc
open_all(struct replay *r, const struct flv_opts *opts, struct flv_err *err)
{
    flv_rc rc = cli_connect(r->cli, err);
    rc = rc == FLV_OK ? open_letters(r, opts, err) : rc;
    if (rc == FLV_OK && r->smart.count > 0) {
        rc = cli_smart_chain(&r->smart, r->cli, &r->chain, err);
        rc = rc == FLV_OK ? check_modules(r, err) : rc;
    }
    r->chunk.letters = &r->letters;
    r->chunk.chain = r->chain;
    r->chunk.to = r->conf->to;
    r->chunk.complain = complain;
    r->chunk.user = r;
    rc = rc == FLV_OK ? cli_chunk_init(&r->chunk, err) : rc;
    struct flv_loop *loop = r->cli->loop;
    rc =
        rc == FLV_OK ? flv_loop_on_signal(loop, SIGINT, on_signal, r, err) : rc;
    return rc == FLV_OK ? flv_loop_on_signal(loop, SIGTERM, on_signal, r, err)
                        : rc;
}

static void close_all(struct replay *r)
{
    if (r->cli->loop != NULL) {
        cli_ignore(flv_loop_on_signal(r->cli->loop, SIGINT, NULL, NULL, NULL));
        cli_ignore(flv_loop_on_signal(r->cli->loop, SIGTERM, NULL, NULL, NULL));
    }
    cli_chunk_deinit(&r->chunk);
    flv_sm_chain_destroy(r->chain);
    cli_smart_deinit(&r->smart);
    if (!r->cli->leave) {
        cli_letters_close(&r->letters);
    }
    flv_free(r->ends_of);
    flv_free(r->ends);
}

static void print_figures(const struct replay *r)
{
    const bool dry = r->conf->dry_run;
    if (r->finished > 0) {
        printf("finished an interrupted replay of %" PRIu64 " letter%s\n",
               r->finished, cli_plural(r->finished));
    }
    printf("%s %" PRIu64 " letter%s as %" PRIu64 " record%s",
           dry ? "would replay" : "replayed", r->replayed,
           cli_plural(r->replayed), r->records, cli_plural(r->records));
    if (r->filtered > 0) {
        printf(", %" PRIu64 " filtered", r->filtered);
    }
    if (r->failed > 0) {
        printf(", %" PRIu64 " %s", r->failed, dry ? "would stay" : "stay");
    }
    putchar('\n');
    if (dry && r->letters.ledger.open) {
        const struct cli_ranges *l = &r->letters.ledger.begun.letters;
        printf("would finish an interrupted replay of %" PRIu64 " letters\n",
               cli_ranges_count(l, 0, INT64_MAX - 1));
    }
}

static int finish(struct replay *r, flv_rc rc, const struct flv_err *err)
{
    cli_progress_clear(&r->progress);
    if (rc == FLV_OK || r->replayed + r->filtered + r->finished > 0) {
        print_figures(r);
    }
    if (rc != FLV_OK) {
        const int status = cli_letters_fail(r->cli, err);
        if (r->letters.ledger.open) {
            fprintf(stderr, "run it again to go on where it stopped\n");
        }
        return status;
    }
    if (r->signum != 0) {
        fprintf(stderr, "interrupted; run it again to go on\n");
        return 128 + r->signum;
    }
    return r->failed > 0 ? CLI_EXIT_FAILURE : 0;
}

static int replay_run(struct flv_args *args, void *ctx)
{
    static struct replay replay;
    struct replay *r = &replay;
    struct flv_err err = {0};
    r->cli = ctx;
    r->conf = flv_args_conf(args);
    r->choice = cli_choice_of(&r->conf->which, flv_args_opts(args));
    r->complained_of = -1;
    got_on(r);
    flv_rc rc = load(r, &err);
    rc = rc == FLV_OK ? open_all(r, flv_args_opts(args), &err) : rc;
    if (rc == FLV_OK) {
        const int64_t last =
            r->choice.last >= 0 ? r->choice.last : r->letters.ledger.next;
        cli_progress_start(
            &r->progress, "letters",
            cli_ledger_count(&r->letters.ledger, r->choice.first, last));
        /* What comes while it runs is for the next time. */
        r->choice.last =
            last < r->letters.ledger.next ? last : r->letters.ledger.next - 1;
        rc = r->choice.last >= 0 ? replay_all(r, &err) : FLV_OK;
    }
    const int status = finish(r, rc, &err);
    close_all(r);
    return status;
}

static const char *const with_aliases[] = {"smartmodule-path", NULL};

static const struct flv_opt replay_opts[] = {
    CLI_LETTERS_TOPIC(struct replay_conf, FLV_OPT_REQUIRED),
    CLI_LETTERS_PARTITION(struct replay_conf),
    CLI_WHICH_OPTS(struct replay_conf),
    {.name = "to",
     FLV_STR(struct replay_conf, to),
     .arg = "topic",
     .help = "Send the records to this topic, not where they belong"},
    {.name = "with",
     .letter = 'w',
     FLV_LIST(struct replay_conf, with),
     .arg = "module",
     .aliases = with_aliases,
     .help = "Through this SmartModule, a WASM file or the name of one on the "
             "cluster; may be repeated"},
    {.name = "params",
     .letter = 'e',
     FLV_LIST(struct replay_conf, params),
     .help = "Extra input parameters passed to the SmartModules, as key=value"},
    {.name = "transforms",
     .letter = 't',
     FLV_STR(struct replay_conf, transforms),
     .arg = "file",
     .help = "Through the chain of this transformation specification"},
    {.name = "dry-run",
     .letter = 'd',
     FLV_FLAG(struct replay_conf, dry_run),
     .help = "Say what would be sent, filtered and left, and send nothing"},
    {.name = "in-doubt",
     FLV_CHOICE(struct replay_conf, in_doubt),
     .choices = in_doubt_names,
     .fallback = "stop",
     .help = "What to do with an interrupted replay of which nobody can tell "
             "whether it arrived"},
    {.name = NULL}};

const struct flv_cmd cli_cmd_dead_letter_replay = {
    .name = "replay",
    .about = "Send the records of dead letters on, each exactly once\n\n"
             "Without '--to' a record goes to the topic that its connector "
             "fills. A replay that was interrupted, in whatever way, is "
             "finished by running it again: no letter is sent twice, and none "
             "is left out.",
    .opts = replay_opts,
    .conf_size = sizeof(struct replay_conf),
    .run = replay_run,
};
