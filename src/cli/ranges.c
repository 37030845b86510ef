#include "cli/ranges.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>

void cli_ranges_deinit(struct cli_ranges *r)
{
    flv_free(r->at);
    *r = (struct cli_ranges){.at = NULL};
}

void cli_ranges_clear(struct cli_ranges *r)
{
    r->count = 0;
}

/* The first range that ends at `offset` or behind it. */
static size_t find(const struct cli_ranges *r, int64_t offset)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (r->at[mid].last < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static flv_rc reserve(struct cli_ranges *r)
{
    if (r->count < r->cap) {
        return FLV_OK;
    }
    const size_t cap = r->cap > 0 ? 2 * r->cap : 16;
    if (r->count >= CLI_RANGES_MAX) {
        return FLV_E_LIMIT;
    }
    struct cli_range *at = flv_realloc(r->at, cap * sizeof *at);
    if (at == NULL) {
        return FLV_E_NOMEM;
    }
    r->at = at;
    r->cap = cap;
    return FLV_OK;
}

flv_rc cli_ranges_add(struct cli_ranges *r, int64_t first, int64_t last)
{
    assert(first >= 0 && first <= last);
    /* Those that touch: from `from` up to `to`. */
    const size_t from = find(r, first > 0 ? first - 1 : 0);
    size_t to = from;
    while (to < r->count &&
           (last == INT64_MAX || r->at[to].first <= last + 1)) {
        first = r->at[to].first < first ? r->at[to].first : first;
        last = r->at[to].last > last ? r->at[to].last : last;
        to++;
    }
    if (to == from) {
        flv_rc rc = reserve(r);
        if (rc != FLV_OK) {
            return rc;
        }
        memmove(r->at + from + 1, r->at + from,
                (r->count - from) * sizeof *r->at);
        r->count++;
    } else {
        memmove(r->at + from + 1, r->at + to, (r->count - to) * sizeof *r->at);
        r->count -= to - from - 1;
    }
    r->at[from] = (struct cli_range){.first = first, .last = last};
    return FLV_OK;
}

flv_rc cli_ranges_add_all(struct cli_ranges *r, const struct cli_ranges *other)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < other->count && rc == FLV_OK; i++) {
        rc = cli_ranges_add(r, other->at[i].first, other->at[i].last);
    }
    return rc;
}

const struct cli_range *cli_ranges_find(const struct cli_ranges *r,
                                        int64_t offset)
{
    const size_t i = find(r, offset);
    return i < r->count ? &r->at[i] : NULL;
}

bool cli_ranges_touches(const struct cli_ranges *r, int64_t first, int64_t last)
{
    const size_t i = find(r, first);
    return i < r->count && r->at[i].first <= last;
}

bool cli_ranges_has(const struct cli_ranges *r, int64_t offset)
{
    return cli_ranges_touches(r, offset, offset);
}

uint64_t
cli_ranges_count(const struct cli_ranges *r, int64_t first, int64_t last)
{
    uint64_t n = 0;
    for (size_t i = find(r, first); i < r->count && r->at[i].first <= last;
         i++) {
        const int64_t from = r->at[i].first > first ? r->at[i].first : first;
        const int64_t to = r->at[i].last < last ? r->at[i].last : last;
        n += (uint64_t)(to - from) + 1;
    }
    return n;
}

flv_rc cli_ranges_json(const struct cli_ranges *r, struct flv_buf *out)
{
    flv_rc rc = flv_buf_add_str(out, "[");
    for (size_t i = 0; i < r->count && rc == FLV_OK; i++) {
        rc = flv_buf_addf(out, "%s[%" PRId64 ",%" PRId64 "]", i > 0 ? "," : "",
                          r->at[i].first, r->at[i].last);
    }
    return rc == FLV_OK ? flv_buf_add_str(out, "]") : rc;
}
