#include "io_sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pending change of a file's content. */
struct change {
    bool resize;
    size_t pos; /* of a write; the new size of a resize */
    size_t len;
    uint8_t *bytes; /* owned */
};

struct content {
    uint8_t *data; /* owned; zero behind size, up to cap */
    size_t size, cap;
};

/* A pending change of a directory. */
struct renaming {
    char *from; /* owned; gone, unless NULL */
    char *to;   /* owned; there, unless NULL */
    struct sim_node *node;
};

struct entry {
    char *name; /* owned */
    struct sim_node *node;
};

struct names {
    struct entry *at; /* owned */
    size_t len, cap;
};

struct sim_node {
    struct sim_node *next; /* in sim.nodes */
    bool is_dir;
    struct content cache, disk;
    struct change *changes; /* owned; oldest first */
    size_t change_count, change_cap;
    struct names cache_names, disk_names;
    struct renaming *renamings; /* owned; oldest first */
    size_t renaming_count, renaming_cap;
};

struct sim_file {
    struct flv_file base;
    struct sim_node *node;
    char *path; /* owned */
};

static void *must(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "the simulated disk is out of memory\n");
        abort();
    }
    return p;
}

static void *grown(void *at, size_t len, size_t *cap, size_t size)
{
    if (len < *cap) {
        return at;
    }
    *cap = *cap > 0 ? *cap * 2 : 8;
    return must(realloc(at, *cap * size));
}

/* ---- random ---- */

uint64_t sim_random(struct sim *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    return sim_random(s) % n;
}

static bool one_in(struct sim *s, unsigned n)
{
    return n > 0 && sim_below(s, n) == 0;
}

/* ---- content ---- */

static void set_size(struct content *c, size_t size)
{
    if (size > c->cap) {
        size_t cap = size + size / 2 + 256;

        c->data = must(realloc(c->data, cap));
        memset(c->data + c->cap, 0, cap - c->cap);
        c->cap = cap;
    }
    if (size < c->size) {
        memset(c->data + size, 0, c->cap - size);
    }
    c->size = size;
}

/* Bytes may lie behind the size: a resize may come later, or never. */
static void put(struct content *c, size_t pos, const void *bytes, size_t len)
{
    size_t size = c->size;

    if (pos + len > c->cap) {
        size_t old = c->cap, cap = (pos + len) + (pos + len) / 2 + 256;

        c->data = must(realloc(c->data, cap));
        memset(c->data + old, 0, cap - old);
        c->cap = cap;
    }
    memcpy(c->data + pos, bytes, len);
    c->size = size;
}

static void copy_content(struct content *to, const struct content *from)
{
    set_size(to, 0);
    if (from->size > 0) {
        put(to, 0, from->data, from->size);
    }
    set_size(to, from->size);
}

static void forget_changes(struct sim_node *n)
{
    for (size_t i = 0; i < n->change_count; i++) {
        free(n->changes[i].bytes);
    }
    n->change_count = 0;
}

static void add_change(
    struct sim_node *n, bool resize, size_t pos, const void *bytes, size_t len)
{
    struct change *c;

    n->changes =
        grown(n->changes, n->change_count, &n->change_cap, sizeof(*n->changes));
    c = &n->changes[n->change_count++];
    *c = (struct change){.resize = resize, .pos = pos, .len = len};
    if (!resize) {
        c->bytes = must(malloc(len > 0 ? len : 1));
        memcpy(c->bytes, bytes, len);
    }
}

static void apply(struct sim_node *n, const struct change *c)
{
    if (c->resize) {
        set_size(&n->disk, c->pos);
    } else {
        put(&n->disk, c->pos, c->bytes, c->len);
    }
}

/* The pieces of a write lie in one sector each and are kept or lost whole. A
 * lost piece of new space may hold anything. */
static void apply_some(struct sim *s,
                       struct sim_node *n,
                       const struct change *c,
                       unsigned keep_of_8,
                       size_t old_size)
{
    bool garbage = sim_below(s, 8) == 0;

    if (c->resize) {
        if (sim_below(s, 8) < keep_of_8) {
            set_size(&n->disk, c->pos);
        }
        return;
    }
    for (size_t at = 0; at < c->len;) {
        size_t pos = c->pos + at;
        size_t len = SIM_SECTOR - pos % SIM_SECTOR;

        len = len < c->len - at ? len : c->len - at;
        if (sim_below(s, 8) < keep_of_8) {
            put(&n->disk, pos, c->bytes + at, len);
        } else if (garbage && pos >= old_size) {
            uint8_t junk[SIM_SECTOR];

            for (size_t i = 0; i < len; i++) {
                junk[i] = (uint8_t)sim_random(s);
            }
            put(&n->disk, pos, junk, len);
        }
        at += len;
    }
}

/* ---- names ---- */

static struct entry *find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->len; i++) {
        if (strcmp(names->at[i].name, name) == 0) {
            return &names->at[i];
        }
    }
    return NULL;
}

static void
set_name(struct names *names, const char *name, struct sim_node *node)
{
    struct entry *e = find(names, name);

    if (e != NULL) {
        e->node = node;
        return;
    }
    names->at = grown(names->at, names->len, &names->cap, sizeof(*names->at));
    names->at[names->len++] =
        (struct entry){.name = must(strdup(name)), .node = node};
}

static void drop_name(struct names *names, const char *name)
{
    struct entry *e = find(names, name);

    if (e != NULL) {
        free(e->name);
        *e = names->at[--names->len];
    }
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->len; i++) {
        free(names->at[i].name);
    }
    free(names->at);
    *names = (struct names){0};
}

static void copy_names(struct names *to, const struct names *from)
{
    free_names(to);
    for (size_t i = 0; i < from->len; i++) {
        set_name(to, from->at[i].name, from->at[i].node);
    }
}

static void rename_in(struct names *names, const struct renaming *r)
{
    if (r->from != NULL) {
        drop_name(names, r->from);
    }
    if (r->to != NULL) {
        set_name(names, r->to, r->node);
    }
}

static void forget_renamings(struct sim_node *n)
{
    for (size_t i = 0; i < n->renaming_count; i++) {
        free(n->renamings[i].from);
        free(n->renamings[i].to);
    }
    n->renaming_count = 0;
}

static void change_names(struct sim_node *dir,
                         const char *from,
                         const char *to,
                         struct sim_node *node)
{
    struct renaming *r;

    dir->renamings = grown(dir->renamings, dir->renaming_count,
                           &dir->renaming_cap, sizeof(*dir->renamings));
    r = &dir->renamings[dir->renaming_count++];
    *r = (struct renaming){
        .from = from != NULL ? must(strdup(from)) : NULL,
        .to = to != NULL ? must(strdup(to)) : NULL,
        .node = node,
    };
    rename_in(&dir->cache_names, r);
}

/* ---- nodes ---- */

static struct sim_node *new_node(struct sim *s, bool is_dir)
{
    struct sim_node *n = must(calloc(1, sizeof(*n)));

    n->is_dir = is_dir;
    n->next = s->nodes;
    s->nodes = n;
    return n;
}

/* The directory that holds `path`, and its last part. */
static struct sim_node *
parent_of(struct sim *s, const char *path, const char **last)
{
    struct sim_node *dir = s->root;

    while (*path == '/') {
        path++;
    }
    for (;;) {
        const char *slash = strchr(path, '/');
        char part[256];
        struct entry *e;

        if (slash == NULL) {
            *last = path;
            return dir;
        }
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        e = find(&dir->cache_names, part);
        if (e == NULL || !e->node->is_dir) {
            return NULL;
        }
        dir = e->node;
        path = slash + 1;
    }
}

static struct sim_node *node_at(struct sim *s, const char *path)
{
    const char *last;
    struct sim_node *dir = parent_of(s, path, &last);
    struct entry *e;

    if (dir == NULL || *last == '\0' || strcmp(last, ".") == 0) {
        return dir;
    }
    e = find(&dir->cache_names, last);
    return e != NULL ? e->node : NULL;
}

/* ---- the operations ---- */

static struct sim *of(struct flv_io *io)
{
    return (struct sim *)io;
}

static struct sim_file *file_of(struct flv_file *file)
{
    return (struct sim_file *)file;
}

/* Counts a call. True: the machine stops with it. */
static bool stops(struct sim *s)
{
    s->calls++;
    if (!s->down && s->down_at != 0 && s->calls >= s->down_at) {
        s->down = true;
        return true;
    }
    return false;
}

static flv_rc fail(struct flv_err *err, flv_rc rc, int sys, const char *path)
{
    return flv_fail_sys(err, rc, sys, "simulated disk: %s", path);
}

static flv_rc sim_create(struct sim *s,
                         enum flv_io_open how,
                         struct sim_node *dir,
                         const char *name,
                         struct sim_node **node,
                         struct flv_err *err)
{
    if (one_in(s, s->faults.names)) {
        return fail(err, FLV_E_IO, EIO, name);
    }
    if (one_in(s, s->faults.no_space)) {
        return fail(err, FLV_E_NOSPACE, ENOSPC, name);
    }
    if (*node != NULL) {
        if (how == FLV_IO_CREATE) {
            return fail(err, FLV_E_EXISTS, EEXIST, name);
        }
        set_size(&(*node)->cache, 0);
        add_change(*node, true, 0, NULL, 0);
        return FLV_OK;
    }
    *node = new_node(s, false);
    change_names(dir, NULL, name, *node);
    return FLV_OK;
}

static flv_rc sim_open(struct flv_io *io,
                       const char *path,
                       enum flv_io_open how,
                       struct flv_file **out,
                       struct flv_err *err)
{
    struct sim *s = of(io);
    const char *name;
    struct sim_node *dir, *node;
    struct sim_file *file;
    bool stop = stops(s);

    if (s->down && (!stop || how < FLV_IO_CREATE || sim_below(s, 2) == 0)) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    assert(!s->frozen || how == FLV_IO_READ);
    dir = parent_of(s, path, &name);
    node = node_at(s, path);
    if (dir == NULL || (node == NULL && how < FLV_IO_CREATE)) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, path);
    }
    if (how >= FLV_IO_CREATE) {
        flv_rc rc = sim_create(s, how, dir, name, &node, err);

        if (rc != FLV_OK) {
            return rc;
        }
    }
    if (stop) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    file = must(calloc(1, sizeof(*file)));
    file->base.io = io;
    file->node = node;
    file->path = must(strdup(path));
    s->open_files++;
    *out = &file->base;
    return FLV_OK;
}

static void sim_close(struct flv_file *file)
{
    struct sim_file *f = file_of(file);
    struct sim *s = of(file->io);

    assert(s->open_files > 0);
    s->open_files--;
    free(f->path);
    free(f);
}

static uint64_t used_space(const struct sim *s)
{
    uint64_t total = 0;

    for (const struct sim_node *n = s->nodes; n != NULL; n = n->next) {
        total += n->cache.size;
    }
    return total;
}

static void write_some(struct sim_node *n,
                       const struct iovec *iov,
                       int count,
                       uint64_t pos,
                       size_t max)
{
    for (int i = 0; i < count && max > 0; i++) {
        size_t len = iov[i].iov_len < max ? iov[i].iov_len : max;

        if (len == 0) {
            continue;
        }
        if (pos + len > n->cache.size) {
            set_size(&n->cache, pos + len);
            add_change(n, true, pos + len, NULL, 0);
        }
        put(&n->cache, pos, iov[i].iov_base, len);
        add_change(n, false, pos, iov[i].iov_base, len);
        pos += len;
        max -= len;
    }
}

static flv_rc sim_write(struct flv_file *file,
                        const struct iovec *iov,
                        int count,
                        uint64_t pos,
                        size_t *done,
                        struct flv_err *err)
{
    struct sim *s = of(file->io);
    struct sim_file *f = file_of(file);
    uint64_t size = f->node->cache.size;
    bool stop = stops(s);
    flv_rc rc = FLV_OK;
    size_t total = 0, len;

    for (int i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    assert(total > 0);
    len = total;
    if (s->down && !stop) {
        return fail(err, FLV_E_IO, EIO, f->path);
    }
    if (stop || one_in(s, s->faults.write)) {
        rc = FLV_E_IO;
        len = sim_below(s, total + 1);
    } else if (one_in(s, s->faults.no_space) ||
               (s->space != UINT64_MAX && pos + total > size &&
                used_space(s) + (pos + total - size) > s->space)) {
        /* As pwritev does: first less than asked, then the error. */
        len = sim_below(s, total);
        if (sim_below(s, 2) == 0) {
            len = total - 1 - sim_below(s, total < 16 ? total : 16);
        }
        rc = FLV_E_NOSPACE;
    } else if (total > 1 && one_in(s, s->faults.shorter)) {
        len = 1 + sim_below(s, total - 1);
    }
    write_some(f->node, iov, count, pos, len);
    if (rc != FLV_OK) {
        return fail(err, rc, rc == FLV_E_NOSPACE ? ENOSPC : EIO, f->path);
    }
    *done = len;
    return FLV_OK;
}

static flv_rc sim_read(struct flv_file *file,
                       void *buf,
                       size_t len,
                       uint64_t pos,
                       size_t *done,
                       struct flv_err *err)
{
    struct sim *s = of(file->io);
    const struct content *c = &file_of(file)->node->cache;

    (void)stops(s);
    if (s->down || one_in(s, s->faults.read)) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    if (pos >= c->size) {
        *done = 0;
        return FLV_OK;
    }
    len = len < c->size - pos ? len : (size_t)(c->size - pos);
    if (len > 1 && one_in(s, s->faults.shorter)) {
        len = 1 + sim_below(s, len - 1);
    }
    memcpy(buf, c->data + pos, len);
    *done = len;
    return FLV_OK;
}

static flv_rc
sim_size(struct flv_file *file, uint64_t *out, struct flv_err *err)
{
    struct sim *s = of(file->io);

    (void)stops(s);
    if (s->down) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    *out = file_of(file)->node->cache.size;
    return FLV_OK;
}

/* A disk that does not know: as if everything were new. */
static flv_rc
sim_written(struct flv_file *file, int64_t *out, struct flv_err *err)
{
    struct sim *s = of(file->io);

    (void)stops(s);
    if (s->down) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    *out = 0;
    return FLV_OK;
}

static flv_rc
sim_truncate(struct flv_file *file, uint64_t size, struct flv_err *err)
{
    struct sim *s = of(file->io);
    struct sim_node *n = file_of(file)->node;
    bool stop = stops(s);

    if ((s->down && !stop) || one_in(s, s->faults.write)) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    if (!stop || sim_below(s, 2) == 0) {
        set_size(&n->cache, size);
        add_change(n, true, size, NULL, 0);
    }
    return stop ? fail(err, FLV_E_IO, EIO, file_of(file)->path) : FLV_OK;
}

/* Written or forgotten, but pending no more; sizes stay pending. */
static void lose_writes(struct sim *s, struct sim_node *n)
{
    size_t kept = 0, old_size = n->disk.size;

    for (size_t i = 0; i < n->change_count; i++) {
        struct change *c = &n->changes[i];

        if (c->resize) {
            n->changes[kept++] = *c;
            continue;
        }
        if (sim_below(s, 2) == 0) {
            apply_some(s, n, c, 4, old_size);
        }
        free(c->bytes);
    }
    n->change_count = kept;
}

static flv_rc
sim_sync(struct flv_file *file, enum flv_sync site, struct flv_err *err)
{
    struct sim *s = of(file->io);
    struct sim_node *n = file_of(file)->node;
    bool stop = stops(s);

    s->syncs[site]++;
    if (s->down && !stop) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    if ((int)site == s->ignored && !stop) {
        return FLV_OK;
    }
    if (one_in(s, s->faults.sync)) {
        lose_writes(s, n);
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    if (!stop || sim_below(s, 2) == 0) {
        for (size_t i = 0; i < n->change_count; i++) {
            apply(n, &n->changes[i]);
        }
        forget_changes(n);
    }
    return stop ? fail(err, FLV_E_IO, EIO, file_of(file)->path) : FLV_OK;
}

/* As the kernel does it: what could not be written is told here, and by no
 * sync that follows. */
static flv_rc sim_write_out(struct flv_file *file,
                            uint64_t pos,
                            uint64_t len,
                            struct flv_err *err)
{
    struct sim *s = of(file->io);
    struct sim_node *n = file_of(file)->node;

    (void)stops(s);
    if (s->down) {
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    assert(pos <= n->cache.size && len <= n->cache.size - pos);
    if (one_in(s, s->faults.sync)) {
        lose_writes(s, n);
        return fail(err, FLV_E_IO, EIO, file_of(file)->path);
    }
    return FLV_OK;
}

static void sync_names(struct sim_node *dir)
{
    for (size_t i = 0; i < dir->renaming_count; i++) {
        rename_in(&dir->disk_names, &dir->renamings[i]);
    }
    forget_renamings(dir);
}

/* A directory whose sync failed keeps its changes pending: file systems stop
 * for good when their journal cannot be written. */
static flv_rc sim_sync_dir(struct flv_io *io,
                           const char *path,
                           enum flv_sync site,
                           struct flv_err *err)
{
    struct sim *s = of(io);
    struct sim_node *dir;
    bool stop = stops(s);

    s->syncs[site]++;
    if ((s->down && !stop) || one_in(s, s->faults.names)) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    dir = node_at(s, path);
    if (dir == NULL || !dir->is_dir) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, path);
    }
    if ((int)site == s->ignored && !stop) {
        return FLV_OK;
    }
    if (!stop || sim_below(s, 2) == 0) {
        sync_names(dir);
    }
    return stop ? fail(err, FLV_E_IO, EIO, path) : FLV_OK;
}

/* What changes names: NOT done if it fails, either if the machine stops. */
static bool may_change(struct sim *s, bool *stop)
{
    assert(!s->frozen);
    *stop = stops(s);
    if (s->down) {
        return *stop && sim_below(s, 2) == 0;
    }
    return !one_in(s, s->faults.names);
}

static flv_rc sim_rename(struct flv_io *io,
                         const char *from,
                         const char *to,
                         struct flv_err *err)
{
    struct sim *s = of(io);
    const char *from_name, *to_name;
    struct sim_node *from_dir, *to_dir, *node, *there;
    bool stop;

    if (!may_change(s, &stop)) {
        return fail(err, FLV_E_IO, EIO, from);
    }
    from_dir = parent_of(s, from, &from_name);
    to_dir = parent_of(s, to, &to_name);
    node = node_at(s, from);
    if (from_dir == NULL || to_dir == NULL || node == NULL) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, from);
    }
    if (!stop && one_in(s, s->faults.no_space)) {
        return fail(err, FLV_E_NOSPACE, ENOSPC, from);
    }
    assert(from_dir == to_dir); /* store does no other */
    there = node_at(s, to);
    if (there != NULL && there->is_dir && there->cache_names.len > 0) {
        return fail(err, FLV_E_EXISTS, ENOTEMPTY, to);
    }
    change_names(to_dir, from_name, to_name, node);
    return stop ? fail(err, FLV_E_IO, EIO, from) : FLV_OK;
}

static flv_rc remove_name(struct flv_io *io,
                          const char *path,
                          bool is_dir,
                          struct flv_err *err)
{
    struct sim *s = of(io);
    const char *name;
    struct sim_node *dir, *node;
    bool stop;

    if (!may_change(s, &stop)) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    dir = parent_of(s, path, &name);
    node = node_at(s, path);
    if (dir == NULL || node == NULL) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, path);
    }
    if (node->is_dir != is_dir || (is_dir && node->cache_names.len > 0)) {
        return fail(err, FLV_E_IO, is_dir ? ENOTEMPTY : EISDIR, path);
    }
    change_names(dir, name, NULL, NULL);
    return stop ? fail(err, FLV_E_IO, EIO, path) : FLV_OK;
}

static flv_rc
sim_unlink(struct flv_io *io, const char *path, struct flv_err *err)
{
    return remove_name(io, path, false, err);
}

static flv_rc
sim_rmdir(struct flv_io *io, const char *path, struct flv_err *err)
{
    return remove_name(io, path, true, err);
}

static flv_rc
sim_make_dir(struct flv_io *io, const char *path, struct flv_err *err)
{
    struct sim *s = of(io);
    const char *name;
    struct sim_node *dir;
    bool stop;

    if (!may_change(s, &stop)) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    dir = parent_of(s, path, &name);
    if (dir == NULL) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, path);
    }
    if (node_at(s, path) != NULL) {
        return fail(err, FLV_E_EXISTS, EEXIST, path);
    }
    change_names(dir, NULL, name, new_node(s, true));
    return stop ? fail(err, FLV_E_IO, EIO, path) : FLV_OK;
}

static flv_rc sim_list(struct flv_io *io,
                       const char *path,
                       flv_io_name_fn fn,
                       void *user,
                       struct flv_err *err)
{
    struct sim *s = of(io);
    struct sim_node *dir;

    (void)stops(s);
    if (s->down || one_in(s, s->faults.names)) {
        return fail(err, FLV_E_IO, EIO, path);
    }
    dir = node_at(s, path);
    if (dir == NULL || !dir->is_dir) {
        return fail(err, FLV_E_NOT_FOUND, ENOENT, path);
    }
    for (size_t i = 0; i < dir->cache_names.len; i++) {
        fn(user, dir->cache_names.at[i].name);
    }
    return FLV_OK;
}

static flv_rc sim_space(struct flv_io *io,
                        const char *path,
                        uint64_t *out,
                        struct flv_err *err)
{
    struct sim *s = of(io);
    uint64_t used = used_space(s);

    (void)path;
    (void)err;
    *out = s->space > used ? s->space - used : 0;
    return FLV_OK;
}

static const struct flv_io_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .write = sim_write,
    .read = sim_read,
    .size = sim_size,
    .written = sim_written,
    .truncate = sim_truncate,
    .sync = sim_sync,
    .sync_dir = sim_sync_dir,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_make_dir,
    .rmdir = sim_rmdir,
    .list = sim_list,
    .space = sim_space,
    .write_out = sim_write_out,
};

/* ---- life ---- */

void sim_init(struct sim *s, uint64_t seed)
{
    *s = (struct sim){
        .io = {.ops = &sim_ops},
        .random = seed,
        .space = UINT64_MAX,
        .ignored = -1,
    };
    s->root = new_node(s, true);
}

static void free_node(struct sim_node *n)
{
    forget_changes(n);
    forget_renamings(n);
    free(n->changes);
    free(n->renamings);
    free(n->cache.data);
    free(n->disk.data);
    free_names(&n->cache_names);
    free_names(&n->disk_names);
    free(n);
}

void sim_deinit(struct sim *s)
{
    assert(s->open_files == 0);
    while (s->nodes != NULL) {
        struct sim_node *n = s->nodes;

        s->nodes = n->next;
        free_node(n);
    }
    s->root = NULL;
}

void sim_restart(struct sim *s)
{
    assert(s->open_files == 0);
    s->down = false;
    s->down_at = 0;
}

static void cut_file(struct sim *s, struct sim_node *n)
{
    /* All, none, or some of the pending changes; the first or last ones; or
     * the first writes, but the sizes as large as they ever were. */
    unsigned how = (unsigned)sim_below(s, 7);
    size_t edge = sim_below(s, n->change_count + 1);
    size_t old_size = n->disk.size;

    for (size_t i = 0; i < n->change_count; i++) {
        unsigned keep = 4;

        if (how < 2) {
            keep = how == 0 ? 0 : 8;
        } else if (how < 4) {
            keep = (i < edge) == (how == 2) ? 8 : 0;
        } else if (how == 4 && n->changes[i].resize) {
            keep = n->changes[i].pos > n->disk.size ? 8 : 0;
        } else if (how == 4) {
            keep = i < edge ? 8 : 0;
        }
        apply_some(s, n, &n->changes[i], keep, old_size);
    }
    forget_changes(n);
    copy_content(&n->cache, &n->disk);
    /* What was written behind the size that remained is gone. */
    set_size(&n->disk, n->disk.size);
    if (n->disk.cap > n->disk.size) {
        memset(n->disk.data + n->disk.size, 0, n->disk.cap - n->disk.size);
    }
}

static void cut_names(struct sim *s, struct sim_node *dir)
{
    unsigned how = (unsigned)sim_below(s, 4);

    for (size_t i = 0; i < dir->renaming_count; i++) {
        if (how == 0 || (how > 1 && sim_below(s, 2) == 0)) {
            rename_in(&dir->disk_names, &dir->renamings[i]);
        }
    }
    forget_renamings(dir);
    copy_names(&dir->cache_names, &dir->disk_names);
}

void sim_power_cut(struct sim *s)
{
    sim_restart(s);
    for (struct sim_node *n = s->nodes; n != NULL; n = n->next) {
        if (n->is_dir) {
            cut_names(s, n);
        } else {
            cut_file(s, n);
        }
    }
}

/* ---- direct access ---- */

uint8_t *sim_bytes(struct sim *s, const char *path, size_t *len)
{
    struct sim_node *n = node_at(s, path);

    if (n == NULL || n->is_dir) {
        return NULL;
    }
    *len = n->cache.size;
    return n->cache.data != NULL ? n->cache.data : (uint8_t *)n;
}

void sim_put(struct sim *s, const char *path, const void *data, size_t len)
{
    const char *name;
    struct sim_node *dir = parent_of(s, path, &name);
    struct sim_node *n = node_at(s, path);

    assert(dir != NULL);
    if (n == NULL) {
        n = new_node(s, false);
        change_names(dir, NULL, name, n);
        sync_names(dir);
    }
    forget_changes(n);
    set_size(&n->cache, 0);
    if (len > 0) {
        put(&n->cache, 0, data, len);
    }
    set_size(&n->cache, len);
    copy_content(&n->disk, &n->cache);
}

void sim_remove(struct sim *s, const char *path)
{
    const char *name;
    struct sim_node *dir = parent_of(s, path, &name);

    assert(dir != NULL);
    change_names(dir, name, NULL, NULL);
    sync_names(dir);
}

void sim_mkdir(struct sim *s, const char *path)
{
    const char *name;
    struct sim_node *dir = parent_of(s, path, &name);

    assert(dir != NULL);
    change_names(dir, NULL, name, new_node(s, true));
    sync_names(dir);
}

const char *sim_name(struct sim *s, const char *dir, size_t i)
{
    struct sim_node *n = node_at(s, dir);
    const char *best = NULL, *after = NULL;

    if (n == NULL || !n->is_dir || i >= n->cache_names.len) {
        return NULL;
    }
    /* The i-th in alphabetical order; directories are small. */
    for (size_t round = 0; round <= i; round++, after = best) {
        best = NULL;
        for (size_t k = 0; k < n->cache_names.len; k++) {
            const char *name = n->cache_names.at[k].name;

            assert(name != NULL);
            if ((after == NULL || strcmp(name, after) > 0) &&
                (best == NULL || strcmp(name, best) < 0)) {
                best = name;
            }
        }
    }
    return best;
}

static struct sim_node *copy_node(struct sim *to, const struct sim_node *from)
{
    struct sim_node *n = new_node(to, from->is_dir);

    copy_content(&n->cache, &from->cache);
    copy_content(&n->disk, &from->cache);
    for (size_t i = 0; i < from->cache_names.len; i++) {
        const struct entry *e = &from->cache_names.at[i];
        struct sim_node *child = copy_node(to, e->node);

        set_name(&n->cache_names, e->name, child);
        set_name(&n->disk_names, e->name, child);
    }
    return n;
}

void sim_copy(struct sim *to, struct sim *from)
{
    uint64_t random = to->random;

    sim_deinit(to);
    sim_init(to, random);
    /* The root made by init stays on the list, unused. */
    to->root = copy_node(to, from->root);
}
