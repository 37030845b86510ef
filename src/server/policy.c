#include "server/policy.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rule {
    char *who;     /* owned; NULL: every certificate */
    char *pattern; /* owned */
    unsigned rights;
};

struct flv_policy {
    struct rule *rules; /* owned */
    size_t count, cap;
};

/* Where a mistake is. */
struct place {
    const char *path;
    unsigned line;
};

static const struct {
    const char *name;
    unsigned rights;
} rights[] = {
    {"create", FLV_RIGHT_CREATE},
    {"delete", FLV_RIGHT_DELETE},
    {"produce", FLV_RIGHT_PRODUCE},
    {"consume", FLV_RIGHT_CONSUME},
    {"all", FLV_RIGHT_CREATE | FLV_RIGHT_DELETE | FLV_RIGHT_PRODUCE |
                FLV_RIGHT_CONSUME},
};

static flv_rc
mistake(const struct place *at, const char *what, struct flv_err *err)
{
    return flv_fail(err, FLV_E_INVALID,
                    "%.100s:%u: %s; a rule is WHO RIGHTS NAMES, such as "
                    "alice produce,consume orders-*",
                    at->path, at->line, what);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line, unquoted; empty at its end or at a comment.
 * False: a quote without an end. */
static bool
next_word(struct flv_slice *line, struct flv_slice *out, bool *out_quoted)
{
    size_t n = 0;
    while (line->len > 0 && is_blank(line->data[0])) {
        *line = flv_slice(line->data + 1, line->len - 1);
    }
    *out_quoted = line->len > 0 && line->data[0] == '"';
    if (*out_quoted) {
        const uint8_t *end = memchr(line->data + 1, '"', line->len - 1);
        if (end == NULL) {
            return false;
        }
        *out = flv_slice(line->data + 1, (size_t)(end - line->data) - 1);
        *line = flv_slice(end + 1, line->len - out->len - 2);
        return true;
    }
    if (line->len > 0 && line->data[0] == '#') {
        line->len = 0;
    }
    while (n < line->len && !is_blank(line->data[n])) {
        n++;
    }
    *out = flv_slice(line->data, n);
    *line = flv_slice(line->data + n, line->len - n);
    return true;
}

static flv_rc read_rights(struct flv_slice word,
                          const struct place *at,
                          unsigned *out,
                          struct flv_err *err)
{
    *out = 0;
    for (size_t pos = 0; pos <= word.len;) {
        const uint8_t *start = word.data + pos;
        const uint8_t *comma = memchr(start, ',', word.len - pos);
        size_t n = comma != NULL ? (size_t)(comma - start) : word.len - pos;
        unsigned found = 0;
        for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++) {
            if (strlen(rights[i].name) == n &&
                memcmp(rights[i].name, start, n) == 0) {
                found = rights[i].rights;
            }
        }
        if (found == 0) {
            char what[120];
            snprintf(what, sizeof what,
                     "\"%.*s\" is none of create, delete, produce, consume, "
                     "all",
                     (int)(n < 32 ? n : 32), (const char *)start);
            return mistake(at, what, err);
        }
        *out |= found;
        pos += n + 1;
    }
    return FLV_OK;
}

static flv_rc no_memory(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for the policy");
}

static flv_rc add_rule(struct flv_policy *p,
                       const struct rule *rule,
                       const struct place *at,
                       struct flv_err *err)
{
    if (p->count == FLV_POLICY_RULES_MAX) {
        return mistake(at, "there are too many rules", err);
    }
    if (p->count == p->cap) {
        size_t cap = p->cap > 0 ? p->cap * 2 : 16;
        struct rule *rules = flv_realloc(p->rules, cap * sizeof *rules);
        if (rules == NULL) {
            return no_memory(err);
        }
        p->rules = rules;
        p->cap = cap;
    }
    p->rules[p->count++] = *rule;
    return FLV_OK;
}

static flv_rc read_line(struct flv_policy *p,
                        struct flv_slice line,
                        const struct place *at,
                        struct flv_err *err)
{
    struct flv_slice words[4] = {{NULL, 0}};
    bool quoted[4] = {false};
    size_t count = 0;
    for (; count < 4; count++) {
        if (!next_word(&line, &words[count], &quoted[count])) {
            return mistake(at, "a quote is not closed", err);
        }
        if (words[count].len == 0 && !quoted[count]) {
            break;
        }
    }
    if (count == 0) {
        return FLV_OK;
    }
    if (count != 3 || words[0].len == 0 || words[2].len == 0) {
        return mistake(at,
                       count < 3   ? "a word is missing"
                       : count > 3 ? "there is a word too many"
                                   : "a word is empty",
                       err);
    }
    struct rule rule = {.who = NULL};
    bool anybody = words[0].len == 1 && words[0].data[0] == '*' && !quoted[0];
    flv_rc rc = read_rights(words[1], at, &rule.rights, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rule.who = anybody ? NULL : flv_slice_dup(words[0]);
    rule.pattern = flv_slice_dup(words[2]);
    if ((rule.who == NULL && !anybody) || rule.pattern == NULL) {
        rc = no_memory(err);
    } else {
        rc = add_rule(p, &rule, at, err);
    }
    if (rc != FLV_OK) {
        flv_free(rule.who);
        flv_free(rule.pattern);
    }
    return rc;
}

flv_rc flv_policy_read(struct flv_policy **out,
                       struct flv_slice text,
                       const char *path,
                       struct flv_err *err)
{
    struct place at = {.path = path, .line = 0};
    struct flv_policy *p = flv_zalloc(1, sizeof *p);
    flv_rc rc = p != NULL ? FLV_OK : no_memory(err);
    if (rc == FLV_OK && text.len > 0 &&
        memchr(text.data, '\0', text.len) != NULL) {
        at.line = 1;
        rc = mistake(&at, "this is no text", err);
    }
    for (size_t pos = 0; rc == FLV_OK && pos < text.len;) {
        const uint8_t *start = text.data + pos;
        const uint8_t *end = memchr(start, '\n', text.len - pos);
        size_t n = end != NULL ? (size_t)(end - start) : text.len - pos;
        at.line++;
        rc = read_line(p, flv_slice(start, n), &at, err);
        pos += n + 1;
    }
    if (rc != FLV_OK) {
        flv_policy_destroy(p);
        return rc;
    }
    *out = p;
    return FLV_OK;
}

flv_rc
flv_policy_load(struct flv_policy **out, const char *path, struct flv_err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot open the policy %.120s", path);
    }
    struct flv_buf text;
    flv_buf_init(&text, FLV_POLICY_BYTES_MAX + 1);
    flv_rc rc = flv_buf_reserve(&text, FLV_POLICY_BYTES_MAX + 1);
    if (rc != FLV_OK) {
        rc = no_memory(err);
    } else {
        text.len = fread(text.data, 1, FLV_POLICY_BYTES_MAX + 1, f);
        if (ferror(f) != 0) {
            rc = flv_fail_sys(err, FLV_E_IO, errno,
                              "cannot read the policy %.120s", path);
        } else if (text.len > FLV_POLICY_BYTES_MAX) {
            rc = flv_fail(err, FLV_E_LIMIT,
                          "the policy %.120s has more than %u bytes", path,
                          FLV_POLICY_BYTES_MAX);
        }
    }
    (void)fclose(f);
    if (rc == FLV_OK) {
        rc = flv_policy_read(out, flv_buf_slice(&text), path, err);
    }
    flv_buf_deinit(&text);
    return rc;
}

void flv_policy_destroy(struct flv_policy *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        flv_free(p->rules[i].who);
        flv_free(p->rules[i].pattern);
    }
    flv_free(p->rules);
    flv_free(p);
}

/* Goes back to the last star only: at most length times length steps, and
 * names are short. */
static bool matches(const char *pattern, struct flv_slice name)
{
    const char *star = NULL;
    size_t at = 0, from = 0;
    while (at < name.len) {
        if (*pattern == '*') {
            star = ++pattern;
            from = at;
        } else if (*pattern != '\0' && (uint8_t)*pattern == name.data[at]) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool flv_policy_allows(const struct flv_policy *p,
                       const char *who,
                       enum flv_right right,
                       struct flv_slice name)
{
    for (size_t i = 0; who != NULL && i < p->count; i++) {
        const struct rule *r = &p->rules[i];
        if ((r->rights & (unsigned)right) != 0 &&
            (r->who == NULL || strcmp(r->who, who) == 0) &&
            matches(r->pattern, name)) {
            return true;
        }
    }
    return false;
}
