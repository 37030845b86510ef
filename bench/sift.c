#include "sift.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/batch.h"
#include "wire/spu.h"

#define FRAME_MAX_BYTES ((size_t)64 << 20)
#define VERSION 25
#define MAX_BYTES 1048890 /* as Fluvio's clients ask for */

static int fd;
static struct flv_buf frame;
static struct flv_arena arena;

static void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "flv-bench: sift: %s\n", what);
        exit(1);
    }
}

static void send_frame(uint16_t api,
                       int16_t version,
                       const struct flv_wire_schema *schema,
                       const void *body)
{
    const struct flv_wire_request_header head = {
        .api_key = api,
        .version = version,
        .correlation = api == FLV_API_SPU_STREAM_FETCH ? 1 : 2,
        .client_id = flv_slice_str("flv-bench")};
    const struct flv_wire_message message = {.schema = schema, .body = body};
    struct flv_buf out;

    flv_buf_init(&out, FRAME_MAX_BYTES);
    need(flv_wire_request_frame(&head, &message, &out, NULL, NULL) == FLV_OK,
         "cannot encode a request");
    need(send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len,
         "cannot send");
    flv_buf_deinit(&out);
}

static void receive(uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, to, size, 0);

        need(n > 0, "the server ended the connection");
        to += n;
        size -= (size_t)n;
    }
}

/* The next frame of the stream. */
static struct flv_wire_fetch_partition next_frame(void)
{
    struct flv_wire_stream_fetch_response resp;
    struct flv_slice in;
    uint8_t head[8];

    do {
        receive(head, sizeof(head));
        size_t size = flv_get_u32(head) - 4;
        flv_buf_reset(&frame);
        need(flv_buf_reserve(&frame, size) == FLV_OK, "frame too large");
        receive(frame.data, size);
        frame.len = size;
    } while (flv_get_u32(head + 4) != 1);
    in = flv_buf_slice(&frame);
    flv_arena_reset(&arena);
    need(flv_wire_stream_fetch_response_decode(VERSION, &in, &arena, &resp,
                                               NULL) == FLV_OK,
         "cannot decode a frame");
    if (resp.partition.error.code != FLV_WIRE_NONE) {
        char text[300];

        flv_wire_error_describe(&resp.partition.error, text, sizeof(text));
        need(0, text);
    }
    return resp.partition;
}

/* Records of a frame, and where to go on. */
static uint64_t count(const struct flv_wire_fetch_partition *p, int64_t *next)
{
    struct flv_slice rest = p->records, batch;
    struct flv_batch_header h;
    uint64_t n = 0;

    while (flv_batch_walk(&rest, &batch, &h, NULL) == FLV_OK && batch.len > 0) {
        need(flv_batch_check_crc(batch, NULL) == FLV_OK, "damaged batch");
        n += h.codec == FLV_CODEC_NONE ? flv_get_u32(batch.data + h.records_pos)
                                       : h.count;
        *next = h.base_offset + h.count;
    }
    if (p->next_filter_offset > 0) {
        *next = p->next_filter_offset;
    }
    return n;
}

static struct flv_slice file_of(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct flv_buf b;
    uint8_t bytes[65536];
    size_t n;

    need(f != NULL, "cannot open the module");
    flv_buf_init(&b, FRAME_MAX_BYTES);
    while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0) {
        need(flv_buf_add(&b, bytes, n) == FLV_OK, "module too large");
    }
    fclose(f);
    return flv_buf_slice(&b);
}

static void ask(const char *topic, const char *wasm, const char *param)
{
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str(topic),
                                                .max_bytes = MAX_BYTES};
    struct flv_wire_module_invocation module = {
        .wasm = {.tag = 1}, .kind = {.tag = FLV_WIRE_MODULE_GENERIC}};
    struct flv_wire_pair pair;
    const char *equals = strchr(param, '=');

    if (equals != NULL) {
        pair.key = flv_slice(param, (size_t)(equals - param));
        pair.value = flv_slice_str(equals + 1);
        module.params.params.at = &pair;
        module.params.params.len = 1;
    }
    if (strcmp(wasm, "-") != 0) {
        module.wasm.gzip = file_of(wasm);
        req.smartmodules.at = &module;
        req.smartmodules.len = 1;
    }
    send_frame(FLV_API_SPU_STREAM_FETCH, VERSION,
               &flv_wire_stream_fetch_request_schema, &req);
}

static void ack(uint32_t stream, int64_t next)
{
    struct flv_wire_offset_update u = {.offset = next, .stream_id = stream};
    struct flv_wire_update_offsets_request req;

    req.offsets.at = &u;
    req.offsets.len = 1;
    send_frame(FLV_API_SPU_UPDATE_OFFSETS, 0,
               &flv_wire_update_offsets_request_schema, &req);
}

static uint64_t number(const char *text, uint64_t max)
{
    struct flv_err err = {.rc = FLV_OK};
    uint64_t n = 0;

    need(flv_text_u64(text, 1, max, &n, &err) == FLV_OK, err.text);
    return n;
}

static void dial(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    to.sin_port = htons((uint16_t)number(port, UINT16_MAX));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0,
         "cannot connect");
    flv_buf_init(&frame, FRAME_MAX_BYTES);
    flv_arena_init(&arena, 4096, 1 << 20);
}

void spin(const char *const *argv)
{
    uint64_t streams = number(argv[3], 1024), ended = 0;

    dial(argv[0]);
    for (uint64_t i = 0; i < streams; i++) {
        ask(argv[1], argv[2], "-");
    }
    for (;;) {
        uint8_t head[8];

        receive(head, sizeof(head));
        size_t size = flv_get_u32(head) - 4;
        flv_buf_reset(&frame);
        need(flv_buf_reserve(&frame, size) == FLV_OK, "frame too large");
        receive(frame.data, size);
        /* Its budget has ended one: the next of its kind. */
        if (ended++ == 0) {
            printf("spinning=1\n");
            (void)fflush(stdout);
        }
        ask(argv[1], argv[2], "-");
    }
}

void sift(const char *const *argv)
{
    uint64_t wanted = number(argv[2], INT64_MAX), seen = 0, start_ns;
    int64_t next = 0;
    double first_ms = 0, wall_s;

    dial(argv[0]);
    start_ns = flv_clock_mono_ns();
    ask(argv[1], argv[3], argv[4]);
    while (next < (int64_t)wanted) {
        const struct flv_wire_fetch_partition p = next_frame();

        if (first_ms == 0) {
            first_ms = (double)(flv_clock_mono_ns() - start_ns) / 1e6;
        }
        int64_t behind = next;
        uint64_t n = count(&p, &behind);
        next = behind;
        if (next < (int64_t)wanted) {
            ack(1, next);
        }
        seen += n;
    }
    wall_s = (double)(flv_clock_mono_ns() - start_ns) / 1e9;
    printf("first_ms=%.2f seen=%llu scanned_per_s=%.0f\n", first_ms,
           (unsigned long long)seen, (double)next / wall_s);
}
