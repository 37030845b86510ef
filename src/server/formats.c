#include "server/formats.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/state.h"
#include "server/watch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SPEC_ARENA_MAX ((size_t)256 << 10)
#define EXISTS "a table format of that name exists already; delete it first"

/* The stored form of a spec is the body of a create request, since that is
 * the message which carries it. */

static void format_free(struct flv_format *f)
{
    if (f != NULL) {
        flv_buf_deinit(&f->spec_bytes);
        flv_arena_deinit(&f->arena);
        flv_free(f);
    }
}

static struct flv_format *format_new(struct flv_slice name)
{
    struct flv_format *f = flv_zalloc(1, sizeof *f);
    if (f != NULL) {
        assert(name.len > 0 && name.len <= FLV_FORMAT_NAME_MAX);
        memcpy(f->name, name.data, name.len);
        flv_buf_init(&f->spec_bytes, FLV_FORMAT_SPEC_BYTES_MAX);
        flv_arena_init(&f->arena, 256, SPEC_ARENA_MAX);
    }
    return f;
}

/* Takes f->spec from f->spec_bytes. */
static flv_rc adopt_spec(struct flv_format *f, int version, struct flv_err *err)
{
    struct flv_wire_table_format_create stored;
    struct flv_slice in = flv_buf_slice(&f->spec_bytes);
    flv_rc rc = flv_wire_table_format_create_decode((int16_t)version, &in,
                                                    &f->arena, &stored, err);
    if (rc == FLV_E_PROTOCOL) {
        flv_err_prefix(err, "spec of table format %.100s in meta.db", f->name);
        rc = FLV_E_CORRUPT;
    }
    if (rc == FLV_OK) {
        f->spec = stored.spec;
    }
    return rc;
}

/* ---- the sorted array ---- */

void flv_formats_init(struct flv_formats *set,
                      struct flv_server *server,
                      struct flv_metadb *db,
                      struct flv_pool *pool)
{
    *set = (struct flv_formats){.server = server, .db = db, .pool = pool};
}

void flv_formats_deinit(struct flv_formats *set)
{
    for (size_t i = 0; i < set->len; i++) {
        format_free(set->sorted[i]);
    }
    flv_free(set->sorted);
    *set = (struct flv_formats){0};
}

/* Where the name is, or where it would be inserted; they are few. */
static size_t
place(const struct flv_formats *set, struct flv_slice name, bool *found)
{
    size_t at = 0;
    int order = -1;
    while (at < set->len &&
           (order = flv_slice_compare_str(name, set->sorted[at]->name)) > 0) {
        at++;
    }
    *found = at < set->len && order == 0;
    return at;
}

static void set_remove(struct flv_formats *set, size_t at)
{
    format_free(set->sorted[at]);
    set->len--;
    memmove(&set->sorted[at], &set->sorted[at + 1],
            (set->len - at) * sizeof(struct flv_format *));
}

static flv_rc set_reserve(struct flv_formats *set, struct flv_err *err)
{
    if (set->len + set->coming < set->cap) {
        return FLV_OK;
    }
    size_t cap = set->cap > 0 ? set->cap * 2 : 16;
    void *grown = flv_realloc(set->sorted, cap * sizeof(struct flv_format *));
    if (grown == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    set->sorted = grown;
    set->cap = cap;
    return FLV_OK;
}

/* Room was reserved. */
static void set_put(struct flv_formats *set, struct flv_format *f)
{
    bool found;
    size_t at = place(set, flv_slice_str(f->name), &found);
    assert(!found && set->len < set->cap);
    memmove(&set->sorted[at + 1], &set->sorted[at],
            (set->len - at) * sizeof(struct flv_format *));
    set->sorted[at] = f;
    set->len++;
}

static flv_rc
load_row(const struct flv_table_format_row *row, void *arg, struct flv_err *err)
{
    struct flv_formats *set = arg;
    if (row->name.len == 0 || row->name.len > FLV_FORMAT_NAME_MAX ||
        row->spec.len > FLV_FORMAT_SPEC_BYTES_MAX) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "table format '%.*s' in meta.db has a broken name or "
                        "size",
                        (int)(row->name.len < 64 ? row->name.len : 64),
                        (const char *)row->name.data);
    }
    struct flv_format *f = format_new(row->name);
    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = flv_buf_add(&f->spec_bytes, row->spec.data, row->spec.len);
    if (rc == FLV_OK) {
        rc = adopt_spec(f, row->spec_version, err);
    }
    if (rc == FLV_OK) {
        rc = set_reserve(set, err);
    }
    if (rc != FLV_OK) {
        format_free(f);
        return rc;
    }
    set_put(set, f);
    return FLV_OK;
}

flv_rc flv_formats_load(struct flv_formats *set, struct flv_err *err)
{
    return flv_metadb_each_table_format(set->db, load_row, set, err);
}

/* ---- checks ---- */

static bool is_name(struct flv_slice s)
{
    bool ok = s.len > 0 && s.len <= FLV_FORMAT_NAME_MAX;
    for (size_t i = 0; ok && i < s.len; i++) {
        ok = s.data[i] > 0x20 && s.data[i] != 0x7f;
    }
    return ok;
}

int16_t flv_formats_check(const struct flv_formats *set,
                          struct flv_slice name,
                          const struct flv_wire_table_format_spec *spec,
                          char why[FLV_FORMAT_WHY_MAX])
{
    bool found = false;
    if (!is_name(name)) {
        snprintf(why, FLV_FORMAT_WHY_MAX,
                 "the name of a table format has 1 to %d bytes and no blanks",
                 FLV_FORMAT_NAME_MAX);
        return FLV_WIRE_TABLE_FORMAT_ERROR;
    }
    (void)place(set, name, &found);
    if (found && set->going == 0) {
        snprintf(why, FLV_FORMAT_WHY_MAX, EXISTS);
        return FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS;
    }
    if (spec->columns.has && spec->columns.v.len > FLV_FORMAT_COLUMNS_MAX) {
        snprintf(why, FLV_FORMAT_WHY_MAX,
                 "a table format has at most %d columns and this one has %u",
                 FLV_FORMAT_COLUMNS_MAX, spec->columns.v.len);
        return FLV_WIRE_TABLE_FORMAT_ERROR;
    }
    if (set->len + set->coming >= FLV_FORMATS_MAX) {
        snprintf(why, FLV_FORMAT_WHY_MAX,
                 "there are %d table formats, the most that this server keeps; "
                 "delete some",
                 FLV_FORMATS_MAX);
        return FLV_WIRE_TABLE_FORMAT_ERROR;
    }
    return FLV_WIRE_NONE;
}

/* ---- changes ---- */

/* One create or delete under way. The disk decides: what is asked for behind
 * another one sees what that made. */
struct op {
    struct flv_change c; /* first */
    struct flv_formats *set;
    struct flv_format *f; /* create: owned */
    bool hit;             /* created, or found and deleted */
    char name[FLV_FORMAT_NAME_MAX + 1];
};

static void op_drop(struct flv_change *c)
{
    format_free(((struct op *)c)->f);
}

static struct op *op_new(struct flv_formats *set,
                         struct flv_slice name,
                         flv_change_done_fn done,
                         void *ctx)
{
    struct op *op = flv_change_create(sizeof *op, set->server, done, ctx);
    if (op != NULL) {
        assert(name.len > 0 && name.len <= FLV_FORMAT_NAME_MAX);
        memcpy(op->name, name.data, name.len);
        op->c.drop = op_drop;
        op->set = set;
    }
    return op;
}

static flv_rc op_result(struct op *op, flv_rc rc, const char *what)
{
    return flv_change_result(&op->c, rc, "table-format", what, op->name);
}

static void create_run(struct flv_work *w)
{
    struct op *op = (struct op *)w;
    const struct flv_table_format_row row = {
        .name = flv_slice_str(op->name),
        .spec_version = FLV_FORMAT_SPEC_VERSION,
        .spec = flv_buf_slice(&op->f->spec_bytes),
    };
    op->c.rc =
        flv_metadb_put_table_format(op->set->db, &row, &op->hit, &op->c.err);
}

static void create_over(struct flv_work *w, flv_rc rc)
{
    struct op *op = (struct op *)w;
    struct flv_formats *set = op->set;
    assert(set->coming > 0);
    set->coming--;
    if (op_result(op, rc, "cannot store") != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_TABLE_FORMAT_ERROR, op->c.err.text);
        return;
    }
    if (!op->hit) {
        flv_change_end(&op->c, FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS, EXISTS);
        return;
    }
    struct flv_format *f = op->f;
    op->f = NULL;
    set_put(set, f);
    flv_log_info("table-format", "stored", FLV_KV_STR("name", f->name));
    flv_watch_format(set->server, f, false);
    flv_change_end(&op->c, FLV_WIRE_NONE, NULL);
}

static flv_rc make_format(struct op *op,
                          const struct flv_wire_table_format_spec *spec)
{
    const struct flv_wire_table_format_create stored = {.spec = *spec};
    op->f = format_new(flv_slice_str(op->name));
    if (op->f == NULL) {
        return flv_fail(&op->c.err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = flv_wire_table_format_create_encode(
        FLV_FORMAT_SPEC_VERSION, &stored, &op->f->spec_bytes, &op->c.err);
    if (rc == FLV_E_LIMIT) {
        return flv_fail(&op->c.err, rc, "a table format has at most %zu bytes",
                        FLV_FORMAT_SPEC_BYTES_MAX);
    }
    if (rc == FLV_OK) {
        rc = adopt_spec(op->f, FLV_FORMAT_SPEC_VERSION, &op->c.err);
    }
    return rc == FLV_OK ? set_reserve(op->set, &op->c.err) : rc;
}

void flv_formats_create(struct flv_formats *set,
                        struct flv_slice name,
                        const struct flv_wire_table_format_spec *spec,
                        flv_change_done_fn done,
                        void *ctx)
{
    struct op *op = op_new(set, name, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_TABLE_FORMAT_ERROR, "out of memory");
        return;
    }
    op->c.rc = make_format(op, spec);
    if (op->c.rc != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_TABLE_FORMAT_ERROR, op->c.err.text);
        return;
    }
    set->coming++;
    flv_change_submit(&op->c, set->pool, create_run, create_over);
}

static void delete_run(struct flv_work *w)
{
    struct op *op = (struct op *)w;
    op->c.rc = flv_metadb_delete_table_format(
        op->set->db, flv_slice_str(op->name), &op->hit, &op->c.err);
}

static void delete_over(struct flv_work *w, flv_rc rc)
{
    struct op *op = (struct op *)w;
    struct flv_formats *set = op->set;
    assert(set->going > 0);
    set->going--;
    if (op_result(op, rc, "cannot delete") != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_TABLE_FORMAT_ERROR, op->c.err.text);
        return;
    }
    if (!op->hit) {
        flv_change_end(&op->c, FLV_WIRE_TABLE_FORMAT_NOT_FOUND, "not found");
        return;
    }
    bool found;
    size_t at = place(set, flv_slice_str(op->name), &found);
    assert(found); /* creates and deletes end in the order of their disk work */
    flv_log_info("table-format", "deleted", FLV_KV_STR("name", op->name));
    flv_watch_format(set->server, set->sorted[at], true);
    set_remove(set, at);
    flv_change_end(&op->c, FLV_WIRE_NONE, NULL);
}

void flv_formats_delete(struct flv_formats *set,
                        struct flv_slice name,
                        flv_change_done_fn done,
                        void *ctx)
{
    /* What is being stored may be there by the time the disk is asked. */
    bool found = false;
    (void)place(set, name, &found);
    if (!found && (set->coming == 0 || !is_name(name))) {
        done(ctx, FLV_WIRE_TABLE_FORMAT_NOT_FOUND, "not found");
        return;
    }
    struct op *op = op_new(set, name, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_TABLE_FORMAT_ERROR, "out of memory");
        return;
    }
    set->going++;
    flv_change_submit(&op->c, set->pool, delete_run, delete_over);
}
