#include "config/report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define ARENA_MAX ((size_t)1024 * 1024)

void flv_report_init(struct flv_report *r)
{
    *r = (struct flv_report){.count = 0};
    flv_arena_init(&r->arena, 4096, ARENA_MAX);
}

void flv_report_deinit(struct flv_report *r)
{
    if (r != NULL) {
        flv_arena_deinit(&r->arena);
        *r = (struct flv_report){.count = 0};
    }
}

static bool is_there(const struct flv_report *r, const struct flv_problem *p)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct flv_problem *q = &r->list[i];
        if (q->line == p->line && q->col == p->col &&
            q->severity == p->severity && strcmp(q->text, p->text) == 0) {
            return true;
        }
    }
    return false;
}

static bool copy(struct flv_report *r, const char *text, const char **out)
{
    *out = text != NULL ? flv_arena_text(&r->arena, text, strlen(text)) : NULL;
    return text == NULL || *out != NULL;
}

static bool store(struct flv_report *r, const struct flv_problem *p)
{
    if (r->list == NULL) {
        r->list =
            FLV_ARENA_NEW(&r->arena, struct flv_problem, FLV_PROBLEMS_MAX);
    }
    if (r->list == NULL || r->count == FLV_PROBLEMS_MAX) {
        return false;
    }
    struct flv_problem *q = &r->list[r->count];
    *q = *p;
    if (!copy(r, p->text, &q->text) || !copy(r, p->near, &q->near) ||
        !copy(r, p->example, &q->example)) {
        return false;
    }
    r->count++;
    return true;
}

void flv_report_add(struct flv_report *r, const struct flv_problem *p)
{
    assert(p->text != NULL && p->text[0] != '\0');
    if (is_there(r, p)) {
        return;
    }
    r->errors += p->severity == FLV_SEVERITY_ERROR;
    r->warnings += p->severity == FLV_SEVERITY_WARNING;
    if (!store(r, p)) {
        r->dropped++;
    }
}

void flv_report_addf(struct flv_report *r,
                     enum flv_severity severity,
                     const struct flv_node *node,
                     const char *near,
                     const char *example,
                     const char *fmt,
                     ...)
{
    char text[FLV_ERR_TEXT_MAX + 100];
    va_list ap;
    va_start(ap, fmt);
    /* A false alarm. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const struct flv_problem p = {.severity = severity,
                                  .line = node != NULL ? node->line : 0,
                                  .col = node != NULL ? node->col : 0,
                                  .text = text,
                                  .near = near,
                                  .example = example};
    flv_report_add(r, &p);
}

/* What a sentence suggests: the word between its last quotes. */
static const char *suggested(const char *text, char *word, size_t size)
{
    static const char mark[] = "did you mean \"";
    const char *at = strstr(text, mark);
    if (at == NULL) {
        return NULL;
    }
    at += sizeof(mark) - 1;
    (void)snprintf(word, size, "%.*s", (int)strcspn(at, "\""), at);
    return word;
}

void flv_report_err(struct flv_report *r,
                    const char *name,
                    const struct flv_err *err,
                    const char *example)
{
    char word[80];
    struct flv_problem p = {.severity = FLV_SEVERITY_ERROR, .example = example};
    p.text = flv_doc_place(name, err->text, &p.line, &p.col);
    if (p.text[0] == '\0') {
        p.text = flv_rc_text(err->rc);
    }
    p.near = suggested(p.text, word, sizeof(word));
    flv_report_add(r, &p);
}

bool flv_report_has(const struct flv_report *r, const struct flv_node *node)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->list[i].severity == FLV_SEVERITY_ERROR &&
            r->list[i].line == node->line && r->list[i].col == node->col) {
            return true;
        }
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct flv_problem *x = a, *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->col != y->col) {
        return x->col < y->col ? -1 : 1;
    }
    return strcmp(x->text, y->text);
}

void flv_report_sort(struct flv_report *r)
{
    if (r->count > 1) {
        qsort(r->list, r->count, sizeof(*r->list), by_place);
    }
}

static const char *severity_name(const struct flv_problem *p)
{
    return p->severity == FLV_SEVERITY_ERROR ? "error" : "warning";
}

static flv_rc
add_line(struct flv_buf *out, const char *name, const struct flv_problem *p)
{
    flv_rc rc = p->line > 0
                    ? flv_buf_addf(out, "%s:%u:%u: %s: %s\n", name, p->line,
                                   p->col, severity_name(p), p->text)
                    : flv_buf_addf(out, "%s: %s: %s\n", name, severity_name(p),
                                   p->text);
    if (rc == FLV_OK && p->example != NULL) {
        rc = flv_buf_addf(out, "    for example: %s\n", p->example);
    }
    return rc;
}

flv_rc flv_report_text(const struct flv_report *r,
                       const char *name,
                       struct flv_buf *out)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < r->count && rc == FLV_OK; i++) {
        rc = add_line(out, name, &r->list[i]);
    }
    if (rc == FLV_OK && r->dropped > 0) {
        rc = flv_buf_addf(out, "%s: and %zu more\n", name, r->dropped);
    }
    return rc;
}

static flv_rc add_member(struct flv_buf *out, const char *key, const char *text)
{
    flv_rc rc = flv_buf_addf(out, ",\"%s\":", key);
    return rc == FLV_OK ? flv_text_json_str(out, text) : rc;
}

static flv_rc add_object(struct flv_buf *out, const struct flv_problem *p)
{
    flv_rc rc =
        flv_buf_addf(out, "{\"line\":%u,\"column\":%u,\"severity\":\"%s\"",
                     p->line, p->col, severity_name(p));
    rc = rc == FLV_OK ? add_member(out, "message", p->text) : rc;
    rc = rc == FLV_OK ? add_member(out, "hint", p->near != NULL ? p->near : "")
                      : rc;
    if (rc == FLV_OK && p->example != NULL) {
        rc = add_member(out, "example", p->example);
    }
    return rc == FLV_OK ? flv_buf_add_str(out, "}") : rc;
}

flv_rc flv_report_json(const struct flv_report *r, struct flv_buf *out)
{
    flv_rc rc = flv_buf_add_str(out, "[");
    for (size_t i = 0; i < r->count && rc == FLV_OK; i++) {
        rc = i > 0 ? flv_buf_add_str(out, ",") : FLV_OK;
        rc = rc == FLV_OK ? add_object(out, &r->list[i]) : rc;
    }
    return rc == FLV_OK ? flv_buf_add_str(out, "]") : rc;
}
