#include "cli/format.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define BINARY_LOOK_MAX 1024
#define HEX_COLUMNS 16

void cli_formatter_init(struct cli_formatter *f)
{
    *f = (struct cli_formatter){.form = CLI_VALUE_DYNAMIC};
    cli_grid_init(&f->grid);
}

void cli_formatter_deinit(struct cli_formatter *f)
{
    if (f == NULL) {
        return;
    }
    cli_grid_deinit(&f->grid);
}

static bool starts_with(struct flv_slice s, const char *magic)
{
    size_t len = strlen(magic);
    return s.len >= len && memcmp(s.data, magic, len) == 0;
}

bool cli_is_binary(struct flv_slice value)
{
    if (value.len == 0) {
        return false;
    }
    if (starts_with(value, "%PDF") || starts_with(value, "\x89PNG")) {
        return true;
    }
    size_t look = value.len < BINARY_LOOK_MAX ? value.len : BINARY_LOOK_MAX;
    return memchr(value.data, 0, look) != NULL;
}

/* ---- Binary --------------------------------------------------------------
 */

static flv_rc hex_line(struct flv_slice v, size_t pos, struct flv_buf *out)
{
    char hex[80];
    char shown[HEX_COLUMNS + 1];
    size_t at = 0;
    size_t count = v.len - pos < HEX_COLUMNS ? v.len - pos : HEX_COLUMNS;
    for (size_t i = 0; i < HEX_COLUMNS; i++) {
        uint8_t c = i < count ? v.data[pos + i] : ' ';
        const char *gap = i % (HEX_COLUMNS / 2) == 0 ? " " : "";
        at += (size_t)(i < count
                           ? snprintf(hex + at, sizeof hex - at, "%s %02x", gap,
                                      c)
                           : snprintf(hex + at, sizeof hex - at, "%s   ", gap));
        shown[i] = c == '\n' ? '.' : c >= 0x20 && c < 0x7f ? (char)c : ' ';
    }
    assert(at < sizeof hex);
    shown[HEX_COLUMNS] = '\0';
    return flv_buf_addf(out, "%08zx%s  |%s|\n", pos, hex, shown);
}

static flv_rc put_hex(struct flv_slice v, struct flv_buf *out)
{
    static const char rule[] =
        "-----------------------------------------------------------------"
        "-------------\n";
    flv_rc rc = FLV_OK;
    for (size_t pos = 0; pos < v.len && rc == FLV_OK; pos += HEX_COLUMNS) {
        rc = hex_line(v, pos, out);
    }
    return rc == FLV_OK ? flv_buf_add_str(out, rule) : rc;
}

/* ---- JSON ----------------------------------------------------------------
 */

static flv_rc put_json(const struct cli_formatter *f,
                       struct flv_slice v,
                       struct flv_buf *out,
                       bool *skip)
{
    struct flv_err why = {0};
    flv_rc rc = cli_json_pretty(v, out, &why);
    if (rc != FLV_E_INVALID) {
        return rc;
    }
    if (f->suppress) {
        *skip = true;
        return FLV_OK;
    }
    rc = flv_buf_add_str(out, "{\n  \"error\": ");
    rc = rc == FLV_OK ? flv_text_json_str(out, why.text) : rc;
    return rc == FLV_OK ? flv_buf_add_str(out, "\n}") : rc;
}

/* ---- Table ---------------------------------------------------------------
 */

static flv_rc put_table(struct cli_formatter *f,
                        struct flv_slice v,
                        struct flv_buf *out,
                        bool *skip)
{
    struct flv_err why = {0};
    flv_rc rc = f->keep_rows ? cli_grid_keep(&f->grid, v, &why)
                             : cli_grid_print(&f->grid, v, out, &why);
    *skip = f->keep_rows;
    if (rc == FLV_OK || rc == FLV_E_NOMEM) {
        return rc;
    }
    *skip = *skip || f->suppress;
    f->no_rows++;
    return *skip ? FLV_OK : flv_buf_add_str(out, why.text);
}

/* ---- Templates -----------------------------------------------------------
 */

/* Finds the next {{name}} or {{{name}}} at or behind `from`. */
struct hole {
    const char *start, *end; /* of the braces, in the template */
    struct flv_slice name;
};

static bool next_hole(const char *from, struct hole *out, bool *broken)
{
    const char *start = strstr(from, "{{");
    *broken = false;
    if (start == NULL) {
        return false;
    }
    const char *name = start + 2;
    const char *close = "}}";
    if (*name == '{') {
        name++;
        close = "}}}";
    }
    const char *end = strstr(name, close);
    if (end == NULL) {
        *broken = true;
        return false;
    }
    const char *stop = end;
    while (*name == ' ' && name < stop) {
        name++;
    }
    while (stop > name && stop[-1] == ' ') {
        stop--;
    }
    *out = (struct hole){.start = start,
                         .end = end + strlen(close),
                         .name = flv_slice(name, (size_t)(stop - name))};
    return true;
}

flv_rc cli_template_check(const char *template, struct flv_err *err)
{
    static const char *const known[] = {"key",       "value", "offset",
                                        "partition", "time",  NULL};
    struct hole hole;
    bool broken = false;
    for (const char *p = template; next_hole(p, &hole, &broken); p = hole.end) {
        bool ok = false;
        for (size_t i = 0; known[i] != NULL; i++) {
            ok = ok || flv_slice_eq_str(hole.name, known[i]);
        }
        if (!ok) {
            return flv_fail(err, FLV_E_INVALID,
                            "--format knows no {{%.*s}}; use key, value, "
                            "offset, partition or time",
                            (int)(hole.name.len < 40 ? hole.name.len : 40),
                            (const char *)hole.name.data);
        }
    }
    if (broken) {
        return flv_fail(err, FLV_E_INVALID,
                        "--format has a {{ without its }}: '%s'", template);
    }
    return FLV_OK;
}

static flv_rc put_hole(struct flv_slice name,
                       const struct flv_record_view *r,
                       uint32_t partition,
                       struct flv_buf *out)
{
    if (flv_slice_eq_str(name, "key")) {
        return r->has_key ? flv_buf_add(out, r->key.data, r->key.len)
                          : flv_buf_add_str(out, "null");
    }
    if (flv_slice_eq_str(name, "value")) {
        return flv_buf_add(out, r->value.data, r->value.len);
    }
    if (flv_slice_eq_str(name, "offset")) {
        return flv_buf_addf(out, "%" PRId64, r->offset);
    }
    if (flv_slice_eq_str(name, "partition")) {
        return flv_buf_addf(out, "%" PRIu32, partition);
    }
    assert(flv_slice_eq_str(name, "time"));
    char text[FLV_CLOCK_TEXT_MAX] = "NA";
    if (r->timestamp_ms >= 0) {
        flv_clock_format(r->timestamp_ms, text);
    }
    return flv_buf_add_str(out, text);
}

static flv_rc put_template(const char *template,
                           const struct flv_record_view *r,
                           uint32_t partition,
                           struct flv_buf *out)
{
    struct hole hole;
    bool broken = false;
    flv_rc rc = FLV_OK;
    const char *p = template;
    while (rc == FLV_OK && next_hole(p, &hole, &broken)) {
        rc = flv_buf_add(out, p, (size_t)(hole.start - p));
        rc = rc == FLV_OK ? put_hole(hole.name, r, partition, out) : rc;
        p = hole.end;
    }
    return rc == FLV_OK ? flv_buf_add_str(out, p) : rc;
}

/* ---- All together --------------------------------------------------------
 */

static flv_rc put_value(struct cli_formatter *f,
                        struct flv_slice v,
                        struct flv_buf *out,
                        bool *skip)
{
    switch (f->form) {
    case CLI_VALUE_JSON:
        return put_json(f, v, out, skip);
    case CLI_VALUE_TABLE:
        return put_table(f, v, out, skip);
    case CLI_VALUE_BINARY:
        return put_hex(v, out);
    case CLI_VALUE_TEXT:
        if (cli_is_binary(v)) {
            *skip = f->suppress;
            return f->suppress
                       ? FLV_OK
                       : flv_buf_addf(out, "binary: (%zu bytes)", v.len);
        }
        break;
    case CLI_VALUE_DYNAMIC:
        if (cli_is_binary(v)) {
            return put_hex(v, out);
        }
        break;
    case CLI_VALUE_RAW:
        break;
    }
    return flv_buf_add(out, v.data, v.len);
}

/* Keeps the first line, and of that line_max characters. */
static void cut_line(struct cli_formatter *f, struct flv_buf *out, size_t kept)
{
    size_t shown = 0;
    size_t i = kept;
    for (; i < out->len && out->data[i] != '\n'; i++) {
        shown += (out->data[i] & 0xc0) != 0x80;
        if (shown > f->line_max) {
            break;
        }
    }
    out->len = i;
}

static flv_rc put_record(struct cli_formatter *f,
                         const struct flv_record_view *r,
                         uint32_t partition,
                         struct flv_buf *out,
                         bool *skip)
{
    if (f->template != NULL) {
        return put_template(f->template, r, partition, out);
    }
    flv_rc rc = FLV_OK;
    if (f->key_value) {
        rc = flv_buf_add_u8(out, '[');
        if (rc == FLV_OK) {
            rc = r->has_key ? flv_buf_add(out, r->key.data, r->key.len)
                            : flv_buf_add_str(out, "null");
        }
        rc = rc == FLV_OK ? flv_buf_add_str(out, "] ") : rc;
    }
    return rc == FLV_OK ? put_value(f, r->value, out, skip) : rc;
}

flv_rc cli_format_record(struct cli_formatter *f,
                         const struct flv_record_view *r,
                         uint32_t partition,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    const size_t kept = out->len;
    bool skip = false;
    flv_rc rc = put_record(f, r, partition, out, &skip);
    if (rc == FLV_OK && f->line_max > 0) {
        cut_line(f, out, kept);
    }
    bool line_end = f->form != CLI_VALUE_RAW || f->template != NULL;
    if (rc == FLV_OK && line_end && !skip) {
        rc = flv_buf_add_u8(out, '\n');
    }
    if (rc != FLV_OK || skip) {
        out->len = kept;
    }
    if (rc != FLV_OK) {
        return flv_fail(err, rc,
                        "cannot print the record at offset %" PRId64
                        " of partition %" PRIu32,
                        r->offset, partition);
    }
    return FLV_OK;
}
