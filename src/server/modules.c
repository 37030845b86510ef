#include "server/modules.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/state.h"
#include "server/watch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SPEC_ARENA_MAX ((size_t)1 << 20)

/* The stored form of a spec: the body of a create request without payload,
 * since that is the message which carries it. */

static void module_free(struct flv_module *m)
{
    if (m != NULL) {
        flv_buf_deinit(&m->spec_bytes);
        flv_arena_deinit(&m->arena);
        flv_free(m);
    }
}

static struct flv_module *module_new(struct flv_slice key)
{
    struct flv_module *m = flv_zalloc(1, sizeof *m);
    if (m != NULL) {
        assert(key.len > 0 && key.len <= FLV_MODULE_KEY_MAX);
        memcpy(m->key, key.data, key.len);
        flv_buf_init(&m->spec_bytes, FLV_MODULE_SPEC_BYTES_MAX);
        flv_arena_init(&m->arena, 256, SPEC_ARENA_MAX);
    }
    return m;
}

/* Takes m->spec from m->spec_bytes. */
static flv_rc adopt_spec(struct flv_module *m, int version, struct flv_err *err)
{
    struct flv_wire_smartmodule_create stored;
    struct flv_slice in = flv_buf_slice(&m->spec_bytes);
    flv_rc rc = flv_wire_smartmodule_create_decode((int16_t)version, &in,
                                                   &m->arena, &stored, err);
    if (rc == FLV_E_PROTOCOL) {
        flv_err_prefix(err, "spec of SmartModule %s in meta.db", m->key);
        rc = FLV_E_CORRUPT;
    }
    if (rc == FLV_OK) {
        m->spec = stored.spec;
    }
    return rc;
}

/* ---- the sorted array ---- */

void flv_modules_init(struct flv_modules *set,
                      struct flv_server *server,
                      struct flv_metadb *db,
                      struct flv_pool *pool)
{
    *set = (struct flv_modules){
        .server = server, .db = db, .pool = pool, .next_revision = 1};
}

void flv_modules_deinit(struct flv_modules *set)
{
    for (size_t i = 0; i < set->len; i++) {
        module_free(set->sorted[i]);
    }
    flv_free(set->sorted);
    *set = (struct flv_modules){0};
}

/* Where the key is, or where it would be inserted. */
static size_t
place(const struct flv_modules *set, struct flv_slice key, bool *found)
{
    size_t low = 0;
    size_t high = set->len;
    *found = false;
    while (low < high && !*found) {
        size_t mid = low + (high - low) / 2;
        int order = flv_slice_compare_str(key, set->sorted[mid]->key);
        *found = order == 0;
        if (order > 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return *found ? high : low;
}

static void set_remove(struct flv_modules *set, size_t at)
{
    struct flv_module *m = set->sorted[at];
    assert(set->payload_bytes >= m->payload_bytes);
    set->payload_bytes -= m->payload_bytes;
    set->len--;
    memmove(&set->sorted[at], &set->sorted[at + 1],
            (set->len - at) * sizeof(struct flv_module *));
    module_free(m);
}

static flv_rc set_reserve(struct flv_modules *set, struct flv_err *err)
{
    if (set->len + set->coming < set->cap) {
        return FLV_OK;
    }
    size_t cap = set->cap > 0 ? set->cap * 2 : 16;
    void *grown = flv_realloc(set->sorted, cap * sizeof(struct flv_module *));
    if (grown == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    set->sorted = grown;
    set->cap = cap;
    return FLV_OK;
}

/* Room was reserved. */
static void set_put(struct flv_modules *set, struct flv_module *m)
{
    bool found;
    size_t at = place(set, flv_slice_str(m->key), &found);
    if (found) {
        set_remove(set, at);
    }
    assert(set->len < set->cap);
    memmove(&set->sorted[at + 1], &set->sorted[at],
            (set->len - at) * sizeof(struct flv_module *));
    set->sorted[at] = m;
    set->len++;
    set->payload_bytes += m->payload_bytes;
}

static flv_rc
load_row(const struct flv_module_row *row, void *arg, struct flv_err *err)
{
    struct flv_modules *set = arg;
    if (row->key.len == 0 || row->key.len > FLV_MODULE_KEY_MAX ||
        row->payload_bytes > FLV_MODULE_PAYLOAD_MAX) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "SmartModule %llu in meta.db has a broken name or size",
                        (unsigned long long)row->revision);
    }
    struct flv_module *m = module_new(row->key);
    if (m == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    m->revision = row->revision;
    m->created_ms = row->created_ms;
    m->payload_bytes = (uint32_t)row->payload_bytes;
    flv_rc rc = flv_buf_add(&m->spec_bytes, row->spec.data, row->spec.len);
    if (rc == FLV_OK) {
        rc = adopt_spec(m, row->spec_version, err);
    }
    if (rc == FLV_OK) {
        rc = set_reserve(set, err);
    }
    if (rc != FLV_OK) {
        module_free(m);
        return rc;
    }
    set_put(set, m);
    return FLV_OK;
}

flv_rc flv_modules_load(struct flv_modules *set, struct flv_err *err)
{
    flv_rc rc = flv_metadb_next_revision(set->db, &set->next_revision, err);
    return rc == FLV_OK ? flv_metadb_each_module(set->db, load_row, set, err)
                        : rc;
}

/* ---- finding ---- */

/* [group/]name[@version]; a version only stands behind a group. */
struct wanted {
    struct flv_slice name, group, version; /* empty: any */
};

static struct wanted parse_wanted(struct flv_slice text)
{
    struct wanted w = {.name = text};
    const uint8_t *slash =
        text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    if (slash == NULL) {
        return w;
    }
    size_t before = (size_t)(slash - text.data);
    w.group = flv_slice(text.data, before);
    w.name = flv_slice(slash + 1, text.len - before - 1);
    const uint8_t *at =
        w.name.len > 0 ? memchr(w.name.data, '@', w.name.len) : NULL;
    if (at != NULL) {
        size_t len = (size_t)(at - w.name.data);
        w.version = flv_slice(at + 1, w.name.len - len - 1);
        w.name = flv_slice(w.name.data, len);
    }
    return w;
}

static bool is_wanted(const struct flv_module *m, const struct wanted *w)
{
    if (!m->spec.meta.has) {
        return flv_slice_eq_str(w->name, m->key);
    }
    const struct flv_wire_smartmodule_meta *meta = &m->spec.meta.v;
    return flv_slice_eq(w->name, meta->name) &&
           (w->group.len == 0 || flv_slice_eq(w->group, meta->group)) &&
           (w->version.len == 0 || flv_slice_eq(w->version, meta->version));
}

bool flv_module_matches(const struct flv_module *m, struct flv_slice name)
{
    const struct wanted w = parse_wanted(name);
    return is_wanted(m, &w);
}

const struct flv_module *flv_modules_find(const struct flv_modules *set,
                                          struct flv_slice name)
{
    const struct wanted w = parse_wanted(name);
    const struct flv_module *best = NULL;
    for (size_t i = 0; i < set->len; i++) {
        const struct flv_module *m = set->sorted[i];
        if (is_wanted(m, &w) &&
            (best == NULL || m->revision > best->revision)) {
            best = m;
        }
    }
    return best;
}

const struct flv_module *flv_modules_by_key(const struct flv_modules *set,
                                            struct flv_slice key)
{
    bool found;
    size_t at = place(set, key, &found);
    assert(!found || set->sorted[at] != NULL);
    return found ? set->sorted[at] : NULL;
}

/* ---- bytes ---- */

static void read_run(struct flv_work *w)
{
    struct flv_module_read *r = (struct flv_module_read *)w;
    struct flv_buf bytes;
    flv_buf_init(&bytes, FLV_MODULE_PAYLOAD_MAX);
    r->rc = flv_metadb_read_module(r->set->db, r->revision, &bytes, &r->err);
    if (r->rc == FLV_OK) {
        r->payload = flv_buf_take(&bytes, &r->payload_bytes);
    }
    flv_buf_deinit(&bytes);
}

static void read_over(struct flv_work *w, flv_rc rc)
{
    struct flv_module_read *r = (struct flv_module_read *)w;
    struct flv_server *s = r->set->server;
    if (rc != FLV_OK) {
        r->rc = flv_fail(&r->err, rc, "the server is stopping");
    }
    r->done(r); /* may free it */
    flv_server_ended(s);
}

void flv_modules_read(struct flv_modules *set, struct flv_module_read *r)
{
    assert(r->done != NULL && r->revision > 0);
    r->set = set;
    r->payload = NULL;
    r->payload_bytes = 0;
    r->rc = FLV_OK;
    r->work.run = read_run;
    r->work.done = read_over;
    flv_server_began(set->server);
    flv_rc rc = flv_pool_submit(set->pool, &r->work);
    if (rc != FLV_OK) {
        read_over(&r->work, rc);
    }
}

/* ---- checks ---- */

/* Keys are C strings here and in logs. */
static bool has_nul(struct flv_slice s)
{
    return s.len > 0 && memchr(s.data, 0, s.len) != NULL;
}

static int16_t check_meta(const struct flv_wire_smartmodule_meta *meta,
                          char key[FLV_MODULE_KEY_MAX + 1],
                          char why[FLV_MODULE_WHY_MAX])
{
    if (meta->name.len == 0 || meta->group.len == 0 || has_nul(meta->name) ||
        has_nul(meta->group)) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "the package of a SmartModule needs a name and a group");
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    /* Clients that list it fail on other texts. */
    if (!flv_wire_semver_ok(meta->version) ||
        !flv_wire_semver_ok(meta->api_version)) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "'%.*s' or '%.*s' is no version such as 0.1.0",
                 (int)(meta->version.len < 40 ? meta->version.len : 40),
                 (const char *)meta->version.data,
                 (int)(meta->api_version.len < 40 ? meta->api_version.len : 40),
                 (const char *)meta->api_version.data);
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    size_t len = meta->name.len + meta->group.len + meta->version.len + 2;
    if (len > FLV_MODULE_KEY_MAX) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "name, group and version of a SmartModule have at most %d "
                 "bytes together, not %zu",
                 FLV_MODULE_KEY_MAX - 2, len - 2);
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    snprintf(key, FLV_MODULE_KEY_MAX + 1, "%.*s-%.*s-%.*s", (int)meta->name.len,
             (const char *)meta->name.data, (int)meta->group.len,
             (const char *)meta->group.data, (int)meta->version.len,
             (const char *)meta->version.data);
    return FLV_WIRE_NONE;
}

static int16_t check_room(const struct flv_modules *set,
                          const char *key,
                          size_t payload_bytes,
                          char why[FLV_MODULE_WHY_MAX])
{
    const struct flv_module *old = flv_modules_by_key(set, flv_slice_str(key));
    uint64_t bytes = set->payload_bytes + set->coming_bytes + payload_bytes -
                     (old != NULL ? old->payload_bytes : 0);
    if (payload_bytes > FLV_MODULE_PAYLOAD_MAX) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "the SmartModule has %zu bytes and the largest is %zu",
                 payload_bytes, FLV_MODULE_PAYLOAD_MAX);
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    if (bytes > FLV_MODULES_PAYLOAD_MAX) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "all SmartModules together would have %llu bytes and the "
                 "limit is %llu; delete some",
                 (unsigned long long)bytes,
                 (unsigned long long)FLV_MODULES_PAYLOAD_MAX);
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    if (old == NULL && set->len + set->coming >= FLV_MODULES_MAX) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "there are %d SmartModules, the most that this server keeps; "
                 "delete some",
                 FLV_MODULES_MAX);
        return FLV_WIRE_SMARTMODULE_ERROR;
    }
    return FLV_WIRE_NONE;
}

int16_t flv_modules_check(const struct flv_modules *set,
                          struct flv_slice name,
                          const struct flv_wire_smartmodule_spec *spec,
                          char key[FLV_MODULE_KEY_MAX + 1],
                          char why[FLV_MODULE_WHY_MAX])
{
    int16_t code = FLV_WIRE_NONE;
    if (spec->meta.has) {
        code = check_meta(&spec->meta.v, key, why);
    } else if (name.len == 0 || name.len > FLV_MODULE_KEY_MAX ||
               has_nul(name)) {
        snprintf(why, FLV_MODULE_WHY_MAX,
                 "the name of a SmartModule has 1 to %d bytes",
                 FLV_MODULE_KEY_MAX);
        code = FLV_WIRE_SMARTMODULE_ERROR;
    } else {
        memcpy(key, name.data, name.len);
        key[name.len] = '\0';
    }
    return code == FLV_WIRE_NONE ? check_room(set, key, spec->payload.len, why)
                                 : code;
}

/* ---- changes ---- */

/* One store or delete under way. */
struct op {
    struct flv_change c; /* first */
    struct flv_modules *set;
    struct flv_module *m;             /* store: owned */
    struct flv_chunk *frame;          /* store: owned reference; payload's */
    struct flv_slice payload;         /* store */
    bool found;                       /* delete */
    char key[FLV_MODULE_KEY_MAX + 1]; /* delete */
};

static void op_drop(struct flv_change *c)
{
    struct op *op = (struct op *)c;
    module_free(op->m);
    flv_chunk_unref(op->frame);
}

static struct op *
op_new(struct flv_modules *set, flv_change_done_fn done, void *ctx)
{
    struct op *op = flv_change_create(sizeof *op, set->server, done, ctx);
    if (op != NULL) {
        op->c.drop = op_drop;
        op->set = set;
    }
    return op;
}

static void store_run(struct flv_work *w)
{
    struct op *op = (struct op *)w;
    const struct flv_module_row row = {
        .key = flv_slice_str(op->m->key),
        .revision = op->m->revision,
        .created_ms = op->m->created_ms,
        .payload_bytes = op->payload.len,
        .spec_version = FLV_MODULE_SPEC_VERSION,
        .spec = flv_buf_slice(&op->m->spec_bytes),
    };
    op->c.rc =
        flv_metadb_put_module(op->set->db, &row, op->payload, &op->c.err);
}

static void store_over(struct flv_work *w, flv_rc rc)
{
    struct op *op = (struct op *)w;
    struct flv_modules *set = op->set;
    assert(set->coming > 0 && set->coming_bytes >= op->payload.len);
    set->coming--;
    set->coming_bytes -= op->payload.len;
    if (flv_change_result(&op->c, rc, "smartmodule", "cannot store",
                          op->m->key) != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_SMARTMODULE_ERROR, op->c.err.text);
        return;
    }
    struct flv_module *m = op->m;
    op->m = NULL;
    set_put(set, m);
    flv_log_info("smartmodule", "stored", FLV_KV_STR("name", m->key),
                 FLV_KV_U64("revision", m->revision),
                 FLV_KV_U64("bytes", m->payload_bytes));
    flv_watch_module(set->server, m, false);
    flv_change_end(&op->c, FLV_WIRE_NONE, NULL);
}

static flv_rc make_module(struct op *op,
                          const char *key,
                          const struct flv_wire_smartmodule_spec *spec)
{
    struct flv_module *m = module_new(flv_slice_str(key));
    op->m = m;
    if (m == NULL) {
        return flv_fail(&op->c.err, FLV_E_NOMEM, "out of memory");
    }
    m->created_ms = flv_clock_wall_ms();
    m->payload_bytes = (uint32_t)spec->payload.len;
    struct flv_wire_smartmodule_create stored = {.spec = *spec};
    stored.spec.payload = flv_slice(NULL, 0);
    stored.spec.summary_wasm_bytes.has = false;
    flv_rc rc = flv_wire_smartmodule_create_encode(
        FLV_MODULE_SPEC_VERSION, &stored, &m->spec_bytes, &op->c.err);
    if (rc == FLV_E_LIMIT) {
        return flv_fail(&op->c.err, rc,
                        "the package data of a SmartModule has at most %zu "
                        "bytes",
                        FLV_MODULE_SPEC_BYTES_MAX);
    }
    return rc == FLV_OK ? adopt_spec(m, FLV_MODULE_SPEC_VERSION, &op->c.err)
                        : rc;
}

void flv_modules_store(struct flv_modules *set,
                       const char *key,
                       const struct flv_wire_smartmodule_spec *spec,
                       struct flv_chunk *frame,
                       flv_change_done_fn done,
                       void *ctx)
{
    struct op *op = op_new(set, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_SMARTMODULE_ERROR, "out of memory");
        return;
    }
    op->c.rc = make_module(op, key, spec);
    if (op->c.rc == FLV_OK) {
        op->c.rc = set_reserve(set, &op->c.err);
    }
    if (op->c.rc != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_SMARTMODULE_ERROR, op->c.err.text);
        return;
    }
    op->m->revision = set->next_revision++;
    op->frame = flv_chunk_ref(frame);
    op->payload = spec->payload;
    set->coming++;
    set->coming_bytes += op->payload.len;
    flv_change_submit(&op->c, set->pool, store_run, store_over);
}

static void delete_run(struct flv_work *w)
{
    struct op *op = (struct op *)w;
    op->c.rc = flv_metadb_delete_module(op->set->db, flv_slice_str(op->key),
                                        &op->found, &op->c.err);
}

static void delete_over(struct flv_work *w, flv_rc rc)
{
    struct op *op = (struct op *)w;
    struct flv_modules *set = op->set;
    if (flv_change_result(&op->c, rc, "smartmodule", "cannot delete",
                          op->key) != FLV_OK) {
        flv_change_end(&op->c, FLV_WIRE_SMARTMODULE_ERROR, op->c.err.text);
        return;
    }
    bool found;
    size_t at = place(set, flv_slice_str(op->key), &found);
    if (!op->found) {
        flv_change_end(&op->c, FLV_WIRE_SMARTMODULE_NOT_FOUND, "not found");
        return;
    }
    assert(found); /* stores and deletes end in the order of their disk work */
    flv_log_info("smartmodule", "deleted", FLV_KV_STR("name", op->key));
    flv_watch_module(set->server, set->sorted[at], true);
    set_remove(set, at);
    flv_change_end(&op->c, FLV_WIRE_NONE, NULL);
}

static const struct flv_module *named(const struct flv_modules *set,
                                      struct flv_slice name)
{
    const struct flv_module *m = flv_modules_by_key(set, name);
    return m == NULL ? flv_modules_find(set, name) : m;
}

const char *flv_modules_deleted_key(const struct flv_modules *set,
                                    struct flv_slice name)
{
    const struct flv_module *m = named(set, name);
    return m != NULL ? m->key : NULL;
}

void flv_modules_delete(struct flv_modules *set,
                        struct flv_slice name,
                        flv_change_done_fn done,
                        void *ctx)
{
    /* What is being stored may be there by the time the disk is asked. */
    const struct flv_module *m = named(set, name);
    if (m == NULL && (set->coming == 0 || name.len == 0 || has_nul(name) ||
                      name.len > FLV_MODULE_KEY_MAX)) {
        done(ctx, FLV_WIRE_SMARTMODULE_NOT_FOUND, "not found");
        return;
    }
    struct op *op = op_new(set, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_SMARTMODULE_ERROR, "out of memory");
        return;
    }
    const struct flv_slice key = m != NULL ? flv_slice_str(m->key) : name;
    memcpy(op->key, key.data, key.len);
    flv_change_submit(&op->c, set->pool, delete_run, delete_over);
}
