#include "cli/ledger.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "config/doc.h"

#include <assert.h>
#include <inttypes.h>

#define VERSION 1
/* Every settlement begins with these bytes, and no letter does. */
#define MARK "{\"settlement\":"
#define PARCELS_MAX 65536

void cli_begin_deinit(struct cli_begin *b)
{
    flv_free(b->topic);
    cli_ranges_deinit(&b->letters);
    flv_free(b->parcels);
    flv_free(b->records);
    flv_buf_deinit(&b->bytes);
    *b = (struct cli_begin){.id = 0};
}

void cli_ledger_init(struct cli_ledger *l)
{
    *l = (struct cli_ledger){
        .first = -1, .last = -1, .orphan = -1, .orphan_after = -1};
}

void cli_ledger_deinit(struct cli_ledger *l)
{
    cli_ranges_deinit(&l->letters);
    cli_ranges_deinit(&l->settled);
    cli_begin_deinit(&l->begun);
    cli_ledger_init(l);
}

bool cli_is_settlement(struct flv_slice value)
{
    const size_t len = sizeof MARK - 1;
    return value.len >= len && memcmp(value.data, MARK, len) == 0;
}

/* ---- Reading ------------------------------------------------------------ */

static bool get_number(const struct flv_node *from,
                       const char *name,
                       int64_t min,
                       int64_t *out)
{
    const struct flv_node *n = flv_node_get(from, name);
    return n != NULL && n->kind == FLV_NODE_SCALAR && !n->quoted &&
           flv_text_i64(n->text, min, INT64_MAX, out, NULL) == FLV_OK;
}

static const char *get_text(const struct flv_node *from, const char *name)
{
    const struct flv_node *n = flv_node_get(from, name);
    return n != NULL && n->kind == FLV_NODE_SCALAR && n->quoted ? n->text : "";
}

static const struct flv_node *get_list(const struct flv_node *from,
                                       const char *name)
{
    const struct flv_node *n = flv_node_get(from, name);
    return n != NULL && n->kind == FLV_NODE_LIST ? n : NULL;
}

static bool read_offset(const struct flv_node *n, int64_t *out)
{
    return n->kind == FLV_NODE_SCALAR && !n->quoted &&
           flv_text_i64(n->text, 0, INT64_MAX - 1, out, NULL) == FLV_OK;
}

/* Ranges of letters in front of `offset`. FLV_E_INVALID: none. */
static flv_rc read_letters(const struct flv_node *root,
                           int64_t offset,
                           struct cli_ranges *out)
{
    const struct flv_node *list = get_list(root, "letters");
    flv_rc rc = list != NULL ? FLV_OK : FLV_E_INVALID;
    for (size_t i = 0; rc == FLV_OK && i < list->count; i++) {
        const struct flv_node *pair = list->items[i];
        int64_t first = 0, last = 0;
        if (pair->kind != FLV_NODE_LIST || pair->count != 2 ||
            !read_offset(pair->items[0], &first) ||
            !read_offset(pair->items[1], &last) || first > last ||
            last >= offset) {
            return FLV_E_INVALID;
        }
        rc = cli_ranges_add(out, first, last);
    }
    return rc;
}

/* Appended to b->bytes, which has room for all of them and stays put. */
static flv_rc
read_bytes(struct cli_begin *b, const struct flv_node *n, struct flv_slice *out)
{
    const size_t at = b->bytes.len;
    if (n == NULL || n->kind != FLV_NODE_SCALAR || !n->quoted) {
        return FLV_E_INVALID;
    }
    flv_rc rc = flv_text_unbase64(&b->bytes, flv_slice(n->text, n->len), NULL);
    *out = flv_slice(b->bytes.data + at, b->bytes.len - at);
    return rc;
}

static flv_rc read_parcel(struct cli_begin *b, const struct flv_node *n)
{
    const struct flv_node *records = get_list(n, "records");
    int64_t partition = 0, end = 0;
    if (records == NULL || records->count == 0 ||
        !get_number(n, "partition", 0, &partition) || partition > INT32_MAX ||
        !get_number(n, "end", 0, &end)) {
        return FLV_E_INVALID;
    }
    struct cli_parcel *p = &b->parcels[b->parcel_count++];
    *p = (struct cli_parcel){.partition = (uint32_t)partition,
                             .end = end,
                             .records = b->records + b->record_count,
                             .count = records->count};
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < records->count && rc == FLV_OK; i++) {
        const struct flv_node *r = records->items[i];
        struct flv_msg *m = &b->records[b->record_count++];
        *m = (struct flv_msg){.partition = (int32_t)partition};
        m->has_key = flv_node_get(r, "key") != NULL;
        rc = read_bytes(b, flv_node_get(r, "value"), &m->value);
        if (rc == FLV_OK && m->has_key) {
            rc = read_bytes(b, flv_node_get(r, "key"), &m->key);
        }
    }
    return rc;
}

static flv_rc count_records(const struct flv_node *parcels, size_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < parcels->count; i++) {
        const struct flv_node *records = get_list(parcels->items[i], "records");
        n += records != NULL ? records->count : 0;
    }
    *out = n;
    return n <= CLI_BEGIN_RECORDS_MAX && parcels->count <= PARCELS_MAX
               ? FLV_OK
               : FLV_E_INVALID;
}

static flv_rc read_begin(struct cli_begin *b,
                         const struct flv_node *root,
                         int64_t offset,
                         size_t size)
{
    const struct flv_node *parcels = get_list(root, "batches");
    const char *topic = get_text(root, "topic");
    size_t count = 0;
    if (!get_number(root, "id", 1, &b->id) || parcels == NULL ||
        topic[0] == '\0' || count_records(parcels, &count) != FLV_OK) {
        return FLV_E_INVALID;
    }
    /* What is written in base 64 is longer than its bytes, so that nothing
     * moves while slices are taken. */
    flv_buf_init(&b->bytes, size + 1);
    b->topic = flv_strdup(topic);
    b->parcels = flv_zalloc(parcels->count + 1, sizeof *b->parcels);
    b->records = flv_zalloc(count + 1, sizeof *b->records);
    if (b->topic == NULL || b->parcels == NULL || b->records == NULL) {
        return FLV_E_NOMEM;
    }
    flv_rc rc = flv_buf_reserve(&b->bytes, size);
    rc = rc == FLV_OK ? read_letters(root, offset, &b->letters) : rc;
    for (size_t i = 0; i < parcels->count && rc == FLV_OK; i++) {
        rc = read_parcel(b, parcels->items[i]);
    }
    return rc;
}

/* ---- Taking ------------------------------------------------------------- */

/* The last settlement that counted is gone, if there was one. */
static bool is_cut(const struct cli_ledger *l)
{
    return l->last < l->first;
}

static flv_rc take_begin(struct cli_ledger *l,
                         const struct flv_node *root,
                         int64_t after,
                         int64_t offset,
                         size_t size)
{
    struct cli_begin b = {.id = 0};
    flv_rc rc = l->open ? FLV_E_INVALID : read_begin(&b, root, offset, size);
    if (rc != FLV_OK) {
        cli_begin_deinit(&b);
        return rc;
    }
    const size_t n = b.letters.count;
    b.doubtful = is_cut(l) && after < l->first && n > 0 &&
                 b.letters.at[n - 1].last < l->first;
    cli_begin_deinit(&l->begun);
    l->begun = b;
    l->open = true;
    return FLV_OK;
}

/* Its begin is removed and so are the begin's letters: it changes nothing, but
 * later ones name it. */
static flv_rc take_orphan(struct cli_ledger *l, int64_t after, int64_t offset)
{
    if (!is_cut(l) || after < 0 || after >= l->first) {
        return FLV_E_INVALID;
    }
    l->orphan = offset;
    l->orphan_after = after;
    return FLV_OK;
}

static flv_rc take_end(struct cli_ledger *l, const struct flv_node *root)
{
    const struct flv_node *arrived = flv_node_get(root, "arrived");
    int64_t id = 0;
    if (!l->open || !get_number(root, "id", 1, &id) || id != l->begun.id ||
        arrived == NULL || arrived->kind != FLV_NODE_SCALAR) {
        return FLV_E_INVALID;
    }
    flv_rc rc = FLV_OK;
    if (strcmp(arrived->text, "true") == 0) {
        rc = cli_ranges_add_all(&l->settled, &l->begun.letters);
    }
    if (rc == FLV_OK) {
        cli_begin_deinit(&l->begun);
        l->open = false;
    }
    return rc;
}

static flv_rc
take_letters(struct cli_ledger *l, const struct flv_node *root, int64_t offset)
{
    struct cli_ranges letters = {.count = 0};
    flv_rc rc = read_letters(root, offset, &letters);
    for (size_t i = 0; l->open && rc == FLV_OK && i < letters.count; i++) {
        rc = cli_ranges_touches(&l->begun.letters, letters.at[i].first,
                                letters.at[i].last)
                 ? FLV_E_INVALID
                 : FLV_OK;
    }
    rc = rc == FLV_OK ? cli_ranges_add_all(&l->settled, &letters) : rc;
    cli_ranges_deinit(&letters);
    return rc;
}

/* A view is of now when it names the last settlement that counts. Where
 * retention removed that one, every view of what was removed is as good, but
 * for those older than the begin that an orphan names. */
static bool is_of_now(const struct cli_ledger *l, int64_t after)
{
    if (!is_cut(l)) {
        return after == l->last;
    }
    return l->orphan < 0 ? after < l->first
                         : after == l->orphan ||
                               (after > l->orphan_after && after < l->first);
}

static flv_rc take_settlement(struct cli_ledger *l,
                              const struct flv_node *root,
                              int64_t offset,
                              size_t size)
{
    const char *event = get_text(root, "event");
    int64_t after = 0;
    if (!get_number(root, "after", -1, &after) || !is_of_now(l, after)) {
        return FLV_E_INVALID;
    }
    if (strcmp(event, "end") == 0 && !l->open) {
        return take_orphan(l, after, offset);
    }
    flv_rc rc = strcmp(event, "begin") == 0
                    ? take_begin(l, root, after, offset, size)
                : strcmp(event, "end") == 0    ? take_end(l, root)
                : strcmp(event, "settle") == 0 ? take_letters(l, root, offset)
                                               : FLV_E_INVALID;
    if (rc == FLV_OK) {
        l->last = offset;
    }
    return rc;
}

/* Void settlements are those that no reader of this version takes. */
static flv_rc read_settlement(struct cli_ledger *l,
                              int64_t offset,
                              struct flv_slice value,
                              struct flv_err *err)
{
    struct flv_doc *doc = NULL;
    int64_t version = 0;
    flv_rc rc = flv_doc_json(&doc, "a settlement", value, err);
    if (rc != FLV_OK) {
        return rc == FLV_E_INVALID ? FLV_OK : rc;
    }
    const struct flv_node *root = flv_doc_root(doc);
    if (get_number(root, "settlement", 0, &version) && version != VERSION) {
        rc = flv_fail(err, FLV_E_UNSUPPORTED,
                      "the settlement at offset %" PRId64 " is of version "
                      "%" PRId64 ", and this program reads version %d",
                      offset, version, VERSION);
    } else {
        rc = take_settlement(l, root, offset, value.len);
        rc = rc == FLV_OK || rc == FLV_E_INVALID
                 ? FLV_OK
                 : flv_fail(err, rc,
                            "no room for the settlement at offset %" PRId64,
                            offset);
    }
    flv_doc_destroy(doc);
    return rc;
}

flv_rc cli_ledger_take(struct cli_ledger *l,
                       int64_t offset,
                       struct flv_slice value,
                       struct flv_err *err)
{
    assert(offset >= l->next);
    l->first = l->first < 0 ? offset : l->first;
    flv_rc rc = FLV_OK;
    if (cli_is_settlement(value)) {
        rc = read_settlement(l, offset, value, err);
    } else {
        rc = cli_ranges_add(&l->letters, offset, offset);
        rc = rc == FLV_OK ? FLV_OK
                          : flv_fail(err, rc, "no room for more letters");
    }
    if (rc == FLV_OK) {
        l->next = offset + 1;
    }
    return rc;
}

bool cli_ledger_is_open(const struct cli_ledger *l, int64_t offset)
{
    return cli_ranges_has(&l->letters, offset) &&
           !cli_ranges_has(&l->settled, offset) &&
           !(l->open && cli_ranges_has(&l->begun.letters, offset));
}

/* Behind the range of the set that holds `offset`, else `offset`. */
static int64_t behind(const struct cli_ranges *r, int64_t offset)
{
    const struct cli_range *in = cli_ranges_find(r, offset);
    return in != NULL && in->first <= offset ? in->last + 1 : offset;
}

int64_t cli_ledger_next_open(const struct cli_ledger *l, int64_t from)
{
    for (;;) {
        const struct cli_range *in = cli_ranges_find(&l->letters, from);
        if (in == NULL) {
            return -1;
        }
        from = in->first > from ? in->first : from;
        int64_t next = behind(&l->settled, from);
        next = l->open ? behind(&l->begun.letters, next) : next;
        if (next == from) {
            return from;
        }
        from = next;
    }
}

uint64_t
cli_ledger_count(const struct cli_ledger *l, int64_t first, int64_t last)
{
    uint64_t n = 0;
    for (size_t i = 0; i < l->letters.count; i++) {
        int64_t from = l->letters.at[i].first, to = l->letters.at[i].last;
        from = from > first ? from : first;
        to = to < last ? to : last;
        if (from > to) {
            continue;
        }
        n += (uint64_t)(to - from) + 1;
        n -= cli_ranges_count(&l->settled, from, to);
        /* None of which is settled: take_letters() sees to that. */
        n -= l->open ? cli_ranges_count(&l->begun.letters, from, to) : 0;
    }
    return n;
}

/* ---- Writing ------------------------------------------------------------ */

/* What a settlement that is written now names. */
static int64_t view(const struct cli_ledger *l)
{
    return is_cut(l) && l->orphan >= 0 ? l->orphan : l->last;
}

static void head(struct flv_out *o,
                 const struct cli_ledger *l,
                 const char *event,
                 int64_t id)
{
    char time[FLV_CLOCK_TEXT_MAX];
    flv_clock_format(flv_clock_wall_ms(), time);
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b,
                             MARK "%d,\"after\":%" PRId64 ",\"time\":\"%s\","
                                  "\"event\":\"%s\"",
                             VERSION, view(l), time, event);
    }
    if (o->rc == FLV_OK && id > 0) {
        o->rc = flv_buf_addf(o->b, ",\"id\":%" PRId64, id);
    }
}

static void letters_member(struct flv_out *o, const struct cli_ranges *letters)
{
    flv_out_str(o, ",\"letters\":");
    if (o->rc == FLV_OK) {
        o->rc = cli_ranges_json(letters, o->b);
    }
}

static void
bytes_member(struct flv_out *o, const char *before, struct flv_slice bytes)
{
    flv_out_str(o, before);
    if (o->rc == FLV_OK) {
        o->rc = flv_text_base64(o->b, bytes);
    }
    flv_out_str(o, "\"");
}

static void parcel_element(struct flv_out *o, const struct cli_parcel *p)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b,
                             "{\"partition\":%" PRIu32 ",\"end\":%" PRId64
                             ",\"records\":[",
                             p->partition, p->end);
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct flv_msg *m = &p->records[i];
        flv_out_str(o, i > 0 ? ",{" : "{");
        if (m->has_key) {
            bytes_member(o, "\"key\":\"", m->key);
            flv_out_str(o, ",");
        }
        bytes_member(o, "\"value\":\"", m->value);
        flv_out_str(o, "}");
    }
    flv_out_str(o, "]}");
}

static flv_rc finish(const struct flv_out *o, struct flv_err *err)
{
    return o->rc == FLV_OK
               ? FLV_OK
               : flv_fail(err, o->rc,
                          "what is to be noted takes more than %zu bytes, the "
                          "most that a record may have",
                          o->b->max);
}

flv_rc cli_settle_begin(const struct cli_ledger *l,
                        const struct cli_begin *b,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    assert(!l->open && b->id > 0);
    head(&o, l, "begin", b->id);
    letters_member(&o, &b->letters);
    flv_out_str(&o, ",\"topic\":");
    flv_out_json_str(&o, b->topic);
    flv_out_str(&o, ",\"batches\":[");
    for (size_t i = 0; i < b->parcel_count; i++) {
        flv_out_str(&o, i > 0 ? "," : "");
        parcel_element(&o, &b->parcels[i]);
    }
    flv_out_str(&o, "]}");
    return finish(&o, err);
}

flv_rc cli_settle_end(const struct cli_ledger *l,
                      bool arrived,
                      struct flv_buf *out,
                      struct flv_err *err)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    assert(l->open);
    head(&o, l, "end", l->begun.id);
    flv_out_str(&o, arrived ? ",\"arrived\":true}" : ",\"arrived\":false}");
    return finish(&o, err);
}

flv_rc cli_settle_letters(const struct cli_ledger *l,
                          const struct cli_ranges *letters,
                          const char *why,
                          struct flv_buf *out,
                          struct flv_err *err)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    head(&o, l, "settle", 0);
    letters_member(&o, letters);
    flv_out_str(&o, ",\"why\":");
    flv_out_json_str(&o, why);
    flv_out_str(&o, "}");
    return finish(&o, err);
}
