#include "store/checkpoint.h"

#include <assert.h>

#include "base/mem.h"
#include "store/format.h"
#include "wire/crc32c.h"

#define CHECKPOINT_MAGIC 0xf1666c76636b7001u /* "\xf1" "flvckp" "\1" */
#define HEAD 80
#define CRC_BYTES 4 /* at the end of the file */
#define INDEX_ENTRY 8

flv_rc flv__checkpoint_encode(const struct flv__checkpoint *ck,
                              const struct flv__producers *table,
                              const struct flv__index *index,
                              struct flv_buf *out)
{
    uint8_t *head;
    flv_rc rc;

    assert(out->len == 0 && ck->pos >= FLV__SEGMENT_HEAD);
    assert(ck->start_offset <= ck->segment_base &&
           ck->segment_base <= ck->next_offset);
    rc = flv_buf_reserve(out, HEAD);
    if (rc != FLV_OK) {
        return rc;
    }
    memset(out->data, 0, HEAD);
    out->len = HEAD;
    rc = flv__producers_put(table, out);
    if (rc == FLV_OK) {
        rc = flv__index_put(index, out);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_reserve(out, CRC_BYTES);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    head = out->data;
    flv_put_u64(head, CHECKPOINT_MAGIC);
    flv_put_u32(head + 8, FLV__FORMAT);
    flv_put_u32(head + 12, (uint32_t)(out->len + CRC_BYTES));
    flv_put_u64(head + 16, ck->log_id);
    flv_put_u64(head + 24, (uint64_t)ck->start_offset);
    flv_put_u64(head + 32, (uint64_t)ck->segment_base);
    flv_put_u64(head + 40, ck->pos);
    flv_put_u64(head + 48, (uint64_t)ck->next_offset);
    flv_put_u64(head + 56, ck->next_group);
    flv_put_u32(head + 64, table->count);
    flv_put_u32(head + 68, index->len);
    flv_put_u32(head + out->len, flv_crc32c(0, head, out->len));
    out->len += CRC_BYTES;
    return FLV_OK;
}

static bool is_sane(const struct flv__checkpoint *ck)
{
    return ck->start_offset >= 0 && ck->segment_base >= ck->start_offset &&
           ck->next_offset >= ck->segment_base && ck->next_group > 0 &&
           ck->pos >= FLV__SEGMENT_HEAD && ck->pos <= UINT32_MAX &&
           ck->next_offset - ck->segment_base <= UINT32_MAX &&
           (ck->pos == FLV__SEGMENT_HEAD) ==
               (ck->next_offset == ck->segment_base);
}

/* Beyond the CRC: what a decoder must not stumble over. */
static flv_rc decode_tables(struct flv_slice rest,
                            const uint8_t *head,
                            const struct flv__checkpoint *ck,
                            struct flv__producers *table,
                            struct flv__index *index)
{
    uint32_t entries = flv_get_u32(head + 68);
    struct flv__producers own_table;
    struct flv__index own_index;
    flv_rc rc;

    flv__producers_init(&own_table, UINT32_MAX);
    flv__index_init(&own_index, 1, UINT32_MAX);
    table = table != NULL ? table : &own_table;
    index = index != NULL ? index : &own_index;
    rc = flv__producers_get(table, flv_get_u32(head + 64), &rest);
    if (rc == FLV_OK && rest.len != (uint64_t)entries * INDEX_ENTRY) {
        rc = FLV_E_CORRUPT;
    }
    if (rc == FLV_OK && entries <= index->max) {
        rc = flv__index_get(
            index, rest,
            (struct flv__index_entry){
                .record = (uint32_t)(ck->next_offset - ck->segment_base),
                .pos = (uint32_t)ck->pos,
            });
    }
    flv__producers_deinit(&own_table);
    flv__index_deinit(&own_index);
    return rc;
}

flv_rc flv__checkpoint_decode(struct flv_slice bytes,
                              struct flv__checkpoint *ck,
                              struct flv__producers *table,
                              struct flv__index *index)
{
    const uint8_t *head = bytes.data;
    struct flv__checkpoint found;
    flv_rc rc;

    if (bytes.len < HEAD + CRC_BYTES || flv_get_u64(head) != CHECKPOINT_MAGIC ||
        flv_get_u32(head + 12) != bytes.len ||
        flv_get_u32(head + bytes.len - CRC_BYTES) !=
            flv_crc32c(0, head, bytes.len - CRC_BYTES)) {
        return FLV_E_CORRUPT;
    }
    if (flv_get_u32(head + 8) != FLV__FORMAT) {
        return FLV_E_UNSUPPORTED;
    }
    found = (struct flv__checkpoint){
        .log_id = flv_get_u64(head + 16),
        .start_offset = (int64_t)flv_get_u64(head + 24),
        .segment_base = (int64_t)flv_get_u64(head + 32),
        .pos = flv_get_u64(head + 40),
        .next_offset = (int64_t)flv_get_u64(head + 48),
        .next_group = flv_get_u64(head + 56),
    };
    if (!is_sane(&found)) {
        return FLV_E_CORRUPT;
    }
    rc = decode_tables(flv_slice(head + HEAD, bytes.len - HEAD - CRC_BYTES),
                       head, &found, table, index);
    if (rc == FLV_OK) {
        *ck = found;
    }
    return rc;
}

static flv_rc write_file(struct flv_io *io,
                         const char *path,
                         struct flv_slice bytes,
                         struct flv_err *err)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.data, bytes.len};
    struct flv_file *file;
    flv_rc rc = io->ops->open(io, path, FLV_IO_OVERWRITE, &file, err);

    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_io_write_all(file, &iov, 1, 0, err);
    if (rc == FLV_OK) {
        rc = io->ops->sync(file, FLV_SYNC_CHECKPOINT_FILE, err);
    }
    flv_io_close(file);
    return rc;
}

flv_rc flv__checkpoint_save(struct flv_io *io,
                            const char *dir,
                            struct flv_slice bytes,
                            struct flv_err *err)
{
    char *path = flv__path_join(dir, FLV__NAME_CHECKPOINT);
    char *tmp = flv__path_join(dir, FLV__NAME_CHECKPOINT_TMP);
    flv_rc rc;

    if (path == NULL || tmp == NULL) {
        rc =
            flv_fail(err, FLV_E_NOMEM, "no memory for a checkpoint in %s", dir);
        goto out;
    }
    rc = write_file(io, tmp, bytes, err);
    if (rc == FLV_OK) {
        rc = io->ops->rename(io, tmp, path, err);
    }
    if (rc == FLV_OK) {
        rc = io->ops->sync_dir(io, dir, FLV_SYNC_CHECKPOINT_DIR, err);
    }
    if (rc != FLV_OK) {
        flv_err_prefix(err, "no checkpoint");
    }
out:
    flv_free(tmp);
    flv_free(path);
    return rc;
}

flv_rc flv__checkpoint_load(struct flv_io *io,
                            const char *dir,
                            struct flv_buf *out,
                            struct flv_err *err)
{
    char *path = flv__path_join(dir, FLV__NAME_CHECKPOINT);
    struct flv_file *file = NULL;
    uint64_t size = 0;
    flv_rc rc;

    if (path == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory to read %s", dir);
    }
    rc = io->ops->open(io, path, FLV_IO_READ, &file, err);
    if (rc != FLV_OK) {
        goto out;
    }
    rc = io->ops->size(file, &size, err);
    if (rc != FLV_OK) {
        goto out;
    }
    if (size > FLV__CHECKPOINT_MAX) {
        rc = flv_fail(err, FLV_E_CORRUPT, "%s: larger than %u bytes", path,
                      FLV__CHECKPOINT_MAX);
        goto out;
    }
    if (flv_buf_reserve(out, size) != FLV_OK) {
        rc = flv_fail(err, FLV_E_NOMEM, "no memory to read %s", path);
        goto out;
    }
    rc = flv_io_read_full(file, out->data, size, 0, &out->len, err);
out:
    flv_io_close(file);
    flv_free(path);
    return rc;
}
