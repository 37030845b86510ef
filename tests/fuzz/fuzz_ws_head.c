/* fuzz-libs: flv_http */
/*
 * What a server answers to a WebSocket handshake, and addresses as people
 * write them: what is taken lies inside the bytes and proves what it has to;
 * texts for messages have no control characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/ws.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        demand(*text >= ' ' && *text <= '~');
    }
}

static void try_url(const uint8_t *data, size_t size)
{
    char text[256];
    struct flv_ws_url u;
    struct flv_err err = {0};
    size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (flv_ws_url_read(text, &u, &err) == FLV_OK) {
        demand(u.port > 0 && u.host[0] != '\0' && u.target[0] == '/');
        is_plain(u.target);
        is_plain(u.authority);
    } else {
        demand(err.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_ws_answer a;
    struct flv_err err = {0};
    struct flv_slice bytes = flv_slice(data, size);
    if (size == 0) {
        return 0;
    }
    try_url(data, size);
    if (flv_ws_read_answer(bytes, KEY, NULL, &a, &err) != FLV_OK) {
        demand(err.text[0] != '\0');
        return 0;
    }
    demand(a.size <= size && (a.size > 0 || size < FLV_WS_HEAD_MAX));
    is_plain(a.reason);
    demand(a.retry_after_s <= 3600);
    if (a.size > 0 && a.status == 101) {
        static const char proof[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        demand(memmem(data, a.size, proof, sizeof(proof) - 1) != NULL);
    }
    return 0;
}
