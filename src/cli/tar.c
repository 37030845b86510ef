#include "cli/tar.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK 512
#define NAME_BYTES 100

/* POSIX.1-1988 ustar; numbers are octal digits. */
struct header {
    char name[NAME_BYTES], mode[8], uid[8], gid[8], size[12], mtime[12];
    char sum[8], type, link[NAME_BYTES], magic[6], version[2];
    char user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct cli_tar {
    gzFile gz;  /* owned */
    char *path; /* owned */
    int64_t made_s;
    int sys; /* errno of the first failure, else 0 */
};

flv_rc cli_tar_open(struct cli_tar **out, const char *path, struct flv_err *err)
{
    struct cli_tar *t = flv_zalloc(1, sizeof *t);
    *out = NULL;
    if (t != NULL) {
        t->path = flv_strdup(path);
        t->made_s = flv_clock_wall_ms() / 1000;
    }
    if (t == NULL || t->path == NULL) {
        flv_free(t);
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int sys = errno;
    t->gz = fd >= 0 ? gzdopen(fd, "wb6") : NULL;
    if (t->gz == NULL) {
        if (fd >= 0) {
            close(fd);
            (void)unlink(path);
            sys = ENOMEM;
        }
        flv_free(t->path);
        flv_free(t);
        return flv_fail_sys(err, sys == EEXIST ? FLV_E_EXISTS : FLV_E_IO, sys,
                            "cannot write %.120s", path);
    }
    *out = t;
    return FLV_OK;
}

static void put(struct cli_tar *t, const void *bytes, size_t len)
{
    while (t->sys == 0 && len > 0) {
        unsigned n = len < (1u << 30) ? (unsigned)len : 1u << 30;
        errno = 0;
        if (gzwrite(t->gz, bytes, n) != (int)n) {
            t->sys = errno != 0 ? errno : EIO;
        }
        bytes = (const char *)bytes + n;
        len -= n;
    }
}

void cli_tar_add(struct cli_tar *t, const char *name, struct flv_slice bytes)
{
    static const char zeros[BLOCK];
    struct header h = {.type = '0'};
    unsigned sum = 0;
    assert(strlen(name) < NAME_BYTES);
    memcpy(h.name, name, strlen(name));
    snprintf(h.mode, sizeof h.mode, "%07o", 0600U);
    snprintf(h.uid, sizeof h.uid, "%07o", 0U);
    snprintf(h.gid, sizeof h.gid, "%07o", 0U);
    snprintf(h.size, sizeof h.size, "%011" PRIo64,
             (uint64_t)bytes.len & 077777777777);
    snprintf(h.mtime, sizeof h.mtime, "%011" PRIo64,
             (uint64_t)t->made_s & 077777777777);
    memcpy(h.magic, "ustar", sizeof h.magic);
    memcpy(h.version, "00", sizeof h.version);
    memset(h.sum, ' ', sizeof h.sum);
    for (size_t i = 0; i < sizeof h; i++) {
        sum += ((const unsigned char *)&h)[i];
    }
    snprintf(h.sum, sizeof h.sum, "%06o", sum & 0777777);
    put(t, &h, sizeof h);
    put(t, bytes.data, bytes.len);
    put(t, zeros, (BLOCK - bytes.len % BLOCK) % BLOCK);
}

flv_rc cli_tar_close(struct cli_tar *t, struct flv_err *err)
{
    static const char zeros[2 * BLOCK];
    flv_rc rc = FLV_OK;
    put(t, zeros, sizeof zeros);
    errno = 0;
    int closed = gzclose(t->gz);
    if (t->sys == 0 && closed != Z_OK) {
        t->sys = errno != 0 ? errno : EIO;
    }
    if (t->sys != 0) {
        (void)unlink(t->path);
        rc =
            flv_fail_sys(err, FLV_E_IO, t->sys, "cannot write %.120s", t->path);
    }
    flv_free(t->path);
    flv_free(t);
    return rc;
}
