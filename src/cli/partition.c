#include "cli/cli.h"

#include "base/mem.h"
#include "base/text.h"
#include "cli/list.h"
#include "cli/table.h"
#include "cli/topic_show.h"
#include "client/look.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_BYTES_MAX ((size_t)256 << 20)
#define TROUBLES_MAX 10000

struct list_conf {
    int output;
    bool system;
};

struct list_call {
    struct cli_list list;
    struct trouble *troubles; /* owned */
    size_t trouble_count;
};

/* What is sorted. */
struct part {
    const struct flv_partition_info *info; /* borrowed */
    const char *state;                     /* borrowed */
};

/* Partitions that our own server says something is wrong with. */
struct trouble {
    char topic[256];
    uint32_t partition;
    const char *state;
};

static const char *state_name(enum flv_partition_state state)
{
    switch (state) {
    case FLV_PARTITION_OFFLINE:
        return "Offline";
    case FLV_PARTITION_ONLINE:
        return "Online";
    case FLV_PARTITION_LEADER_OFFLINE:
        return "LeaderOffline";
    case FLV_PARTITION_ELECTION_LEADER_FOUND:
        return "ElectionLeaderFound";
    case FLV_PARTITION_OUT_OF_STORAGE:
        return "OutOfStorage";
    }
    return "Offline";
}

/* ---- Table ------------------------------------------------------------- */

/* "[]", "[5002, 5003]": the replicas besides the leader. */
static void cell_followers(struct cli_table *t,
                           const struct flv_partition_info *p)
{
    char text[512] = "[";
    size_t at = 1;
    for (size_t i = 0; i < p->replica_count && at < sizeof text - 16; i++) {
        if (p->replicas[i] != p->leader) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRId32,
                                   at > 1 ? ", " : "", p->replicas[i]);
        }
    }
    snprintf(text + at, sizeof text - at, "]");
    cli_table_cell(t, text);
}

static void cell_offsets(struct cli_table *t,
                         const struct flv_partition_info *p)
{
    char text[1024] = "[";
    size_t at = 1;
    for (size_t i = 0; i < p->follower_count && at < sizeof text - 80; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "%s{spu: %" PRId32 ", hw: %" PRId64
                               ", leo: %" PRId64 "}",
                               at > 1 ? ", " : "", p->followers[i].spu,
                               p->followers[i].hw, p->followers[i].leo);
    }
    snprintf(text + at, sizeof text - at, "]");
    cli_table_cell(t, text);
}

/* One value more than the header has: scripts count on the log end offset
 * appearing twice. */
static void list_row(struct cli_table *t, const struct part *part)
{
    const struct flv_partition_info *p = part->info;
    char size[FLV_TEXT_FORMAT_MAX] = "NA";
    if (p->size_bytes >= 0) {
        flv_text_format_size((uint64_t)p->size_bytes, size);
    } else if (p->size_bytes == -1) {
        snprintf(size, sizeof size, "ERROR");
    }
    cli_table_cell(t, p->topic);
    cli_table_cellf(t, "%" PRIu32, p->partition);
    cli_table_cellf(t, "%" PRId32, p->leader);
    cli_table_cell(t, p->mirror != NULL ? p->mirror : "");
    cell_followers(t, p);
    cli_table_cell(t, part->state);
    cli_table_cell(t, size);
    cli_table_cellf(t, "%" PRId64, p->base_offset);
    cli_table_cellf(t, "%" PRId64, p->leader_status.hw);
    cli_table_cellf(t, "%" PRId64, p->leader_status.leo);
    cli_table_cellf(t, "%" PRId64, p->leader_status.leo);
    cli_table_cellf(t, "%" PRIu32, p->live_replicas);
    cell_offsets(t, p);
    cli_table_end_row(t);
}

static flv_rc list_table(const struct part *parts,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const header[] = {
        "TOPIC",    "PARTITION",  "LEADER", "MIRROR",
        "REPLICAS", "RESOLUTION", "SIZE",   "BASE",
        "HW",       "LEO",        "LRS",    "FOLLOWER OFFSETS",
        NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        list_row(&t, &parts[i]);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

/* ---- Documents --------------------------------------------------------- */

static void doc_status_of(struct cli_doc *d,
                          const char *key,
                          const struct flv_replica_status *s)
{
    cli_doc_map(d, key);
    cli_doc_i64(d, "spu", s->spu);
    cli_doc_i64(d, "hw", s->hw);
    cli_doc_i64(d, "leo", s->leo);
    cli_doc_end(d);
}

static void doc_size(struct cli_doc *d, const char *key, bool has, uint64_t v)
{
    if (has) {
        cli_doc_i64(d, key, (int64_t)v);
    } else {
        cli_doc_null(d, key);
    }
}

static void doc_storage(struct cli_doc *d, const struct flv_partition_info *p)
{
    if (!p->has_segment_size && !p->has_partition_bytes_max) {
        cli_doc_null(d, "storage");
        return;
    }
    cli_doc_map(d, "storage");
    doc_size(d, "segmentSize", p->has_segment_size, p->segment_size_bytes);
    doc_size(d, "maxPartitionSize", p->has_partition_bytes_max,
             p->partition_bytes_max);
    cli_doc_end(d);
}

static void doc_spec(struct cli_doc *d, const struct flv_partition_info *p)
{
    static const char *const compression[] = {"None", "Gzip", "Snappy",
                                              "Lz4",  "Zstd", "Any"};
    cli_doc_map(d, "spec");
    cli_doc_i64(d, "leader", p->leader);
    cli_doc_list(d, "replicas");
    for (size_t i = 0; i < p->replica_count; i++) {
        cli_doc_i64(d, NULL, p->replicas[i]);
    }
    cli_doc_end(d);
    if (p->has_retention) {
        cli_doc_map(d, "cleanupPolicy");
        cli_doc_map(d, "segment");
        cli_doc_i64(d, "timeInSeconds", p->retention_s);
        cli_doc_end(d);
        cli_doc_end(d);
    } else {
        cli_doc_null(d, "cleanupPolicy");
    }
    doc_storage(d, p);
    assert((size_t)p->compression < sizeof compression / sizeof compression[0]);
    cli_doc_str(d, "compressionType", compression[p->compression]);
    cli_dedup_doc(d, p->dedup);
    cli_doc_bool(d, "system", p->system);
    if (p->mirror != NULL) {
        cli_doc_str(d, "mirror", p->mirror);
    } else {
        cli_doc_null(d, "mirror");
    }
    cli_doc_end(d);
}

static void doc_partition(struct cli_doc *d, const struct part *part)
{
    const struct flv_partition_info *p = part->info;
    char name[320];
    snprintf(name, sizeof name, "%.256s-%" PRIu32, p->topic, p->partition);
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", name);
    doc_spec(d, p);
    cli_doc_map(d, "status");
    cli_doc_str(d, "resolution", part->state);
    doc_status_of(d, "leader", &p->leader_status);
    cli_doc_i64(d, "lsr", p->live_replicas);
    cli_doc_list(d, "replicas");
    for (size_t i = 0; i < p->follower_count; i++) {
        doc_status_of(d, NULL, &p->followers[i]);
    }
    cli_doc_end(d);
    cli_doc_i64(d, "size", p->size_bytes);
    cli_doc_bool(d, "isBeingDeleted", p->is_being_deleted);
    cli_doc_i64(d, "baseOffset", p->base_offset);
    cli_doc_end(d);
    cli_doc_end(d);
}

static flv_rc list_doc(enum cli_format format,
                       const struct part *parts,
                       size_t count,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; i < count; i++) {
        doc_partition(&d, &parts[i]);
    }
    cli_doc_end(&d);
    flv_rc rc = cli_doc_finish(&d, err);
    if (rc == FLV_OK && flv_buf_add(out, d.text.data, d.text.len) != FLV_OK) {
        rc = flv_fail(err, FLV_E_NOMEM, "cannot print %zu partitions", count);
    }
    cli_doc_deinit(&d);
    return rc;
}

/* ---- partition list ---------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct flv_partition_info *x = ((const struct part *)a)->info;
    const struct flv_partition_info *y = ((const struct part *)b)->info;
    int order = strcmp(x->topic, y->topic);
    return order != 0
               ? order
               : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Our own server tells more than the protocol has words for. */
static const char *state_of(const struct list_call *l,
                            const struct flv_partition_info *p)
{
    for (size_t i = 0; i < l->trouble_count; i++) {
        const struct trouble *t = &l->troubles[i];
        if (t->partition == p->partition && strcmp(t->topic, p->topic) == 0) {
            return t->state;
        }
    }
    return state_name(p->state);
}

static const char *trouble_name(struct flv_slice kind)
{
    static const char *const names[] = {"Offline", "Poisoned", "Damaged"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (kind.len == strlen(names[i]) &&
            strncasecmp(names[i], (const char *)kind.data, kind.len) == 0) {
            return names[i];
        }
    }
    return "Offline";
}

static void got_state(void *user,
                      const struct flv_err *err,
                      const struct flv_wire_server_state *st)
{
    struct list_call *l = user;
    if (err == NULL && st->troubles.len > 0) {
        l->troubles = flv_zalloc(st->troubles.len, sizeof *l->troubles);
        for (uint32_t i = 0; l->troubles != NULL && i < st->troubles.len; i++) {
            const struct flv_wire_trouble *t = &st->troubles.at[i];
            struct trouble *to = &l->troubles[l->trouble_count++];
            snprintf(to->topic, sizeof to->topic, "%.*s", (int)t->topic.len,
                     (const char *)t->topic.data);
            to->partition = t->partition;
            to->state = trouble_name(t->kind);
        }
    }
    cli_call_end(&l->list.call,
                 err != NULL && err->rc == FLV_E_UNSUPPORTED ? NULL : err);
}

static flv_rc print_parts(struct list_call *l,
                          const struct flv_partition_info *parts,
                          size_t count,
                          struct flv_err *err)
{
    struct part *sorted = flv_zalloc(count, sizeof *sorted);
    if (sorted == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i].info = &parts[i];
        sorted[i].state = state_of(l, &parts[i]);
    }
    qsort(sorted, count, sizeof *sorted, compare);
    flv_rc rc = l->list.output == CLI_FORMAT_TABLE
                    ? list_table(sorted, count, &l->list.text, err)
                    : list_doc((enum cli_format)l->list.output, sorted, count,
                               &l->list.text, err);
    flv_free(sorted);
    return rc;
}

static void got_partitions(void *user,
                           const struct flv_err *err,
                           const struct flv_partition_info *parts,
                           size_t count)
{
    struct list_call *l = user;
    struct flv_err own = {0};
    l->list.count = count;
    if (err == NULL && count > 0 &&
        print_parts(l, parts, count, &own) != FLV_OK) {
        err = &own;
    }
    cli_call_end(&l->list.call, err);
}

static int partition_list(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct list_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct list_call l = {.troubles = NULL};
    flv_rc rc = cli_list_begin(&l.list, c, conf->output, TEXT_BYTES_MAX, &err);
    if (rc == FLV_OK) {
        rc = flv_client_server_state(c->client, TROUBLES_MAX, got_state, &l,
                                     &err);
    }
    rc = rc == FLV_OK ? cli_call_wait(&l.list.call, &err) : rc;
    cli_call_init(&l.list.call, c);
    if (rc == FLV_OK) {
        rc = flv_client_partitions(c->client, conf->system, got_partitions, &l,
                                   &err);
    }
    int status = cli_list_end(&l.list, rc, "No partitions found", &err);
    flv_free(l.troubles);
    return status;
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
    {.name = "system",
     .letter = 's',
     FLV_FLAG(struct list_conf, system),
     .help = "Show partitions of system topics only"},
    {.name = NULL}};

static const struct flv_cmd partition_list_cmd = {
    .name = "list",
    .about = "List all Partitions",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = partition_list,
};

static const struct flv_cmd *const partition_commands[] = {&partition_list_cmd,
                                                           NULL};

const struct flv_cmd cli_cmd_partition = {
    .name = "partition",
    .about = "Manage and view Partitions",
    .commands = partition_commands,
};
