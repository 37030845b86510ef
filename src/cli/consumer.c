#include "cli/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/list.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* ---- consumer list ----------------------------------------------------- */

struct list_conf {
    int output;
};

/* "3s", "5m 2s": how long ago. */
static void format_age(uint64_t modified_s, char out[FLV_TEXT_FORMAT_MAX])
{
    int64_t now_s = flv_clock_wall_ms() / 1000;
    uint64_t age_s =
        now_s > (int64_t)modified_s ? (uint64_t)now_s - modified_s : 0;
    flv_text_format_duration(age_s * 1000, out);
}

/* By consumer, topic and partition, as Fluvio's table is ordered. */
static int by_consumer(const void *a, const void *b)
{
    const struct flv_consumer_offset *x = a, *y = b;
    int order = strcmp(x->consumer_id, y->consumer_id);
    order = order != 0 ? order : strcmp(x->topic, y->topic);
    return order != 0
               ? order
               : (x->partition > y->partition) - (x->partition < y->partition);
}

static flv_rc list_table(const struct flv_consumer_offset *offsets,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    struct flv_consumer_offset *sorted =
        flv_alloc((count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = offsets[i];
    }
    qsort(sorted, count, sizeof *sorted, by_consumer);
    static const char *const header[] = {"CONSUMER", "TOPIC",     "PARTITION",
                                         "OFFSET",   "LAST SEEN", NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        const struct flv_consumer_offset *o = &sorted[i];
        char age[FLV_TEXT_FORMAT_MAX];
        format_age(o->modified_s, age);
        cli_table_cell(&t, o->consumer_id);
        cli_table_cell(&t, o->topic);
        cli_table_cellf(&t, "%" PRIu32, o->partition);
        cli_table_cellf(&t, "%" PRId64, o->offset);
        cli_table_cell(&t, age);
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    flv_free(sorted);
    return rc;
}

static flv_rc list_doc(enum cli_format format,
                       const struct flv_consumer_offset *offsets,
                       size_t count,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; i < count; i++) {
        cli_doc_map(&d, NULL);
        cli_doc_str(&d, "consumer_id", offsets[i].consumer_id);
        cli_doc_str(&d, "topic", offsets[i].topic);
        cli_doc_i64(&d, "partition", offsets[i].partition);
        cli_doc_i64(&d, "offset", offsets[i].offset);
        cli_doc_i64(&d, "modified_time", (int64_t)offsets[i].modified_s);
        cli_doc_end(&d);
    }
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static void got_offsets(void *user,
                        const struct flv_err *err,
                        const struct flv_consumer_offset *offsets,
                        size_t count)
{
    struct cli_list *l = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_OK;
    l->count = count;
    if (err == NULL && count > 0) {
        rc = l->output == CLI_FORMAT_TABLE
                 ? list_table(offsets, count, &l->text, &own)
                 : list_doc((enum cli_format)l->output, offsets, count,
                            &l->text, &own);
    }
    cli_call_end(&l->call, rc != FLV_OK ? &own : err);
}

static int consumer_list(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct list_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct cli_list list;
    flv_rc rc = cli_list_begin(&list, c, conf->output, TEXT_BYTES_MAX, &err);
    if (rc == FLV_OK) {
        rc = flv_client_consumer_offsets(c->client, NULL, got_offsets, &list,
                                         &err);
    }
    return cli_list_end(&list, rc, "No consumers found", &err);
}

static const struct flv_opt list_opts[] = {
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
    .about = "List all Consumers",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = consumer_list,
};

/* ---- consumer delete --------------------------------------------------- */

struct delete_conf {
    char *id;
    char *topic;
    uint64_t partition;
};

struct entry {
    char *topic; /* owned */
    uint32_t partition;
};

struct delete_call {
    struct cli_call call;
    const struct delete_conf *conf;
    const struct flv_opts *opts;
    struct entry *entries; /* owned */
    size_t count;
};

static bool wanted(const struct delete_call *d,
                   const struct flv_consumer_offset *o)
{
    return strcmp(o->consumer_id, d->conf->id) == 0 &&
           (d->conf->topic == NULL || strcmp(o->topic, d->conf->topic) == 0) &&
           (!flv_opts_given(d->opts, "partition") ||
            o->partition == d->conf->partition);
}

/* The list is gone after the callback; deleting needs it. */
static void keep_offsets(void *user,
                         const struct flv_err *err,
                         const struct flv_consumer_offset *offsets,
                         size_t count)
{
    struct delete_call *d = user;
    struct flv_err own = {0};
    d->entries = flv_zalloc(count + 1, sizeof *d->entries);
    bool ok = d->entries != NULL;
    for (size_t i = 0; ok && err == NULL && i < count; i++) {
        if (wanted(d, &offsets[i])) {
            struct entry *e = &d->entries[d->count];
            e->topic = flv_strdup(offsets[i].topic);
            e->partition = offsets[i].partition;
            ok = e->topic != NULL;
            d->count += ok;
        }
    }
    if (!ok) {
        (void)flv_fail(&own, FLV_E_NOMEM, "out of memory");
        err = &own;
    }
    cli_call_end(&d->call, err);
}

static flv_rc delete_one(struct cli *c,
                         const char *id,
                         const struct entry *e,
                         struct flv_err *err)
{
    struct cli_call call;
    const struct flv_consumer_ref ref = {
        .consumer_id = id, .topic = e->topic, .partition = e->partition};
    cli_call_init(&call, c);
    flv_rc rc = flv_client_consumer_offset_delete(c->client, &ref,
                                                  cli_call_done, &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc == FLV_OK) {
        cli_say(stdout,
                "consumer \"%s\" on topic \"%s\" and partition \"%" PRIu32
                "\" deleted",
                id, e->topic, e->partition);
    }
    return rc;
}

static int consumer_delete(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_err err = {0};
    struct delete_call d = {.conf = flv_args_conf(args),
                            .opts = flv_args_opts(args)};
    cli_call_init(&d.call, c);
    flv_rc rc = cli_connect(c, &err);
    if (rc == FLV_OK) {
        rc = flv_client_consumer_offsets(c->client, d.conf->id, keep_offsets,
                                         &d, &err);
    }
    rc = rc == FLV_OK ? cli_call_wait(&d.call, &err) : rc;
    for (size_t i = 0; i < d.count && rc == FLV_OK; i++) {
        rc = delete_one(c, d.conf->id, &d.entries[i], &err);
    }
    if (rc == FLV_OK && d.count == 0) {
        printf("no consumers found\n");
    }
    for (size_t i = 0; i < d.count; i++) {
        flv_free(d.entries[i].topic);
    }
    flv_free(d.entries);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_opt delete_opts[] = {
    {.name = "consumer",
     FLV_STR(struct delete_conf, id),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Consumer id"},
    {.name = "topic",
     .letter = 't',
     FLV_STR(struct delete_conf, topic),
     .help = "Topic name"},
    {.name = "partition",
     .letter = 'p',
     FLV_U64(struct delete_conf, partition),
     .arg = "integer",
     .max = INT32_MAX,
     .help = "Partition id"},
    {.name = NULL}};

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete the stored offsets of a Consumer",
    .opts = delete_opts,
    .conf_size = sizeof(struct delete_conf),
    .run = consumer_delete,
};

static const struct flv_cmd *const consumer_commands[] = {&list_cmd,
                                                          &delete_cmd, NULL};

const struct flv_cmd cli_cmd_consumer = {
    .name = "consumer",
    .about = "Manage and view Consumers",
    .commands = consumer_commands,
};
