#include "catalogue/catalogue.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/field.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/process.h"

#define PREFIX "fluvio-connect-"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define TIMEOUT_MS 3000
#define PARALLEL 8
#define FOLDERS_MAX 64
#define PATH_BYTES_MAX 4096

struct flv_catalogue {
    struct flv_cat_entry *entries; /* owned; FLV_CATALOGUE_MAX of them */
    size_t count;
    char *folders; /* owned, or NULL */
    uint32_t timeout_ms;
    unsigned parallel;
    /* Of the refresh under way. */
    struct flv_loop *loop; /* borrowed; NULL: none */
    struct flv_task finish;
    size_t next;      /* entry to be looked at */
    unsigned running; /* programs that were asked */
    void (*done)(void *arg);
    void *arg;
};

/* One program that is being asked. */
struct ask {
    struct flv_catalogue *c;
    char name[FLV_CONNECTOR_NAME_MAX + 1];
};

static void entry_clear(struct flv_cat_entry *e)
{
    flv_descriptor_deinit(&e->descriptor);
    flv_free(e->path);
    *e = (struct flv_cat_entry){.path = NULL};
}

static struct flv_cat_entry *find(const struct flv_catalogue *c,
                                  const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->entries[i].name, name) == 0) {
            return &c->entries[i];
        }
    }
    return NULL;
}

/* --- finding ------------------------------------------------------------- */

static bool same_file(const struct flv_cat_entry *e, const struct stat *st)
{
    return e->asked && e->dev == st->st_dev && e->ino == st->st_ino &&
           e->size == st->st_size && e->changed.tv_sec == st->st_mtim.tv_sec &&
           e->changed.tv_nsec == st->st_mtim.tv_nsec;
}

/* Takes over what is known of an unchanged file; the first of a name wins. */
static bool add(struct flv_cat_entry *fresh,
                size_t *count,
                struct flv_catalogue *c,
                const char *path,
                const struct stat *st)
{
    const char *name = strrchr(path, '/') + 1 + PREFIX_LEN;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(fresh[i].name, name) == 0) {
            return true;
        }
    }
    if (*count == FLV_CATALOGUE_MAX) {
        return true;
    }
    struct flv_cat_entry *e = &fresh[*count];
    struct flv_cat_entry *old = find(c, name);
    if (old != NULL && same_file(old, st) && strcmp(old->path, path) == 0) {
        *e = *old;
        *old = (struct flv_cat_entry){.path = NULL};
        (*count)++;
        return true;
    }
    *e = (struct flv_cat_entry){.dev = st->st_dev,
                                .ino = st->st_ino,
                                .size = st->st_size,
                                .changed = st->st_mtim};
    (void)snprintf(e->name, sizeof(e->name), "%s", name);
    e->path = flv_strdup(path);
    *count += e->path != NULL;
    return e->path != NULL;
}

static bool name_fits(const char *file)
{
    return strncmp(file, PREFIX, PREFIX_LEN) == 0 &&
           flv_connector_type_ok(file + PREFIX_LEN);
}

static bool add_folder(struct flv_cat_entry *fresh,
                       size_t *count,
                       struct flv_catalogue *c,
                       const char *folder)
{
    DIR *dir = opendir(folder);
    bool ok = true;
    for (const struct dirent *d = dir != NULL ? readdir(dir) : NULL;
         ok && d != NULL; d = readdir(dir)) {
        char path[PATH_BYTES_MAX];
        struct stat st;
        if (!name_fits(d->d_name)) {
            continue;
        }
        int len = snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
        if (len > 0 && (size_t)len < sizeof(path) && stat(path, &st) == 0 &&
            S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
            ok = add(fresh, count, c, path, &st);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return ok;
}

/* Relative folders would depend on where the program stands. */
static bool add_folders(struct flv_cat_entry *fresh,
                        size_t *count,
                        struct flv_catalogue *c,
                        const char *folders)
{
    for (int n = 0; *folders != '\0' && n < FOLDERS_MAX; n++) {
        char folder[PATH_BYTES_MAX];
        size_t len = strcspn(folders, ":");
        if (len > 0 && len < sizeof(folder) && folders[0] == '/') {
            memcpy(folder, folders, len);
            folder[len] = '\0';
            if (!add_folder(fresh, count, c, folder)) {
                return false;
            }
        }
        folders += len;
        folders += *folders == ':';
    }
    return true;
}

static bool
add_beside(struct flv_cat_entry *fresh, size_t *count, struct flv_catalogue *c)
{
    char self[PATH_BYTES_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0) {
        return true;
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL || slash == self) {
        return true;
    }
    *slash = '\0';
    return add_folder(fresh, count, c, self);
}

static int by_name(const void *a, const void *b)
{
    const struct flv_cat_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static flv_rc look(struct flv_catalogue *c, struct flv_err *err)
{
    size_t count = 0;
    struct flv_cat_entry *fresh = flv_zalloc(FLV_CATALOGUE_MAX, sizeof(*fresh));
    const char *path = getenv("PATH");
    bool ok = fresh != NULL;
    if (ok && c->folders != NULL) {
        ok = add_folders(fresh, &count, c, c->folders);
    } else if (ok) {
        ok = add_beside(fresh, &count, c) &&
             add_folders(fresh, &count, c, path != NULL ? path : "");
    }
    if (fresh == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for the catalogue");
    }
    for (size_t i = 0; i < c->count; i++) {
        entry_clear(&c->entries[i]);
    }
    flv_free(c->entries);
    c->entries = fresh;
    c->count = count;
    if (count > 1) {
        qsort(fresh, count, sizeof(*fresh), by_name);
    }
    return ok ? FLV_OK
              : flv_fail(err, FLV_E_NOMEM, "out of memory for the catalogue");
}

/* --- asking -------------------------------------------------------------- */

static void ask_more(struct flv_catalogue *c);

/* The last line that the program wrote on its standard error. */
static const char *
last_line(const struct flv_process_result *result, char *out, size_t size)
{
    const char *line = result->err_out;
    out[0] = '\0';
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        if (len > 0) {
            (void)snprintf(out, size, "%.*s",
                           (int)(len < size ? len : size - 1), line);
        }
        line += len + (line[len] == '\n');
    }
    flv_text_tidy(out, strlen(out));
    return out;
}

static void take_answer(struct flv_cat_entry *e,
                        const struct flv_process_result *result,
                        uint32_t timeout_ms)
{
    char said[80], line[80];
    struct flv_err err = {0};
    e->asked = true;
    flv_process_say(result, timeout_ms, said, sizeof(said));
    if (result->end != FLV_PROCESS_EXITED || result->status != 0) {
        last_line(result, line, sizeof(line));
        (void)snprintf(e->problem, sizeof(e->problem),
                       "asked with --describe it %s%s%s", said,
                       line[0] != '\0' ? ": " : "", line);
        return;
    }
    if (flv_descriptor_parse(&e->descriptor,
                             flv_slice(result->out, result->out_len),
                             &err) != FLV_OK) {
        (void)snprintf(e->problem, sizeof(e->problem),
                       "its answer to --describe is wrong: %.150s", err.text);
    } else if (strcmp(e->descriptor.name, e->name) != 0) {
        (void)snprintf(e->problem, sizeof(e->problem),
                       "it calls itself \"%.60s\"", e->descriptor.name);
    }
    if (e->problem[0] != '\0') {
        flv_descriptor_deinit(&e->descriptor);
    }
}

static void on_answer(void *arg, const struct flv_process_result *result)
{
    struct ask *a = arg;
    struct flv_catalogue *c = a->c;
    struct flv_cat_entry *e = find(c, a->name);
    assert(e != NULL && c->running > 0);
    c->running--;
    take_answer(e, result, c->timeout_ms);
    flv_free(a);
    ask_more(c);
}

static flv_rc
ask(struct flv_catalogue *c, const struct flv_cat_entry *e, struct flv_err *err)
{
    const char *argv[] = {e->path, "--describe", NULL};
    const struct flv_process_conf conf = {.program = e->path,
                                          .argv = argv,
                                          .out_bytes_max =
                                              FLV_DESCRIPTOR_BYTES_MAX,
                                          .timeout_ms = c->timeout_ms};
    struct ask *a = flv_zalloc(1, sizeof(*a));
    if (a == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    a->c = c;
    memcpy(a->name, e->name, sizeof(a->name));
    flv_rc rc = flv_process_run(c->loop, &conf, on_answer, a, NULL, err);
    if (rc != FLV_OK) {
        flv_free(a);
    }
    return rc;
}

static void ask_more(struct flv_catalogue *c)
{
    while (c->running < c->parallel && c->next < c->count) {
        struct flv_cat_entry *e = &c->entries[c->next++];
        struct flv_err err = {0};
        if (e->asked) {
            continue;
        }
        if (ask(c, e, &err) == FLV_OK) {
            c->running++;
        } else {
            e->asked = true;
            (void)snprintf(e->problem, sizeof(e->problem), "%s", err.text);
        }
    }
    if (c->running == 0 && c->next == c->count) {
        flv_loop_defer(c->loop, &c->finish);
    }
}

static void finish(struct flv_task *t)
{
    struct flv_catalogue *c = FLV_OWNER_OF(t, struct flv_catalogue, finish);
    c->loop = NULL;
    c->done(c->arg);
}

/* --- life ---------------------------------------------------------------- */

flv_rc flv_catalogue_create(struct flv_catalogue **out,
                            const struct flv_catalogue_conf *conf,
                            struct flv_err *err)
{
    struct flv_catalogue *c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for the catalogue");
    }
    c->timeout_ms = conf->timeout_ms > 0 ? conf->timeout_ms : TIMEOUT_MS;
    c->parallel = conf->parallel > 0 ? conf->parallel : PARALLEL;
    flv_task_init(&c->finish, finish);
    if (conf->folders != NULL) {
        c->folders = flv_strdup(conf->folders);
        if (c->folders == NULL) {
            flv_free(c);
            return flv_fail(err, FLV_E_NOMEM,
                            "out of memory for the catalogue");
        }
    }
    *out = c;
    return FLV_OK;
}

void flv_catalogue_destroy(struct flv_catalogue *c)
{
    if (c == NULL) {
        return;
    }
    assert(c->loop == NULL);
    for (size_t i = 0; i < c->count; i++) {
        entry_clear(&c->entries[i]);
    }
    flv_free(c->entries);
    flv_free(c->folders);
    flv_free(c);
}

flv_rc flv_catalogue_refresh(struct flv_catalogue *c,
                             struct flv_loop *loop,
                             bool all,
                             void (*done)(void *arg),
                             void *arg,
                             struct flv_err *err)
{
    if (c->loop != NULL) {
        return flv_fail(err, FLV_E_BUSY,
                        "the catalogue is being refreshed already");
    }
    for (size_t i = 0; all && i < c->count; i++) {
        c->entries[i].asked = false;
    }
    flv_rc rc = look(c, err);
    if (rc != FLV_OK) {
        return rc;
    }
    c->loop = loop;
    c->next = 0;
    c->done = done;
    c->arg = arg;
    ask_more(c);
    return FLV_OK;
}

/* --- looking at it ------------------------------------------------------- */

size_t flv_catalogue_count(const struct flv_catalogue *c)
{
    return c->count;
}

const struct flv_cat_entry *flv_catalogue_at(const struct flv_catalogue *c,
                                             size_t i)
{
    assert(i < c->count);
    return &c->entries[i];
}

const struct flv_cat_entry *flv_catalogue_find(const struct flv_catalogue *c,
                                               const char *name)
{
    const struct flv_cat_entry *e = find(c, name);
    char stem[FLV_CONNECTOR_NAME_MAX + 1];
    size_t len = flv_cfile_type_len(name);
    if (e != NULL || name[len] == '\0' || len >= sizeof(stem)) {
        return e;
    }
    memcpy(stem, name, len);
    stem[len] = '\0';
    return find(c, stem);
}

static const struct flv_descriptor *check_find(void *arg, const char *type)
{
    const struct flv_cat_entry *e = flv_catalogue_find(arg, type);
    return e != NULL && e->asked && e->problem[0] == '\0' ? &e->descriptor
                                                          : NULL;
}

static const char *check_problem(void *arg, const char *type)
{
    const struct flv_cat_entry *e = flv_catalogue_find(arg, type);
    return e != NULL && e->problem[0] != '\0' ? e->problem : NULL;
}

static const char *check_installed(void *arg, size_t i)
{
    const struct flv_catalogue *c = arg;
    for (size_t at = 0; at < c->count; at++) {
        if (c->entries[at].problem[0] == '\0' && i-- == 0) {
            return c->entries[at].name;
        }
    }
    return NULL;
}

void flv_catalogue_check(struct flv_catalogue *c, struct flv_check_conf *conf)
{
    conf->find = check_find;
    conf->problem = check_problem;
    conf->installed = check_installed;
    conf->arg = c;
}
