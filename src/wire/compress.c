#define ZLIB_CONST
#include "wire/compress.h"
#include "base/mem.h"
#include "wire/snappy_frame.h"
#include <assert.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    GZIP_LEVEL = 6,
    GZIP_WINDOW = 15 + 16, /* largest window, gzip header */
    GZIP_MEMORY = 8,
    ZSTD_LEVEL = 1,
    /* 32 MiB, the largest frame; more memory than that no batch deserves. */
    ZSTD_WINDOW_LOG_MAX = 25,
    STEP_BYTES = 16 * 1024,
};

struct flv_compressor {
    z_stream deflate, inflate;
    bool has_deflate, has_inflate;
    LZ4F_dctx *lz4;
    ZSTD_CCtx *zstd_c;
    ZSTD_DCtx *zstd_d;
    struct flv_buf scratch; /* one snappy chunk */
};

/* What a codec's step moves along. */
struct flow {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_len;
    bool end; /* the stream said that it is complete */
};

/* Moves as much as it can; FLV_E_CORRUPT for bytes of another kind. */
typedef flv_rc (*step_fn)(struct flv_compressor *z,
                          struct flow *flow,
                          struct flv_err *err);

const char *flv_codec_name(enum flv_codec codec)
{
    static const char *const names[FLV_CODEC_COUNT] = {"none", "gzip", "snappy",
                                                       "lz4", "zstd"};

    return (unsigned)codec < FLV_CODEC_COUNT ? names[codec] : "unknown";
}

struct flv_compressor *flv_compressor_create(void)
{
    struct flv_compressor *z = flv_zalloc(1, sizeof(*z));

    if (z != NULL) {
        flv_buf_init(&z->scratch,
                     FLV_SNAPPY_CHUNK_MAX + FLV_DECOMPRESS_HEAD_MAX);
    }
    return z;
}

void flv_compressor_destroy(struct flv_compressor *z)
{
    if (z == NULL) {
        return;
    }
    if (z->has_deflate) {
        deflateEnd(&z->deflate);
    }
    if (z->has_inflate) {
        inflateEnd(&z->inflate);
    }
    LZ4F_freeDecompressionContext(z->lz4);
    ZSTD_freeCCtx(z->zstd_c);
    ZSTD_freeDCtx(z->zstd_d);
    flv_buf_deinit(&z->scratch);
    flv_free(z);
}

static flv_rc no_memory(struct flv_err *err, enum flv_codec codec)
{
    return flv_fail(err, FLV_E_NOMEM, "%s: out of memory for the codec",
                    flv_codec_name(codec));
}

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return flv_zalloc(items, size);
}

static void zlib_free(voidpf opaque, voidpf p)
{
    (void)opaque;
    flv_free(p);
}

/* --- compression
 * -------------------------------------------------------------- */

static flv_rc deflate_ready(struct flv_compressor *z)
{
    if (z->has_deflate) {
        return deflateReset(&z->deflate) == Z_OK ? FLV_OK : FLV_E_NOMEM;
    }
    memset(&z->deflate, 0, sizeof(z->deflate));
    z->deflate.zalloc = zlib_alloc;
    z->deflate.zfree = zlib_free;
    if (deflateInit2(&z->deflate, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW,
                     GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return FLV_E_NOMEM;
    }
    z->has_deflate = true;
    return FLV_OK;
}

static flv_rc gzip_compress(struct flv_compressor *z,
                            struct flv_slice in,
                            uint8_t *out,
                            size_t room,
                            size_t *size)
{
    int got;

    z->deflate.next_in = in.data;
    z->deflate.avail_in = (uInt)in.len;
    z->deflate.next_out = out;
    z->deflate.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
    got = deflate(&z->deflate, Z_FINISH);
    *size = (size_t)(z->deflate.next_out - out);
    return got == Z_STREAM_END ? FLV_OK : FLV_E_LIMIT;
}

static const LZ4F_preferences_t lz4_preferences = {
    .frameInfo.blockMode = LZ4F_blockIndependent,
};

/* The most bytes that compressing can give, and the codec's memory. */
static flv_rc prepare(struct flv_compressor *z,
                      enum flv_codec codec,
                      size_t len,
                      size_t *bound)
{
    switch (codec) {
    case FLV_CODEC_GZIP:
        if (deflate_ready(z) != FLV_OK) {
            return FLV_E_NOMEM;
        }
        *bound = deflateBound(&z->deflate, len);
        return FLV_OK;
    case FLV_CODEC_LZ4:
        *bound = LZ4F_compressFrameBound(len, &lz4_preferences);
        return FLV_OK;
    default:
        assert(codec == FLV_CODEC_ZSTD);
        if (z->zstd_c == NULL) {
            z->zstd_c = ZSTD_createCCtx();
        }
        *bound = ZSTD_compressBound(len);
        return z->zstd_c != NULL ? FLV_OK : FLV_E_NOMEM;
    }
}

static flv_rc compress_block(struct flv_compressor *z,
                             enum flv_codec codec,
                             struct flv_slice in,
                             uint8_t *out,
                             size_t room,
                             size_t *size)
{
    switch (codec) {
    case FLV_CODEC_GZIP:
        return gzip_compress(z, in, out, room, size);
    case FLV_CODEC_LZ4:
        *size =
            LZ4F_compressFrame(out, room, in.data, in.len, &lz4_preferences);
        return LZ4F_isError(*size) ? FLV_E_LIMIT : FLV_OK;
    default:
        assert(codec == FLV_CODEC_ZSTD);
        *size = ZSTD_compressCCtx(z->zstd_c, out, room, in.data, in.len,
                                  ZSTD_LEVEL);
        return ZSTD_isError(*size) ? FLV_E_LIMIT : FLV_OK;
    }
}

flv_rc flv_compress(struct flv_compressor *z,
                    enum flv_codec codec,
                    struct flv_slice in,
                    struct flv_buf *out,
                    struct flv_err *err)
{
    size_t bound = 0, size = 0;
    flv_rc rc;

    assert((unsigned)codec < FLV_CODEC_COUNT);
    if (in.len > INT32_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%s: %zu bytes are too many at once",
                        flv_codec_name(codec), in.len);
    }
    if (codec == FLV_CODEC_SNAPPY) {
        return flv__snappy_compress(in, out, err);
    }
    if (codec == FLV_CODEC_NONE) {
        rc = flv_buf_add(out, in.data, in.len);
        goto done;
    }
    rc = prepare(z, codec, in.len, &bound);
    if (rc != FLV_OK) {
        return no_memory(err, codec);
    }
    /* The bound may pass the ceiling where the result does not. */
    bound = bound < out->max - out->len ? bound : out->max - out->len;
    rc = flv_buf_reserve(out, bound);
    if (rc == FLV_OK) {
        rc = compress_block(z, codec, in, out->data + out->len, bound, &size);
    }
    if (rc == FLV_OK) {
        out->len += size;
    }
done:
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "%s: no room for %zu bytes, ceiling %zu",
                        flv_codec_name(codec), in.len, out->max);
    }
    return FLV_OK;
}

/* --- decompression
 * -------------------------------------------------------------- */

static flv_rc
gzip_step(struct flv_compressor *z, struct flow *flow, struct flv_err *err)
{
    z_stream *s = &z->inflate;
    uInt in = flow->in_len < UINT_MAX ? (uInt)flow->in_len : UINT_MAX;
    uInt out = flow->out_len < UINT_MAX ? (uInt)flow->out_len : UINT_MAX;
    int got;

    s->next_in = flow->in;
    s->avail_in = in;
    s->next_out = flow->out;
    s->avail_out = out;
    got = inflate(s, Z_NO_FLUSH);
    flow->in += in - s->avail_in;
    flow->in_len -= in - s->avail_in;
    flow->out += out - s->avail_out;
    flow->out_len -= out - s->avail_out;
    flow->end = got == Z_STREAM_END;
    if (got == Z_MEM_ERROR) {
        return no_memory(err, FLV_CODEC_GZIP);
    }
    if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR) {
        return flv_fail(err, FLV_E_CORRUPT, "gzip: %s",
                        s->msg != NULL ? s->msg : "damaged stream");
    }
    return FLV_OK;
}

static flv_rc
lz4_step(struct flv_compressor *z, struct flow *flow, struct flv_err *err)
{
    size_t in = flow->in_len, out = flow->out_len;
    size_t got = LZ4F_decompress(z->lz4, flow->out, &out, flow->in, &in, NULL);

    if (LZ4F_isError(got)) {
        /* The installed header has no codes, only their names. */
        const char *name = LZ4F_getErrorName(got);

        return strcmp(name, "ERROR_allocation_failed") == 0
                   ? no_memory(err, FLV_CODEC_LZ4)
                   : flv_fail(err, FLV_E_CORRUPT, "lz4: %s", name);
    }
    flow->in += in;
    flow->in_len -= in;
    flow->out += out;
    flow->out_len -= out;
    flow->end = got == 0;
    return FLV_OK;
}

static flv_rc
zstd_step(struct flv_compressor *z, struct flow *flow, struct flv_err *err)
{
    ZSTD_inBuffer in = {.src = flow->in, .size = flow->in_len};
    ZSTD_outBuffer out = {.dst = flow->out, .size = flow->out_len};
    size_t got = ZSTD_decompressStream(z->zstd_d, &out, &in);

    if (ZSTD_isError(got)) {
        return ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation
                   ? no_memory(err, FLV_CODEC_ZSTD)
                   : flv_fail(err, FLV_E_CORRUPT, "zstd: %s",
                              ZSTD_getErrorName(got));
    }
    flow->in += in.pos;
    flow->in_len -= in.pos;
    flow->out += out.pos;
    flow->out_len -= out.pos;
    flow->end = got == 0;
    return FLV_OK;
}

static flv_rc inflate_ready(struct flv_compressor *z)
{
    if (z->has_inflate) {
        return inflateReset(&z->inflate) == Z_OK ? FLV_OK : FLV_E_NOMEM;
    }
    memset(&z->inflate, 0, sizeof(z->inflate));
    z->inflate.zalloc = zlib_alloc;
    z->inflate.zfree = zlib_free;
    if (inflateInit2(&z->inflate, GZIP_WINDOW) != Z_OK) {
        return FLV_E_NOMEM;
    }
    z->has_inflate = true;
    return FLV_OK;
}

static flv_rc lz4_ready(struct flv_compressor *z)
{
    if (z->lz4 == NULL &&
        LZ4F_isError(LZ4F_createDecompressionContext(&z->lz4, LZ4F_VERSION))) {
        z->lz4 = NULL;
        return FLV_E_NOMEM;
    }
    LZ4F_resetDecompressionContext(z->lz4);
    return FLV_OK;
}

static flv_rc zstd_ready(struct flv_compressor *z)
{
    size_t got;

    if (z->zstd_d == NULL) {
        z->zstd_d = ZSTD_createDCtx();
    }
    if (z->zstd_d == NULL) {
        return FLV_E_NOMEM;
    }
    got = ZSTD_DCtx_reset(z->zstd_d, ZSTD_reset_session_and_parameters);
    assert(!ZSTD_isError(got));
    got = ZSTD_DCtx_setParameter(z->zstd_d, ZSTD_d_windowLogMax,
                                 ZSTD_WINDOW_LOG_MAX);
    assert(!ZSTD_isError(got));
    return FLV_OK;
}

static flv_rc
begin(struct flv_compressor *z, enum flv_codec codec, step_fn *step)
{
    switch (codec) {
    case FLV_CODEC_GZIP:
        *step = gzip_step;
        return inflate_ready(z);
    case FLV_CODEC_LZ4:
        *step = lz4_step;
        return lz4_ready(z);
    default:
        assert(codec == FLV_CODEC_ZSTD);
        *step = zstd_step;
        return zstd_ready(z);
    }
}

static flv_rc cut(struct flv_err *err, enum flv_codec codec)
{
    return flv_fail(err, FLV_E_CORRUPT, "%s: the stream is cut before its end",
                    flv_codec_name(codec));
}

/* One step into the buffer, or, when it is full, into one spare byte: only
 * so a stream that ends exactly at the ceiling is told from a larger one. */
static flv_rc step_into(struct flv_compressor *z,
                        step_fn step,
                        struct flow *flow,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    size_t room = out->max - out->len;
    uint8_t spare;
    flv_rc rc;

    if (room > 0) {
        rc = flv_buf_reserve(out, room < STEP_BYTES ? room : STEP_BYTES);
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "no memory to decompress to");
        }
        flow->out = out->data + out->len;
        flow->out_len = out->cap - out->len;
        flow->out_len = flow->out_len < room ? flow->out_len : room;
        rc = step(z, flow, err);
        if (rc == FLV_OK) {
            out->len = (size_t)(flow->out - out->data);
        }
        return rc;
    }
    flow->out = &spare;
    flow->out_len = 1;
    rc = step(z, flow, err);
    flow->out = NULL;
    if (rc == FLV_OK && flow->out_len == 0) {
        return flv_fail(err, FLV_E_LIMIT,
                        "the content is larger than the ceiling of %zu bytes",
                        out->max);
    }
    return rc;
}

flv_rc flv_decompress(struct flv_compressor *z,
                      enum flv_codec codec,
                      struct flv_slice in,
                      struct flv_buf *out,
                      struct flv_err *err)
{
    struct flow flow = {.in = in.data, .in_len = in.len};
    size_t start = out->len;
    step_fn step = NULL;
    flv_rc rc;

    assert(z != NULL || codec == FLV_CODEC_NONE);
    assert((unsigned)codec < FLV_CODEC_COUNT);
    if (codec == FLV_CODEC_SNAPPY) {
        return flv__snappy_decompress(in, SIZE_MAX, out, err);
    }
    if (codec == FLV_CODEC_NONE) {
        rc = flv_buf_add(out, in.data, in.len);
        return rc == FLV_OK ? FLV_OK
                            : flv_fail(err, rc, "no room for a plain copy");
    }
    if (in.len == 0) {
        return cut(err, codec);
    }
    rc = begin(z, codec, &step);
    if (rc != FLV_OK) {
        return no_memory(err, codec);
    }
    while (rc == FLV_OK && !flow.end) {
        size_t in_before = flow.in_len, out_before = out->len;

        rc = step_into(z, step, &flow, out, err);
        if (rc == FLV_OK && !flow.end && flow.in_len == in_before &&
            out->len == out_before) {
            rc = cut(err, codec);
        }
    }
    if (rc == FLV_OK && flow.in_len > 0) {
        rc = flv_fail(err, FLV_E_CORRUPT,
                      "%s: %zu bytes follow the end of the stream",
                      flv_codec_name(codec), flow.in_len);
    }
    if (rc != FLV_OK) {
        out->len = start;
    }
    return rc;
}

static flv_rc head_of_snappy(struct flv_compressor *z,
                             struct flv_slice in,
                             uint8_t *out,
                             size_t want,
                             struct flv_err *err)
{
    flv_rc rc;

    flv_buf_reset(&z->scratch);
    rc = flv__snappy_decompress(in, want, &z->scratch, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (z->scratch.len < want) {
        return cut(err, FLV_CODEC_SNAPPY);
    }
    memcpy(out, z->scratch.data, want);
    return FLV_OK;
}

flv_rc flv_decompress_head(struct flv_compressor *z,
                           enum flv_codec codec,
                           struct flv_slice in,
                           uint8_t *out,
                           size_t want,
                           struct flv_err *err)
{
    uint8_t head[FLV_DECOMPRESS_HEAD_MAX];
    struct flow flow = {
        .in = in.data, .in_len = in.len, .out = head, .out_len = want};
    step_fn step = NULL;

    assert(want > 0 && want <= FLV_DECOMPRESS_HEAD_MAX);
    assert(codec != FLV_CODEC_NONE && (unsigned)codec < FLV_CODEC_COUNT);
    if (codec == FLV_CODEC_SNAPPY) {
        return head_of_snappy(z, in, out, want, err);
    }
    if (in.len == 0) {
        return cut(err, codec);
    }
    if (begin(z, codec, &step) != FLV_OK) {
        return no_memory(err, codec);
    }
    while (flow.out_len > 0) {
        size_t in_before = flow.in_len, out_before = flow.out_len;
        flv_rc rc = step(z, &flow, err);

        if (rc != FLV_OK) {
            return rc;
        }
        if (flow.out_len > 0 && (flow.end || (flow.in_len == in_before &&
                                              flow.out_len == out_before))) {
            return cut(err, codec);
        }
    }
    memcpy(out, head, want);
    return FLV_OK;
}
