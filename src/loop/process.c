#include "loop/process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/field.h"
#include "base/mem.h"
#include "base/text.h"

/* What the group may still print after its leader has ended. */
#define GRACE_MS 100
#define CHUNK_BYTES 4096

/* One output of the child. */
struct output {
    uv_pipe_t pipe;
    struct flv_buf text; /* owned */
    struct flv_process *process;
    bool open;
};

/* Alive as long as a handle is: `handles` counts those that are not closed. */
struct flv_process {
    uv_process_t child;
    struct output out, err;
    struct flv_loop *loop; /* borrowed */
    struct flv_timer limit;
    uv_timer_t grace;
    flv_process_done done;
    void *arg;
    struct flv_process_result result;
    size_t handles;
    bool exited;
    bool ended; /* the reason is decided: it was killed */
    char chunk[CHUNK_BYTES];
};

/* --- the end ------------------------------------------------------------- */

static void deliver(struct flv_process *p)
{
    const char *out = flv_buf_str(&p->out.text);
    const char *err = flv_buf_str(&p->err.text);
    p->result.out = out != NULL ? out : "";
    p->result.out_len = out != NULL ? p->out.text.len : 0;
    p->result.err_out = err != NULL ? err : "";
    p->result.err_len = err != NULL ? p->err.text.len : 0;
    p->done(p->arg, &p->result);
    flv_buf_deinit(&p->out.text);
    flv_buf_deinit(&p->err.text);
    flv_free(p);
}

static void handle_closed(uv_handle_t *h)
{
    struct flv_process *p = h->data;
    assert(p->handles > 0);
    if (--p->handles == 0) {
        deliver(p);
    }
}

static void close_output(struct output *o)
{
    if (o->open) {
        o->open = false;
        uv_close((uv_handle_t *)&o->pipe, handle_closed);
    }
}

/* All is over when it has exited and nobody holds its outputs. */
static void look(struct flv_process *p)
{
    if (p->exited && !p->out.open && !p->err.open &&
        !uv_is_closing((uv_handle_t *)&p->grace)) {
        flv_timer_stop(&p->limit);
        uv_close((uv_handle_t *)&p->grace, handle_closed);
    }
}

/* The whole group: a child's children must not keep the pipes open. */
static void kill_group(const struct flv_process *p)
{
    if (p->child.pid > 0) {
        (void)kill(-p->child.pid, SIGKILL);
    }
}

static void end(struct flv_process *p, enum flv_process_end how)
{
    if (!p->ended && !p->exited) {
        p->ended = true;
        p->result.end = how;
        kill_group(p);
    }
}

static void grace_over(uv_timer_t *t)
{
    struct flv_process *p = t->data;
    close_output(&p->out);
    close_output(&p->err);
    look(p);
}

static void on_exit(uv_process_t *child, int64_t status, int sig)
{
    struct flv_process *p = child->data;
    p->exited = true;
    if (!p->ended) {
        p->result.end = sig != 0 ? FLV_PROCESS_SIGNALED : FLV_PROCESS_EXITED;
        p->result.status = sig != 0 ? sig : (int)status;
    }
    kill_group(p);
    uv_close((uv_handle_t *)child, handle_closed);
    (void)uv_timer_start(&p->grace, grace_over, GRACE_MS, 0);
    look(p);
}

static void on_limit(struct flv_timer *t)
{
    end(FLV_OWNER_OF(t, struct flv_process, limit), FLV_PROCESS_TIMEOUT);
}

void flv_process_cancel(struct flv_process *p)
{
    end(p, FLV_PROCESS_CANCELED);
}

/* --- output -------------------------------------------------------------- */

static void give_chunk(uv_handle_t *h, size_t wanted, uv_buf_t *out)
{
    struct flv_process *p = h->data;
    (void)wanted;
    *out = uv_buf_init(p->chunk, sizeof(p->chunk));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct flv_process *p = s->data;
    struct output *o = s == (uv_stream_t *)&p->out.pipe ? &p->out : &p->err;
    if (n < 0) {
        close_output(o);
        look(p);
        return;
    }
    if (n > 0 && !p->ended &&
        flv_buf_add(&o->text, buf->base, (size_t)n) != FLV_OK) {
        end(p, FLV_PROCESS_FLOOD);
    }
}

static void open_output(struct flv_process *p, struct output *o, size_t max)
{
    o->process = p;
    flv_buf_init(&o->text, max);
    (void)uv_pipe_init(flv_loop_uv(p->loop), &o->pipe, 0);
    o->pipe.data = p;
    o->open = true;
    p->handles++;
}

/* --- the start ----------------------------------------------------------- */

static int spawn(struct flv_process *p, const struct flv_process_conf *conf)
{
    uv_stdio_container_t io[3 + FLV_PROCESS_FDS_MAX] = {
        {.flags = UV_IGNORE},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
         .data = {.stream = (uv_stream_t *)&p->out.pipe}},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
         .data = {.stream = (uv_stream_t *)&p->err.pipe}},
    };
    for (size_t i = 0; i < conf->fd_count; i++) {
        io[3 + i].flags = UV_INHERIT_FD;
        io[3 + i].data.fd = conf->fds[i];
    }
    /* execve() takes non-const words and leaves them alone. */
    union {
        const char *const *in;
        char **out;
    } argv = {.in = conf->argv}, env = {.in = conf->env};
    const uv_process_options_t options = {
        .exit_cb = on_exit,
        .file = conf->program,
        .args = argv.out,
        .env = env.out,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)(3 + conf->fd_count),
        .stdio = io,
    };
    p->handles++;
    p->child.data = p;
    return uv_spawn(flv_loop_uv(p->loop), &p->child, &options);
}

/* Nothing was started: the handles go, and no callback comes. */
static void nothing(void *arg, const struct flv_process_result *result)
{
    (void)arg;
    (void)result;
}

static void abandon(struct flv_process *p)
{
    p->done = nothing;
    p->exited = true;
    flv_timer_stop(&p->limit);
    uv_close((uv_handle_t *)&p->child, handle_closed);
    close_output(&p->out);
    close_output(&p->err);
    look(p);
}

flv_rc flv_process_run(struct flv_loop *loop,
                       const struct flv_process_conf *conf,
                       flv_process_done done,
                       void *arg,
                       struct flv_process **out,
                       struct flv_err *err)
{
    assert(conf->fd_count <= FLV_PROCESS_FDS_MAX && conf->timeout_ms > 0);
    struct flv_process *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a process");
    }
    p->loop = loop;
    p->done = done;
    p->arg = arg;
    flv_timer_init(&p->limit, loop, on_limit);
    open_output(p, &p->out, conf->out_bytes_max);
    open_output(p, &p->err, conf->out_bytes_max);
    (void)uv_timer_init(flv_loop_uv(loop), &p->grace);
    p->grace.data = p;
    p->handles++;
    int rc = spawn(p, conf);
    if (rc == 0) {
        rc = uv_read_start((uv_stream_t *)&p->out.pipe, give_chunk, on_read);
    }
    if (rc == 0) {
        rc = uv_read_start((uv_stream_t *)&p->err.pipe, give_chunk, on_read);
    }
    if (rc != 0) {
        kill_group(p);
        abandon(p);
        return flv_fail_sys(err, rc == UV_ENOENT ? FLV_E_NOT_FOUND : FLV_E_IO,
                            -rc, "cannot run %.100s", conf->program);
    }
    if (flv_timer_start(&p->limit, conf->timeout_ms, 0, err) != FLV_OK) {
        end(p, FLV_PROCESS_CANCELED);
    }
    if (out != NULL) {
        *out = p;
    }
    return FLV_OK;
}

void flv_process_say(const struct flv_process_result *result,
                     uint32_t timeout_ms,
                     char *out,
                     size_t size)
{
    char limit[FLV_TEXT_FORMAT_MAX];
    switch (result->end) {
    case FLV_PROCESS_EXITED:
        (void)snprintf(out, size, "ended with code %d", result->status);
        break;
    case FLV_PROCESS_SIGNALED:
        (void)snprintf(out, size, "was ended by signal %d (%s)", result->status,
                       strsignal(result->status));
        break;
    case FLV_PROCESS_TIMEOUT:
        flv_text_format_duration(timeout_ms, limit);
        (void)snprintf(out, size, "did not answer within %s", limit);
        break;
    case FLV_PROCESS_FLOOD:
        (void)snprintf(out, size, "printed more than was asked for");
        break;
    case FLV_PROCESS_CANCELED:
        (void)snprintf(out, size, "was ended before it answered");
        break;
    }
}
