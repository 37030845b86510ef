#include "connector/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/lines.h"
#include "loop/watch.h"

#define TARGET "control"
#define STATUS_BYTES_MAX ((size_t)12 * 1024)
#define MODULE_SHOWN_MAX 60
#define PENDING_BYTES_MAX ((size_t)64 * 1024)
#define TICK_MS 1000

/* ---- What is said ------------------------------------------------------ */

const char *flv__control_word(const struct flv_control *c)
{
    bool trouble = c->stream.on || c->link.on || c->source.on;
    switch (c->phase) {
    case FLV_CONTROL_STARTING:
        /* A sink asks its far side before it begins. */
        return trouble ? "retrying" : "starting";
    case FLV_CONTROL_PAUSED:
        return "paused";
    case FLV_CONTROL_DRAINING:
        return "draining";
    case FLV_CONTROL_UP:
        break;
    }
    if (trouble) {
        return "retrying";
    }
    if (c->stall.rc != FLV_OK) {
        return "stalled";
    }
    /* A source that says nothing is believed when its records are safe. */
    return c->source_well || c->told.pipeline.acked > 0 ? "running"
                                                        : "starting";
}

static const struct flv_trouble *trouble_of(const struct flv_control *c)
{
    static const struct flv_trouble none;
    return c->link.on     ? &c->link
           : c->stream.on ? &c->stream
           : c->source.on ? &c->source
                          : &none;
}

static const char *cause_of(const struct flv_control *c)
{
    const struct flv_trouble *t = trouble_of(c);
    return t->on ? t->cause.text : c->stall.rc != FLV_OK ? c->stall.text : "";
}

static void add(flv_rc *rc, flv_rc next)
{
    *rc = *rc == FLV_OK ? next : *rc;
}

static void add_counts(const struct flv_connector *type,
                       const struct flv_control_counts *n,
                       struct flv_buf *b,
                       flv_rc *rc)
{
    const struct flv_pipeline_counts *p = &n->pipeline;
    add(rc, flv_buf_addf(b,
                         ",\"counters\":{\"in\":%" PRIu64 ",\"passed\":%" PRIu64
                         ",\"filtered\":%" PRIu64 ",\"failed\":%" PRIu64
                         ",\"out\":%" PRIu64 ",\"acked\":%" PRIu64
                         ",\"discarded\":%" PRIu64 ",\"dead_lettered\":%" PRIu64
                         "},\"own\":{",
                         p->stages.in, p->stages.passed, p->stages.filtered,
                         p->stages.failed, p->out, p->acked,
                         p->stages.discarded, p->dead_lettered));
    const char *const *names = type->counters;
    for (unsigned i = 0; names != NULL && names[i] != NULL; i++) {
        assert(i < FLV_COUNTERS_MAX);
        add(rc, flv_buf_add_str(b, i > 0 ? "," : ""));
        add(rc, flv_text_json_str(b, names[i]));
        add(rc, flv_buf_addf(b, ":%" PRIu64, n->own[i]));
    }
    add(rc, flv_buf_add_str(b, "}"));
}

/* "stages":[{"name":"protocol","in":5,...},...] */
static void
add_stages(const struct flv_control_counts *n, struct flv_buf *b, flv_rc *rc)
{
    add(rc, flv_buf_add_str(b, ",\"stages\":["));
    for (size_t i = 0; i < n->stage_count; i++) {
        const struct flv_control_stage *s = &n->stages[i];
        add(rc,
            flv_buf_addf(b, "%s{\"name\":\"%s\"", i > 0 ? "," : "", s->name));
        if (s->module != NULL) {
            char module[MODULE_SHOWN_MAX + 1];
            (void)snprintf(module, sizeof(module), "%s", s->module);
            add(rc, flv_buf_add_str(b, ",\"module\":"));
            add(rc, flv_text_json_str(b, module));
        }
        add(rc,
            flv_buf_addf(b,
                         ",\"in\":%" PRIu64 ",\"passed\":%" PRIu64
                         ",\"filtered\":%" PRIu64 ",\"failed\":%" PRIu64 "}",
                         s->n.in, s->n.passed, s->n.filtered, s->n.failed));
    }
    add(rc, flv_buf_add_str(b, "]"));
}

flv_rc flv__control_status(const struct flv_control *c, struct flv_buf *out)
{
    const struct flv_trouble *t = trouble_of(c);
    flv_rc rc = FLV_OK;
    add(&rc,
        flv_buf_addf(out, "{\"control\":%d,\"type\":", FLV_CONTROL_VERSION));
    add(&rc, flv_text_json_str(out, c->conf.type->name));
    add(&rc, flv_buf_add_str(out, ",\"version\":"));
    add(&rc, flv_text_json_str(out, c->conf.type->version));
    add(&rc, flv_buf_addf(out,
                          ",\"pid\":%ld,\"state\":\"%s\",\"since_ms\":%" PRId64
                          ",\"attempt\":%" PRIu32 ",\"next_ms\":%" PRId64
                          ",\"cause\":",
                          (long)getpid(), flv__control_word(c), c->since_ms,
                          t->attempt, t->next_ms));
    add(&rc, flv_text_json_str(out, cause_of(c)));
    add_counts(c->conf.type, &c->told, out, &rc);
    add_stages(&c->told, out, &rc);
    add(&rc, flv_buf_add_str(out, "}\n"));
    return rc;
}

/* ---- Telling ----------------------------------------------------------- */

static void drop_peer(struct flv_control_peer *peer)
{
    flv_lines_close(peer->lines);
    peer->lines = NULL;
}

static bool has_peers(const struct flv_control *c)
{
    for (size_t i = 0; i < FLV_CONTROL_PEERS_MAX; i++) {
        if (c->peers[i].lines != NULL) {
            return true;
        }
    }
    return false;
}

static void refresh(struct flv_control *c)
{
    c->conf.counts(c->conf.arg, &c->told);
    const char *word = flv__control_word(c);
    if (c->word != word) {
        c->word = word;
        c->since_ms = flv_clock_wall_ms();
    }
}

/* peer NULL: to all. */
static void tell(struct flv_control *c, struct flv_control_peer *peer)
{
    struct flv_buf b;
    flv_buf_init(&b, STATUS_BYTES_MAX);
    refresh(c);
    if (flv__control_status(c, &b) == FLV_OK) {
        for (size_t i = 0; i < FLV_CONTROL_PEERS_MAX; i++) {
            struct flv_control_peer *p = &c->peers[i];
            if (p->lines == NULL || (peer != NULL && peer != p)) {
                continue;
            }
            if (flv_lines_send(p->lines, flv_buf_slice(&b), NULL) != FLV_OK) {
                drop_peer(p);
            }
        }
    }
    flv_buf_deinit(&b);
}

static void run_tell(struct flv_task *task)
{
    tell(FLV_OWNER_OF(task, struct flv_control, tell), NULL);
}

/* Counters are told when they moved, the state at once. */
static void on_tick(struct flv_timer *timer)
{
    struct flv_control *c = FLV_OWNER_OF(timer, struct flv_control, tick);
    if (!has_peers(c)) {
        flv_timer_stop(&c->tick);
        return;
    }
    struct flv_control_counts now = {0};
    c->conf.counts(c->conf.arg, &now);
    if (memcmp(&now, &c->told, sizeof(now)) != 0) {
        tell(c, NULL);
    }
}

static void changed(struct flv_control *c)
{
    if (c->conf.loop == NULL) {
        return; /* nobody listens */
    }
    refresh(c);
    flv_loop_defer(c->conf.loop, &c->tell);
}

void flv__control_phase(struct flv_control *c, enum flv_control_phase phase)
{
    c->phase = phase;
    changed(c);
}

static void
note(struct flv_trouble *t, const struct flv_err *err, uint64_t retry_in_ms)
{
    if (err == NULL) {
        *t = (struct flv_trouble){.on = false};
        return;
    }
    if (!t->on) {
        t->on = true;
        t->cause = *err;
    }
    t->attempt++;
    t->next_ms =
        retry_in_ms > 0 ? flv_clock_wall_ms() + (int64_t)retry_in_ms : 0;
}

void flv__control_source(struct flv_control *c,
                         const struct flv_err *err,
                         uint64_t retry_in_ms)
{
    if (err == NULL && c->source_well && !c->source.on) {
        return; /* nothing new */
    }
    c->source_well = c->source_well || err == NULL;
    note(&c->source, err, retry_in_ms);
    changed(c);
}

static void note_cluster(struct flv_control *c,
                         struct flv_trouble *t,
                         const struct flv_err *err)
{
    if (err != NULL || t->on) {
        note(t, err, 0);
        changed(c);
    }
}

void flv__control_stream(struct flv_control *c, const struct flv_err *err)
{
    note_cluster(c, &c->stream, err);
}

void flv__control_link(struct flv_control *c, const struct flv_err *err)
{
    note_cluster(c, &c->link, err);
}

void flv__control_stall(struct flv_control *c, const struct flv_err *err)
{
    if (err == NULL && c->stall.rc == FLV_OK) {
        return;
    }
    c->stall = err != NULL ? *err : (struct flv_err){0};
    changed(c);
}

/* ---- Being told -------------------------------------------------------- */

void flv__control_reopen_log(const struct flv_control *c)
{
    if (c->conf.log_file == NULL) {
        return;
    }
    int fd =
        open(c->conf.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        flv_log_warn(TARGET, "the log file cannot be opened anew",
                     FLV_KV_STR("file", c->conf.log_file),
                     FLV_KV_STR("error", strerror(errno)));
        return;
    }
    (void)fflush(stdout);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
}

/* {"cmd":"WORD"}, blanks where JSON has them; else the empty word. */
static void read_command(struct flv_slice line, char word[16])
{
    char text[FLV_CONTROL_LINE_MAX + 1];
    size_t len = line.len < FLV_CONTROL_LINE_MAX ? line.len : 0;
    int end = -1;
    memcpy(text, line.data, len);
    text[len] = '\0';
    int got = sscanf(text, " { \"cmd\" : \"%15[a-z-]\" } %n", word, &end);
    if (got != 1 || end < 0 || (size_t)end != len) {
        word[0] = '\0';
    }
}

static void obey(struct flv_control_peer *peer, const char *cmd)
{
    struct flv_control *c = peer->control;
    if (strcmp(cmd, "pause") == 0) {
        c->conf.command(c->conf.arg, FLV_CONTROL_PAUSE);
    } else if (strcmp(cmd, "resume") == 0) {
        c->conf.command(c->conf.arg, FLV_CONTROL_RESUME);
    } else if (strcmp(cmd, "drain") == 0) {
        c->conf.command(c->conf.arg, FLV_CONTROL_DRAIN);
    } else if (strcmp(cmd, "reopen-log") == 0) {
        flv__control_reopen_log(c);
    } else if (strcmp(cmd, "status") != 0) {
        static const char text[] =
            "{\"error\":\"send {\\\"cmd\\\":\\\"status\\\"}, pause, resume, "
            "drain or reopen-log\"}\n";
        if (flv_lines_send(peer->lines, flv_slice_str(text), NULL) != FLV_OK) {
            drop_peer(peer);
        }
        return;
    }
    tell(c, peer);
}

void flv__control_line(struct flv_control_peer *peer, struct flv_slice line)
{
    char word[16] = "";
    if (line.len > 0) {
        read_command(line, word);
    }
    obey(peer, word);
}

static void on_line(void *ctx, struct flv_slice line)
{
    flv__control_line(ctx, line);
}

static void on_end(void *ctx, const struct flv_err *err)
{
    (void)err;
    drop_peer(ctx);
}

/* ---- Peers ------------------------------------------------------------- */

static void add_peer(struct flv_control *c, int fd)
{
    struct flv_control_peer *free_place = NULL;
    for (size_t i = 0; i < FLV_CONTROL_PEERS_MAX && free_place == NULL; i++) {
        free_place = c->peers[i].lines == NULL ? &c->peers[i] : NULL;
    }
    const struct flv_lines_conf conf = {
        .fd = fd,
        .line_max = FLV_CONTROL_LINE_MAX,
        .pending_max = PENDING_BYTES_MAX,
        .line = on_line,
        .end = on_end,
        .ctx = free_place,
    };
    if (free_place == NULL || flv_lines_open(&free_place->lines, c->conf.loop,
                                             &conf, NULL) != FLV_OK) {
        (void)close(fd);
        return;
    }
    free_place->control = c;
    if (flv_timer_start(&c->tick, TICK_MS, TICK_MS, NULL) != FLV_OK) {
        flv_log_warn(TARGET, "out of memory: counters are not pushed");
    }
    tell(c, free_place);
}

static void on_ready(void *ctx, unsigned events)
{
    struct flv_control *c = ctx;
    (void)events;
    int fd = accept4(c->conf.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        add_peer(c, fd);
    }
}

flv_rc flv__control_open(struct flv_control *c,
                         const struct flv_control_conf *conf,
                         struct flv_err *err)
{
    *c = (struct flv_control){.conf = *conf, .word = "starting"};
    c->since_ms = flv_clock_wall_ms();
    flv_timer_init(&c->tick, conf->loop, on_tick);
    flv_task_init(&c->tell, run_tell);
    if (conf->fd < 0) {
        return FLV_OK;
    }
    flv_rc rc = flv_watch_open(&c->watch, conf->loop, conf->fd, FLV_WATCH_READ,
                               on_ready, c, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "control-fd %d", conf->fd);
    } else {
        (void)fcntl(conf->fd, F_SETFD, FD_CLOEXEC);
    }
    return rc;
}

void flv__control_close(struct flv_control *c)
{
    if (c->conf.loop == NULL) {
        return;
    }
    for (size_t i = 0; i < FLV_CONTROL_PEERS_MAX; i++) {
        drop_peer(&c->peers[i]);
    }
    flv_timer_stop(&c->tick);
    flv_loop_undefer(c->conf.loop, &c->tell);
    flv_watch_close(c->watch);
    if (c->conf.fd >= 0) {
        (void)close(c->conf.fd);
    }
    *c = (struct flv_control){.conf.fd = -1};
}

/* ---- The exit file ----------------------------------------------------- */

static flv_rc exit_text(const struct flv_control_exit *e, struct flv_buf *b)
{
    static const struct flv_control_counts none;
    flv_rc rc = FLV_OK;
    add(&rc,
        flv_buf_addf(b,
                     "{\"control\":%d,\"pid\":%ld,\"code\":%d,"
                     "\"reason\":\"%s\",\"time_ms\":%" PRId64 ",\"cause\":",
                     FLV_CONTROL_VERSION, (long)getpid(), e->code, e->reason,
                     flv_clock_wall_ms()));
    add(&rc, flv_text_json_str(b, e->cause != NULL ? e->cause->text : ""));
    add_counts(e->type, e->counts != NULL ? e->counts : &none, b, &rc);
    add_stages(e->counts != NULL ? e->counts : &none, b, &rc);
    add(&rc, flv_buf_add_str(b, "}\n"));
    return rc;
}

static bool write_whole(const char *path, const struct flv_buf *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool ok = write(fd, b->data, b->len) == (ssize_t)b->len;
    return close(fd) == 0 && ok;
}

void flv__control_exit(const struct flv_control_exit *e)
{
    if (e->path == NULL) {
        return;
    }
    struct flv_buf b, fresh;
    flv_buf_init(&b, STATUS_BYTES_MAX);
    flv_buf_init(&fresh, 4096);
    const char *name = NULL;
    if (flv_buf_addf(&fresh, "%s.new", e->path) == FLV_OK) {
        name = flv_buf_str(&fresh);
    }
    if (name == NULL || exit_text(e, &b) != FLV_OK || !write_whole(name, &b) ||
        rename(name, e->path) != 0) {
        flv_log_warn(TARGET, "the exit file cannot be written",
                     FLV_KV_STR("file", e->path));
    }
    flv_buf_deinit(&fresh);
    flv_buf_deinit(&b);
}
