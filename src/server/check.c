#include "server/check.h"

#include "base/text.h"
#include "server/datadir.h"
#include "server/metadb.h"
#include "server/modules.h"
#include "server/topics.h"
#include "store/log.h"

#include <inttypes.h>
#include <string.h>

struct check {
    FILE *out; /* borrowed */
    const struct flv_datadir *dir;
    uint64_t partitions, bytes, records;
    uint64_t damaged; /* partitions */
    uint64_t modules, damaged_modules;
    struct flv_metadb *db; /* borrowed */
    const char *partition; /* the one being read, for notes */
};

static void note(void *user, const struct flv_log_note *n)
{
    const struct check *c = user;
    if (n->kind == FLV_NOTE_DAMAGE || n->kind == FLV_NOTE_TORN) {
        fprintf(c->out, "%s: %s at byte %" PRIu64 " of %s: %s\n", c->partition,
                n->kind == FLV_NOTE_DAMAGE ? "damage" : "unfinished group",
                n->pos, n->file, n->text);
    }
}

static void check_partition(struct check *c,
                            const struct flv_topic_row *row,
                            uint32_t index)
{
    char path[FLV_DATADIR_LOG_PATH_MAX];
    char name[128];
    struct flv_log_check found = {0};
    struct flv_err err = {0};
    snprintf(name, sizeof name, "%.*s-%" PRIu32,
             (int)(row->name.len < 100 ? row->name.len : 100),
             (const char *)row->name.data, index);
    c->partition = name;
    c->partitions++;
    flv_datadir_log_path(c->dir, row->id, index, path);
    if (flv_log_check(NULL, path, note, c, &found, &err) != FLV_OK) {
        c->damaged++;
        fprintf(c->out, "%s: unreadable: %s\n", name, err.text);
        return;
    }
    char size[FLV_TEXT_FORMAT_MAX];
    flv_text_format_size(found.bytes, size);
    c->bytes += found.bytes;
    c->records += (uint64_t)(found.next_offset - found.start_offset);
    c->damaged += found.damages > 0;
    fprintf(c->out,
            "%s: %s, offsets %" PRId64 " to %" PRId64 ", %" PRIu32
            " segments, %" PRIu64 " batches, %s\n",
            name, found.damages > 0 ? "DAMAGED" : "ok", found.start_offset,
            found.next_offset, found.segments, found.batches, size);
}

static flv_rc
check_topic(const struct flv_topic_row *row, void *arg, struct flv_err *err)
{
    struct check *c = arg;
    (void)err;
    bool own = flv_slice_eq_str(row->name, FLV_OFFSETS_TOPIC); /* no log */
    for (uint32_t i = 0; i < row->partition_count && !own; i++) {
        check_partition(c, row, i);
    }
    return FLV_OK;
}

static flv_rc
check_module(const struct flv_module_row *row, void *arg, struct flv_err *err)
{
    struct check *c = arg;
    char size[FLV_TEXT_FORMAT_MAX];
    struct flv_err found = {0};
    struct flv_buf bytes;
    flv_buf_init(&bytes, FLV_MODULE_PAYLOAD_MAX);
    flv_rc rc = flv_metadb_read_module(c->db, row->revision, &bytes, &found);
    flv_buf_deinit(&bytes);
    flv_text_format_size(row->payload_bytes, size);
    c->modules++;
    c->damaged_modules += rc != FLV_OK;
    fprintf(c->out, "SmartModule %.*s: %s, %s%s%s\n", (int)row->key.len,
            (const char *)row->key.data, rc == FLV_OK ? "ok" : "DAMAGED", size,
            rc == FLV_OK ? "" : ": ", rc == FLV_OK ? "" : found.text);
    return rc == FLV_E_NOMEM ? flv_fail(err, rc, "out of memory") : FLV_OK;
}

static flv_rc check_meta(struct check *c, struct flv_err *err)
{
    char path[FLV_DATADIR_PATH_MAX + 16];
    struct flv_metadb *db = NULL;
    snprintf(path, sizeof path, "%s/meta.db", c->dir->path);
    flv_rc rc = flv_metadb_create(&db, path, true, err);
    if (rc == FLV_OK) {
        rc = flv_metadb_check(db, err);
    }
    if (rc == FLV_OK) {
        fprintf(c->out, "meta.db: ok\n");
        rc = flv_metadb_each_topic(db, check_topic, c, err);
    }
    if (rc == FLV_OK) {
        c->db = db;
        rc = flv_metadb_each_module(db, check_module, c, err);
    }
    flv_metadb_destroy(db);
    return rc;
}

flv_rc flv_check_data_dir(const char *path, FILE *out, struct flv_err *err)
{
    struct flv_datadir dir;
    flv_rc rc = flv_datadir_open(&dir, path, FLV_DATADIR_CHECK, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct check c = {.out = out, .dir = &dir};
    rc = check_meta(&c, err);
    if (rc == FLV_OK) {
        fprintf(out,
                "%" PRIu64 " partitions, %" PRIu64 " records, %" PRIu64
                " damaged\n",
                c.partitions, c.records, c.damaged);
        if (c.modules > 0) {
            fprintf(out, "%" PRIu64 " SmartModules, %" PRIu64 " damaged\n",
                    c.modules, c.damaged_modules);
        }
        if (c.damaged + c.damaged_modules > 0) {
            rc = flv_fail(err, FLV_E_CORRUPT,
                          "%" PRIu64 " of %" PRIu64 " partitions and %" PRIu64
                          " of %" PRIu64
                          " SmartModules in %s are damaged; see the lines "
                          "above",
                          c.damaged, c.partitions, c.damaged_modules, c.modules,
                          dir.path);
        }
    }
    flv_datadir_close(&dir);
    return rc;
}
