#include "smartmodule/cache.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/sha256.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Behind the machine code: SHA-256 of it, and what this is. */
#define MAGIC "flvsmc1\n"
#define TRAILER_SIZE (FLV_SHA256_SIZE + sizeof(MAGIC) - 1)
#define SUFFIX ".cwasm"
/* Changes with what make_config() in engine.c sets. */
#define SETTINGS "1"
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define ABANDONED_MS (3600 * 1000)

/* --- the folder --------------------------------------------------------- */

flv_rc flv__sm_cache_open(const char *dir, struct flv_err *err)
{
    char path[4096];
    struct stat st;
    int len = snprintf(path, sizeof(path), "%s", dir);

    if (len <= 0 || (size_t)len >= sizeof(path)) {
        return flv_fail(err, FLV_E_INVALID,
                        "folder of compiled modules: a "
                        "path of %d bytes",
                        len);
    }
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            (void)mkdir(path, 0700);
            *p = '/';
        }
    }
    if ((mkdir(path, 0700) != 0 && errno != EEXIST) || stat(path, &st) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot make %s for compiled modules", dir);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s, for compiled modules, must be a folder of this "
                        "user that nobody else may write (chmod 700)",
                        dir);
    }
    return FLV_OK;
}

static bool is_abandoned(const struct dirent *d, const struct stat *st)
{
    int64_t mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000;

    return strncmp(d->d_name, ".new-", 5) == 0 &&
           flv_clock_wall_ms() - mtime_ms > ABANDONED_MS;
}

/* One look at the folder: bytes of all files, the name of the oldest. */
static uint64_t scan(DIR *d, char *oldest, size_t size)
{
    struct timespec at = {0};
    struct dirent *entry;
    uint64_t sum = 0;

    oldest[0] = '\0';
    rewinddir(d);
    while ((entry = readdir(d)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        struct stat st;

        if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode)) {
            continue;
        }
        if (is_abandoned(entry, &st)) {
            (void)unlinkat(dirfd(d), entry->d_name, 0);
            continue;
        }
        if (dot == NULL || strcmp(dot, SUFFIX) != 0 || dot == entry->d_name) {
            continue;
        }
        sum += (uint64_t)st.st_size;
        if (oldest[0] == '\0' || st.st_mtim.tv_sec < at.tv_sec ||
            (st.st_mtim.tv_sec == at.tv_sec &&
             st.st_mtim.tv_nsec < at.tv_nsec)) {
            at = st.st_mtim;
            snprintf(oldest, size, "%s", entry->d_name);
        }
    }
    return sum;
}

void flv__sm_cache_trim(const char *dir, uint64_t bytes_max)
{
    char oldest[256];
    DIR *d = opendir(dir);

    if (d == NULL) {
        return;
    }
    while (scan(d, oldest, sizeof(oldest)) > bytes_max) {
        if (unlinkat(dirfd(d), oldest, 0) != 0) {
            break;
        }
    }
    closedir(d);
}

/* --- files -------------------------------------------------------------- */

static bool is_trusted(int fd, size_t *size)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (uint64_t)st.st_size <= TRAILER_SIZE ||
        (uint64_t)st.st_size > FILE_BYTES_MAX) {
        return false;
    }
    *size = (size_t)st.st_size;
    return true;
}

static void put_trailer(struct flv_slice code, uint8_t out[TRAILER_SIZE])
{
    struct flv_sha256 h;

    flv_sha256_init(&h);
    flv_sha256_add(&h, code.data, code.len);
    flv_sha256_end(&h, out);
    memcpy(out + FLV_SHA256_SIZE, MAGIC, sizeof(MAGIC) - 1);
}

static bool is_whole(int fd, size_t size)
{
    size_t code = size - TRAILER_SIZE;
    uint8_t trailer[TRAILER_SIZE];
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    bool same;

    if (p == MAP_FAILED) {
        return false;
    }
    put_trailer(flv_slice(p, code), trailer);
    same = memcmp(trailer, (const uint8_t *)p + code, TRAILER_SIZE) == 0;
    munmap(p, size);
    return same;
}

/* NULL: not there, not to be trusted, or of another machine. */
static wasmtime_module_t *load(struct flv_sm_engine *e, const char *path)
{
    wasmtime_module_t *m = NULL;
    char by_fd[64];
    size_t size;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        return NULL;
    }
    if (is_trusted(fd, &size) && is_whole(fd, size)) {
        wasmtime_error_t *error;

        /* The very file that was looked at, whatever the path becomes. */
        snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
        error = flv__wt.wasmtime_module_deserialize_file(e->wt, by_fd, &m);
        if (error != NULL) {
            flv__wt.wasmtime_error_delete(error);
            m = NULL;
        } else {
            (void)futimens(fd, NULL); /* used now */
        }
    }
    close(fd);
    return m;
}

static bool
keep(struct flv_sm_engine *e, const char *path, const wasm_byte_vec_t *code)
{
    uint8_t trailer[TRAILER_SIZE];
    char made[4200];
    bool ok;
    int fd, n;

    n = snprintf(made, sizeof(made), "%s/.new-%016llx", e->cache_dir,
                 (unsigned long long)flv_rand_u64());
    if (n <= 0 || (size_t)n >= sizeof(made)) {
        return false;
    }
    fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    put_trailer(flv_slice(code->data, code->size), trailer);
    ok = flv_file_write_all(fd, flv_slice(code->data, code->size)) == 0 &&
         flv_file_write_all(fd, flv_slice(trailer, sizeof(trailer))) == 0;
    ok = close(fd) == 0 && ok && rename(made, path) == 0;
    if (!ok) {
        (void)unlink(made);
        return false;
    }
    flv__sm_cache_trim(e->cache_dir, FLV__SM_CACHE_BYTES_MAX);
    return true;
}

/* The compiled module again, mapped from its file instead of on the heap. */
static wasmtime_module_t *
exchange(struct flv_sm_engine *e, const char *path, wasmtime_module_t *m)
{
    wasmtime_module_t *mapped = NULL;
    wasm_byte_vec_t code;
    wasmtime_error_t *error = flv__wt.wasmtime_module_serialize(m, &code);

    if (error != NULL) {
        flv__wt.wasmtime_error_delete(error);
        return m;
    }
    if (keep(e, path, &code)) {
        mapped = load(e, path);
    }
    flv__wt.wasm_byte_vec_delete(&code);
    if (mapped == NULL) {
        return m;
    }
    flv__wt.wasmtime_module_delete(m);
    return mapped;
}

flv_rc flv__sm_compile(struct flv_sm_engine *e,
                       const char *hash,
                       struct flv_slice plain,
                       wasmtime_module_t **out,
                       struct flv_err *err)
{
    wasmtime_error_t *error;
    wasmtime_module_t *m;
    char path[4200] = "", text[160];

    if (e->cache_dir != NULL) {
        int n = snprintf(path, sizeof(path),
                         "%s/%s-" WASMTIME_VERSION "-" SETTINGS SUFFIX,
                         e->cache_dir, hash);

        m = n > 0 && (size_t)n < sizeof(path) ? load(e, path) : NULL;
        if (m != NULL) {
            *out = m;
            return FLV_OK;
        }
    }
    error = flv__wt.wasmtime_module_new(e->wt, plain.data, plain.len, &m);
    if (error != NULL) {
        flv__wt_error_text(error, text, sizeof(text));
        return flv_fail(err, FLV_E_INVALID, "does not compile: %s", text);
    }
    *out = path[0] != '\0' ? exchange(e, path, m) : m;
    malloc_trim(0); /* the compiler needs many megabytes for a moment */
    return FLV_OK;
}
