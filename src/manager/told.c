/* What connectors write about themselves, read with suspicion. */
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/text.h"

#include "manager/child.h"

#define TEXT_MAX ((size_t)64 * 1024)

static flv_rc parse(struct flv_slice text, json_t **out, struct flv_err *err)
{
    json_error_t why;
    if (text.len > TEXT_MAX) {
        return flv_fail(err, FLV_E_INVALID, "more than %zu bytes", TEXT_MAX);
    }
    json_t *root = json_loadb((const char *)text.data, text.len,
                              JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return flv_fail(err, FLV_E_INVALID, "no JSON: %.100s", why.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return flv_fail(err, FLV_E_INVALID, "no JSON object");
    }
    *out = root;
    return FLV_OK;
}

static void get_text(const json_t *o, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, key));
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
}

static int64_t get_int(const json_t *o, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

static uint64_t get_count(const json_t *o, const char *key)
{
    int64_t v = get_int(o, key, 0);
    return v > 0 ? (uint64_t)v : 0;
}

const char *const flv_counter_names[FLV_COUNTS] = {
    "in",  "passed", "filtered",  "failed",
    "out", "acked",  "discarded", "dead_lettered"};

static void get_stages(const json_t *root, struct flv_counts *out)
{
    const json_t *list = json_object_get(root, "stages");
    for (size_t i = 0;
         i < json_array_size(list) && out->stage_count < FLV_STAGES_MAX; i++) {
        const json_t *from = json_array_get(list, i);
        struct flv_stage_count *s = &out->stages[out->stage_count];
        get_text(from, "name", s->name, sizeof(s->name));
        get_text(from, "module", s->module, sizeof(s->module));
        for (int k = 0; k < FLV_STAGE_COUNTS; k++) {
            s->all[k] = get_count(from, flv_counter_names[k]);
        }
        if (s->name[0] != '\0') {
            out->stage_count++;
        } else {
            *s = (struct flv_stage_count){.name = ""};
        }
    }
}

static void get_counts(json_t *root, struct flv_counts *out)
{
    const json_t *all = json_object_get(root, "counters");
    json_t *own = json_object_get(root, "own");
    const char *key;
    json_t *value;
    *out = (struct flv_counts){.own_count = 0};
    for (int i = 0; i < FLV_COUNTS; i++) {
        out->all[i] = get_count(all, flv_counter_names[i]);
    }
    get_stages(root, out);
    json_object_foreach(own, key, value)
    {
        size_t n = out->own_count;
        if (n < FLV_OWN_MAX && strlen(key) < FLV_OWN_NAME_MAX &&
            json_is_integer(value)) {
            (void)snprintf(out->own[n].name, FLV_OWN_NAME_MAX, "%s", key);
            out->own[n].value = get_count(own, key);
            out->own_count++;
        }
    }
}

flv_rc flv__told_parse(struct flv_slice line,
                       struct flv_told *out,
                       struct flv_err *err)
{
    static const char *const words[] = {"starting", "running", "retrying",
                                        "stalled",  "paused",  "draining"};
    json_t *root = NULL;
    char state[16];
    flv_rc rc = parse(line, &root, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_told t = {.attempt = 0};
    int known = -1;
    get_text(root, "state", state, sizeof(state));
    for (int i = 0; i < (int)(sizeof(words) / sizeof(words[0])); i++) {
        known = strcmp(state, words[i]) == 0 ? i : known;
    }
    if (known < 0) {
        rc = flv_fail(err, FLV_E_INVALID, "no state \"%.16s\"", state);
    } else {
        t.state = (enum flv_told_state)known;
        t.attempt = (uint32_t)(get_count(root, "attempt") & UINT32_MAX);
        t.next_ms = get_int(root, "next_ms", 0);
        get_text(root, "cause", t.cause, sizeof(t.cause));
        get_text(root, "version", t.version, sizeof(t.version));
        get_counts(root, &t.counts);
        *out = t;
    }
    json_decref(root);
    return rc;
}

flv_rc flv__ended_parse(struct flv_slice text,
                        struct flv_ended *out,
                        struct flv_err *err)
{
    static const char *const words[] = {"",       "completed",     "stopped",
                                        "failed", "configuration", "aborted"};
    json_t *root = NULL;
    char reason[16];
    flv_rc rc = parse(text, &root, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_ended e = {.has_counts = true};
    get_text(root, "reason", reason, sizeof(reason));
    for (int i = 1; i < (int)(sizeof(words) / sizeof(words[0])); i++) {
        if (strcmp(reason, words[i]) == 0) {
            e.reason = (enum flv_end_reason)i;
        }
    }
    int64_t code = get_int(root, "code", -1);
    e.code = code >= 0 && code < 256 ? (int)code : -1;
    get_text(root, "cause", e.cause, sizeof(e.cause));
    get_counts(root, &e.counts);
    json_decref(root);
    if (e.reason == FLV_END_UNKNOWN) {
        return flv_fail(err, FLV_E_INVALID, "no reason \"%.16s\"", reason);
    }
    *out = e;
    return FLV_OK;
}

/* ---- The tally --------------------------------------------------------- */

static void add(flv_rc *rc, flv_rc next)
{
    *rc = *rc == FLV_OK ? next : *rc;
}

static void format_stage(const struct flv_stage_count *s,
                         bool more,
                         struct flv_buf *b,
                         flv_rc *rc)
{
    add(rc, flv_buf_add_str(b, more ? ",{\"name\":" : "{\"name\":"));
    add(rc, flv_text_json_str(b, s->name));
    add(rc, flv_buf_add_str(b, ",\"module\":"));
    add(rc, flv_text_json_str(b, s->module));
    for (int k = 0; k < FLV_STAGE_COUNTS; k++) {
        add(rc, flv_buf_addf(b, ",\"%s\":%" PRIu64, flv_counter_names[k],
                             s->all[k]));
    }
    add(rc, flv_buf_add_str(b, "}"));
}

static void
format_counts(const struct flv_counts *c, struct flv_buf *b, flv_rc *rc)
{
    add(rc, flv_buf_add_str(b, "{\"counters\":{"));
    for (int i = 0; i < FLV_COUNTS; i++) {
        add(rc, flv_buf_addf(b, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
                             flv_counter_names[i], c->all[i]));
    }
    add(rc, flv_buf_add_str(b, "},\"own\":{"));
    for (size_t i = 0; i < c->own_count; i++) {
        add(rc, flv_buf_add_str(b, i > 0 ? "," : ""));
        add(rc, flv_text_json_str(b, c->own[i].name));
        add(rc, flv_buf_addf(b, ":%" PRIu64, c->own[i].value));
    }
    add(rc, flv_buf_add_str(b, "},\"stages\":["));
    for (size_t i = 0; i < c->stage_count; i++) {
        format_stage(&c->stages[i], i > 0, b, rc);
    }
    add(rc, flv_buf_add_str(b, "]}"));
}

flv_rc flv__tally_format(const struct flv_tally *t, struct flv_buf *out)
{
    flv_rc rc = FLV_OK;
    add(&rc, flv_buf_addf(out,
                          "{\"runs\":%" PRIu64 ",\"restarts\":%" PRIu64
                          ",\"ended\":%s,\"end\":%d,\"base\":",
                          t->runs, t->restarts, t->ended ? "true" : "false",
                          (int)t->end));
    format_counts(&t->base, out, &rc);
    add(&rc, flv_buf_add_str(out, ",\"now\":"));
    format_counts(&t->now, out, &rc);
    add(&rc, flv_buf_add_str(out, "}"));
    return rc;
}

flv_rc flv__tally_parse(struct flv_slice text,
                        struct flv_tally *out,
                        struct flv_err *err)
{
    json_t *root = NULL;
    flv_rc rc = parse(text, &root, err);
    if (rc != FLV_OK) {
        return rc;
    }
    int64_t end = get_int(root, "end", 0);
    *out = (struct flv_tally){
        .runs = get_count(root, "runs"),
        .restarts = get_count(root, "restarts"),
        .ended = json_is_true(json_object_get(root, "ended")),
        .end = end > 0 && end <= FLV_END_ABORTED ? (enum flv_end_reason)end
                                                 : FLV_END_UNKNOWN,
    };
    get_counts(json_object_get(root, "base"), &out->base);
    get_counts(json_object_get(root, "now"), &out->now);
    json_decref(root);
    return FLV_OK;
}
