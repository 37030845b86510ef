/* Operations: what is asked of the manager, step by step to its answer. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalogue/ask.h"
#include "config/print.h"
#include "manager/manager_priv.h"

/* The cluster has to say about a topic in this time. */
#define TOPIC_MS_MAX 5000

/* ---- Life and answer --------------------------------------------------- */

static void mop_free(struct flv_mop *op)
{
    struct flv_manager *m = op->m;
    if (op->prev != NULL) {
        op->prev->next = op->next;
    } else {
        m->ops = op->next;
    }
    if (op->next != NULL) {
        op->next->prev = op->prev;
    }
    m->op_count--;
    flv_timer_stop(&op->limit);
    flv_loop_undefer(m->conf.loop, &op->later);
    if (op->has_checked) {
        flv_checked_deinit(&op->checked);
    }
    flv_free(op->file);
    flv_free(op);
}

/* Until the operation has ended nobody else changes the connector. */
static void hold(struct flv_mop *op, struct flv_mconn *c)
{
    assert(!c->changing);
    c->changing = true;
    op->holds = true;
}

static void release_name(struct flv_mop *op)
{
    struct flv_mconn *c = flv_manager_find(op->m, op->name);
    if (c != NULL && op->holds) {
        c->changing = false;
        op->holds = false;
        flv__mconn_note_over(c);
    }
}

static void run_later(struct flv_task *task)
{
    struct flv_mop *op = FLV_OWNER_OF(task, struct flv_mop, later);
    const struct flv_mresult r = {
        .status = op->status,
        .message = op->status >= 400 ? op->message : NULL,
        .conn = op->status < 400 ? flv_manager_find(op->m, op->name) : NULL,
        .word = op->word,
        .report = op->has_checked ? &op->checked.report : NULL,
    };
    if (!op->answered) {
        op->answered = true;
        op->done(op->arg, &r);
    }
    if (!op->waiting) {
        mop_free(op);
    }
}

/* The first answer counts. */
static void answer(struct flv_mop *op, unsigned status, const char *fmt, ...)
    FLV_PRINTF(3, 4);

static void answer(struct flv_mop *op, unsigned status, const char *fmt, ...)
{
    va_list args;
    flv_timer_stop(&op->limit);
    if (op->status == 0) {
        op->status = status;
        va_start(args, fmt);
        (void)vsnprintf(op->message, sizeof(op->message), fmt, args);
        va_end(args);
    }
    flv_loop_defer(op->m->conf.loop, &op->later);
}

static void answer_err(struct flv_mop *op, const struct flv_err *err)
{
    unsigned status = err->rc == FLV_E_NOSPACE                   ? 507
                      : flv_rc_class(err->rc) == FLV_CLASS_RETRY ? 503
                                                                 : 500;
    answer(op, status, "%s", err->text);
}

/* The connector holds still for this operation no longer. */
static void answer_free(struct flv_mop *op, unsigned status)
{
    release_name(op);
    answer(op, status, "%s", "");
}

static struct flv_mop *mop_create(struct flv_manager *m,
                                  enum flv_mop_kind kind,
                                  const char *name,
                                  flv_mdone done,
                                  void *arg)
{
    struct flv_mop *op =
        m->op_count < FLV_MOPS_MAX ? flv_zalloc(1, sizeof(*op)) : NULL;
    if (op == NULL) {
        return NULL;
    }
    op->m = m;
    op->kind = kind;
    op->done = done;
    op->arg = arg;
    if (name != NULL) {
        (void)snprintf(op->name, sizeof(op->name), "%s", name);
    }
    op->next = m->ops;
    if (op->next != NULL) {
        op->next->prev = op;
    }
    m->ops = op;
    m->op_count++;
    flv_task_init(&op->later, run_later);
    return op;
}

/* Without memory for an operation there is only this. */
static void refuse(flv_mdone done, void *arg)
{
    const struct flv_mresult r = {
        .status = 503, .message = "the manager has too much to do; try again"};
    done(arg, &r);
}

static void on_limit(struct flv_timer *t)
{
    struct flv_mop *op = FLV_OWNER_OF(t, struct flv_mop, limit);
    release_name(op);
    answer(op, 503,
           "the cluster at %.80s does not answer; nothing was changed. Look "
           "at `fluvio cluster status`",
           flv_manager_cluster(op->m));
}

void flv__mops_end(struct flv_manager *m)
{
    for (struct flv_mop *op = m->ops; op != NULL; op = op->next) {
        /* What is on its way to the disk or to its end says how it went. */
        if (op->kind != FLV_MOP_REMOVE && op->status == 0) {
            answer(op, 503, "the manager is stopping; nothing was changed");
        }
    }
}

/* ---- Storing ----------------------------------------------------------- */

static void finish_put(struct flv_mop *op);

static void on_stored(void *arg, const struct flv_err *err)
{
    struct flv_mop *op = arg;
    op->waiting = false;
    if (err != NULL) {
        release_name(op);
        answer_err(op, err);
        return;
    }
    if (op->status != 0) {
        /* Answered already (we stop), but it is stored: act on it. */
        op->status = 0;
    }
    finish_put(op);
}

static void
store(struct flv_mop *op, const struct flv_mrow *row, flv_journal_fn done)
{
    struct flv_err err = {0};
    const struct flv_mchange change = {.kind = FLV_MCHANGE_PUT, .row = *row};
    op->waiting = true;
    if (flv_journal_add(op->m->journal, &change, done, op, &err) != FLV_OK) {
        op->waiting = false;
        release_name(op);
        answer_err(op, &err);
    }
}

static void store_put(struct flv_mop *op)
{
    const struct flv_mconn *c = flv_manager_find(op->m, op->name);
    struct flv_mrow row = {.desired = FLV_MDESIRED_RUNNING, .generation = 1};
    int64_t now = flv_clock_wall_ms();
    if (c != NULL) {
        row = flv__mconn_row(c);
        row.generation++;
        row.over = FLV_MOVER_NO;
    } else {
        row.created_ms = now;
        row.name = flv_slice_str(op->name);
        row.cause = flv_slice("", 0);
    }
    row.updated_ms = now;
    row.file = flv_slice(op->file, op->file_len);
    store(op, &row, on_stored);
}

static void made(struct flv_mop *op)
{
    struct flv_manager *m = op->m;
    struct flv_mconn *c = flv__mconn_create(m, &op->is, op->file, op->file_len);
    if (c == NULL || flv__manager_insert(m, c) != FLV_OK) {
        /* It is stored: the next start of the manager finds it. */
        if (c != NULL) {
            c->file = NULL;
            flv__mconn_free(c);
        }
        answer(op, 500, "out of memory for another connector");
        return;
    }
    op->file = NULL;
    op->word = "created";
    flv__manager_event(m, op->name, "created", "from its file");
    if (!m->stopping) {
        flv_unit_want(&c->unit, FLV_UNIT_RUN);
    }
    answer(op, 201, "%s", "");
}

static void finish_put(struct flv_mop *op)
{
    struct flv_mconn *c = flv_manager_find(op->m, op->name);
    if (c == NULL) {
        made(op);
        return;
    }
    flv__mconn_take_file(c, &op->is, op->file, op->file_len);
    op->file = NULL;
    c->generation++;
    c->updated_ms = flv_clock_wall_ms();
    c->over = FLV_MOVER_NO;
    op->word = "updated";
    flv__manager_event(op->m, op->name, "updated",
                       "it is drained and started with the new file");
    flv_unit_renew(&c->unit);
    answer_free(op, 200);
}

/* ---- The topic --------------------------------------------------------- */

static void on_topic(void *user, const struct flv_err *err, bool created)
{
    struct flv_mop *op = user;
    op->waiting = false;
    flv_timer_stop(&op->limit);
    if (op->status != 0) {
        flv_loop_defer(op->m->conf.loop, &op->later); /* too late */
        return;
    }
    if (err != NULL) {
        release_name(op);
        answer(op, flv_rc_class(err->rc) == FLV_CLASS_RETRY ? 503 : 400,
               "the topic \"%.60s\": %s", op->is.topic, err->text);
    } else if (created && !op->create_topic) {
        release_name(op);
        answer(op, 400,
               "the topic \"%.60s\" does not exist; add `create_topic: true` "
               "to the file, or create it with `fluvio topic create %.60s`",
               op->is.topic, op->is.topic);
    } else {
        store_put(op);
    }
}

/* *out borrows *dedup. */
static flv_rc topic_conf(const struct flv_mop *op,
                         struct flv_topic_conf *out,
                         struct flv_dedup *dedup,
                         struct flv_err *err)
{
    const struct flv_cfile_topic *t = &op->checked.file.topic;
    *out = flv_topic_conf_default(op->is.topic);
    out->partitions = t->partitions;
    out->replication = t->replication;
    out->ignore_rack = t->ignore_rack;
    out->retention_s = t->retention_s;
    out->segment_size_bytes = t->segment_size_bytes;
    out->partition_bytes_max = t->partition_bytes_max;
    *dedup = (struct flv_dedup){FLV_DOC_DEDUP_FIELDS(&t->dedup)};
    out->dedup = dedup->filter != NULL ? dedup : NULL;
    /* Without the right to make it, only looks whether it would be made. */
    out->dry_run = !op->create_topic;
    return t->compression != NULL
               ? flv_compression_parse(t->compression, &out->compression, err)
               : FLV_OK;
}

/* A manager that has just started may not have heard of its cluster yet. */
static flv_rc await_look(struct flv_mop *op, struct flv_err *err)
{
    op->looks = true;
    return flv_timer_start(&op->limit, TOPIC_MS_MAX, 0, err);
}

static void ensure_topic(struct flv_mop *op)
{
    struct flv_manager *m = op->m;
    struct flv_err err = {0};
    struct flv_topic_conf topic;
    struct flv_dedup dedup;
    if (!m->looked && await_look(op, &err) == FLV_OK) {
        return;
    }
    if (m->stream == NULL || !m->connected) {
        release_name(op);
        answer(op, 503,
               "no Fluvio cluster answers at %.80s; nothing was changed. Start "
               "one with `fluvio cluster start`",
               flv_manager_cluster(m));
        return;
    }
    flv_rc rc = topic_conf(op, &topic, &dedup, &err);
    if (rc == FLV_OK) {
        rc = flv_timer_start(&op->limit, TOPIC_MS_MAX, 0, &err);
    }
    if (rc == FLV_OK) {
        op->waiting = true;
        rc = flv_stream_topic_ensure(m->stream, &topic, on_topic, op, &err);
    }
    if (rc != FLV_OK) {
        op->waiting = false;
        release_name(op);
        answer_err(op, &err);
    }
}

void flv__mops_looked(struct flv_manager *m)
{
    for (struct flv_mop *op = m->ops; op != NULL; op = op->next) {
        if (op->looks && op->status == 0) {
            op->looks = false;
            ensure_topic(op);
        }
    }
}

/* ---- The file ---------------------------------------------------------- */

static void refused(struct flv_mop *op)
{
    struct flv_report *r = &op->checked.report;
    flv_report_sort(r);
    for (size_t i = 0; i < r->count; i++) {
        if (r->list[i].severity == FLV_SEVERITY_ERROR) {
            answer(op, 400, "%u:%u: %.240s", r->list[i].line, r->list[i].col,
                   r->list[i].text);
            return;
        }
    }
    answer(op, 400, "the file has mistakes");
}

static bool other_of_that_name(const struct flv_mop *op)
{
    for (const struct flv_mop *o = op->m->ops; o != NULL; o = o->next) {
        if (o != op && o->status == 0 && o->decided &&
            strcmp(o->name, op->name) == 0) {
            return true;
        }
    }
    return false;
}

/* The file is right: what does it mean for what is there? */
static void decide(struct flv_mop *op)
{
    struct flv_manager *m = op->m;
    struct flv_mconn *c = flv_manager_find(m, op->name);
    if (op->how == FLV_MPUT_CHECK) {
        answer(op, 200, "%s", "");
    } else if (c != NULL && op->how == FLV_MPUT_CREATE) {
        answer(op, 409, "Connector already exists");
    } else if (c == NULL && op->how == FLV_MPUT_UPDATE) {
        answer(op, 404, "Connector not found");
    } else if (c != NULL && c->removing) {
        answer(op, 409, "the connector is being deleted; try again");
    } else if ((c != NULL && c->changing) || other_of_that_name(op)) {
        answer(op, 409, "another change of the connector is under way");
    } else if (c != NULL && c->file_len == op->file_len &&
               memcmp(c->file, op->file, op->file_len) == 0) {
        op->word = "unchanged";
        answer(op, 200, "%s", "");
    } else if (c == NULL && m->count >= FLV_CONNECTORS_MAX) {
        answer(op, 507, "a manager has at most %d connectors",
               FLV_CONNECTORS_MAX);
    } else {
        if (c != NULL) {
            hold(op, c);
        }
        op->decided = true;
        ensure_topic(op);
    }
}

/* The program itself has looked at the file. */
static void on_asked(void *arg, enum flv_ask_outcome outcome, const char *text)
{
    struct flv_mop *op = arg;
    op->waiting = false;
    if (op->status != 0) {
        flv_loop_defer(op->m->conf.loop, &op->later);
        return;
    }
    if (outcome == FLV_ASK_WRONG) {
        flv_check_add_program(&op->checked, FLV_ASK_PATH, text);
        refused(op);
    } else if (outcome == FLV_ASK_BROKEN) {
        answer(op, 500, "the program of \"%.60s\" fails: %.160s", op->is.type,
               text);
    } else {
        decide(op);
    }
}

static void ask_program(struct flv_mop *op, struct flv_secrets *secrets)
{
    const struct flv_cat_entry *type =
        flv_catalogue_find(op->m->catalogue, op->is.type);
    struct flv_err err = {0};
    assert(type != NULL);
    op->waiting = true;
    const struct flv_question question = {
        .file = flv_slice(op->file, op->file_len),
        .secrets = flv_buf_slice(&secrets->used)};
    flv_rc rc = flv_ask(op->m->conf.loop, type, &question, on_asked, op, &err);
    if (rc == FLV_OK) {
        return;
    }
    op->waiting = false;
    if (rc == FLV_E_UNSUPPORTED) {
        decide(op);
    } else {
        answer_err(op, &err);
    }
}

static void refuse_hidden(struct flv_checked *c,
                          const char *value,
                          const struct flv_node *node,
                          const char *name)
{
    if (value != NULL && strcmp(value, FLV_REDACTED) == 0) {
        flv_report_addf(&c->report, FLV_SEVERITY_ERROR, node, NULL, NULL,
                        "the value of %.60s is hidden here; write it again, or "
                        "use ${{ secrets.NAME }}",
                        name);
    }
}

/* A file that was read from here, with its secrets hidden, and comes back. */
static void refuse_all_hidden(struct flv_checked *c)
{
    const struct flv_node *root =
        c->file.doc != NULL ? flv_doc_root(c->file.doc) : NULL;
    for (size_t i = 0; i < c->file.secret_count; i++) {
        refuse_hidden(c, c->file.secrets[i].value,
                      flv_node_get(root, "secrets"), c->file.secrets[i].name);
    }
    for (size_t i = 0; i < c->file.setting_count; i++) {
        const struct flv_setting *s = &c->file.settings[i];
        refuse_hidden(c, s->value, s->node, s->key);
    }
}

static void judge(struct flv_mop *op, struct flv_secrets *secrets)
{
    struct flv_checked *c = &op->checked;
    refuse_all_hidden(c);
    if (c->report.errors > 0) {
        refused(op);
        return;
    }
    flv__summary_of(&c->file, &op->is);
    op->create_topic = c->file.create_topic;
    if (op->named && strcmp(op->name, op->is.name) != 0) {
        answer(op, 400, "the file is of \"%.63s\", not of \"%.63s\"",
               op->is.name, op->name);
        return;
    }
    memcpy(op->name, op->is.name, sizeof(op->name));
    ask_program(op, secrets);
}

static void check_file(struct flv_mop *op)
{
    struct flv_secrets secrets;
    struct flv_err err = {0};
    flv_rc rc = flv__manager_secrets(op->m, &secrets, &err);
    if (rc == FLV_OK) {
        struct flv_check_conf conf = {
            .secret = flv__secrets_use,
            .secret_arg = &secrets,
            .secret_help = "set it with `fluvio secret set NAME`"};
        flv_catalogue_check(op->m->catalogue, &conf);
        op->has_checked = true;
        rc = flv_check_text(&op->checked, flv_slice(op->file, op->file_len),
                            &conf, &err);
    }
    if (rc != FLV_OK) {
        answer_err(op, &err);
    } else {
        judge(op, &secrets);
    }
    flv__secrets_deinit(&secrets);
}

/* ---- The catalogue before it ------------------------------------------- */

static void on_refreshed(void *arg)
{
    struct flv_manager *m = arg;
    struct flv_mop *todo[FLV_MOPS_MAX];
    size_t count = 0;
    m->refreshing = false;
    for (struct flv_mop *op = m->ops; op != NULL; op = op->next) {
        if (op->kind == FLV_MOP_LOOK && op->status == 0) {
            answer(op, 200, "%s", "");
        }
    }
    /* Those that came while it was under way are content with it, too: what
     * they ask about was there before they asked. */
    for (struct flv_mop *op = m->ops; op != NULL; op = op->next) {
        if (op->kind == FLV_MOP_PUT && op->status == 0 && !op->has_checked &&
            !op->waiting) {
            todo[count++] = op;
        }
    }
    while (count > 0) {
        check_file(todo[--count]);
    }
}

static void next_refresh(struct flv_manager *m, bool all)
{
    struct flv_err err = {0};
    if (m->refreshing) {
        return;
    }
    m->refreshing = true;
    if (flv_catalogue_refresh(m->catalogue, m->conf.loop, all, on_refreshed, m,
                              &err) != FLV_OK) {
        /* What is known has to do. */
        flv_log_warn("catalogue", "cannot look again", FLV_KV_ERR(&err));
        on_refreshed(m);
    }
}

void flv_manager_put(struct flv_manager *m,
                     enum flv_mput how,
                     const char *name,
                     struct flv_slice file,
                     flv_mdone done,
                     void *arg)
{
    struct flv_mop *op = mop_create(m, FLV_MOP_PUT, name, done, arg);
    if (op != NULL) {
        op->file = flv_slice_dup(file);
    }
    if (op == NULL || op->file == NULL) {
        if (op != NULL) {
            mop_free(op);
        }
        refuse(done, arg);
        return;
    }
    op->file_len = file.len;
    op->how = how;
    op->named = name != NULL;
    flv_timer_init(&op->limit, m->conf.loop, on_limit);
    if (m->stopping || !m->begun) {
        answer(op, 503, "the manager is %s; try again",
               m->stopping ? "stopping" : "starting");
        return;
    }
    next_refresh(m, false);
}

void flv_manager_look(struct flv_manager *m,
                      bool all,
                      flv_mdone done,
                      void *arg)
{
    struct flv_mop *op = mop_create(m, FLV_MOP_LOOK, NULL, done, arg);
    if (op == NULL) {
        refuse(done, arg);
    } else if (m->stopping || !m->begun) {
        answer(op, 200, "%s", "");
    } else {
        next_refresh(m, all);
    }
}

/* ---- Pause, resume, restart -------------------------------------------- */

static void on_wanted(void *arg, const struct flv_err *err)
{
    struct flv_mop *op = arg;
    struct flv_mconn *c = flv_manager_find(op->m, op->name);
    op->waiting = false;
    if (err != NULL) {
        release_name(op);
        answer_err(op, err);
        return;
    }
    assert(c != NULL);
    bool pause = op->desired == FLV_MDESIRED_PAUSED;
    c->desired = op->desired;
    flv__manager_event(op->m, op->name, pause ? "paused" : "resumed",
                       "on request");
    flv_unit_want(&c->unit, pause ? FLV_UNIT_PAUSE : FLV_UNIT_RUN);
    answer_free(op, 202);
}

/* The connector, when it can be changed now; else the answer is given. */
static struct flv_mconn *to_change(struct flv_mop *op)
{
    struct flv_mconn *c = flv_manager_find(op->m, op->name);
    if (op->m->stopping || !op->m->begun) {
        answer(op, 503, "the manager is %s; try again",
               op->m->stopping ? "stopping" : "starting");
        return NULL;
    }
    if (c == NULL) {
        answer(op, 404, "Connector not found");
        return NULL;
    }
    if (c->removing) {
        answer(op, 409, "the connector is being deleted");
        return NULL;
    }
    if (c->changing) {
        answer(op, 409, "another change of the connector is under way");
        return NULL;
    }
    return c;
}

void flv_manager_want(struct flv_manager *m,
                      const char *name,
                      enum flv_mdesired desired,
                      flv_mdone done,
                      void *arg)
{
    struct flv_mop *op = mop_create(m, FLV_MOP_WANT, name, done, arg);
    if (op == NULL) {
        refuse(done, arg);
        return;
    }
    op->desired = desired;
    struct flv_mconn *c = to_change(op);
    if (c == NULL) {
        return;
    }
    if (c->desired == desired) {
        answer(op, 202, "%s", "");
        return;
    }
    struct flv_mrow row = flv__mconn_row(c);
    row.desired = desired;
    hold(op, c);
    store(op, &row, on_wanted);
}

void flv_manager_renew(struct flv_manager *m,
                       const char *name,
                       flv_mdone done,
                       void *arg)
{
    struct flv_mop *op = mop_create(m, FLV_MOP_RENEW, name, done, arg);
    if (op == NULL) {
        refuse(done, arg);
        return;
    }
    struct flv_mconn *c = to_change(op);
    if (c != NULL) {
        flv__manager_event(m, name, "restarted", "on request");
        flv_unit_renew(&c->unit);
        answer(op, 204, "%s", "");
    }
}

/* ---- Deletion ---------------------------------------------------------- */

static void on_dropped(void *arg, const struct flv_err *err)
{
    struct flv_mop *op = arg;
    struct flv_manager *m = op->m;
    struct flv_mconn *c = flv_manager_find(m, op->name);
    op->waiting = false;
    if (err != NULL) {
        /* Its deletion is stored: the next start of the manager ends it. */
        answer_err(op, err);
        return;
    }
    flv_deploy_children.forget(m->deployer, op->name);
    if (c != NULL) {
        flv__manager_drop(m, c);
    }
    flv__manager_event(m, op->name, "deleted", "its topic stays");
    answer(op, 204, "%s", "");
}

void flv__mop_gone(struct flv_mop *op)
{
    struct flv_err err = {0};
    const struct flv_mchange change = {
        .kind = FLV_MCHANGE_DROP, .row = {.name = flv_slice_str(op->name)}};
    op->waiting = true;
    if (flv_journal_add(op->m->journal, &change, on_dropped, op, &err) !=
        FLV_OK) {
        op->waiting = false;
        answer_err(op, &err);
    }
}

static void on_removing(void *arg, const struct flv_err *err)
{
    struct flv_mop *op = arg;
    struct flv_mconn *c = flv_manager_find(op->m, op->name);
    op->waiting = false;
    if (err != NULL) {
        release_name(op);
        answer_err(op, err);
        return;
    }
    assert(c != NULL);
    c->removing = true;
    if (op->m->stopping) {
        answer(op, 503,
               "the manager is stopping; the deletion is finished "
               "when it is back");
        return;
    }
    c->remover = op;
    op->waiting = true;
    flv_unit_want(&c->unit, FLV_UNIT_STOP);
}

void flv_manager_remove(struct flv_manager *m,
                        const char *name,
                        flv_mdone done,
                        void *arg)
{
    struct flv_mop *op = mop_create(m, FLV_MOP_REMOVE, name, done, arg);
    if (op == NULL) {
        refuse(done, arg);
        return;
    }
    struct flv_mconn *c = to_change(op);
    if (c == NULL) {
        return;
    }
    struct flv_mrow row = flv__mconn_row(c);
    row.removing = true;
    hold(op, c);
    store(op, &row, on_removing);
}

static void nobody_waits(void *arg, const struct flv_mresult *r)
{
    (void)arg;
    (void)r;
}

void flv__manager_finish_removal(struct flv_manager *m, struct flv_mconn *c)
{
    struct flv_mop *op =
        mop_create(m, FLV_MOP_REMOVE, c->is.name, nobody_waits, NULL);
    if (op == NULL) {
        return;
    }
    hold(op, c);
    c->remover = op;
    op->waiting = true;
    c->unit.want = FLV_UNIT_STOP;
    flv_unit_begin(&c->unit, true);
}
