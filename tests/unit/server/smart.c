#include "smart.h"

#include "base/mem.h"
#include "util.h"

static void add_file(struct flv_buf *b, const char *path)
{
    FILE *f = fopen(path, "r");
    int c;
    if (f == NULL) {
        fail_msg("cannot open %s", path);
    }
    while ((c = fgetc(f)) != EOF) {
        assert_int_equal(flv_buf_add_u8(b, (uint8_t)c), FLV_OK);
    }
    fclose(f);
}

struct flv_slice smart_build(const char *name)
{
    char path[512];
    struct flv_buf b;
    flv_buf_init(&b, 1u << 20);
    assert_int_equal(flv_buf_add_str(&b, "(module\n"), FLV_OK);
    add_file(&b, FLV_SOURCE_DIR "/tests/unit/smartmodule/modules/prelude.wat");
    snprintf(path, sizeof path,
             FLV_SOURCE_DIR "/tests/unit/server/modules/%s.wat", name);
    add_file(&b, path);
    assert_int_equal(flv_buf_add_str(&b, ")"), FLV_OK);
    struct flv_slice wasm = assemble_text(flv_buf_str(&b));
    flv_buf_deinit(&b);
    return wasm;
}

void smart_store(struct link *sc, const char *name, struct flv_slice wasm)
{
    const struct flv_wire_smartmodule_create req = {
        .common = {.name = flv_slice_str(name)}, .spec = {.payload = wasm}};
    struct flv_wire_status status;
    int32_t asked =
        link_ask(sc, FLV_API_SC_CREATE, 19, &flv_wire_smartmodule_create_schema,
                 &req, "SmartModule");
    while (link_next(sc) != asked) {
    }
    link_read(sc, 19, &flv_wire_status_schema, &status, NULL);
    assert_int_equal(status.error.code, 0);
}

void smart_words(struct flv_buf *out, const char *words, enum flv_codec codec)
{
    struct flv_batch_builder b;
    struct flv_compressor *z = flv_compressor_create();
    int64_t at_ms = 1700000000000;
    flv_batch_builder_init(&b, 1u << 20);
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        assert_int_equal(
            flv_batch_builder_add(&b, NULL, flv_slice(words, n), at_ms++, NULL),
            FLV_OK);
        words += n + strspn(words + n, " ");
    }
    assert_int_equal(
        flv_batch_builder_finish(&b, z, codec, FLV_BATCH_NO_STAMP, out, NULL),
        FLV_OK);
    flv_batch_builder_deinit(&b);
    flv_compressor_destroy(z);
}

const char *smart_shown(struct flv_slice records, int64_t *covered)
{
    static char text[1 << 16];
    struct flv_batch_reader r;
    struct flv_compressor *z = flv_compressor_create();
    struct flv_slice batch;
    struct flv_batch_header h;
    size_t len = 0;
    text[0] = '\0';
    *covered = 0;
    flv_batch_reader_init(&r, z, 1u << 24);
    r.sparse = true;
    while (flv_batch_walk(&records, &batch, &h, NULL) == FLV_OK &&
           batch.len > 0) {
        struct flv_record rec;
        bool more = true;
        *covered += h.count;
        assert_int_equal(flv_batch_check_crc(batch, NULL), FLV_OK);
        assert_int_equal(flv_batch_reader_open(&r, batch, NULL), FLV_OK);
        while (flv_batch_reader_next(&r, &rec, &more, NULL) == FLV_OK && more) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s%lld:%.*s", len > 0 ? " " : "",
                                    (long long)rec.offset, (int)rec.value.len,
                                    (const char *)rec.value.data);
        }
        assert_false(more);
    }
    flv_batch_reader_deinit(&r);
    flv_compressor_destroy(z);
    return text;
}
