/* fluvio dead-letter list without a topic. */
#include "cli/dead_letter.h"

#include "base/mem.h"
#include "cli/table.h"

#include <inttypes.h>

#define TEXT_BYTES_MAX ((size_t)16 << 20)
/* For the silence of all topics together; then, and of topics that have no
 * place in the cluster, each has the least. */
#define PATIENCE_MS 10000
#define PATIENCE_LEAST_MS 1000

struct candidate {
    char *name; /* owned */
    bool placed;
};

struct topics {
    struct cli_call call;
    struct candidate *all; /* owned */
    size_t count;
    uint64_t patience_ms; /* what is left of it */
    size_t unread;
    struct cli_table table;
    struct cli_doc doc;
    size_t found;
};

/* Letters are written to topics of one partition. The list is gone after the
 * callback; reading the topics needs their names. */
static void keep_names(void *user,
                       const struct flv_err *err,
                       const struct flv_topic_info *topics,
                       size_t count)
{
    struct topics *t = user;
    struct flv_err own = {0};
    t->all = flv_zalloc(count + 1, sizeof *t->all);
    bool ok = t->all != NULL;
    for (size_t i = 0; ok && err == NULL && i < count; i++) {
        if (topics[i].partitions == 1) {
            t->all[t->count] = (struct candidate){
                .name = flv_strdup(topics[i].name),
                .placed = topics[i].state == FLV_TOPIC_PROVISIONED,
            };
            ok = t->all[t->count].name != NULL;
            t->count += ok;
        }
    }
    if (!ok) {
        (void)flv_fail(&own, FLV_E_NOMEM, "out of memory for topics");
        err = &own;
    }
    cli_call_end(&t->call, err);
}

static flv_rc look_at_first(void *user,
                            const struct flv_record_batch *batch,
                            struct flv_err *err)
{
    bool *is_letter = user;
    struct cli_letter letter;
    const struct flv_slice value = batch->records[0].value;
    (void)err;
    *is_letter = cli_is_settlement(value);
    if (cli_letter_read(&letter, value, NULL) == FLV_OK) {
        *is_letter = true;
        cli_letter_deinit(&letter);
    }
    return FLV_E_CANCELED;
}

static void add_topic(struct topics *t, const struct cli_letters *l, int output)
{
    const struct cli_ledger *ledger = &l->ledger;
    const int64_t last = ledger->next;
    const uint64_t all = cli_ranges_count(&ledger->letters, 0, last);
    const uint64_t open = cli_ledger_count(ledger, 0, last);
    const uint64_t replay =
        ledger->open ? cli_ranges_count(&ledger->begun.letters, 0, last) : 0;
    const uint64_t settled = all > open + replay ? all - open - replay : 0;
    t->found++;
    if (output == CLI_FORMAT_TABLE) {
        cli_table_cell(&t->table, l->topic);
        cli_table_cellf(&t->table, "%" PRIu64, open);
        cli_table_cellf(&t->table, "%" PRIu64, replay);
        cli_table_cellf(&t->table, "%" PRIu64, settled);
        cli_table_end_row(&t->table);
        return;
    }
    cli_doc_map(&t->doc, NULL);
    cli_doc_str(&t->doc, "topic", l->topic);
    cli_doc_i64(&t->doc, "open", (int64_t)open);
    cli_doc_i64(&t->doc, "in_replay", (int64_t)replay);
    cli_doc_i64(&t->doc, "settled", (int64_t)settled);
    cli_doc_end(&t->doc);
}

static flv_rc look_at_topic(struct topics *t,
                            const struct candidate *topic,
                            int output,
                            struct flv_err *err)
{
    struct cli *c = t->call.cli;
    struct cli_letters l;
    bool is_letter = false;
    const bool least = !topic->placed || t->patience_ms < PATIENCE_LEAST_MS;
    const struct cli_stretch what = {.topic = topic->name,
                                     .first = -1,
                                     .last = -1,
                                     .patience_ms = least ? PATIENCE_LEAST_MS
                                                          : t->patience_ms};
    flv_rc rc = cli_read(c, &what, look_at_first, &is_letter, err);
    if (rc == FLV_E_TIMEOUT && !least) {
        t->patience_ms = 0;
    }
    if (rc != FLV_OK || !is_letter) {
        return rc;
    }
    rc = cli_letters_open(&l, c, topic->name, 0, err);
    if (rc == FLV_OK) {
        add_topic(t, &l, output);
    }
    cli_letters_close(&l);
    return rc;
}

static flv_rc print_topics(struct topics *t, int output, struct flv_err *err)
{
    struct flv_buf out;
    if (output != CLI_FORMAT_TABLE) {
        cli_doc_end(&t->doc);
        flv_rc rc = cli_doc_finish(&t->doc, err);
        if (rc == FLV_OK) {
            cli_put(&t->doc.text);
        }
        return rc;
    }
    if (t->found == 0) {
        printf("No topics of dead letters found\n");
        return FLV_OK;
    }
    flv_buf_init(&out, TEXT_BYTES_MAX);
    flv_rc rc = cli_table_print(&t->table, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    return rc;
}

/* One topic that cannot be read hides none of the others. */
static flv_rc
pass_over(struct topics *t, const struct candidate *topic, struct flv_err *err)
{
    if (err->rc != FLV_E_NOT_FOUND) { /* else deleted meanwhile */
        t->unread++;
        cli_say(stderr, "Topic %s cannot be read%s: %s", topic->name,
                topic->placed ? "" : ", it has no place in the cluster",
                err->text);
    }
    flv_err_clear(err);
    return FLV_OK;
}

static flv_rc
list_all(struct topics *t, struct cli *c, int output, struct flv_err *err)
{
    flv_rc rc = cli_connect(c, err);
    rc = rc == FLV_OK
             ? flv_client_topics(c->client, NULL, false, keep_names, t, err)
             : rc;
    rc = rc == FLV_OK ? cli_call_wait(&t->call, err) : rc;
    for (size_t i = 0; i < t->count && rc == FLV_OK; i++) {
        rc = look_at_topic(t, &t->all[i], output, err);
        if (rc != FLV_OK && rc != FLV_E_NOMEM) {
            rc = pass_over(t, &t->all[i], err);
        }
    }
    return rc == FLV_OK ? print_topics(t, output, err) : rc;
}

int cli_letter_topics(struct cli *c, int output)
{
    static const char *const header[] = {"TOPIC", "OPEN", "IN REPLAY",
                                         "SETTLED", NULL};
    struct topics t = {.patience_ms = PATIENCE_MS};
    struct flv_err err = {0};
    const bool doc = output != CLI_FORMAT_TABLE;
    cli_call_init(&t.call, c);
    cli_table_init(&t.table, 1);
    cli_table_row(&t.table, header);
    cli_doc_init(&t.doc, doc ? (enum cli_format)output : CLI_FORMAT_JSON);
    if (doc) {
        cli_doc_list(&t.doc, NULL);
    }
    const flv_rc rc = list_all(&t, c, output, &err);
    for (size_t i = 0; i < t.count; i++) {
        flv_free(t.all[i].name);
    }
    flv_free(t.all);
    cli_table_deinit(&t.table);
    cli_doc_deinit(&t.doc);
    if (rc != FLV_OK) {
        return cli_letters_fail(c, &err);
    }
    return t.unread == 0
               ? 0
               : cli_failf("%zu topic%s could not be read. Check previous "
                           "errors.",
                           t.unread, cli_plural(t.unread));
}
