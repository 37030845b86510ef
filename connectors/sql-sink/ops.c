#include "ops.h"

#include <assert.h>
#include <stdalign.h>

#include "base/text.h"

/* A record has been checked to be JSON before it is walked: the reader below
 * trusts the grammar, and still never goes past the end. */
struct json {
    const uint8_t *p, *end;
    struct flv_arena *arena; /* borrowed; for texts with escapes */
};

static bool at(const struct json *j, char c)
{
    return j->p < j->end && *j->p == (uint8_t)c;
}

static void blanks(struct json *j)
{
    while (at(j, ' ') || at(j, '\t') || at(j, '\n') || at(j, '\r')) {
        j->p++;
    }
}

/* Steps over c, which may stand behind blanks. */
static bool eat(struct json *j, char c)
{
    blanks(j);
    if (!at(j, c)) {
        return false;
    }
    j->p++;
    return true;
}

/* Behind the quote that ends the string whose first quote is at *p. *out_raw
 * is what stands between; *out_escaped: it has escapes. */
static void
string_span(struct json *j, struct flv_slice *out_raw, bool *out_escaped)
{
    assert(at(j, '"'));
    const uint8_t *from = ++j->p;
    *out_escaped = false;
    while (j->p < j->end && *j->p != '"') {
        bool escape = *j->p == '\\';
        *out_escaped = *out_escaped || escape;
        j->p += escape ? 2 : 1;
    }
    assert(j->p < j->end);
    *out_raw = flv_slice(from, (size_t)(j->p - from));
    j->p++;
}

static uint8_t plain_escape(uint8_t c)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *found = strchr(from, c);
    return found != NULL ? (uint8_t)to[found - from] : c;
}

/* Never longer than what it is made of. */
static flv_rc unescape(struct json *j,
                       struct flv_slice raw,
                       struct flv_slice *out,
                       struct flv_err *err)
{
    uint8_t *text = flv_arena_alloc(j->arena, raw.len, 1);
    size_t len = 0;
    if (text == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < raw.len;) {
        if (raw.data[i] != '\\') {
            text[len++] = raw.data[i++];
            continue;
        }
        uint8_t c = raw.data[i + 1];
        i += 2;
        if (c != 'u') {
            text[len++] = plain_escape(c);
            continue;
        }
        uint32_t point = 0;
        size_t n =
            flv_text_json_u(flv_slice(raw.data + i, raw.len - i), &point);
        assert(n > 0); /* it is JSON */
        if (flv_text_is_surrogate(point)) {
            return flv_fail(err, FLV_E_INVALID,
                            "a text has half of a surrogate pair, which is "
                            "no character");
        }
        i += n;
        len += flv_text_put_utf8(point, text + len);
    }
    assert(len <= raw.len);
    *out = flv_slice(text, len);
    return FLV_OK;
}

static flv_rc string(struct json *j, struct flv_slice *out, struct flv_err *err)
{
    struct flv_slice raw;
    bool escaped;
    string_span(j, &raw, &escaped);
    if (escaped) {
        return unescape(j, raw, out, err);
    }
    *out = raw;
    return FLV_OK;
}

/* Steps over a value. */
static void skip(struct json *j)
{
    size_t depth = 0;
    struct flv_slice raw;
    bool escaped;
    blanks(j);
    do {
        if (at(j, '"')) {
            string_span(j, &raw, &escaped);
            continue;
        }
        if (at(j, '{') || at(j, '[')) {
            depth++;
        } else if (at(j, '}') || at(j, ']')) {
            depth--;
        } else if (depth == 0) {
            while (j->p < j->end && strchr(",}] \t\r\n", *j->p) == NULL) {
                j->p++;
            }
            return;
        }
        j->p++;
    } while (depth > 0 && j->p < j->end);
}

/* The next key of an object that was entered, with the value next; false: the
 * object is over. */
static flv_rc next_key(struct json *j,
                       bool *first,
                       struct flv_slice *out_key,
                       bool *out_more,
                       struct flv_err *err)
{
    *out_more = false;
    if (eat(j, '}')) {
        return FLV_OK;
    }
    if (!*first) {
        (void)eat(j, ',');
        blanks(j);
    }
    *first = false;
    flv_rc rc = string(j, out_key, err);
    if (rc == FLV_OK) {
        (void)eat(j, ':');
        blanks(j);
        *out_more = true;
    }
    return rc;
}

static flv_rc want_string(struct json *j,
                          const char *key,
                          struct flv_slice *out,
                          struct flv_err *err)
{
    if (!at(j, '"')) {
        return flv_fail(err, FLV_E_INVALID, "\"%s\" has to be a text", key);
    }
    if (out->data != NULL) {
        return flv_fail(err, FLV_E_INVALID, "\"%s\" is there twice", key);
    }
    flv_rc rc = string(j, out, err);
    if (rc == FLV_OK && out->len == 0) {
        return flv_fail(err, FLV_E_INVALID, "\"%s\" is empty", key);
    }
    return rc;
}

/* --- one value ---------------------------------------------------------------
 */

#define SQL_TYPE_NAME(name, text) text,
static const char *const type_names[] = {SQL_TYPE_MAP(SQL_TYPE_NAME) NULL};
#undef SQL_TYPE_NAME

const char *sql_type_name(enum sql_type type)
{
    assert((unsigned)type < SQL_TYPE_COUNT);
    return type_names[type];
}

static flv_rc
find_type(struct flv_slice name, enum sql_type *out, struct flv_err *err)
{
    char word[32];
    for (int i = 0; i < SQL_TYPE_COUNT; i++) {
        if (flv_slice_eq_str(name, type_names[i])) {
            *out = (enum sql_type)i;
            return FLV_OK;
        }
    }
    size_t len = name.len < sizeof(word) - 1 ? name.len : sizeof(word) - 1;
    memcpy(word, name.data, len);
    word[len] = '\0';
    const char *near = flv_text_nearest(word, type_names);
    return flv_fail(err, FLV_E_INVALID, "\"%s\" is no type of a column%s%s%s",
                    word, near != NULL ? "; did you mean \"" : "",
                    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

/* A text, or null; a number, a truth or more JSON counts as it is written. */
static flv_rc
raw_value(struct json *j, struct sql_value *v, bool *given, struct flv_err *err)
{
    if (*given) {
        return flv_fail(err, FLV_E_INVALID, "\"raw_value\" is there twice");
    }
    *given = true;
    if (at(j, '"')) {
        return string(j, &v->text, err);
    }
    const uint8_t *from = j->p;
    v->is_null = at(j, 'n');
    skip(j);
    v->text = flv_slice(from, v->is_null ? 0 : (size_t)(j->p - from));
    return FLV_OK;
}

static flv_rc one_key(struct json *j,
                      struct flv_slice key,
                      struct sql_value *v,
                      struct flv_slice *type,
                      bool *given,
                      struct flv_err *err)
{
    if (flv_slice_eq_str(key, "column")) {
        return want_string(j, "column", &v->column, err);
    }
    if (flv_slice_eq_str(key, "type")) {
        return want_string(j, "type", type, err);
    }
    if (flv_slice_eq_str(key, "raw_value")) {
        return raw_value(j, v, given, err);
    }
    skip(j);
    return FLV_OK;
}

static flv_rc
finish_value(struct sql_value *v, struct flv_slice type, struct flv_err *err)
{
    flv_rc rc = find_type(type, &v->type, err);
    if (rc == FLV_OK) {
        v->is_null = v->is_null || (v->text.len == 0 && v->type != SQL_TEXT &&
                                    v->type != SQL_BYTES);
        rc = sql_value_check(v, err);
    }
    if (rc == FLV_E_INVALID) {
        flv_err_prefix(
            err, "column \"%.*s\"",
            (int)(v->column.len < SQL_NAME_MAX ? v->column.len : SQL_NAME_MAX),
            (const char *)v->column.data);
    }
    return rc;
}

static flv_rc value(struct json *j, struct sql_value *v, struct flv_err *err)
{
    struct flv_slice key, type = {0};
    bool first = true, more = true, given = false;
    *v = (struct sql_value){0};
    if (!eat(j, '{')) {
        return flv_fail(err, FLV_E_INVALID, "not an object");
    }
    flv_rc rc = next_key(j, &first, &key, &more, err);
    while (rc == FLV_OK && more) {
        rc = one_key(j, key, v, &type, &given, err);
        if (rc == FLV_OK) {
            rc = next_key(j, &first, &key, &more, err);
        }
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (v->column.data == NULL || type.data == NULL || !given) {
        return flv_fail(err, FLV_E_INVALID, "\"%s\" is missing",
                        v->column.data == NULL ? "column"
                        : !given               ? "raw_value"
                                               : "type");
    }
    return finish_value(v, type, err);
}

/* --- the operation -----------------------------------------------------------
 */

/* Elements of the array that begins here; the reader stays. */
static size_t count_elements(struct json j)
{
    size_t n = 0;
    j.p++;
    if (eat(&j, ']')) {
        return 0;
    }
    do {
        skip(&j);
        n++;
    } while (eat(&j, ','));
    return n;
}

static flv_rc values(struct json *j, struct sql_op *op, struct flv_err *err)
{
    if (op->values != NULL || !at(j, '[')) {
        return flv_fail(err, FLV_E_INVALID, "\"values\" %s",
                        op->values != NULL ? "is there twice"
                                           : "has to be a list");
    }
    size_t n = count_elements(*j);
    if (n == 0 || n > SQL_COLUMNS_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "\"values\" has %zu columns; 1 to %d are possible", n,
                        SQL_COLUMNS_MAX);
    }
    op->values = FLV_ARENA_NEW(j->arena, struct sql_value, n);
    if (op->values == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    j->p++;
    for (op->count = 0; op->count < n; op->count++) {
        if (op->count > 0) {
            (void)eat(j, ',');
        }
        flv_rc rc = value(j, &op->values[op->count], err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "values[%zu]", op->count);
            return rc;
        }
    }
    (void)eat(j, ']');
    return FLV_OK;
}

static flv_rc member(struct json *j,
                     struct flv_slice key,
                     struct sql_op *op,
                     struct flv_err *e)
{
    if (flv_slice_eq_str(key, "table")) {
        return want_string(j, "table", &op->table, e);
    }
    if (flv_slice_eq_str(key, "uniq_idx")) {
        return want_string(j, "uniq_idx", &op->unique, e);
    }
    if (flv_slice_eq_str(key, "values")) {
        return values(j, op, e);
    }
    skip(j);
    return FLV_OK;
}

static flv_rc body(struct json *j, struct sql_op *op, struct flv_err *err)
{
    struct flv_slice key;
    bool first = true, more = true;
    if (!eat(j, '{')) {
        return flv_fail(err, FLV_E_INVALID, "not an object");
    }
    flv_rc rc = next_key(j, &first, &key, &more, err);
    while (rc == FLV_OK && more) {
        rc = member(j, key, op, err);
        if (rc == FLV_OK) {
            rc = next_key(j, &first, &key, &more, err);
        }
    }
    if (rc != FLV_OK) {
        return rc;
    }
    const char *missing = op->table.data == NULL ? "table"
                          : op->values == NULL   ? "values"
                          : op->kind == SQL_UPSERT && op->unique.data == NULL
                              ? "uniq_idx"
                              : NULL;
    return missing == NULL
               ? FLV_OK
               : flv_fail(err, FLV_E_INVALID, "\"%s\" is missing", missing);
}

#define FORM                                                                   \
    "; the value of a record is {\"Insert\":{...}} or {\"Upsert\":{...}}, as " \
    "SmartModule json-sql makes it"

static flv_rc operation(struct json *j, struct sql_op *op, struct flv_err *err)
{
    struct flv_slice key;
    bool first = true, more = false;
    flv_rc rc = FLV_OK;
    if (!eat(j, '{')) {
        return flv_fail(err, FLV_E_INVALID, "not an SQL operation" FORM);
    }
    rc = next_key(j, &first, &key, &more, err);
    if (rc != FLV_OK) {
        return rc;
    }
    bool insert = more && flv_slice_eq_str(key, "Insert");
    if (!insert && !(more && flv_slice_eq_str(key, "Upsert"))) {
        return flv_fail(err, FLV_E_INVALID, "not an SQL operation" FORM);
    }
    op->kind = insert ? SQL_INSERT : SQL_UPSERT;
    rc = body(j, op, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "%s", insert ? "Insert" : "Upsert");
        return rc;
    }
    if (!eat(j, '}')) {
        return flv_fail(err, FLV_E_INVALID,
                        "more than one operation; a record is one");
    }
    return FLV_OK;
}

flv_rc sql_op_read(struct flv_slice record,
                   struct flv_arena *arena,
                   struct sql_op *out,
                   struct flv_err *err)
{
    struct json j = {.p = record.data, .arena = arena};
    struct sql_op op = {.kind = SQL_INSERT};
    if (!flv_text_is_json(record)) {
        return flv_fail(err, FLV_E_INVALID, "the value is not JSON" FORM);
    }
    j.end = record.data + record.len;
    flv_rc rc = operation(&j, &op, err);
    if (rc == FLV_OK) {
        *out = op;
    }
    return rc;
}

bool sql_op_alike(const struct sql_op *a, const struct sql_op *b)
{
    if (a->kind != b->kind || a->count != b->count ||
        !flv_slice_eq(a->table, b->table) ||
        !flv_slice_eq(a->unique, b->unique)) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->values[i].type != b->values[i].type ||
            !flv_slice_eq(a->values[i].column, b->values[i].column)) {
            return false;
        }
    }
    return true;
}
