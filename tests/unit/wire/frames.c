#include "frames.h"
#include "wire/schemas.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t unhex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;

    for (const char *p = text; *p != '\0';) {
        if (digit(p[0]) < 0) {
            p++;
            continue;
        }
        assert(digit(p[1]) >= 0 && n < max);
        out[n++] = (uint8_t)(digit(p[0]) * 16 + digit(p[1]));
        p += 2;
    }
    return n;
}

static void add_line(struct frames *f, const char *line)
{
    char to[8], dir[16];
    struct frame *frame;
    unsigned api;
    int version, hex = 0;

    f->at = realloc(f->at, (f->len + 1) * sizeof(*f->at));
    assert(f->at != NULL);
    frame = &f->at[f->len++];
    if (sscanf(line, "%47s %7s %15s %u %d %n", frame->scenario, to, dir, &api,
               &version, &hex) != 5) {
        fprintf(stderr, "bad line: %s\n", line);
        abort();
    }
    frame->side = strcmp(to, "SC") == 0 ? FLV_WIRE_SC : FLV_WIRE_SPU;
    frame->request = strcmp(dir, "request") == 0;
    frame->api = (uint16_t)api;
    frame->version = (int16_t)version;
    frame->bytes = malloc(strlen(line + hex) / 2 + 1);
    assert(frame->bytes != NULL);
    frame->len = unhex(line + hex, frame->bytes, strlen(line + hex) / 2 + 1);
}

struct frames frames_load(void)
{
    FILE *in =
        fopen(FLV_SOURCE_DIR "/tests/unit/wire/captures/frames.txt", "r");
    struct frames f = {0};
    char *line = NULL;
    size_t cap = 0;

    assert(in != NULL);
    while (getline(&line, &cap, in) > 0) {
        if (line[0] != '#') {
            add_line(&f, line);
        }
    }
    free(line);
    fclose(in);
    return f;
}

void frames_free(struct frames *f)
{
    for (size_t i = 0; i < f->len; i++) {
        free(f->at[i].bytes);
    }
    free(f->at);
}

static flv_rc open_header(const struct frame *f,
                          struct flv_slice *in,
                          struct flv_arena *arena,
                          struct opened *out,
                          struct flv_err *err)
{
    struct flv_wire_response_header response;
    flv_rc rc;

    if (f->request) {
        return flv_wire_request_header_decode(0, in, arena, &out->header, err);
    }
    rc = flv_wire_response_header_decode(0, in, arena, &response, err);
    if (rc == FLV_OK) {
        out->header.api_key = f->api;
        out->header.version = f->version;
        out->header.correlation = response.correlation;
    }
    return rc;
}

flv_rc frame_open(const struct frame *f,
                  struct flv_arena *arena,
                  struct opened *out,
                  struct flv_err *err)
{
    struct flv_slice in = flv_slice(f->bytes + 4, f->len - 4);
    struct flv_wire_envelope envelope = {0};
    bool wrapped = f->request ? flv_wire_request_wrapped(f->side, f->api)
                              : flv_wire_response_wrapped(f->side, f->api);
    flv_rc rc;

    memset(out, 0, sizeof(*out));
    if (flv_get_u32(f->bytes) != in.len) {
        return flv_fail(err, FLV_E_PROTOCOL, "wrong length prefix");
    }
    rc = open_header(f, &in, arena, out, err);
    if (rc == FLV_OK && wrapped) {
        rc = flv_wire_envelope_decode(f->version, &in, arena, &envelope, err);
        out->left_over = in.len;
        out->label = envelope.label;
        in = envelope.body;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    out->schema = f->request
                      ? flv_wire_request_schema(f->side, f->api, out->label)
                      : flv_wire_response_schema(f->side, f->api, out->label);
    if (out->schema == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED, "no table");
    }
    assert(out->schema->size <= sizeof(out->body));
    rc = flv_wire_decode(out->schema, f->version, &in, arena, out->body, err);
    out->left_over += in.len;
    return rc;
}

flv_rc frame_close(const struct frame *f,
                   const struct opened *o,
                   struct flv_buf *out,
                   struct flv_wire_cuts *cuts,
                   struct flv_err *err)
{
    char label[32] = "";
    struct flv_wire_message m = {.schema = o->schema, .body = o->body};

    if (o->label.len > 0) {
        assert(o->label.len < sizeof(label));
        memcpy(label, o->label.data, o->label.len);
        m.label = label;
    }
    return f->request ? flv_wire_request_frame(&o->header, &m, out, cuts, err)
                      : flv_wire_response_frame(&o->header, &m, out, cuts, err);
}
