#include "store/io.h"

#include <assert.h>

#include "base/mem.h"

#define COPY_BYTES (64u << 10)

const char *flv_sync_text(enum flv_sync site)
{
#define TEXT(name, text) [FLV_SYNC_##name] = (text),
    static const char *const texts[] = {FLV_SYNC_MAP(TEXT)};
#undef TEXT

    assert(site < FLV_SYNC_COUNT);
    return texts[site];
}

void flv_io_close(struct flv_file *file)
{
    if (file != NULL) {
        file->io->ops->close(file);
    }
}

flv_rc flv_io_write_all(struct flv_file *file,
                        struct iovec *iov,
                        int count,
                        uint64_t pos,
                        struct flv_err *err)
{
    while (count > 0) {
        size_t done = 0;
        flv_rc rc;

        if (iov->iov_len == 0) {
            iov++;
            count--;
            continue;
        }
        rc = file->io->ops->write(file, iov, count, pos, &done, err);
        if (rc != FLV_OK) {
            return rc;
        }
        assert(done > 0);
        pos += done;
        while (count > 0 && done >= iov->iov_len) {
            done -= iov->iov_len;
            iov++;
            count--;
        }
        if (done > 0) {
            assert(count > 0);
            iov->iov_base = (char *)iov->iov_base + done;
            iov->iov_len -= done;
        }
    }
    return FLV_OK;
}

flv_rc flv_io_read_full(struct flv_file *file,
                        void *buf,
                        size_t len,
                        uint64_t pos,
                        size_t *done,
                        struct flv_err *err)
{
    size_t total = 0;

    while (total < len) {
        size_t got = 0;
        flv_rc rc = file->io->ops->read(file, (char *)buf + total, len - total,
                                        pos + total, &got, err);

        if (rc != FLV_OK) {
            return rc;
        }
        assert(got <= len - total);
        if (got == 0) {
            break;
        }
        total += got;
    }
    *done = total;
    return FLV_OK;
}

flv_rc flv_io_copy(struct flv_file *from,
                   const char *path,
                   uint64_t pos,
                   uint64_t end,
                   struct flv_file *to,
                   uint64_t to_pos,
                   struct flv_err *err)
{
    uint8_t *buf = flv_alloc(COPY_BYTES);
    flv_rc rc = FLV_OK;

    if (buf == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory to copy %s", path);
    }
    while (rc == FLV_OK && pos < end) {
        size_t want = end - pos < COPY_BYTES ? (size_t)(end - pos) : COPY_BYTES;
        size_t got = 0;

        rc = flv_io_read_full(from, buf, want, pos, &got, err);
        if (rc == FLV_OK && got < want) {
            rc = flv_fail(err, FLV_E_IO, "%s became shorter while it was read",
                          path);
        }
        if (rc == FLV_OK) {
            struct iovec iov = {buf, got};

            rc = flv_io_write_all(to, &iov, 1, to_pos, err);
        }
        pos += got;
        to_pos += got;
    }
    flv_free(buf);
    return rc;
}
