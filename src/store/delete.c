/* Removing a partition: renamed away first, so that it is there or gone. */
#include <assert.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/format.h"
#include "store/log.h"

struct names {
    const char *dir;    /* borrowed */
    const char *ending; /* only names that end so; NULL: all */
    struct flv_buf all; /* owned; NUL-terminated, one after the other */
    flv_rc rc;
};

#define NAMES_MAX (64u << 20)

static void collect(void *user, const char *name)
{
    struct names *n = user;
    size_t len = strlen(name);
    size_t tail = n->ending != NULL ? strlen(n->ending) : 0;

    if (len <= tail ||
        (tail > 0 && strcmp(name + len - tail, n->ending) != 0)) {
        return;
    }
    if (n->rc == FLV_OK) {
        n->rc = flv_buf_add(&n->all, name, len + 1);
    }
}

static flv_rc list(struct flv_io *io, struct names *n, struct flv_err *err)
{
    flv_rc rc;

    flv_buf_init(&n->all, NAMES_MAX);
    n->rc = FLV_OK;
    rc = io->ops->list(io, n->dir, collect, n, err);
    if (rc == FLV_OK && n->rc != FLV_OK) {
        rc = flv_fail(err, n->rc, "no memory to list %s", n->dir);
    }
    return rc;
}

/* The files of a directory that nobody needs, and the directory. */
static flv_rc
remove_dir(struct flv_io *io, const char *dir, struct flv_err *err)
{
    struct names n = {.dir = dir};
    flv_rc rc = list(io, &n, err);

    for (size_t at = 0; rc == FLV_OK && at < n.all.len;) {
        const char *name = (const char *)n.all.data + at;
        char *path = flv__path_join(dir, name);

        rc = path == NULL
                 ? flv_fail(err, FLV_E_NOMEM, "no memory to remove %s", dir)
                 : io->ops->unlink(io, path, err);
        flv_free(path);
        at += strlen(name) + 1;
    }
    flv_buf_deinit(&n.all);
    return rc == FLV_OK ? io->ops->rmdir(io, dir, err) : rc;
}

flv_rc flv_log_delete(struct flv_io *io, const char *dir, struct flv_err *err)
{
    size_t size = strlen(dir) + sizeof(FLV__ENDING_DELETED);
    char *away = flv_alloc(size);
    char *parent = flv__path_parent(dir);
    flv_rc rc;

    io = io != NULL ? io : flv_io_posix();
    if (away == NULL || parent == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "no memory to delete %s", dir);
        goto out;
    }
    (void)snprintf(away, size, "%s%s", dir, FLV__ENDING_DELETED);
    rc = remove_dir(io, away, err); /* of an earlier one */
    if (rc != FLV_OK && rc != FLV_E_NOT_FOUND) {
        goto out;
    }
    flv_err_clear(err);
    rc = io->ops->rename(io, dir, away, err);
    if (rc == FLV_OK) {
        rc = io->ops->sync_dir(io, parent, FLV_SYNC_DELETE, err);
    }
    if (rc == FLV_OK) {
        rc = remove_dir(io, away, err);
    }
out:
    flv_free(parent);
    flv_free(away);
    return rc;
}

flv_rc flv_log_sweep(struct flv_io *io, const char *parent, struct flv_err *err)
{
    struct names n = {.dir = parent, .ending = FLV__ENDING_DELETED};
    flv_rc rc;

    io = io != NULL ? io : flv_io_posix();
    rc = list(io, &n, err);
    for (size_t at = 0; rc == FLV_OK && at < n.all.len;) {
        const char *name = (const char *)n.all.data + at;
        char *path = flv__path_join(parent, name);

        rc = path == NULL
                 ? flv_fail(err, FLV_E_NOMEM, "no memory to sweep %s", parent)
                 : remove_dir(io, path, err);
        flv_free(path);
        at += strlen(name) + 1;
    }
    flv_buf_deinit(&n.all);
    return rc;
}
