/* fluvio dead-letter list, discard. */
#include "cli/dead_letter.h"

#include "base/mem.h"
#include "cli/table.h"

#include <inttypes.h>
#include <unistd.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)
/* Ranges of one settlement, which every reader has to hold. */
#define RANGES_AT_ONCE 10000
#define REASONS_SHOWN_MAX 5
#define CONFLICTS_MAX 20

/* ---- Shared ------------------------------------------------------------- */

struct cli_choice cli_choice_of(const struct cli_which_conf *which,
                                const struct flv_opts *opts)
{
    return (struct cli_choice){
        .first = (int64_t)which->start,
        .last = flv_opts_given(opts, "end") ? (int64_t)which->end : -1,
        .connector = which->connector,
        .stage = (int64_t)which->stage,
    };
}

int64_t cli_partition_of(const struct cli_which_conf *which,
                         const struct flv_opts *opts)
{
    return flv_opts_given(opts, "partition") ? (int64_t)which->partition : -1;
}

int cli_letters_fail(struct cli *c, const struct flv_err *err)
{
    return err->rc == FLV_E_USAGE ? cli_usage(c, "%s", err->text)
                                  : cli_fail(err);
}

const char *cli_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- dead-letter list --------------------------------------------------- */

struct list_conf {
    struct cli_which_conf which;
    bool all;
    bool count;
    int output;
};

struct list {
    const struct list_conf *conf;
    struct cli_letters letters;
    struct cli_table table;
    struct cli_doc doc;
    uint64_t open, settled, strange;
};

static const char *
state_of(const struct cli_letters *l, int64_t offset, bool *open)
{
    const struct cli_ledger *ledger = &l->ledger;
    *open = !cli_ranges_has(&ledger->settled, offset);
    return !*open                               ? "settled"
           : cli_ledger_is_open(ledger, offset) ? "open"
                                                : "in replay";
}

static flv_rc add_row(struct list *l,
                      const struct flv_record_view *r,
                      const struct cli_letter *letter,
                      const char *state,
                      struct flv_err *err)
{
    struct flv_buf place;
    flv_buf_init(&place, 1024);
    flv_rc rc = cli_letter_place(letter, &place);
    const char *text = rc == FLV_OK ? flv_buf_str(&place) : NULL;
    if (text == NULL) {
        flv_buf_deinit(&place);
        return flv_fail(err, FLV_E_NOMEM, "no room for another letter");
    }
    struct cli_table *t = &l->table;
    cli_table_cellf(t, "%" PRId64, r->offset);
    cli_table_cell(t, letter->time);
    cli_table_cell(t, letter->connector);
    cli_table_cellf(t, "%" PRId64, letter->stage);
    cli_table_cell(t, letter->module);
    cli_table_cell(t, text);
    cli_table_cell(t, letter->cause);
    cli_table_cellf(t, "%zu", letter->value.len);
    if (l->conf->all) {
        cli_table_cell(t, state);
    }
    cli_table_cell(t, letter->text);
    cli_table_end_row(t);
    flv_buf_deinit(&place);
    return FLV_OK;
}

static void add_entry(struct list *l,
                      const struct flv_record_view *r,
                      const struct cli_letter *letter,
                      const char *state)
{
    struct cli_doc *d = &l->doc;
    cli_doc_map(d, NULL);
    cli_doc_i64(d, "offset", r->offset);
    cli_doc_str(d, "state", state);
    cli_doc_str(d, "time", letter->time);
    cli_doc_str(d, "connector", letter->connector);
    cli_doc_str(d, "type", letter->type);
    cli_doc_i64(d, "stage", letter->stage);
    cli_doc_str(d, "module", letter->module);
    if (letter->source_topic != NULL) {
        cli_doc_str(d, "source_topic", letter->source_topic);
        cli_doc_i64(d, "source_partition", letter->source_partition);
        cli_doc_i64(d, "source_offset", letter->source_offset);
    } else {
        cli_doc_i64(d, "source_number", letter->number);
    }
    cli_doc_str(d, "cause", letter->cause);
    cli_doc_str(d, "error", letter->text);
    cli_doc_i64(d, "bytes", (int64_t)letter->value.len);
    cli_doc_end(d);
}

static flv_rc list_one(void *user,
                       const struct flv_record_view *r,
                       const struct cli_letter *letter,
                       const struct flv_err *why,
                       struct flv_err *err)
{
    struct list *l = user;
    bool open = false;
    const char *state = state_of(&l->letters, r->offset, &open);
    if (!open && !l->conf->all) {
        return FLV_OK;
    }
    if (letter == NULL) {
        if (l->strange++ < REASONS_SHOWN_MAX) {
            fprintf(stderr, "offset %" PRId64 " is no dead letter: %s\n",
                    r->offset, why->text);
        }
        return FLV_OK;
    }
    *(open ? &l->open : &l->settled) += 1;
    if (l->conf->count) {
        return FLV_OK;
    }
    if (l->conf->output == CLI_FORMAT_TABLE) {
        return add_row(l, r, letter, state, err);
    }
    add_entry(l, r, letter, state);
    return FLV_OK;
}

static flv_rc print_list(struct list *l, struct flv_err *err)
{
    struct flv_buf out;
    const uint64_t n = l->open + l->settled;
    flv_rc rc = FLV_OK;
    if (l->conf->count) {
        printf("%" PRIu64 "\n", n);
        return FLV_OK;
    }
    if (l->conf->output != CLI_FORMAT_TABLE) {
        cli_doc_end(&l->doc);
        rc = cli_doc_finish(&l->doc, err);
        if (rc == FLV_OK) {
            cli_put(&l->doc.text);
        }
        return rc;
    }
    if (n == 0) {
        printf("No %sdead letters in topic %s\n", l->conf->all ? "" : "open ",
               l->letters.topic);
        return FLV_OK;
    }
    flv_buf_init(&out, TEXT_BYTES_MAX);
    rc = cli_table_print(&l->table, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
        fprintf(stderr, "%" PRIu64 " open letter%s", l->open,
                cli_plural(l->open));
        if (l->conf->all) {
            fprintf(stderr, ", %" PRIu64 " settled", l->settled);
        }
        fputc('\n', stderr);
    }
    flv_buf_deinit(&out);
    return rc;
}

static void begin_list(struct list *l)
{
    static const char *const header[] = {"OFFSET", "TIME",   "CONNECTOR",
                                         "STAGE",  "MODULE", "POSITION",
                                         "CAUSE",  "BYTES",  NULL};
    const bool doc = l->conf->output != CLI_FORMAT_TABLE;
    cli_table_init(&l->table, 1);
    for (size_t i = 0; header[i] != NULL; i++) {
        cli_table_cell(&l->table, header[i]);
    }
    if (l->conf->all) {
        cli_table_cell(&l->table, "STATE");
    }
    cli_table_cell(&l->table, "ERROR");
    cli_table_end_row(&l->table);
    cli_doc_init(&l->doc,
                 doc ? (enum cli_format)l->conf->output : CLI_FORMAT_JSON);
    if (doc) {
        cli_doc_list(&l->doc, NULL);
    }
}

static int list_topics(struct cli *c,
                       const struct list_conf *conf,
                       const struct flv_opts *opts)
{
    static const char *const others[] = {"partition", "start", "end",
                                         "connector", "stage", "all",
                                         "count",     NULL};
    for (size_t i = 0; others[i] != NULL; i++) {
        if (flv_opts_given(opts, others[i])) {
            return cli_usage(c, "'--%s' needs the topic of dead letters",
                             others[i]);
        }
    }
    return cli_letter_topics(c, conf->output);
}

static int list_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_err err = {0};
    struct list list = {.conf = flv_args_conf(args)};
    const struct cli_which_conf *which = &list.conf->which;
    const struct flv_opts *opts = flv_args_opts(args);
    if (which->topic == NULL) {
        return list_topics(c, list.conf, opts);
    }
    struct cli_choice choice = cli_choice_of(which, opts);
    choice.settled = true; /* to tell open ones from those in replay */
    begin_list(&list);
    flv_rc rc = cli_letters_open(&list.letters, c, which->topic,
                                 cli_partition_of(which, opts), &err);
    if (rc == FLV_OK && !list.conf->all) {
        choice.settled = list.letters.ledger.open;
    }
    rc = rc == FLV_OK
             ? cli_letters_each(&list.letters, &choice, list_one, &list, &err)
             : rc;
    rc = rc == FLV_OK ? print_list(&list, &err) : rc;
    if (list.strange > REASONS_SHOWN_MAX) {
        fprintf(stderr, "%" PRIu64 " records are no dead letters\n",
                list.strange);
    }
    cli_letters_close(&list.letters);
    cli_table_deinit(&list.table);
    cli_doc_deinit(&list.doc);
    return rc == FLV_OK ? 0 : cli_letters_fail(c, &err);
}

static const struct flv_opt list_opts[] = {
    CLI_LETTERS_TOPIC(struct list_conf, 0),
    CLI_LETTERS_PARTITION(struct list_conf),
    CLI_WHICH_OPTS(struct list_conf),
    {.name = "all",
     .letter = 'a',
     FLV_FLAG(struct list_conf, all),
     .help = "Settled letters as well"},
    {.name = "count",
     FLV_FLAG(struct list_conf, count),
     .help = "Print how many there are and nothing else"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct list_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List the dead letters of a topic that are not settled; without "
             "a topic, the topics that hold letters",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = list_run,
};

/* ---- dead-letter discard ------------------------------------------------ */

struct discard_conf {
    struct cli_which_conf which;
    bool yes;
};

struct discard {
    const struct discard_conf *conf;
    struct cli_letters letters;
    struct cli_choice choice;
    struct cli_ranges chosen;
    uint64_t count;
    bool has_letter; /* among them */
};

/* What lies between two chosen ones and is not open may join them. */
static flv_rc choose(struct discard *d, int64_t offset)
{
    struct cli_ranges *r = &d->chosen;
    int64_t first = offset;
    if (r->count > 0) {
        const struct cli_ledger *l = &d->letters.ledger;
        const int64_t behind = r->at[r->count - 1].last + 1;
        if (cli_ledger_next_open(l, behind) == offset &&
            !(l->open &&
              cli_ranges_touches(&l->begun.letters, behind, offset))) {
            first = behind;
        }
    }
    d->count++;
    return cli_ranges_add(r, first, offset);
}

static flv_rc choose_one(void *user,
                         const struct flv_record_view *r,
                         const struct cli_letter *letter,
                         const struct flv_err *why,
                         struct flv_err *err)
{
    struct discard *d = user;
    (void)why;
    d->has_letter = d->has_letter || letter != NULL;
    flv_rc rc = choose(d, r->offset);
    return rc == FLV_OK ? rc : flv_fail(err, rc, "no room for more letters");
}

static flv_rc choose_all(struct discard *d, struct flv_err *err)
{
    cli_ranges_clear(&d->chosen);
    d->count = 0;
    return cli_letters_each(&d->letters, &d->choice, choose_one, d, err);
}

static flv_rc find_letter(void *user,
                          const struct flv_record_view *r,
                          const struct cli_letter *letter,
                          const struct flv_err *why,
                          struct flv_err *err)
{
    struct discard *d = user;
    (void)r;
    (void)why;
    (void)err;
    d->has_letter = letter != NULL;
    return d->has_letter ? FLV_E_CANCELED : FLV_OK;
}

/* A record that is no letter may be discarded among letters. A topic without
 * any is somebody else's, and named by mistake. */
static flv_rc check_topic(struct discard *d, struct flv_err *err)
{
    static const struct cli_choice all = {.last = -1, .settled = true};
    flv_rc rc = FLV_OK;
    if (!d->has_letter && d->letters.ledger.settled.count == 0) {
        rc = cli_letters_each(&d->letters, &all, find_letter, d, err);
        if (rc == FLV_OK && !d->has_letter) {
            return flv_fail(err, FLV_E_REFUSED,
                            "topic %.60s holds no dead letters; nothing was "
                            "discarded",
                            d->letters.topic);
        }
    }
    return rc;
}

/* Nobody knows yet whether these were sent. */
static flv_rc check_replay(const struct discard *d, struct flv_err *err)
{
    const struct cli_ledger *l = &d->letters.ledger;
    const struct cli_ranges *r = &l->begun.letters;
    const struct cli_choice *c = &d->choice;
    const int64_t last = c->last < 0 ? l->next : c->last;
    if (!l->open || c->first > last || c->connector != NULL || c->stage != 0 ||
        !cli_ranges_touches(r, c->first, last)) {
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_REFUSED,
                    "letters %" PRId64 " to %" PRId64 " are in a replay that "
                    "has not ended; run `fluvio dead-letter replay` first",
                    r->at[0].first, r->at[r->count - 1].last);
}

static flv_rc confirm(const struct discard *d, struct flv_err *err)
{
    char answer[16] = "";
    if (d->conf->yes) {
        return FLV_OK;
    }
    if (isatty(STDIN_FILENO) == 0) {
        return flv_fail(err, FLV_E_REFUSED,
                        "discarding %" PRIu64 " letter%s of %.60s needs a "
                        "confirmation; add --yes",
                        d->count, cli_plural(d->count), d->letters.topic);
    }
    printf("Discard %" PRIu64 " letter%s of topic %s? Nothing will replay "
           "them.\nType \"yes\" to go on: ",
           d->count, cli_plural(d->count), d->letters.topic);
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        answer[0] = '\0';
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    if (strcmp(answer, "yes") != 0 && strcmp(answer, "y") != 0) {
        return flv_fail(err, FLV_E_CANCELED, "nothing was discarded");
    }
    return FLV_OK;
}

/* A piece at a time, so that no settlement grows without limit. */
static flv_rc settle_chosen(struct discard *d, struct flv_err *err)
{
    struct flv_buf note;
    flv_rc rc = FLV_OK;
    flv_buf_init(&note, CLI_SETTLEMENT_BYTES_MAX);
    for (size_t i = 0; i < d->chosen.count && rc == FLV_OK;
         i += RANGES_AT_ONCE) {
        const size_t left = d->chosen.count - i;
        const struct cli_ranges piece = {
            .at = d->chosen.at + i,
            .count = left < RANGES_AT_ONCE ? left : RANGES_AT_ONCE};
        flv_buf_reset(&note);
        rc = cli_settle_letters(&d->letters.ledger, &piece, "discarded", &note,
                                err);
        rc = rc == FLV_OK ? cli_letters_append(&d->letters, &note, err) : rc;
    }
    flv_buf_deinit(&note);
    return rc;
}

static flv_rc discard_all(struct discard *d, struct flv_err *err)
{
    flv_rc rc = check_replay(d, err);
    rc = rc == FLV_OK ? choose_all(d, err) : rc;
    if (rc != FLV_OK || d->count == 0) {
        return rc;
    }
    rc = check_topic(d, err);
    rc = rc == FLV_OK ? confirm(d, err) : rc;
    /* Those that the user has seen: what came since stays open. */
    d->choice.last = d->chosen.at[d->chosen.count - 1].last;
    const uint64_t asked = d->count;
    rc = rc == FLV_OK ? settle_chosen(d, err) : rc;
    for (int i = 0; rc == FLV_E_BUSY && i < CONFLICTS_MAX; i++) {
        rc = check_replay(d, err);
        rc = rc == FLV_OK ? choose_all(d, err) : rc;
        rc = rc == FLV_OK ? settle_chosen(d, err) : rc;
    }
    d->count = asked;
    return rc;
}

static int discard_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_err err = {0};
    struct discard d = {.conf = flv_args_conf(args)};
    const struct cli_which_conf *which = &d.conf->which;
    const struct flv_opts *opts = flv_args_opts(args);
    d.choice = cli_choice_of(which, opts);
    flv_rc rc = cli_letters_open(&d.letters, c, which->topic,
                                 cli_partition_of(which, opts), &err);
    rc = rc == FLV_OK ? discard_all(&d, &err) : rc;
    if (rc == FLV_OK && d.count == 0) {
        printf("no open dead letters in topic \"%s\"\n", which->topic);
    } else if (rc == FLV_OK) {
        printf("discarded %" PRIu64 " dead letter%s of topic \"%s\"\n", d.count,
               cli_plural(d.count), which->topic);
    }
    cli_ranges_deinit(&d.chosen);
    cli_letters_close(&d.letters);
    return rc == FLV_OK ? 0 : cli_letters_fail(c, &err);
}

static const struct flv_opt discard_opts[] = {
    CLI_LETTERS_TOPIC(struct discard_conf, FLV_OPT_REQUIRED),
    CLI_LETTERS_PARTITION(struct discard_conf),
    CLI_WHICH_OPTS(struct discard_conf),
    {.name = "yes",
     .letter = 'y',
     FLV_FLAG(struct discard_conf, yes),
     .help = "Do not ask for confirmation"},
    {.name = NULL}};

static const struct flv_cmd discard_cmd = {
    .name = "discard",
    .about = "Settle dead letters without replaying them",
    .opts = discard_opts,
    .conf_size = sizeof(struct discard_conf),
    .run = discard_run,
};

/* ---- The group ---------------------------------------------------------- */

static const struct flv_cmd *const dead_letter_commands[] = {
    &list_cmd, &cli_cmd_dead_letter_show, &cli_cmd_dead_letter_replay,
    &discard_cmd, NULL};

const struct flv_cmd cli_cmd_dead_letter = {
    .name = "dead-letter",
    .about = "Look at records that failed in a connector, replay or discard "
             "them",
    .commands = dead_letter_commands,
};
