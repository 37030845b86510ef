/* Names and statements of ops.h. */
#include "ops.h"

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c >= 0x80;
}

static bool is_plain(struct flv_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!is_letter(c) &&
            (i == 0 || !((c >= '0' && c <= '9') || c == '$'))) {
            return false;
        }
    }
    return true;
}

static bool is_quoted(struct flv_slice name)
{
    return name.len >= 2 && name.data[0] == '"' &&
           name.data[name.len - 1] == '"';
}

static flv_rc
bad_name(struct flv_slice name, const char *why, struct flv_err *err)
{
    return flv_fail(err, FLV_E_INVALID, "the name \"%.*s\" %s",
                    (int)(name.len < 70 ? name.len : 70),
                    (const char *)name.data, why);
}

/* Without its quotes; *out_len is the length of the name that is meant. */
static flv_rc unquote(struct flv_slice name,
                      struct flv_slice *out_inner,
                      size_t *out_len,
                      struct flv_err *err)
{
    struct flv_slice inner = flv_slice(name.data + 1, name.len - 2);
    size_t len = 0;
    for (size_t i = 0; i < inner.len; i++, len++) {
        if (inner.data[i] != '"') {
            continue;
        }
        if (i + 1 == inner.len || inner.data[i + 1] != '"') {
            return bad_name(name, "has a single quote inside its quotes", err);
        }
        i++;
    }
    *out_inner = inner;
    *out_len = len;
    return FLV_OK;
}

static flv_rc
put_quoted(struct flv_buf *b, struct flv_slice name, bool lower, bool doubled)
{
    flv_rc rc = flv_buf_reserve(b, name.len * 2 + 2);
    if (rc != FLV_OK) {
        return rc;
    }
    b->data[b->len++] = '"';
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c == '"' && !doubled) {
            b->data[b->len++] = '"';
        }
        b->data[b->len++] =
            lower && c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
    }
    b->data[b->len++] = '"';
    return FLV_OK;
}

flv_rc sql_put_name(struct flv_buf *b,
                    struct flv_slice name,
                    bool fold,
                    struct flv_err *err)
{
    bool quoted = is_quoted(name);
    struct flv_slice inner = name;
    size_t len = name.len;
    flv_rc rc = quoted ? unquote(name, &inner, &len, err) : FLV_OK;
    if (rc != FLV_OK) {
        return rc;
    }
    if (len == 0 || len > SQL_NAME_MAX) {
        return bad_name(name, len == 0 ? "is empty" : "has over 63 bytes", err);
    }
    if (memchr(inner.data, 0, inner.len) != NULL) {
        return bad_name(name, "has a NUL in it", err);
    }
    rc = put_quoted(b, inner, fold && !quoted && is_plain(name), quoted);
    return rc == FLV_OK ? FLV_OK
                        : flv_fail(err, rc, "a statement: %s", flv_rc_text(rc));
}

flv_rc sql_name_meant(struct flv_slice name,
                      bool fold,
                      char out[SQL_NAME_MAX + 1],
                      struct flv_err *err)
{
    struct flv_buf b;
    flv_buf_init(&b, (size_t)4 * SQL_NAME_MAX);
    flv_rc rc = sql_put_name(&b, name, fold, err);
    size_t len = 0;
    /* Quotes around it, and doubled quotes inside. */
    for (size_t i = 1; rc == FLV_OK && i + 1 < b.len; i++) {
        out[len++] = (char)b.data[i];
        i += b.data[i] == '"';
    }
    out[len] = '\0';
    flv_buf_deinit(&b);
    return rc;
}

/* Up to the next `c` that is not inside quotes, or all. */
static struct flv_slice cut(struct flv_slice *rest, char c)
{
    bool quoted = false;
    for (size_t i = 0; i < rest->len; i++) {
        quoted = quoted != (rest->data[i] == '"');
        if (!quoted && rest->data[i] == (uint8_t)c) {
            struct flv_slice head = flv_slice(rest->data, i);
            *rest = flv_slice(rest->data + i + 1, rest->len - i - 1);
            return head;
        }
    }
    struct flv_slice all = *rest;
    *rest = flv_slice(NULL, 0);
    return all;
}

static struct flv_slice trim(struct flv_slice s)
{
    while (s.len > 0 && s.data[0] == ' ') {
        s = flv_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

static flv_rc
put(struct flv_buf *b, const char *text, flv_rc rc, struct flv_err *err)
{
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_buf_add_str(b, text);
    return rc == FLV_OK ? FLV_OK
                        : flv_fail(err, rc, "a statement: %s", flv_rc_text(rc));
}

flv_rc sql_put_table(struct flv_buf *b,
                     struct flv_slice table,
                     bool fold,
                     struct flv_err *err)
{
    struct flv_slice rest = table;
    struct flv_slice first = cut(&rest, '.');
    flv_rc rc = sql_put_name(b, first, fold, err);
    if (rc == FLV_OK && rest.data != NULL) {
        rc = put(b, ".", rc, err);
        if (rc == FLV_OK) {
            struct flv_slice second = cut(&rest, '.');
            rc = rest.data != NULL
                     ? bad_name(table, "has more than schema and table", err)
                     : sql_put_name(b, second, fold, err);
        }
    }
    if (rc == FLV_E_INVALID) {
        flv_err_prefix(err, "table");
    }
    return rc;
}

flv_rc sql_put_names(struct flv_buf *b,
                     struct flv_slice list,
                     bool fold,
                     struct flv_err *err)
{
    struct flv_slice rest = list;
    flv_rc rc = FLV_OK;
    bool first = true;
    do {
        struct flv_slice name = trim(cut(&rest, ','));
        rc = put(b, first ? "" : ", ", rc, err);
        if (rc == FLV_OK) {
            rc = sql_put_name(b, name, fold, err);
        }
        first = false;
    } while (rc == FLV_OK && rest.data != NULL);
    if (rc == FLV_E_INVALID) {
        flv_err_prefix(err, "uniq_idx");
    }
    return rc;
}

/* Every column, by name or as an assignment. */
static flv_rc put_columns(struct flv_buf *b,
                          const struct sql_op *op,
                          bool fold,
                          bool assign,
                          struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < op->count && rc == FLV_OK; i++) {
        rc = put(b, i > 0 ? ", " : "", rc, err);
        if (rc == FLV_OK) {
            rc = sql_put_name(b, op->values[i].column, fold, err);
        }
        if (assign) {
            rc = put(b, " = EXCLUDED.", rc, err);
            if (rc == FLV_OK) {
                rc = sql_put_name(b, op->values[i].column, fold, err);
            }
        }
    }
    if (rc == FLV_E_INVALID) {
        flv_err_prefix(err, "column");
    }
    return rc;
}

flv_rc sql_put_head(struct flv_buf *b,
                    const struct sql_op *op,
                    bool fold,
                    struct flv_err *err)
{
    flv_rc rc = put(b, "INSERT INTO ", FLV_OK, err);
    if (rc == FLV_OK) {
        rc = sql_put_table(b, op->table, fold, err);
    }
    rc = put(b, " (", rc, err);
    if (rc == FLV_OK) {
        rc = put_columns(b, op, fold, false, err);
    }
    return put(b, ") ", rc, err);
}

flv_rc sql_put_conflict(struct flv_buf *b,
                        const struct sql_op *op,
                        bool fold,
                        struct flv_err *err)
{
    if (op->kind != SQL_UPSERT) {
        return FLV_OK;
    }
    flv_rc rc = put(b, " ON CONFLICT (", FLV_OK, err);
    if (rc == FLV_OK) {
        rc = sql_put_names(b, op->unique, fold, err);
    }
    rc = put(b, ") DO UPDATE SET ", rc, err);
    return rc == FLV_OK ? put_columns(b, op, fold, true, err) : rc;
}
