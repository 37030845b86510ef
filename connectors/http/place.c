#include "place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/field.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "loop/loop.h"
#include "loop/pool.h"

#define TARGET "http"
#define FIRST_LINE "fluvio-http-position 1\n"
#define PERIOD_MS 1000

struct http_place {
    char path[PATH_MAX], dir[PATH_MAX];
    char name[PATH_MAX], aside[PATH_MAX + 8]; /* in dir */
    char *endpoint;                           /* owned */
    struct flv_pool *pool;
    struct flv_timer timer; /* armed: a write is not due yet */
    struct flv_work work;
    struct flv_buf next;    /* text to write; empty: none is */
    struct flv_buf writing; /* the worker's while under way */
    bool under_way, closing;
    int failed; /* errno of the last write, or 0 */
};

/* --- reading ---------------------------------------------------------------
 */

static flv_rc
read_file(const char *path, struct flv_buf *b, struct flv_err *err)
{
    char bytes[HTTP_PLACE_BYTES_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return FLV_OK;
    }
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    int why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return flv_fail_sys(err, FLV_E_IO, why, "position-file: cannot read %s",
                            path);
    }
    return n > 0 ? flv_buf_add(b, bytes, (size_t)n)
                 : flv_fail(err, FLV_E_INVALID,
                            "position-file: %s is empty; remove it to begin "
                            "where the far side begins",
                            path);
}

/* One line without its end, off the front of *text. */
static bool take_line(struct flv_slice *text, struct flv_slice *out)
{
    const uint8_t *end =
        text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    if (end == NULL) {
        return false;
    }
    *out = flv_slice(text->data, (size_t)(end - text->data));
    *text = flv_slice(end + 1, text->len - out->len - 1);
    return true;
}

/* *out_id stays NULL where the file is about another endpoint. */
static flv_rc read_text(const struct http_place *p,
                        struct flv_slice text,
                        char **out_id,
                        struct flv_err *err)
{
    size_t first = strlen(FIRST_LINE);
    struct flv_slice endpoint, id;
    bool ours = text.len > first && memcmp(text.data, FIRST_LINE, first) == 0;
    if (ours) {
        text = flv_slice(text.data + first, text.len - first);
    }
    if (!ours || !take_line(&text, &endpoint) || !take_line(&text, &id) ||
        text.len > 0 || memchr(id.data, '\0', id.len) != NULL ||
        memchr(id.data, '\r', id.len) != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "position-file: %s is not a file of positions; name "
                        "another one, or remove it to begin where the far side "
                        "begins",
                        p->path);
    }
    if (!flv_slice_eq_str(endpoint, p->endpoint)) {
        flv_log_warn(TARGET, "position not used: it is of another endpoint",
                     FLV_KV_STR("file", p->path),
                     FLV_KV_SLICE("endpoint", endpoint));
        return FLV_OK;
    }
    *out_id = flv_slice_dup(id);
    return *out_id != NULL ? FLV_OK
                           : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

/* --- writing ---------------------------------------------------------------
 */

/* On the worker. */
static void write_file(struct flv_work *w)
{
    struct http_place *p = FLV_OWNER_OF(w, struct http_place, work);
    int fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        p->failed = errno;
        return;
    }
    const struct flv_file_replace r = {
        .dir_fd = fd, .name = p->name, .aside = p->aside, .durable = true};
    p->failed = flv_file_replace(&r, flv_buf_slice(&p->writing));
    (void)close(fd);
}

static void write_next(struct http_place *p)
{
    if (p->under_way || p->next.len == 0) {
        return;
    }
    struct flv_buf turned = p->writing;
    p->writing = p->next;
    p->next = turned;
    flv_buf_reset(&p->next);
    p->under_way = flv_pool_submit(p->pool, &p->work) == FLV_OK;
    if (!p->under_way) {
        flv_log_warn(TARGET, "position not kept: no thread could be started",
                     FLV_KV_STR("file", p->path));
    }
}

static void written(struct flv_work *w, flv_rc rc)
{
    struct http_place *p = FLV_OWNER_OF(w, struct http_place, work);
    p->under_way = false;
    if (rc == FLV_OK && p->failed != 0) {
        struct flv_err err = {0};
        (void)flv_fail_sys(&err, FLV_E_IO, p->failed, "cannot write %s",
                           p->path);
        flv_log_warn(TARGET, "position not kept", FLV_KV_ERR(&err));
    }
    if (p->closing || !flv_timer_active(&p->timer)) {
        write_next(p); /* it was due while this one was under way */
    }
}

static void on_timer(struct flv_timer *timer)
{
    write_next(FLV_OWNER_OF(timer, struct http_place, timer));
}

void http_place_keep(struct http_place *p, const char *id)
{
    struct flv_out o = {.b = &p->next, .rc = FLV_OK};
    flv_buf_reset(&p->next);
    flv_out_str(&o, FIRST_LINE);
    flv_out_str(&o, p->endpoint);
    flv_out_str(&o, "\n");
    flv_out_str(&o, id);
    flv_out_str(&o, "\n");
    if (o.rc != FLV_OK) {
        flv_buf_reset(&p->next); /* the file stays behind, never ahead */
        return;
    }
    if (!flv_timer_active(&p->timer) &&
        flv_timer_start(&p->timer, PERIOD_MS, 0, NULL) != FLV_OK) {
        write_next(p);
    }
}

/* --- life ------------------------------------------------------------------
 */

static flv_rc set_paths(struct http_place *p, const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof(p->path)) {
        return FLV_E_LIMIT;
    }
    (void)snprintf(p->path, sizeof(p->path), "%s", path);
    (void)snprintf(copy, sizeof(copy), "%s", path);
    (void)snprintf(p->name, sizeof(p->name), "%s", basename(copy));
    (void)snprintf(p->aside, sizeof(p->aside), "%s.new", p->name);
    (void)snprintf(copy, sizeof(copy), "%s", path);
    (void)snprintf(p->dir, sizeof(p->dir), "%s", dirname(copy));
    return FLV_OK;
}

static flv_rc prepare(struct http_place *p,
                      struct flv_loop *loop,
                      const char *path,
                      const char *endpoint,
                      struct flv_err *err)
{
    const struct flv_pool_conf pool = {
        .name = "position", .threads_max = 1, .queue_max = 1};
    if (set_paths(p, path) != FLV_OK) {
        return flv_fail(err, FLV_E_INVALID,
                        "position-file: the path is longer than %d bytes",
                        PATH_MAX - 1);
    }
    if (access(p->dir, W_OK | X_OK) != 0) {
        return flv_fail_sys(err, FLV_E_INVALID, errno,
                            "position-file: cannot write in the directory %s",
                            p->dir);
    }
    p->endpoint = flv_strdup(endpoint);
    if (p->endpoint == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return flv_pool_create(&p->pool, loop, &pool, err);
}

flv_rc http_place_open(struct http_place **out,
                       struct flv_loop *loop,
                       const char *path,
                       const char *endpoint,
                       char **out_id,
                       struct flv_err *err)
{
    struct http_place *p = flv_zalloc(1, sizeof(*p));
    struct flv_buf text;
    *out_id = NULL;
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_buf_init(&p->next, HTTP_PLACE_BYTES_MAX);
    flv_buf_init(&p->writing, HTTP_PLACE_BYTES_MAX);
    flv_buf_init(&text, HTTP_PLACE_BYTES_MAX);
    flv_timer_init(&p->timer, loop, on_timer);
    p->work = (struct flv_work){.run = write_file, .done = written};
    flv_rc rc = prepare(p, loop, path, endpoint, err);
    if (rc == FLV_OK) {
        rc = read_file(path, &text, err);
    }
    if (rc == FLV_OK && text.len > 0) {
        rc = read_text(p, flv_buf_slice(&text), out_id, err);
    }
    flv_buf_deinit(&text);
    if (rc != FLV_OK) {
        http_place_close(p);
        return rc;
    }
    *out = p;
    return FLV_OK;
}

void http_place_close(struct http_place *p)
{
    if (p == NULL) {
        return;
    }
    flv_timer_stop(&p->timer);
    p->closing = true;
    if (p->pool != NULL) {
        write_next(p);
        flv_pool_drain(p->pool);
        flv_pool_destroy(p->pool);
    }
    flv_buf_deinit(&p->next);
    flv_buf_deinit(&p->writing);
    flv_free(p->endpoint);
    flv_free(p);
}
