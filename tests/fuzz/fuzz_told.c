/* fuzz-libs: flv_manager */
/* What a connector writes about itself: status lines, exit files, tallies. */
#include "manager/child.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_slice text = flv_slice(data, size);
    struct flv_told told;
    struct flv_ended ended;
    struct flv_tally tally, again;
    struct flv_err err = {0};
    if (flv__told_parse(text, &told, &err) == FLV_OK) {
        assert(memchr(told.cause, '\0', sizeof(told.cause)) != NULL);
        assert(told.counts.own_count <= FLV_OWN_MAX);
        assert(told.counts.stage_count <= FLV_STAGES_MAX);
    }
    if (flv__ended_parse(text, &ended, &err) == FLV_OK) {
        assert(ended.reason != FLV_END_UNKNOWN && ended.code < 256);
    }
    if (flv__tally_parse(text, &tally, &err) == FLV_OK) {
        struct flv_buf b;
        flv_buf_init(&b, (size_t)64 * 1024);
        assert(flv__tally_format(&tally, &b) == FLV_OK);
        assert(flv__tally_parse(flv_buf_slice(&b), &again, NULL) == FLV_OK);
        assert(tally.runs == again.runs && tally.end == again.end &&
               memcmp(&tally.base.all, &again.base.all,
                      sizeof(tally.base.all)) == 0);
        flv_buf_deinit(&b);
    }
    return 0;
}
