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

int smart_setup(void **state)
{
    static struct smart t;
    memset(&t, 0, sizeof t);
    rig_init(&t.rig);
    t.rig.conf.modules.fuel = 20000000;
    t.rig.conf.modules.memory_bytes = 16u << 20;
    t.wasm[SMART_FILTER] = assemble("filter");
    t.wasm[SMART_SPLIT] = smart_build("split");
    t.wasm[SMART_TAG] = smart_build("tag");
    t.wasm[SMART_CHARS] = smart_build("chars");
    t.wasm[SMART_SEEN] = smart_build("seen");
    rig_start(&t.rig);
    link_open(&t.sc, t.rig.sc);
    link_open(&t.spu, t.rig.spu);
    link_open(&t.reader, t.rig.spu);
    flv_buf_init(&t.buf, 64u << 20);
    assert_int_equal(rig_create_topic(&t.sc, "t", 1), 0);
    *state = &t;
    return 0;
}

int smart_teardown(void **state)
{
    struct smart *t = *state;
    link_close(&t->sc);
    link_close(&t->spu);
    link_close(&t->reader);
    flv_buf_deinit(&t->buf);
    for (int i = 0; i < SMART_MODULES; i++) {
        flv_free((void *)(uintptr_t)t->wasm[i].data);
    }
    rig_stop(&t->rig);
    rig_deinit(&t->rig);
    return 0;
}

struct flv_slice
smart_batch(struct smart *t, const char *words, enum flv_codec codec)
{
    flv_buf_reset(&t->buf);
    smart_words(&t->buf, words, codec);
    return flv_buf_slice(&t->buf);
}

void smart_put(struct smart *t, const char *words)
{
    assert_int_equal(rig_produce(&t->spu, "t", 0,
                                 smart_batch(t, words, FLV_CODEC_NONE), NULL),
                     0);
}

struct flv_wire_module_invocation smart_ad_hoc(struct flv_slice wasm)
{
    return (struct flv_wire_module_invocation){
        .wasm = {.tag = 1, .gzip = wasm},
        .kind = {.tag = FLV_WIRE_MODULE_GENERIC}};
}

int32_t smart_fetch(struct smart *t,
                    int64_t offset,
                    struct flv_wire_module_invocation *modules,
                    uint32_t count)
{
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .fetch_offset = offset,
                                                .max_bytes = 1 << 20};
    req.smartmodules.at = modules;
    req.smartmodules.len = count;
    return link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 25,
                    &flv_wire_stream_fetch_request_schema, &req, NULL);
}

struct flv_wire_fetch_partition smart_frame(struct smart *t, int32_t asked)
{
    struct flv_wire_stream_fetch_response resp = {0};
    while (link_next(&t->reader) != asked) {
    }
    link_read(&t->reader, 25, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    return resp.partition;
}

void smart_ack(struct smart *t, uint32_t stream, int64_t offset)
{
    struct flv_wire_offset_update u = {.offset = offset, .stream_id = stream};
    struct flv_wire_update_offsets_request req;
    req.offsets.at = &u;
    req.offsets.len = 1;
    (void)link_ask(&t->reader, FLV_API_SPU_UPDATE_OFFSETS, 0,
                   &flv_wire_update_offsets_request_schema, &req, NULL);
}

/* With the conf as it is now. */
void smart_restart(struct smart *t)
{
    link_close(&t->sc);
    link_close(&t->spu);
    link_close(&t->reader);
    rig_stop(&t->rig);
    rig_start(&t->rig);
    link_open(&t->sc, t->rig.sc);
    link_open(&t->spu, t->rig.spu);
    link_open(&t->reader, t->rig.spu);
}
