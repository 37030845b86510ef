#include "manager/manager.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/print.h"
#include "manager/manager_priv.h"

#define TARGET "manager"
#define TICK_MS 1000
#define RECONNECT_MS 500
#define CONNECT_WAIT_MS 2000

/* ---- Events ------------------------------------------------------------ */

static struct flv_mevent *event_at(const struct flv_manager *m, size_t i)
{
    return &m->events[(m->event_first + i) % FLV_MEVENTS_MAX];
}

/* One allocation: the three texts, one behind the other. */
static bool keep_event(struct flv_manager *m, const struct flv_mevent *event)
{
    size_t size = event->name.len + event->kind.len + event->text.len;
    uint8_t *texts = flv_alloc(size > 0 ? size : 1);
    if (texts == NULL) {
        return false;
    }
    if (m->event_count == FLV_MEVENTS_MAX) {
        flv_free((void *)(uintptr_t)event_at(m, 0)->name.data);
        m->event_first = (m->event_first + 1) % FLV_MEVENTS_MAX;
        m->event_count--;
    }
    struct flv_mevent *to = event_at(m, m->event_count++);
    *to = *event;
    struct flv_slice *slices[] = {&to->name, &to->kind, &to->text};
    for (size_t i = 0; i < 3; i++) {
        if (slices[i]->len > 0) {
            memcpy(texts, slices[i]->data, slices[i]->len);
        }
        slices[i]->data = texts;
        texts += slices[i]->len;
    }
    return true;
}

static flv_rc
load_event(const struct flv_mevent *event, void *arg, struct flv_err *err)
{
    struct flv_manager *m = arg;
    m->event_next = event->id + 1;
    return keep_event(m, event) ? FLV_OK
                                : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

void flv__manager_event(struct flv_manager *m,
                        const char *name,
                        const char *kind,
                        const char *text)
{
    const struct flv_mchange change = {.kind = FLV_MCHANGE_EVENT,
                                       .event = {.id = m->event_next,
                                                 .time_ms = flv_clock_wall_ms(),
                                                 .name = flv_slice_str(name),
                                                 .kind = flv_slice_str(kind),
                                                 .text = flv_slice_str(text)}};
    flv_log_info(TARGET, kind, FLV_KV_STR("name", name),
                 FLV_KV_STR("text", text));
    if (!keep_event(m, &change.event)) {
        return;
    }
    m->event_next++;
    struct flv_err err = {0};
    if (flv_journal_add(m->journal, &change, NULL, NULL, &err) != FLV_OK) {
        flv_log_warn(TARGET, "an event is only in memory", FLV_KV_ERR(&err));
    }
}

void flv_manager_events(const struct flv_manager *m,
                        const char *name,
                        uint64_t after,
                        size_t limit,
                        void (*fn)(void *arg, const struct flv_mevent *event),
                        void *arg)
{
    size_t from = m->event_count, found = 0;
    while (from > 0 && found < limit) {
        const struct flv_mevent *e = event_at(m, from - 1);
        if (e->id <= after) {
            break;
        }
        from--;
        found += name == NULL || flv_slice_eq_str(e->name, name);
    }
    for (size_t i = from; i < m->event_count; i++) {
        const struct flv_mevent *e = event_at(m, i);
        if (name == NULL || flv_slice_eq_str(e->name, name)) {
            fn(arg, e);
        }
    }
}

/* ---- Connectors -------------------------------------------------------- */

struct flv_mrow flv__mconn_row(const struct flv_mconn *c)
{
    return (struct flv_mrow){
        .name = flv_slice_str(c->is.name),
        .file = flv_slice(c->file, c->file_len),
        .desired = c->desired,
        .removing = c->removing,
        .generation = c->generation,
        .created_ms = c->created_ms,
        .updated_ms = c->updated_ms,
        .over = c->over,
        .over_ms = c->over != FLV_MOVER_NO ? c->unit.since_ms : 0,
        .cause = flv_slice_str(c->unit.cause),
    };
}

void flv__summary_of(const struct flv_cfile *f, struct flv_msummary *out)
{
    *out = (struct flv_msummary){
        .direction = f->direction,
        .restart = f->restart,
        .memory_bytes_max = f->memory_bytes_max,
        .files_max = f->files_max,
    };
    (void)snprintf(out->name, sizeof(out->name), "%s",
                   f->name != NULL ? f->name : "");
    (void)snprintf(out->type, sizeof(out->type), "%s",
                   f->type != NULL ? f->type : "");
    (void)snprintf(out->topic, sizeof(out->topic), "%s",
                   f->topic.name != NULL ? f->topic.name : "");
    (void)snprintf(out->version, sizeof(out->version), "%s",
                   f->version != NULL ? f->version : "");
}

flv_rc flv__manager_secrets(const struct flv_manager *m,
                            struct flv_secrets *out,
                            struct flv_err *err)
{
    struct flv_err why = {0};
    flv__secrets_init(out);
    flv_rc rc = flv__secrets_read(out, m->secrets_path, &why);
    if (rc != FLV_OK && rc != FLV_E_NOT_FOUND) {
        *err = why;
        return rc;
    }
    return FLV_OK;
}

/* The values that the file names, as they are now. */
static flv_rc secrets_of(struct flv_mconn *c,
                         const struct flv_descriptor *d,
                         struct flv_err *err)
{
    struct flv_secrets secrets;
    struct flv_cfile file;
    flv_rc rc = flv__manager_secrets(c->m, &secrets, err);
    if (rc == FLV_OK) {
        const struct flv_cfile_conf conf = {
            .section = d != NULL ? d->section : NULL,
            .secret = flv__secrets_use,
            .secret_arg = &secrets,
            .secret_help = "set it with `fluvio secret set NAME`"};
        rc = flv_cfile_parse(&file, c->is.name, flv_slice(c->file, c->file_len),
                             &conf, err);
        flv_cfile_deinit(&file);
    }
    if (rc == FLV_OK && secrets.used.len > 0 &&
        (d == NULL || (d->features & FLV_FEATURE_SECRETS) == 0)) {
        rc = flv_fail(err, FLV_E_UNSUPPORTED,
                      "the file names secrets, and the program of \"%.60s\" "
                      "that is installed now takes none",
                      c->is.type);
    }
    if (rc == FLV_OK) {
        flv_buf_deinit(&c->secrets);
        c->secrets = secrets.used;
        flv_buf_init(&secrets.used, 1);
    }
    flv__secrets_deinit(&secrets);
    return rc;
}

/* What a start needs: the program that is installed now, the secrets as they
 * are now. */
static flv_rc
unit_spec(void *arg, struct flv_deploy_spec *out, struct flv_err *err)
{
    struct flv_mconn *c = arg;
    const struct flv_manager_conf *conf = &c->m->conf;
    const struct flv_cat_entry *type =
        flv_catalogue_find(c->m->catalogue, c->is.type);
    if (type == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "the program fluvio-connect-%.60s is not installed",
                        c->is.type);
    }
    const struct flv_descriptor *d =
        type->problem[0] == '\0' ? &type->descriptor : NULL;
    flv_rc rc = secrets_of(c, d, err);
    if (rc == FLV_OK) {
        out->program = type->path;
        out->control = d != NULL && d->control > 0;
        out->file = flv_slice(c->file, c->file_len);
        out->secrets = flv_buf_slice(&c->secrets);
        out->memory_bytes_max = c->is.memory_bytes_max > 0
                                    ? c->is.memory_bytes_max
                                    : conf->memory_bytes_max;
        out->files_max =
            c->is.files_max > 0 ? c->is.files_max : conf->files_max;
    }
    return rc;
}

static void unit_event(void *arg, const char *kind, const char *text)
{
    struct flv_mconn *c = arg;
    flv__manager_event(c->m, c->is.name, kind, text);
}

/* How it is over has to outlive us, or a finite source would run twice. While
 * an operation is under way the row on its way to the disk is newer than ours:
 * it is not overwritten, and this comes again at its end. */
void flv__mconn_note_over(struct flv_mconn *c)
{
    enum flv_mover over = c->unit.phase != FLV_UNIT_OVER ? FLV_MOVER_NO
                          : c->unit.failed               ? FLV_MOVER_FAILED
                                                         : FLV_MOVER_COMPLETED;
    if (over == c->over || c->removing || c->changing) {
        return;
    }
    c->over = over;
    const struct flv_mchange change = {.kind = FLV_MCHANGE_PUT,
                                       .row = flv__mconn_row(c)};
    struct flv_err err = {0};
    if (flv_journal_add(c->m->journal, &change, NULL, NULL, &err) != FLV_OK) {
        flv_log_error(TARGET, "a state is only in memory",
                      FLV_KV_STR("name", c->is.name), FLV_KV_ERR(&err));
    }
}

static void unit_changed(void *arg)
{
    struct flv_mconn *c = arg;
    if (c->secrets.len > 0) {
        explicit_bzero(c->secrets.data, c->secrets.len);
        flv_buf_deinit(&c->secrets);
    }
    flv__mconn_note_over(c);
}

static void run_stopped(struct flv_task *task)
{
    struct flv_manager *m = FLV_OWNER_OF(task, struct flv_manager, stop_task);
    m->stopped(m->stopped_arg);
}

static void count_stopped(struct flv_manager *m)
{
    assert(m->stop_left > 0);
    if (--m->stop_left == 0) {
        flv_loop_defer(m->conf.loop, &m->stop_task);
    }
}

static void unit_stopped(void *arg)
{
    struct flv_mconn *c = arg;
    struct flv_manager *m = c->m;
    bool counts = m->stopping;
    if (c->remover != NULL) {
        struct flv_mop *op = c->remover;
        c->remover = NULL;
        flv__mop_gone(op);
    }
    if (counts) {
        count_stopped(m);
    }
}

struct flv_mconn *flv__mconn_create(struct flv_manager *m,
                                    const struct flv_msummary *is,
                                    char *file,
                                    size_t file_len)
{
    struct flv_mconn *c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->m = m;
    c->is = *is;
    c->file = file;
    c->file_len = file_len;
    c->generation = 1;
    c->created_ms = c->updated_ms = flv_clock_wall_ms();
    const struct flv_unit_conf conf = {
        .loop = m->conf.loop,
        .ops = &flv_deploy_children,
        .deployer = m->deployer,
        .times = &m->conf.times,
        .name = c->is.name,
        .spec = unit_spec,
        .event = unit_event,
        .changed = unit_changed,
        .stopped = unit_stopped,
        .arg = c,
    };
    flv_unit_init(&c->unit, &conf);
    c->unit.restart = is->restart;
    return c;
}

void flv__mconn_take_file(struct flv_mconn *c,
                          const struct flv_msummary *is,
                          char *file,
                          size_t file_len)
{
    assert(strcmp(c->is.name, is->name) == 0);
    flv_free(c->file);
    c->is = *is;
    c->file = file;
    c->file_len = file_len;
    c->unit.restart = is->restart;
}

void flv__mconn_free(struct flv_mconn *c)
{
    if (c != NULL) {
        flv_unit_deinit(&c->unit);
        flv_buf_deinit(&c->secrets);
        flv_free(c->file);
        flv_free(c);
    }
}

static size_t place_of(const struct flv_manager *m, const char *name)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(m->list[mid]->is.name, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

flv_rc flv__manager_insert(struct flv_manager *m, struct flv_mconn *c)
{
    size_t at = place_of(m, c->is.name);
    if (m->count == FLV_CONNECTORS_MAX) {
        return FLV_E_LIMIT;
    }
    memmove(&m->list[at + 1], &m->list[at],
            (m->count - at) * sizeof(struct flv_mconn *));
    m->list[at] = c;
    m->count++;
    return FLV_OK;
}

void flv__manager_drop(struct flv_manager *m, struct flv_mconn *c)
{
    size_t at = place_of(m, c->is.name);
    assert(at < m->count && m->list[at] == c);
    memmove(&m->list[at], &m->list[at + 1],
            (m->count - at - 1) * sizeof(struct flv_mconn *));
    m->count--;
    flv__mconn_free(c);
}

size_t flv_manager_count(const struct flv_manager *m)
{
    return m->count;
}

struct flv_mconn *flv_manager_at(const struct flv_manager *m, size_t i)
{
    assert(i < m->count);
    return m->list[i];
}

struct flv_mconn *flv_manager_find(const struct flv_manager *m,
                                   const char *name)
{
    size_t at = place_of(m, name);
    return at < m->count && strcmp(m->list[at]->is.name, name) == 0
               ? m->list[at]
               : NULL;
}

struct flv_catalogue *flv_manager_catalogue(const struct flv_manager *m)
{
    return m->catalogue;
}

const struct flv_logs *flv_manager_logs(const struct flv_manager *m)
{
    return &m->logs;
}

const char *flv_manager_cluster(const struct flv_manager *m)
{
    return m->stream != NULL         ? flv_stream_address(m->stream)
           : m->conf.cluster != NULL ? m->conf.cluster
                                     : "";
}

bool flv_manager_connected(const struct flv_manager *m)
{
    return m->connected && !m->lost;
}

/* ---- The settings of a file -------------------------------------------- */

static const char *hidden(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return "***";
}

static const struct flv_descriptor *type_of(const struct flv_mconn *c)
{
    const struct flv_cat_entry *type =
        flv_catalogue_find(c->m->catalogue, c->is.type);
    return type != NULL && type->problem[0] == '\0' ? &type->descriptor : NULL;
}

flv_rc flv_manager_file_shown(const struct flv_mconn *c,
                              struct flv_buf *out,
                              struct flv_err *err)
{
    const struct flv_descriptor *d = type_of(c);
    const struct flv_cfile_conf conf = {
        .section = d != NULL ? d->section : NULL, .secrets_open = true};
    struct flv_cfile file;
    flv_rc rc = flv_cfile_parse(&file, c->is.name,
                                flv_slice(c->file, c->file_len), &conf, err);
    if (rc == FLV_OK) {
        rc = flv_cfile_print(&file, d != NULL ? d->opts : NULL, out);
    }
    flv_cfile_deinit(&file);
    return rc;
}

flv_rc flv_manager_settings_of(const struct flv_mconn *c,
                               void (*fn)(void *arg,
                                          const char *key,
                                          const char *value),
                               void *arg,
                               struct flv_err *err)
{
    const struct flv_descriptor *d = type_of(c);
    const struct flv_cfile_conf conf = {
        .section = d != NULL ? d->section : NULL, .secret = hidden};
    struct flv_cfile file;
    flv_rc rc = flv_cfile_parse(&file, c->is.name,
                                flv_slice(c->file, c->file_len), &conf, err);
    for (size_t i = 0; rc == FLV_OK && i < file.setting_count; i++) {
        const struct flv_setting *s = &file.settings[i];
        const struct flv_opt *opt =
            d != NULL ? flv_opt_find(d->opts, s->key) : NULL;
        /* What is not known may be secret. */
        bool secret =
            s->secret || opt == NULL || (opt->flags & FLV_OPT_SECRET) != 0;
        fn(arg, opt != NULL ? opt->name : s->key, secret ? "***" : s->value);
    }
    flv_cfile_deinit(&file);
    return rc;
}

/* ---- The cluster ------------------------------------------------------- */

static void connect_stream(struct flv_manager *m);

static void on_connected(void *user, const struct flv_err *err)
{
    struct flv_manager *m = user;
    m->looked = true;
    m->connected = err == NULL;
    if (m->stopping) {
        return;
    }
    flv__mops_looked(m);
    if (err == NULL) {
        flv_log_info(TARGET, "the cluster answers",
                     FLV_KV_STR("cluster", flv_stream_address(m->stream)));
        return;
    }
    (void)!flv_timer_start(&m->reconnect, RECONNECT_MS, 0, NULL);
}

static void on_link(void *user, const struct flv_err *err)
{
    struct flv_manager *m = user;
    m->lost = err != NULL;
}

static void connect_stream(struct flv_manager *m)
{
    struct flv_err err = {0};
    const struct flv_stream_conf conf = {.address = m->conf.cluster,
                                         .client_id = "fluvio_manager",
                                         .link = on_link,
                                         .user = m};
    flv_rc rc = FLV_OK;
    if (m->stream == NULL) {
        rc = flv_stream_create(&m->stream, m->conf.loop, &conf, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_stream_connect(m->stream, CONNECT_WAIT_MS, on_connected, m,
                                &err);
    }
    if (rc != FLV_OK) {
        m->looked = true;
        (void)!flv_timer_start(&m->reconnect, RECONNECT_MS, 0, NULL);
    }
}

static void on_reconnect(struct flv_timer *t)
{
    connect_stream(FLV_OWNER_OF(t, struct flv_manager, reconnect));
}

/* ---- Logs -------------------------------------------------------------- */

static void on_tick(struct flv_timer *t)
{
    struct flv_manager *m = FLV_OWNER_OF(t, struct flv_manager, tick);
    for (size_t i = 0; i < m->count; i++) {
        struct flv_unit *u = &m->list[i]->unit;
        if (u->proc == NULL) {
            continue;
        }
        enum flv_rotate r =
            flv_logs_rotate(&m->logs, u->conf.name, !u->control);
        if (r == FLV_ROTATE_REOPEN) {
            (void)u->conf.ops->command(u->proc, FLV_DEPLOY_REOPEN_LOG);
        }
    }
}

/* ---- Beginning --------------------------------------------------------- */

static flv_rc
load_row(const struct flv_mrow *row, void *arg, struct flv_err *err)
{
    struct flv_manager *m = arg;
    struct flv_msummary is = {.restart = FLV_CFILE_ON_FAILURE};
    if (row->name.len == 0 || row->name.len >= sizeof(is.name)) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "a name in manager.db has %zu bytes", row->name.len);
    }
    memcpy(is.name, row->name.data, row->name.len);
    char *file = flv_slice_dup(row->file);
    struct flv_mconn *c =
        file != NULL ? flv__mconn_create(m, &is, file, row->file.len) : NULL;
    if (c == NULL || flv__manager_insert(m, c) != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    c->desired = row->desired;
    c->removing = row->removing;
    c->generation = row->generation;
    c->created_ms = row->created_ms;
    c->updated_ms = row->updated_ms;
    c->over = row->over;
    if (row->over != FLV_MOVER_NO) {
        c->unit.phase = FLV_UNIT_OVER;
        c->unit.failed = row->over == FLV_MOVER_FAILED;
        c->unit.shown = flv_unit_state(&c->unit);
        c->unit.since_ms = row->over_ms;
        (void)snprintf(c->unit.cause, sizeof(c->unit.cause), "%.*s",
                       (int)row->cause.len, (const char *)row->cause.data);
    }
    return FLV_OK;
}

/* The file was checked when it was stored: what it says now is only read. */
static void read_summary(struct flv_mconn *c)
{
    struct flv_cfile file;
    struct flv_err err = {0};
    char name[FLV_NAME_MAX];
    const struct flv_cfile_conf conf = {.secret = hidden};
    memcpy(name, c->is.name, sizeof(name));
    if (flv_cfile_parse(&file, c->is.name, flv_slice(c->file, c->file_len),
                        &conf, &err) == FLV_OK) {
        flv__summary_of(&file, &c->is);
        memcpy(c->is.name, name, sizeof(name));
        c->unit.restart = c->is.restart;
    } else {
        flv_log_error(TARGET, "a stored file cannot be read",
                      FLV_KV_STR("name", name), FLV_KV_ERR(&err));
    }
    flv_cfile_deinit(&file);
}

static void begin_one(struct flv_manager *m, struct flv_mconn *c)
{
    const struct flv_cat_entry *type =
        flv_catalogue_find(m->catalogue, c->is.type);
    bool control = type == NULL || type->problem[0] != '\0' ||
                   type->descriptor.control > 0;
    if (c->removing) {
        flv__manager_finish_removal(m, c);
        return;
    }
    c->unit.want =
        c->desired == FLV_MDESIRED_PAUSED ? FLV_UNIT_PAUSE : FLV_UNIT_RUN;
    flv_unit_begin(&c->unit, control);
}

static void on_catalogue(void *arg)
{
    struct flv_manager *m = arg;
    m->refreshing = false;
    if (m->stopping) {
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        read_summary(m->list[i]);
    }
    /* A removal takes its connector out of the list at last. */
    for (size_t i = m->count; i > 0; i--) {
        begin_one(m, m->list[i - 1]);
    }
    m->begun = true;
    m->ready(m->ready_arg);
}

static flv_rc open_parts(struct flv_manager *m, struct flv_err *err)
{
    char path[PATH_MAX];
    const struct flv_child_conf child = {
        .loop = m->conf.loop, .dir = m->conf.dir, .cluster = m->conf.cluster};
    const struct flv_catalogue_conf catalogue = {.folders = m->conf.path};
    (void)snprintf(path, sizeof(path), "%s/manager.db", m->conf.dir);
    flv_rc rc = flv_mstore_create(&m->store, path, err);
    if (rc == FLV_OK) {
        rc = flv_children_create(&m->deployer, &child, err);
    }
    if (rc == FLV_OK) {
        rc = flv_catalogue_create(&m->catalogue, &catalogue, err);
    }
    if (rc == FLV_OK) {
        rc = flv_mstore_each_event(m->store, load_event, m, err);
    }
    if (rc == FLV_OK) {
        rc = flv_mstore_each_row(m->store, load_row, m, err);
    }
    if (rc == FLV_OK) {
        rc = flv_journal_create(&m->journal, m->conf.loop, m->store, err);
    }
    if (rc == FLV_OK) {
        rc = flv_timer_start(&m->tick, TICK_MS, TICK_MS, err);
    }
    return rc;
}

flv_rc flv_manager_create(struct flv_manager **out,
                          const struct flv_manager_conf *conf,
                          void (*ready)(void *arg),
                          void *arg,
                          struct flv_err *err)
{
    struct flv_manager *m = flv_zalloc(1, sizeof(*m));
    if (m != NULL) {
        m->list =
            flv_zalloc(FLV_CONNECTORS_MAX + 1, sizeof(struct flv_mconn *));
        m->events = flv_zalloc(FLV_MEVENTS_MAX, sizeof(m->events[0]));
    }
    if (m == NULL || m->list == NULL || m->events == NULL) {
        flv_manager_destroy(m);
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    m->conf = *conf;
    m->event_next = 1;
    m->ready = ready;
    m->ready_arg = arg;
    (void)snprintf(m->logs_dir, sizeof(m->logs_dir), "%s/log", conf->dir);
    (void)snprintf(m->secrets_path, sizeof(m->secrets_path), "%s/secrets",
                   conf->dir);
    m->logs = (struct flv_logs){.dir = m->logs_dir,
                                .bytes_max = conf->log_bytes_max,
                                .files_max = conf->log_files_max};
    flv_timer_init(&m->reconnect, conf->loop, on_reconnect);
    flv_timer_init(&m->tick, conf->loop, on_tick);
    flv_task_init(&m->stop_task, run_stopped);
    flv_rc rc = open_parts(m, err);
    if (rc == FLV_OK) {
        m->refreshing = true;
        rc = flv_catalogue_refresh(m->catalogue, conf->loop, true, on_catalogue,
                                   m, err);
    }
    if (rc != FLV_OK) {
        flv_manager_destroy(m);
        return rc;
    }
    connect_stream(m);
    *out = m;
    return FLV_OK;
}

/* ---- Ending ------------------------------------------------------------ */

void flv_manager_stop(struct flv_manager *m,
                      void (*stopped)(void *arg),
                      void *arg)
{
    assert(!m->stopping);
    m->stopping = true;
    m->stopped = stopped;
    m->stopped_arg = arg;
    m->stop_left = 1; /* ourselves, until all were asked */
    flv_timer_stop(&m->reconnect);
    for (size_t i = m->count; i > 0; i--) {
        struct flv_mconn *c = m->list[i - 1];
        if (c->removing) {
            /* Asked already: it counts when no process of it lives. */
            m->stop_left += c->remover != NULL;
            continue;
        }
        m->stop_left++;
        flv_unit_want(&c->unit, FLV_UNIT_STOP);
    }
    flv__mops_end(m);
    count_stopped(m);
}

static void stream_gone(void *arg)
{
    *(bool *)arg = true;
}

static void close_stream(struct flv_manager *m)
{
    bool gone = false;
    if (m->stream == NULL) {
        return;
    }
    flv_stream_close(m->stream, stream_gone, &gone);
    while (!gone) {
        (void)flv_loop_turn(m->conf.loop, true);
    }
    m->stream = NULL;
}

void flv_manager_destroy(struct flv_manager *m)
{
    if (m == NULL) {
        return;
    }
    m->stopping = true;
    flv_timer_stop(&m->tick);
    flv_timer_stop(&m->reconnect);
    flv__mops_end(m);
    close_stream(m);
    while (m->refreshing) {
        (void)flv_loop_turn(m->conf.loop, true);
    }
    flv_journal_destroy(m->journal);
    while (m->ops != NULL) {
        (void)flv_loop_turn(m->conf.loop, true);
    }
    flv_loop_undefer(m->conf.loop, &m->stop_task);
    for (size_t i = 0; i < m->count; i++) {
        flv__mconn_free(m->list[i]);
    }
    flv_catalogue_destroy(m->catalogue);
    flv_children_destroy(m->deployer);
    flv_mstore_destroy(m->store);
    for (size_t i = 0; i < m->event_count; i++) {
        flv_free((void *)(uintptr_t)event_at(m, i)->name.data);
    }
    flv_free(m->events);
    flv_free(m->list);
    flv_free(m);
}
