#include "cli/output.h"

#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define DOC_BYTES_MAX ((size_t)64 << 20)

static void keep(struct cli_doc *d, flv_rc rc)
{
    if (d->rc == FLV_OK) {
        d->rc = rc;
    }
}

static void put(struct cli_doc *d, const char *text)
{
    keep(d, flv_buf_add_str(&d->text, text));
}

static void put_blanks(struct cli_doc *d, unsigned n)
{
    while (n-- > 0) {
        keep(d, flv_buf_add_u8(&d->text, ' '));
    }
}

static void put_quoted(struct cli_doc *d, const char *text)
{
    keep(d, flv_text_json_str(&d->text, text));
}

/* Would a YAML reader take this plain text for something else? */
static bool yaml_is_special(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n",   "~"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    size_t len = strlen(text);
    if (len == 0 || strchr("-?:,[]{}#&*!|>'\"%@`. +0123456789", text[0])) {
        return true;
    }
    return text[len - 1] == ' ' || text[len - 1] == ':' ||
           strstr(text, ": ") != NULL || strstr(text, " #") != NULL;
}

/* Digits or a dot in front make numbers only now and then: an address such
 * as 127.0.0.1:9003 stays plain, as Fluvio prints it. */
static bool yaml_is_number_like(const char *text)
{
    return text[strspn(text, "+-0123456789._eExXoOabcdefABCDEF")] == '\0' &&
           text[strcspn(text, "0123456789")] != '\0';
}

static bool yaml_needs_quotes(const char *text)
{
    if (text[0] >= '0' && text[0] <= '9') {
        return yaml_is_number_like(text) || strstr(text, ": ") != NULL ||
               strstr(text, " #") != NULL || text[strlen(text) - 1] == ':';
    }
    return yaml_is_special(text);
}

static void put_yaml_text(struct cli_doc *d, const char *text)
{
    if (!flv_text_is_tidy(flv_slice_str(text))) {
        put_quoted(d, text);
        return;
    }
    if (!yaml_needs_quotes(text)) {
        put(d, text);
        return;
    }
    put(d, "'");
    for (const char *p = text; *p != '\0'; p++) {
        keep(d, flv_buf_addf(&d->text, *p == '\'' ? "''" : "%c", *p));
    }
    put(d, "'");
}

void cli_doc_init(struct cli_doc *d, enum cli_format format)
{
    assert(format == CLI_FORMAT_JSON || format == CLI_FORMAT_YAML);
    *d = (struct cli_doc){.format = format};
    flv_buf_init(&d->text, DOC_BYTES_MAX);
}

void cli_doc_deinit(struct cli_doc *d)
{
    if (d != NULL) {
        flv_buf_deinit(&d->text);
    }
}

static void json_begin_child(struct cli_doc *d, const char *key)
{
    if (d->depth == 0) {
        return;
    }
    put(d, d->level[d->depth - 1].count > 0 ? ",\n" : "\n");
    put_blanks(d, 2 * d->depth);
    if (key != NULL) {
        put_quoted(d, key);
        put(d, ": ");
    }
}

/* Leaves the cursor where the child's value starts: behind "- " or "key:". */
static void yaml_begin_child(struct cli_doc *d, const char *key)
{
    if (d->depth == 0) {
        return;
    }
    const struct cli_doc_level *in = &d->level[d->depth - 1];
    bool inline_first = in->count == 0 && in->in_list;
    if (in->count == 0 && !in->in_list && d->depth > 1) {
        put(d, "\n");
    }
    if (!inline_first) {
        put_blanks(d, in->indent);
    }
    if (in->list) {
        put(d, "- ");
    } else {
        put_yaml_text(d, key);
        put(d, ":");
    }
}

static void begin_child(struct cli_doc *d, const char *key)
{
    if (d->depth > 0) {
        assert((key == NULL) == d->level[d->depth - 1].list);
    }
    if (d->format == CLI_FORMAT_JSON) {
        json_begin_child(d, key);
    } else {
        yaml_begin_child(d, key);
    }
    if (d->depth > 0) {
        d->level[d->depth - 1].count++;
    }
}

static void open_level(struct cli_doc *d, const char *key, bool list)
{
    assert(d->depth < CLI_DOC_DEPTH_MAX);
    begin_child(d, key);
    struct cli_doc_level *level = &d->level[d->depth];
    *level = (struct cli_doc_level){.list = list};
    if (d->depth > 0) {
        const struct cli_doc_level *in = &d->level[d->depth - 1];
        level->in_list = in->list;
        level->indent = in->indent + (list && !in->list ? 0 : 2);
    }
    d->depth++;
    if (d->format == CLI_FORMAT_JSON) {
        put(d, list ? "[" : "{");
    }
}

void cli_doc_map(struct cli_doc *d, const char *key)
{
    open_level(d, key, false);
}

void cli_doc_list(struct cli_doc *d, const char *key)
{
    open_level(d, key, true);
}

void cli_doc_end(struct cli_doc *d)
{
    assert(d->depth > 0);
    const struct cli_doc_level level = d->level[--d->depth];
    if (d->format == CLI_FORMAT_JSON) {
        if (level.count > 0) {
            put(d, "\n");
            put_blanks(d, 2 * d->depth);
        }
        put(d, level.list ? "]" : "}");
    } else if (level.count == 0) {
        put(d, d->depth > 0 && !level.in_list ? " " : "");
        put(d, level.list ? "[]\n" : "{}\n");
    }
}

static void begin_scalar(struct cli_doc *d, const char *key)
{
    begin_child(d, key);
    if (d->format == CLI_FORMAT_YAML && key != NULL) {
        put(d, " ");
    }
}

static void end_scalar(struct cli_doc *d)
{
    if (d->format == CLI_FORMAT_YAML) {
        put(d, "\n");
    }
}

void cli_doc_str(struct cli_doc *d, const char *key, const char *value)
{
    begin_scalar(d, key);
    if (d->format == CLI_FORMAT_JSON) {
        put_quoted(d, value);
    } else {
        put_yaml_text(d, value);
    }
    end_scalar(d);
}

void cli_doc_i64(struct cli_doc *d, const char *key, int64_t value)
{
    begin_scalar(d, key);
    keep(d, flv_buf_addf(&d->text, "%" PRId64, value));
    end_scalar(d);
}

void cli_doc_bool(struct cli_doc *d, const char *key, bool value)
{
    begin_scalar(d, key);
    put(d, value ? "true" : "false");
    end_scalar(d);
}

void cli_doc_null(struct cli_doc *d, const char *key)
{
    begin_scalar(d, key);
    put(d, "null");
    end_scalar(d);
}

flv_rc cli_doc_finish(struct cli_doc *d, struct flv_err *err)
{
    assert(d->depth == 0);
    if (d->format == CLI_FORMAT_JSON) {
        put(d, "\n");
    }
    if (d->rc != FLV_OK) {
        return flv_fail(err, d->rc, "cannot build the output document");
    }
    return FLV_OK;
}

flv_rc cli_doc_put(struct cli_doc *d, struct flv_buf *out, struct flv_err *err)
{
    flv_rc rc = cli_doc_finish(d, err);
    if (rc == FLV_OK && flv_buf_add(out, d->text.data, d->text.len) != FLV_OK) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    cli_doc_deinit(d);
    return rc;
}
