/* fuzz-libs: flv_base */
/*
 * Whatever a person types: readers refuse or take it, and what they took is
 * written and read back unchanged.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void read_numbers(const char *text)
{
    char shown[FLV_TEXT_FORMAT_MAX];
    uint64_t u = 0, again = 1;
    int64_t i = 0;
    struct flv_err err;

    if (flv_text_u64(text, 3, 70000, &u, &err) == FLV_OK) {
        demand(u >= 3 && u <= 70000);
    } else {
        demand(strchr(err.text, '\n') == NULL);
    }
    if (flv_text_i64(text, -5, 70000, &i, &err) == FLV_OK) {
        demand(i >= -5 && i <= 70000);
    }
    if (flv_text_duration(text, 1000, &u, &err) == FLV_OK) {
        flv_text_format_duration(u, shown);
        demand(flv_text_duration(shown, 0, &again, NULL) == FLV_OK);
        demand(again == u);
    }
    if (flv_text_size(text, &u, &err) == FLV_OK) {
        flv_text_format_size(u, shown);
        demand(flv_text_size(shown, &again, NULL) == FLV_OK || u > 1ULL << 60);
    }
}

static void write_texts(struct flv_slice s, const char *text)
{
    struct flv_buf json, hex, back;

    flv_buf_init(&json, 1 << 20);
    flv_buf_init(&hex, 1 << 20);
    flv_buf_init(&back, 1 << 20);
    demand(flv_text_json(&json, s) == FLV_OK);
    demand(flv_text_is_utf8(flv_buf_slice(&json)));
    for (size_t i = 0; i < json.len; i++) {
        demand(json.data[i] >= 0x20);
    }
    demand(flv_text_hex(&hex, s) == FLV_OK);
    demand(flv_text_unhex(&back, flv_buf_str(&hex), NULL) == FLV_OK);
    demand(flv_slice_eq(flv_buf_slice(&back), s));
    flv_buf_reset(&back);
    (void)!flv_text_unhex(&back, text, NULL);
    flv_buf_deinit(&json);
    flv_buf_deinit(&hex);
    flv_buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = flv_strndup(size > 0 ? (const char *)data : "", size);

    demand(text != NULL);
    read_numbers(text);
    write_texts(flv_slice(data, size), text);
    demand(flv_text_distance(text, text) == 0 || strlen(text) > 64);
    if (flv_log_setup(text, NULL) == FLV_OK) {
        (void)flv_log_on(FLV_LEVEL_INFO, "store::index");
    }
    flv_log_set_fd(-1);
    flv_log_line(FLV_LEVEL_ERROR, "fuzz", text,
                 FLV_KV_SLICE("v", flv_slice(data, size)), FLV_KV_END);
    flv_free(text);
    return 0;
}
