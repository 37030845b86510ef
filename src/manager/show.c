#include "manager/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/expo.h"
#include "base/out.h"

static void addf(struct flv_out *o, const char *fmt, ...) FLV_PRINTF(2, 3);

static void addf(struct flv_out *o, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    flv_out_str(o, text);
}

/* ,"key":"text" */
static void member(struct flv_out *o, const char *key, const char *text)
{
    addf(o, ",\"%s\":", key);
    flv_out_json_str(o, text);
}

static void number(struct flv_out *o, const char *key, uint64_t n)
{
    addf(o, ",\"%s\":%" PRIu64, key, n);
}

/* ,"key":"2026-...","key_ms":... ; 0 is null. */
static void moment(struct flv_out *o, const char *key, int64_t ms)
{
    char text[FLV_CLOCK_TEXT_MAX];
    if (ms <= 0) {
        addf(o, ",\"%s\":null,\"%s_ms\":null", key, key);
        return;
    }
    flv_clock_format(ms, text);
    addf(o, ",\"%s\":\"%s\",\"%s_ms\":%" PRId64, key, text, key, ms);
}

/* ---- STATUS ------------------------------------------------------------ */

static const struct flv_descriptor *descriptor_of(const struct flv_mconn *c)
{
    const struct flv_cat_entry *t =
        flv_catalogue_find(flv_manager_catalogue(c->m), c->is.type);
    return t != NULL && t->problem[0] == '\0' ? &t->descriptor : NULL;
}

static const char *direction_of(const struct flv_mconn *c)
{
    const struct flv_descriptor *d = descriptor_of(c);
    enum flv_cfile_direction dir = d != NULL ? d->direction : c->is.direction;
    return dir == FLV_CFILE_SINK ? "sink" : "source";
}

static const char *version_of(const struct flv_mconn *c)
{
    const struct flv_descriptor *d = descriptor_of(c);
    if (c->unit.has_told && c->unit.told.version[0] != '\0') {
        return c->unit.told.version;
    }
    return d != NULL && d->version != NULL ? d->version : c->is.version;
}

/* "state":..,"worker_id":..[,"trace":..] */
static void
kafka_state(struct flv_out *o, const struct flv_mconn *c, uint16_t port)
{
    const char *reason = flv_unit_reason(&c->unit);
    addf(o, "\"state\":\"%s\",\"worker_id\":\"127.0.0.1:%u\"",
         flv_mstate_kafka(flv_unit_state(&c->unit)), port);
    if (reason[0] != '\0') {
        member(o, "trace", reason);
    }
}

static void
add_stage(struct flv_out *o, const struct flv_stage_count *s, bool more)
{
    flv_out_str(o, more ? ",{\"name\":" : "{\"name\":");
    flv_out_json_str(o, s->name);
    if (s->module[0] != '\0') {
        member(o, "module", s->module);
    }
    for (int k = 0; k < FLV_STAGE_COUNTS; k++) {
        number(o, flv_counter_names[k], s->all[k]);
    }
    flv_out_str(o, "}");
}

static void add_counts(struct flv_out *o, const struct flv_mconn *c)
{
    struct flv_counts n;
    flv_unit_counts(&c->unit, &n);
    flv_out_str(o, ",\"counters\":{");
    for (int i = 0; i < FLV_COUNTS; i++) {
        addf(o, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", flv_counter_names[i],
             n.all[i]);
    }
    flv_out_str(o, "},\"own_counters\":{");
    for (size_t i = 0; i < n.own_count; i++) {
        flv_out_str(o, i > 0 ? "," : "");
        flv_out_json_str(o, n.own[i].name);
        addf(o, ":%" PRIu64, n.own[i].value);
    }
    flv_out_str(o, "},\"stages\":[");
    for (size_t i = 0; i < n.stage_count; i++) {
        add_stage(o, &n.stages[i], i > 0);
    }
    flv_out_str(o, "]");
}

static const char *cause_of(const struct flv_unit *u)
{
    enum flv_mstate s = flv_unit_state(u);
    if (s == FLV_MSTATE_STALLED || s == FLV_MSTATE_RETRYING) {
        return flv_unit_reason(u);
    }
    return u->cause;
}

flv_rc
flv__show_status(const struct flv_mconn *c, uint16_t port, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    const struct flv_unit *u = &c->unit;
    int64_t now = flv_clock_wall_ms();
    bool lives = u->proc != NULL;
    flv_out_str(&o, "{\"name\":");
    flv_out_json_str(&o, c->is.name);
    flv_out_str(&o, ",\"connector\":{");
    kafka_state(&o, c, port);
    flv_out_str(&o, "},\"tasks\":[{\"id\":0,");
    kafka_state(&o, c, port);
    flv_out_str(&o, "}]");
    member(&o, "type", direction_of(c));
    member(&o, "state", flv_mstate_word(flv_unit_state(u)));
    addf(&o, ",\"process_only\":%s",
         flv_unit_process_only(u) ? "true" : "false");
    member(&o, "desired",
           c->desired == FLV_MDESIRED_PAUSED ? "paused" : "running");
    member(&o, "connector_type", c->is.type);
    member(&o, "version", version_of(c));
    member(&o, "topic", c->is.topic);
    member(&o, "reason", flv_unit_reason(u));
    member(&o, "cause", cause_of(u));
    moment(&o, "since", u->since_ms);
    number(&o, "attempt", flv_unit_attempt(u));
    moment(&o, "next_retry", flv_unit_next_ms(u));
    number(&o, "restarts", u->tally.restarts);
    number(&o, "pid", lives ? (uint64_t)u->conf.ops->pid(u->proc) : 0);
    number(&o, "uptime_ms",
           lives && now > u->started_ms ? (uint64_t)(now - u->started_ms) : 0);
    add_counts(&o, c);
    flv_out_str(&o, "}");
    return o.rc;
}

/* ---- INFO -------------------------------------------------------------- */

struct settings {
    struct flv_out *o;
    char last[64]; /* key: a repeated one is a list in one text */
};

static void add_setting(void *arg, const char *key, const char *value)
{
    struct settings *s = arg;
    /* JSON has each key once: further values of a list are left to the file. */
    if (strcmp(s->last, key) == 0) {
        return;
    }
    (void)snprintf(s->last, sizeof(s->last), "%s", key);
    flv_out_str(s->o, ",");
    flv_out_json_str(s->o, key);
    flv_out_str(s->o, ":");
    flv_out_json_str(s->o, value);
}

flv_rc flv__show_config(const struct flv_mconn *c, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    struct settings s = {.o = &o};
    struct flv_err err = {0};
    flv_out_str(&o, "{\"name\":");
    flv_out_json_str(&o, c->is.name);
    member(&o, "type", c->is.type);
    member(&o, "topic", c->is.topic);
    flv_rc rc = flv_manager_settings_of(c, add_setting, &s, &err);
    if (rc != FLV_OK) {
        member(&o, "problem", err.text);
    }
    flv_out_str(&o, "}");
    return o.rc;
}

flv_rc
flv__show_info(const struct flv_mconn *c, const char *word, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    flv_out_str(&o, "{\"name\":");
    flv_out_json_str(&o, c->is.name);
    member(&o, "type", direction_of(c));
    flv_out_str(&o, ",\"config\":");
    o.rc = o.rc == FLV_OK ? flv__show_config(c, b) : o.rc;
    flv_out_str(&o, ",\"tasks\":[{\"connector\":");
    flv_out_json_str(&o, c->is.name);
    flv_out_str(&o, ",\"task\":0}]");
    if (word != NULL) {
        member(&o, "result", word);
    }
    moment(&o, "created", c->created_ms);
    moment(&o, "updated", c->updated_ms);
    number(&o, "generation", c->generation);
    flv_out_str(&o, "}");
    return o.rc;
}

/* ---- EVENT, TYPE, errors ----------------------------------------------- */

flv_rc flv__show_event(const struct flv_mevent *e, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    addf(&o, "{\"id\":%" PRIu64, e->id);
    moment(&o, "time", e->time_ms);
    flv_out_str(&o, ",\"name\":");
    flv_out_json(&o, e->name);
    flv_out_str(&o, ",\"kind\":");
    flv_out_json(&o, e->kind);
    flv_out_str(&o, ",\"text\":");
    flv_out_json(&o, e->text);
    flv_out_str(&o, "}");
    return o.rc;
}

flv_rc flv__show_type(const struct flv_cat_entry *t, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    const struct flv_descriptor *d = &t->descriptor;
    flv_out_str(&o, "{\"name\":");
    flv_out_json_str(&o, t->name);
    if (t->problem[0] != '\0') {
        member(&o, "program", t->path);
        member(&o, "problem", t->problem);
        flv_out_str(&o, "}");
        return o.rc;
    }
    member(&o, "direction", d->direction == FLV_CFILE_SINK ? "sink" : "source");
    member(&o, "version", d->version);
    member(&o, "summary", d->summary);
    if (d->section != NULL) {
        member(&o, "section", d->section);
    }
    number(&o, "control", d->control);
    member(&o, "program", t->path);
    flv_out_str(&o, ",\"options\":");
    o.rc = o.rc == FLV_OK ? flv_opt_describe(d->opts, b) : o.rc;
    flv_out_str(&o, "}");
    return o.rc;
}

flv_rc flv__show_error(unsigned status,
                       const char *message,
                       const struct flv_report *report,
                       struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    addf(&o, "{\"error_code\":%u", status);
    member(&o, "message", message);
    if (report != NULL && report->errors > 0) {
        flv_out_str(&o, ",\"problems\":");
        o.rc = o.rc == FLV_OK ? flv_report_json(report, b) : o.rc;
    }
    flv_out_str(&o, "}");
    return o.rc;
}

/* ---- Health and metrics ------------------------------------------------ */

flv_rc flv__show_health(const struct flv_manager *m, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    size_t by_state[FLV_MSTATE_COUNT] = {0};
    for (size_t i = 0; i < flv_manager_count(m); i++) {
        by_state[flv_unit_state(&flv_manager_at(m, i)->unit)]++;
    }
    flv_out_str(&o, "{\"status\":\"ok\",\"cluster\":{\"address\":");
    flv_out_json_str(&o, flv_manager_cluster(m));
    addf(&o, ",\"connected\":%s},\"connectors\":{\"total\":%zu",
         flv_manager_connected(m) ? "true" : "false", flv_manager_count(m));
    for (int i = 0; i < FLV_MSTATE_COUNT; i++) {
        if (by_state[i] > 0) {
            addf(&o, ",\"%s\":%zu", flv_mstate_word((enum flv_mstate)i),
                 by_state[i]);
        }
    }
    flv_out_str(&o, "}}");
    return o.rc;
}

static void
sample(struct flv_out *o, const char *name, const struct flv_mconn *c)
{
    addf(o, "%s{", name);
    flv_expo_label(o, "connector", c->is.name);
}

static void add_info(struct flv_out *o, const struct flv_manager *m)
{
    static const char name[] = "fluvio_connector_info";
    flv_expo_family(o, name, "gauge", "What a connector is.");
    for (size_t i = 0; i < flv_manager_count(m); i++) {
        const struct flv_mconn *c = flv_manager_at(m, i);
        sample(o, name, c);
        flv_out_str(o, ",");
        flv_expo_label(o, "type", c->is.type);
        flv_out_str(o, ",");
        flv_expo_label(o, "topic", c->is.topic);
        flv_out_str(o, ",");
        flv_expo_label(o, "version", version_of(c));
        flv_out_str(o, "} 1\n");
    }
}

static void add_states(struct flv_out *o, const struct flv_manager *m)
{
    static const char name[] = "fluvio_connector_state";
    flv_expo_family(o, name, "gauge", "1 for the state a connector is in.");
    for (size_t i = 0; i < flv_manager_count(m); i++) {
        const struct flv_mconn *c = flv_manager_at(m, i);
        enum flv_mstate now = flv_unit_state(&c->unit);
        for (int s = 0; s < FLV_MSTATE_COUNT; s++) {
            sample(o, name, c);
            addf(o, ",state=\"%s\"} %d\n", flv_mstate_word((enum flv_mstate)s),
                 now == (enum flv_mstate)s);
        }
    }
}

static void stage_samples(struct flv_out *o,
                          const char *name,
                          const struct flv_mconn *c,
                          const struct flv_stage_count *s)
{
    for (int k = 0; k < FLV_STAGE_COUNTS; k++) {
        sample(o, name, c);
        flv_out_str(o, ",");
        flv_expo_label(o, "stage", s->name);
        if (s->module[0] != '\0') {
            flv_out_str(o, ",");
            flv_expo_label(o, "module", s->module);
        }
        addf(o, ",result=\"%s\"} %" PRIu64 "\n", flv_counter_names[k],
             s->all[k]);
    }
}

static void add_records(struct flv_out *o, const struct flv_manager *m)
{
    static const char name[] = "fluvio_connector_records_total";
    flv_expo_family(o, name, "counter",
                    "Records by stage and what became of them.");
    for (size_t i = 0; i < flv_manager_count(m); i++) {
        const struct flv_mconn *c = flv_manager_at(m, i);
        struct flv_counts n;
        flv_unit_counts(&c->unit, &n);
        for (int k = 0; k < FLV_STAGE_COUNTS; k++) {
            sample(o, name, c);
            addf(o, ",stage=\"all\",result=\"%s\"} %" PRIu64 "\n",
                 flv_counter_names[k], n.all[k]);
        }
        for (size_t s = 0; s < n.stage_count; s++) {
            stage_samples(o, name, c, &n.stages[s]);
        }
    }
}

static void add_own(struct flv_out *o, const struct flv_manager *m)
{
    static const char name[] = "fluvio_connector_own_total";
    flv_expo_family(o, name, "counter", "The connector's own counters.");
    for (size_t i = 0; i < flv_manager_count(m); i++) {
        const struct flv_mconn *c = flv_manager_at(m, i);
        struct flv_counts n;
        flv_unit_counts(&c->unit, &n);
        for (size_t k = 0; k < n.own_count; k++) {
            sample(o, name, c);
            flv_out_str(o, ",");
            flv_expo_label(o, "counter", n.own[k].name);
            addf(o, "} %" PRIu64 "\n", n.own[k].value);
        }
    }
}

struct simple {
    const char *name, *kind, *help;
    uint64_t (*value)(const struct flv_mconn *c);
};

static uint64_t restarts_of(const struct flv_mconn *c)
{
    return c->unit.tally.restarts;
}

static uint64_t count_of(const struct flv_mconn *c, int which)
{
    struct flv_counts n;
    flv_unit_counts(&c->unit, &n);
    return n.all[which];
}

static uint64_t out_of(const struct flv_mconn *c)
{
    return count_of(c, FLV_C_OUT);
}

static uint64_t acked_of(const struct flv_mconn *c)
{
    return count_of(c, FLV_C_ACKED);
}

static uint64_t discarded_of(const struct flv_mconn *c)
{
    return count_of(c, FLV_C_DISCARDED);
}

static uint64_t dead_lettered_of(const struct flv_mconn *c)
{
    return count_of(c, FLV_C_DEAD_LETTERED);
}

static const struct simple simples[] = {
    {"fluvio_connector_restarts_total", "counter",
     "Starts after an end that nobody asked for.", restarts_of},
    {"fluvio_connector_out_total", "counter",
     "Records handed to the topic, or by a sink to the far side.", out_of},
    {"fluvio_connector_acked_total", "counter", "Of those, confirmed as safe.",
     acked_of},
    {"fluvio_connector_discarded_total", "counter",
     "Failed records that were dropped by policy.", discarded_of},
    {"fluvio_connector_dead_lettered_total", "counter",
     "Failed records that are safe in a topic of dead letters.",
     dead_lettered_of},
};

flv_rc flv__show_metrics(const struct flv_manager *m, struct flv_buf *b)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    flv_expo_family(&o, "fluvio_manager_connectors", "gauge", "Connectors.");
    addf(&o, "fluvio_manager_connectors %zu\n", flv_manager_count(m));
    add_info(&o, m);
    add_states(&o, m);
    for (size_t k = 0; k < sizeof(simples) / sizeof(simples[0]); k++) {
        flv_expo_family(&o, simples[k].name, simples[k].kind, simples[k].help);
        for (size_t i = 0; i < flv_manager_count(m); i++) {
            const struct flv_mconn *c = flv_manager_at(m, i);
            sample(&o, simples[k].name, c);
            addf(&o, "} %" PRIu64 "\n", simples[k].value(c));
        }
    }
    add_records(&o, m);
    add_own(&o, m);
    return o.rc;
}
