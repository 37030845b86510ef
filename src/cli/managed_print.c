/* Tables and documents of what a manager answers. */
#include "cli/managed.h"

#include "base/text.h"
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>

/* ---- Small parts --------------------------------------------------------- */

/* "3m 12s" since then; "-" for never. */
static void age_text(int64_t now_ms, uint64_t then_ms, char *out, size_t size)
{
    char text[FLV_TEXT_FORMAT_MAX];
    if (then_ms == 0) {
        snprintf(out, size, "-");
        return;
    }
    uint64_t now = now_ms > 0 ? (uint64_t)now_ms : 0;
    uint64_t seconds = now > then_ms ? (now - then_ms) / 1000 : 0;
    /* Seconds do not matter after an hour. */
    seconds -= seconds >= 3600 ? seconds % 60 : 0;
    flv_text_format_duration(seconds * 1000, text);
    snprintf(out, size, "%s", text);
}

static uint64_t counter(const struct flv_node *status, const char *key)
{
    return cli_number(flv_node_get(status, "counters"), key);
}

/* Records that no longer want anything from anybody: durable ones. */
static uint64_t out_of(const struct flv_node *status)
{
    return counter(status, "acked");
}

static const char *reason_of(const struct flv_node *status)
{
    const char *reason = cli_text(status, "reason");
    return reason[0] != '\0' ? reason : cli_text(status, "cause");
}

/* ---- list ---------------------------------------------------------------- */

static void
wide_cells(struct cli_table *t, const struct flv_node *status, int64_t now_ms)
{
    char since[64];
    age_text(now_ms, cli_number(status, "since_ms"), since, sizeof since);
    cli_table_cell(t, cli_text(status, "connector_type"));
    cli_table_cell(t, cli_text(status, "version"));
    cli_table_cell(t, cli_text(status, "topic"));
    cli_table_cell(t, since);
    cli_table_cellf(t, "%" PRIu64, counter(status, "in"));
    cli_table_cellf(t, "%" PRIu64, out_of(status));
    cli_table_cellf(t, "%" PRIu64, counter(status, "failed"));
    cli_table_cellf(t, "%" PRIu64, counter(status, "discarded"));
    cli_table_cellf(t, "%" PRIu64, counter(status, "dead_lettered"));
    cli_table_cellf(t, "%" PRIu64, cli_number(status, "restarts"));
    cli_table_cell(t, reason_of(status));
}

static void list_row(struct cli_table *t,
                     const char *name,
                     const struct flv_node *status,
                     enum cli_list_style style,
                     int64_t now_ms)
{
    bool wide = style == CLI_LIST_WIDE;
    bool only = wide && cli_truth(status, "process_only");
    cli_table_cell(t, name);
    cli_table_cellf(t, "%s%s", cli_text(status, "state"),
                    only ? " (process only)" : "");
    if (wide) {
        wide_cells(t, status, now_ms);
    }
    cli_table_end_row(t);
}

flv_rc cli_managed_table(const struct flv_node *root,
                         enum cli_list_style style,
                         int64_t now_ms,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const narrow[] = {"NAME", "STATUS", NULL};
    static const char *const wide[] = {
        "NAME",          "STATUS",   "TYPE",   "VERSION", "TOPIC",
        "SINCE",         "IN",       "OUT",    "FAILED",  "DISCARDED",
        "DEAD-LETTERED", "RESTARTS", "REASON", NULL};
    struct cli_table t;
    if (root == NULL || root->count == 0) {
        flv_rc rc = flv_buf_add_str(out, "no managed connectors\n");
        return rc == FLV_OK ? rc : flv_fail(err, rc, "out of memory");
    }
    if (style == CLI_LIST_CLUSTER) {
        flv_rc rc = flv_buf_add_str(out, "-------------\n");
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "out of memory");
        }
    }
    cli_table_init(&t, 0);
    t.right = style == CLI_LIST_CLUSTER;
    cli_table_row(&t, style == CLI_LIST_WIDE ? wide : narrow);
    for (size_t i = 0; i < root->count; i++) {
        list_row(&t, flv_node_key(root, i)->text,
                 flv_node_get(flv_node_value(root, i), "status"), style,
                 now_ms);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

/* ---- Documents ----------------------------------------------------------- */

static void doc_text(struct cli_doc *d,
                     const char *key,
                     const struct flv_node *map,
                     const char *from)
{
    cli_doc_str(d, key, cli_text(map, from));
}

static void doc_number(struct cli_doc *d, const char *key, uint64_t value)
{
    cli_doc_i64(d, key, value <= INT64_MAX ? (int64_t)value : INT64_MAX);
}

/* Settings of the connector, without those that have a place of their own. */
static void doc_parameters(struct cli_doc *d, const struct flv_node *config)
{
    static const char *const placed[] = {"name", "type", "topic", "version"};
    cli_doc_map(d, "parameters");
    for (size_t i = 0;
         config != NULL && config->kind == FLV_NODE_MAP && i < config->count;
         i++) {
        const char *key = flv_node_key(config, i)->text;
        bool elsewhere = false;
        for (size_t k = 0; k < sizeof placed / sizeof placed[0]; k++) {
            elsewhere = elsewhere || strcmp(placed[k], key) == 0;
        }
        if (!elsewhere) {
            cli_doc_str(d, key, flv_node_value(config, i)->text);
        }
    }
    cli_doc_end(d);
}

static void doc_status(struct cli_doc *d, const struct flv_node *status)
{
    cli_doc_map(d, "status");
    doc_text(d, "resolution", status, "state");
    doc_text(d, "reason", status, "reason");
    doc_text(d, "cause", status, "cause");
    doc_text(d, "since", status, "since");
    cli_doc_bool(d, "processOnly", cli_truth(status, "process_only"));
    doc_number(d, "attempt", cli_number(status, "attempt"));
    doc_text(d, "nextRetry", status, "next_retry");
    doc_number(d, "restarts", cli_number(status, "restarts"));
    doc_number(d, "pid", cli_number(status, "pid"));
    doc_number(d, "in", counter(status, "in"));
    doc_number(d, "out", out_of(status));
    doc_number(d, "filtered", counter(status, "filtered"));
    doc_number(d, "failed", counter(status, "failed"));
    doc_number(d, "discarded", counter(status, "discarded"));
    doc_number(d, "deadLettered", counter(status, "dead_lettered"));
    cli_doc_end(d);
}

static void
doc_connector(struct cli_doc *d, const char *name, const struct flv_node *both)
{
    const struct flv_node *status = flv_node_get(both, "status");
    const struct flv_node *config =
        flv_node_get(flv_node_get(both, "info"), "config");
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", name);
    cli_doc_map(d, "spec");
    cli_doc_str(d, "name", name);
    doc_text(d, "type", status, "connector_type");
    doc_text(d, "topic", status, "topic");
    doc_text(d, "version", status, "version");
    doc_parameters(d, config);
    cli_doc_end(d);
    doc_status(d, status);
    cli_doc_end(d);
}

flv_rc cli_managed_doc(const struct flv_node *root,
                       enum cli_format format,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; root != NULL && i < root->count; i++) {
        doc_connector(&d, flv_node_key(root, i)->text, flv_node_value(root, i));
    }
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static void
doc_node(struct cli_doc *d, const char *key, const struct flv_node *node)
{
    int64_t number = 0;
    if (node->kind == FLV_NODE_SCALAR) {
        if (node->quoted) {
            cli_doc_str(d, key, node->text);
        } else if (strcmp(node->text, "true") == 0 ||
                   strcmp(node->text, "false") == 0) {
            cli_doc_bool(d, key, node->text[0] == 't');
        } else if (flv_text_i64(node->text, INT64_MIN, INT64_MAX, &number,
                                NULL) == FLV_OK) {
            cli_doc_i64(d, key, number);
        } else {
            cli_doc_null(d, key);
        }
        return;
    }
    bool map = node->kind == FLV_NODE_MAP;
    if (map) {
        cli_doc_map(d, key);
    } else {
        cli_doc_list(d, key);
    }
    for (size_t i = 0; i < node->count; i++) {
        doc_node(d, map ? flv_node_key(node, i)->text : NULL,
                 map ? flv_node_value(node, i) : node->items[i]);
    }
    cli_doc_end(d);
}

flv_rc cli_node_doc(const struct flv_node *node,
                    enum cli_format format,
                    struct flv_buf *out,
                    struct flv_err *err)
{
    struct cli_doc d;
    assert(node->height < CLI_DOC_DEPTH_MAX);
    cli_doc_init(&d, format);
    doc_node(&d, NULL, node);
    return cli_doc_put(&d, out, err);
}

/* ---- events, describe -----------------------------------------------------
 */

flv_rc cli_events_table(const struct flv_node *events,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    static const char *const head[] = {"TIME", "NAME", "EVENT", "TEXT", NULL};
    struct cli_table t;
    cli_table_init(&t, 0);
    cli_table_row(&t, head);
    for (size_t i = 0;
         events != NULL && events->kind == FLV_NODE_LIST && i < events->count;
         i++) {
        const struct flv_node *e = events->items[i];
        cli_table_cell(&t, cli_text(e, "time"));
        cli_table_cell(&t, cli_text(e, "name"));
        cli_table_cell(&t, cli_text(e, "kind"));
        cli_table_cell(&t, cli_text(e, "text"));
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

struct lines {
    struct flv_buf *out;
    flv_rc rc;
};

static void line(struct lines *l, const char *key, const char *fmt, ...)
    FLV_PRINTF(3, 4);

static void line(struct lines *l, const char *key, const char *fmt, ...)
{
    char text[FLV_ERR_TEXT_MAX + 400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    flv_text_tidy(text, strlen(text));
    if (l->rc == FLV_OK) {
        l->rc = flv_buf_addf(l->out, " %-10s  %s\n", key, text);
    }
}

static void
state_lines(struct lines *l, const struct flv_node *status, int64_t now_ms)
{
    char since[64];
    age_text(now_ms, cli_number(status, "since_ms"), since, sizeof since);
    line(l, "Status", "%s%s, for %s", cli_text(status, "state"),
         cli_truth(status, "process_only") ? " (process only)" : "", since);
    if (reason_of(status)[0] != '\0') {
        line(l, "Reason", "%s", reason_of(status));
    }
    if (cli_text(status, "cause")[0] != '\0') {
        line(l, "Cause", "%s", cli_text(status, "cause"));
    }
    if (cli_number(status, "attempt") > 0) {
        line(l, "Attempt", "%" PRIu64 "%s%s", cli_number(status, "attempt"),
             cli_text(status, "next_retry")[0] != '\0' ? ", the next one at "
                                                       : "",
             cli_text(status, "next_retry"));
    }
    line(l, "Type", "%s %s, %s", cli_text(status, "connector_type"),
         cli_text(status, "version"), cli_text(status, "type"));
    line(l, "Topic", "%s", cli_text(status, "topic"));
    if (cli_number(status, "pid") > 0) {
        line(l, "Process", "%" PRIu64, cli_number(status, "pid"));
    }
    line(l, "Restarts", "%" PRIu64, cli_number(status, "restarts"));
}

static void stage_lines(struct lines *l, const struct flv_node *stages)
{
    for (size_t i = 0;
         stages != NULL && stages->kind == FLV_NODE_LIST && i < stages->count;
         i++) {
        const struct flv_node *s = stages->items[i];
        const char *module = cli_text(s, "module");
        line(l, i == 0 ? "Stages" : "",
             "%.30s%s%.64s: in %" PRIu64 ", passed %" PRIu64
             ", filtered %" PRIu64 ", failed %" PRIu64,
             cli_text(s, "name"), module[0] != '\0' ? " " : "", module,
             cli_number(s, "in"), cli_number(s, "passed"),
             cli_number(s, "filtered"), cli_number(s, "failed"));
    }
}

static void counter_lines(struct lines *l, const struct flv_node *status)
{
    const struct flv_node *own = flv_node_get(status, "own_counters");
    if (cli_truth(status, "process_only")) {
        return;
    }
    line(l, "Records",
         "in %" PRIu64 ", passed %" PRIu64 ", filtered %" PRIu64
         ", failed %" PRIu64 " (discarded %" PRIu64 ", dead-lettered %" PRIu64
         "), %s %" PRIu64,
         counter(status, "in"), counter(status, "passed"),
         counter(status, "filtered"), counter(status, "failed"),
         counter(status, "discarded"), counter(status, "dead_lettered"),
         strcmp(cli_text(status, "type"), "sink") == 0
             ? "confirmed by the far side"
             : "safe in the topic",
         out_of(status));
    stage_lines(l, flv_node_get(status, "stages"));
    for (size_t i = 0;
         own != NULL && own->kind == FLV_NODE_MAP && i < own->count; i++) {
        line(l, i == 0 ? "Counters" : "", "%.60s %.30s",
             flv_node_key(own, i)->text, flv_node_value(own, i)->text);
    }
}

static void setting_lines(struct lines *l, const struct flv_node *info)
{
    const struct flv_node *config = flv_node_get(info, "config");
    size_t shown = 0;
    for (size_t i = 0;
         config != NULL && config->kind == FLV_NODE_MAP && i < config->count;
         i++) {
        const char *key = flv_node_key(config, i)->text;
        if (strcmp(key, "name") != 0 && strcmp(key, "type") != 0 &&
            strcmp(key, "topic") != 0) {
            line(l, shown++ == 0 ? "Settings" : "", "%.60s: %.400s", key,
                 flv_node_value(config, i)->text);
        }
    }
}

flv_rc cli_managed_describe(const struct flv_node *status,
                            const struct flv_node *info,
                            const struct flv_node *events,
                            int64_t now_ms,
                            struct flv_buf *out,
                            struct flv_err *err)
{
    struct lines l = {.out = out, .rc = FLV_OK};
    line(&l, "Name", "%s", cli_text(status, "name"));
    state_lines(&l, status, now_ms);
    counter_lines(&l, status);
    line(&l, "Created", "%s", cli_text(info, "created"));
    line(&l, "Updated", "%s", cli_text(info, "updated"));
    setting_lines(&l, info);
    if (l.rc == FLV_OK && events != NULL && events->count > 0) {
        l.rc = flv_buf_add_str(out, "\n");
        return l.rc == FLV_OK ? cli_events_table(events, out, err) : l.rc;
    }
    return l.rc == FLV_OK ? FLV_OK : flv_fail(err, l.rc, "out of memory");
}

/* ---- Problems -------------------------------------------------------------
 */

static flv_rc
add_problem(const struct flv_node *p, const char *name, struct flv_buf *out)
{
    const char *severity = cli_text(p, "severity");
    const char *example = cli_text(p, "example");
    uint64_t at = cli_number(p, "line");
    severity = severity[0] != '\0' ? severity : "error";
    flv_rc rc = at > 0
                    ? flv_buf_addf(out, "%s:%" PRIu64 ":%" PRIu64 ": %s: %s\n",
                                   name, at, cli_number(p, "column"), severity,
                                   cli_text(p, "message"))
                    : flv_buf_addf(out, "%s: %s: %s\n", name, severity,
                                   cli_text(p, "message"));
    if (rc == FLV_OK && example[0] != '\0') {
        rc = flv_buf_addf(out, "    for example: %s\n", example);
    }
    return rc;
}

flv_rc cli_problems_text(const struct flv_node *problems,
                         const char *name,
                         struct flv_buf *out)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; problems != NULL && problems->kind == FLV_NODE_LIST &&
                       i < problems->count && rc == FLV_OK;
         i++) {
        rc = add_problem(problems->items[i], name, out);
    }
    return rc;
}
