/* fuzz-libs: flv_wire */
/* A record set as a server checks it and a consumer reads it. The checksums
 * are written anew, else nothing would get past them. What reads can be built
 * again and reads the same. */
#include <stdlib.h>
#include <string.h>

#include "wire/batch.h"
#include "wire/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTION_MAX (1 << 20)

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool read_all(struct flv_batch_reader *r,
                     struct flv_slice batch,
                     struct flv_batch_builder *b,
                     bool *rebuilt)
{
    struct flv_record record;
    bool more = true;

    *rebuilt = true;
    if (flv_batch_reader_open(r, batch, NULL) != FLV_OK) {
        return false;
    }
    for (;;) {
        if (flv_batch_reader_next(r, &record, &more, NULL) != FLV_OK) {
            return false;
        }
        if (!more) {
            return true;
        }
        /* Timestamps may be too far apart for one batch of ours. */
        if (flv_batch_builder_add(b, record.has_key ? &record.key : NULL,
                                  record.value, record.timestamp_ms,
                                  NULL) != FLV_OK) {
            *rebuilt = false;
        }
    }
}

static void compare(struct flv_batch_reader *a, struct flv_batch_reader *b)
{
    struct flv_record x, y;
    bool more = true;

    for (;;) {
        check(flv_batch_reader_next(a, &x, &more, NULL) == FLV_OK);
        if (!more) {
            check(flv_batch_reader_next(b, &y, &more, NULL) == FLV_OK);
            check(!more);
            return;
        }
        check(flv_batch_reader_next(b, &y, &more, NULL) == FLV_OK && more);
        check(x.has_key == y.has_key && flv_slice_eq(x.key, y.key));
        check(flv_slice_eq(x.value, y.value));
    }
}

/* As a client reads what came through SmartModules: the section's count alone
 * says how many records there are. */
static void read_sparse(struct flv_slice batch, struct flv_compressor *z)
{
    struct flv_batch_reader r;
    struct flv_record record;
    bool more = true;
    uint32_t n = 0;

    flv_batch_reader_init(&r, z, SECTION_MAX);
    r.sparse = true;
    if (flv_batch_reader_open(&r, batch, NULL) == FLV_OK) {
        while (more &&
               flv_batch_reader_next(&r, &record, &more, NULL) == FLV_OK) {
            n += more;
        }
        check(more || n == flv_get_u32(flv_batch_reader_section(&r).data));
    }
    flv_batch_reader_deinit(&r);
}

static void one_batch(struct flv_slice batch, struct flv_compressor *z)
{
    struct flv_batch_builder builder;
    struct flv_batch_reader a, b;
    struct flv_batch_header h, h2;
    struct flv_buf out;
    bool rebuilt = false;
    flv_rc checked = flv_batch_check(batch, z, &h, NULL);

    flv_batch_builder_init(&builder, 4 * SECTION_MAX);
    flv_batch_reader_init(&a, z, SECTION_MAX);
    flv_batch_reader_init(&b, z, 4 * SECTION_MAX);
    flv_buf_init(&out, 8 * SECTION_MAX);
    if (read_all(&a, batch, &builder, &rebuilt)) {
        /* What reads to its end was sound to the server too. */
        check(checked == FLV_OK);
        check(h.count == a.header.count);
        if (rebuilt && builder.count > 0) {
            enum flv_codec codec = (enum flv_codec)(h.count % FLV_CODEC_COUNT);

            check(flv_batch_builder_finish(&builder, z, codec,
                                           FLV_BATCH_NO_STAMP, &out,
                                           NULL) == FLV_OK);
            check(flv_batch_check(flv_buf_slice(&out), z, &h2, NULL) == FLV_OK);
            check(h2.count == h.count);
            check(flv_batch_reader_open(&a, batch, NULL) == FLV_OK);
            check(flv_batch_reader_open(&b, flv_buf_slice(&out), NULL) ==
                  FLV_OK);
            compare(&a, &b);
        }
    }
    flv_batch_builder_deinit(&builder);
    flv_batch_reader_deinit(&a);
    flv_batch_reader_deinit(&b);
    flv_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_compressor *z = flv_compressor_create();
    uint8_t *copy = malloc(size + 1);
    struct flv_slice rest = flv_slice(copy, size);

    check(z != NULL && copy != NULL);
    memcpy(copy, data, size);
    for (;;) {
        struct flv_batch_header h;
        struct flv_slice batch;
        uint8_t *at = copy + (size - rest.len);

        if (flv_batch_walk(&rest, &batch, &h, NULL) != FLV_OK ||
            batch.len == 0) {
            break;
        }
        flv_put_u32(at + FLV_BATCH_CRC_POS,
                    flv_crc32c(0, at + FLV_BATCH_CRC_START,
                               batch.len - FLV_BATCH_CRC_START));
        one_batch(batch, z);
        read_sparse(batch, z);
    }
    free(copy);
    flv_compressor_destroy(z);
    return 0;
}
