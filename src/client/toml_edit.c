#include "client/toml_priv.h"

#include "base/mem.h"
#include <assert.h>

/* ---------------------------------------------------------------- edits */

/* Replaces [pos, pos + len) of the text and reads the result. */
static flv_rc splice(struct flv__toml *doc,
                     size_t pos,
                     size_t len,
                     struct flv_slice with,
                     struct flv_err *err)
{
    struct flv__toml *fresh = NULL;
    struct flv_buf buf;
    flv_rc rc = FLV_OK;

    assert(pos <= doc->text_len && len <= doc->text_len - pos);
    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    rc = flv_buf_add(&buf, doc->text, pos);
    if (rc == FLV_OK) {
        rc = flv_buf_add(&buf, with.data, with.len);
    }
    if (rc == FLV_OK) {
        rc =
            flv_buf_add(&buf, doc->text + pos + len, doc->text_len - pos - len);
    }
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "cannot edit: %s", flv_rc_text(rc));
    } else {
        rc = flv__toml_parse(&fresh, flv_buf_slice(&buf), err);
    }
    flv_buf_deinit(&buf);
    if (rc == FLV_OK) {
        flv__toml_clear(doc);
        *doc = *fresh;
        flv_free(fresh);
    }
    return rc;
}

static flv_rc add_quoted(struct flv_buf *out, const char *text)
{
    flv_rc rc = flv_buf_add_u8(out, '"');

    for (const char *p = text; rc == FLV_OK && *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\') {
            rc = flv_buf_addf(out, "\\%c", c);
        } else if (c == '\n') {
            rc = flv_buf_add_str(out, "\\n");
        } else if (flv__toml_is_control(c)) {
            rc = flv_buf_addf(out, "\\u%04X", c);
        } else {
            rc = flv_buf_add_u8(out, c);
        }
    }
    return rc == FLV_OK ? flv_buf_add_u8(out, '"') : rc;
}

static flv_rc add_key_part(struct flv_buf *out, const char *part)
{
    bool bare = part[0] != '\0';

    for (const char *p = part; *p != '\0'; p++) {
        bare = bare && flv__toml_is_bare((unsigned char)*p);
    }
    return bare ? flv_buf_add_str(out, part) : add_quoted(out, part);
}

/* Parts [from, to) of the path as a dotted key. */
static flv_rc
add_dotted(struct flv_buf *out, const char *bytes, unsigned from, unsigned to)
{
    flv_rc rc = FLV_OK;

    for (unsigned i = 0; rc == FLV_OK && i < to; i++) {
        if (i > from) {
            rc = flv_buf_add_u8(out, '.');
        }
        if (rc == FLV_OK && i >= from) {
            rc = add_key_part(out, bytes);
        }
        bytes += strlen(bytes) + 1;
    }
    return rc;
}

/* Where a new key of the table goes: behind the table's last key, or behind
 * its header. False: the table has no header yet. */
static bool table_end(const struct flv__toml *doc,
                      const struct flv__toml_parts *table,
                      size_t *out)
{
    bool inside = table->depth == 0;
    bool found = inside;

    *out = 0;
    for (size_t i = 0; i < doc->stmt_count; i++) {
        const struct flv__toml_stmt *s = &doc->stmts[i];

        if (s->kind == FLV__TOML_STMT_TABLE ||
            s->kind == FLV__TOML_STMT_ARRAY_TABLE) {
            inside = s->kind == FLV__TOML_STMT_TABLE &&
                     s->path_len == table->len &&
                     memcmp(s->path, table->bytes, table->len) == 0;
            found = found || inside;
        }
        if (inside && s->kind != FLV__TOML_STMT_BLANK) {
            *out = s->pos + s->len;
        }
    }
    return found;
}

static flv_rc set_raw(struct flv__toml *doc,
                      const struct flv__toml_path *path,
                      struct flv_slice value,
                      struct flv_err *err)
{
    const struct flv__toml_key *key = flv__toml_find_path(doc, path);
    struct flv__toml_parts bytes;
    struct flv__toml_parts table;
    struct flv_buf buf;
    size_t pos = 0;
    bool has_table = false;
    flv_rc rc = FLV_OK;

    if (key != NULL && key->len > 0) {
        return splice(doc, key->pos, key->len, value, err);
    }
    rc = flv__toml_path_of(path, &bytes, err);
    if (rc != FLV_OK) {
        return rc;
    }
    assert(bytes.depth > 0);
    table = bytes;
    table.depth--;
    table.len = (size_t)(flv__toml_last_part(&bytes) - bytes.bytes);
    has_table = table_end(doc, &table, &pos);
    if (!has_table) {
        pos = doc->text_len;
    }
    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    if (pos > 0 && doc->text[pos - 1] != '\n') {
        rc = flv_buf_add_u8(&buf, '\n');
    }
    if (rc == FLV_OK && !has_table) {
        rc = flv_buf_add_str(&buf, pos > 0 ? "\n[" : "[");
        if (rc == FLV_OK) {
            rc = add_dotted(&buf, table.bytes, 0, table.depth);
        }
        if (rc == FLV_OK) {
            rc = flv_buf_add_str(&buf, "]\n");
        }
    }
    if (rc == FLV_OK) {
        rc = add_key_part(&buf, flv__toml_last_part(&bytes));
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(&buf, " = ");
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add(&buf, value.data, value.len);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_u8(&buf, '\n');
    }
    if (rc == FLV_OK) {
        rc = splice(doc, pos, 0, flv_buf_slice(&buf), err);
    } else {
        rc = flv_fail(err, rc, "cannot edit: %s", flv_rc_text(rc));
    }
    flv_buf_deinit(&buf);
    return rc;
}

flv_rc flv__toml_set_str(struct flv__toml *doc,
                         const struct flv__toml_path *path,
                         const char *value,
                         struct flv_err *err)
{
    struct flv_buf buf;
    flv_rc rc = FLV_OK;

    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    rc = add_quoted(&buf, value);
    if (rc == FLV_OK) {
        rc = set_raw(doc, path, flv_buf_slice(&buf), err);
    } else {
        rc = flv_fail(err, rc, "cannot edit: %s", flv_rc_text(rc));
    }
    flv_buf_deinit(&buf);
    return rc;
}

flv_rc flv__toml_set_bool(struct flv__toml *doc,
                          const struct flv__toml_path *path,
                          bool value,
                          struct flv_err *err)
{
    return set_raw(doc, path, flv_slice_str(value ? "true" : "false"), err);
}

static bool stmt_is_below(const struct flv__toml_stmt *s,
                          const struct flv__toml_parts *path)
{
    return s->kind != FLV__TOML_STMT_BLANK && s->path_len >= path->len &&
           memcmp(s->path, path->bytes, path->len) == 0;
}

static flv_rc no_inline(const struct flv__toml *doc,
                        const struct flv__toml_parts *path,
                        struct flv_err *err)
{
    const struct flv__toml_key *key =
        flv__toml_find(doc, path->bytes, path->len);

    if (key != NULL && key->inner) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "line %u: '%s' is part of an inline table; edit the "
                        "file by hand",
                        key->value.line, flv__toml_last_part(path));
    }
    return FLV_OK;
}

/* Copies every statement but those below path. The blank lines that follow a
 * removed table go with it. */
static flv_rc copy_without(const struct flv__toml *doc,
                           const struct flv__toml_parts *path,
                           struct flv_buf *out)
{
    bool removed = false;
    flv_rc rc = FLV_OK;

    for (size_t i = 0; rc == FLV_OK && i < doc->stmt_count; i++) {
        const struct flv__toml_stmt *s = &doc->stmts[i];
        const bool empty = s->kind == FLV__TOML_STMT_BLANK && s->len <= 2;

        if (stmt_is_below(s, path)) {
            removed = s->kind != FLV__TOML_STMT_KEY || removed;
            continue;
        }
        if (removed && empty) {
            continue;
        }
        removed = false;
        rc = flv_buf_add(out, doc->text + s->pos, s->len);
    }
    return rc;
}

flv_rc flv__toml_remove(struct flv__toml *doc,
                        const struct flv__toml_path *path,
                        struct flv_err *err)
{
    struct flv__toml_parts bytes;
    struct flv_buf buf;
    flv_rc rc = flv__toml_path_of(path, &bytes, err);

    if (rc == FLV_OK) {
        rc = no_inline(doc, &bytes, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    assert(bytes.depth > 0);
    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    rc = copy_without(doc, &bytes, &buf);
    if (rc == FLV_OK) {
        rc = splice(doc, 0, doc->text_len, flv_buf_slice(&buf), err);
    } else {
        rc = flv_fail(err, rc, "cannot edit: %s", flv_rc_text(rc));
    }
    flv_buf_deinit(&buf);
    return rc;
}

static unsigned count_parts(const char *bytes, size_t len)
{
    unsigned n = 0;

    for (size_t i = 0; i < len; i++) {
        n += bytes[i] == '\0';
    }
    return n;
}

/* Copies a statement whose path begins with `from`, beginning with `to`
 * instead. Parts that come from a header above are that header's business. */
static flv_rc copy_renamed(const struct flv__toml *doc,
                           const struct flv__toml_stmt *s,
                           const struct flv__toml_parts *from,
                           const struct flv__toml_parts *to,
                           struct flv_buf *out)
{
    const unsigned skip = s->kind == FLV__TOML_STMT_KEY ? s->table_depth : 0;
    const size_t behind = s->key_pos + s->key_len;
    struct flv__toml_parts whole = *to;
    flv_rc rc = FLV_OK;

    if (skip >= from->depth) {
        return flv_buf_add(out, doc->text + s->pos, s->len);
    }
    if (s->path_len - from->len > sizeof(whole.bytes) - whole.len) {
        return FLV_E_LIMIT;
    }
    memcpy(whole.bytes + whole.len, s->path + from->len,
           s->path_len - from->len);
    whole.len += s->path_len - from->len;
    rc = flv_buf_add(out, doc->text + s->pos, s->key_pos - s->pos);
    if (rc == FLV_OK) {
        rc = add_dotted(out, whole.bytes, skip,
                        count_parts(whole.bytes, whole.len));
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add(out, doc->text + behind, s->pos + s->len - behind);
    }
    return rc;
}

flv_rc flv__toml_rename(struct flv__toml *doc,
                        const struct flv__toml_path *path,
                        const char *name,
                        struct flv_err *err)
{
    struct flv__toml_parts from;
    struct flv__toml_parts to;
    struct flv_buf buf;
    flv_rc rc = flv__toml_path_of(path, &from, err);

    if (rc == FLV_OK) {
        rc = no_inline(doc, &from, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    assert(from.depth > 0);
    to = from;
    to.len = (size_t)(flv__toml_last_part(&from) - from.bytes);
    to.depth--;
    rc = flv__toml_path_add(&to, name, strlen(name), 0, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    for (size_t i = 0; rc == FLV_OK && i < doc->stmt_count; i++) {
        const struct flv__toml_stmt *s = &doc->stmts[i];

        rc = stmt_is_below(s, &from)
                 ? copy_renamed(doc, s, &from, &to, &buf)
                 : flv_buf_add(&buf, doc->text + s->pos, s->len);
    }
    if (rc == FLV_OK) {
        rc = splice(doc, 0, doc->text_len, flv_buf_slice(&buf), err);
    } else {
        rc = flv_fail(err, rc, "cannot edit: %s", flv_rc_text(rc));
    }
    flv_buf_deinit(&buf);
    return rc;
}
