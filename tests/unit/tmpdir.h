/*
 * tmpdir.h - one temporary folder per test, removed afterwards.
 *
 * Purpose    Aborts the test when the folder cannot be made.
 * Threads    Test thread only.
 */
#ifndef FLV_TESTS_UNIT_TMPDIR_H
#define FLV_TESTS_UNIT_TMPDIR_H

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tmpdir {
    char path[64];
    char sub[128]; /* PATH/data, not made */
};

/* `what` names the test in the folder's name. */
static inline void tmpdir_make(struct tmpdir *t, const char *what)
{
    snprintf(t->path, sizeof t->path, "/tmp/flv-%s-XXXXXX", what);
    char *made = mkdtemp(t->path);
    assert(made != NULL);
    (void)made;
    snprintf(t->sub, sizeof t->sub, "%s/data", t->path);
}

static inline int tmpdir_unlink(const char *path,
                                const struct stat *st,
                                int flag,
                                struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void tmpdir_remove(struct tmpdir *t)
{
    (void)nftw(t->path, tmpdir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
tmpdir_write(const char *dir, const char *name, const char *text)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    assert(len > 0 && (size_t)len < sizeof path);
    (void)len;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n = write(fd, text, strlen(text));
    assert(n == (ssize_t)strlen(text));
    (void)n;
    close(fd);
}

#endif
