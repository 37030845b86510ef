/*
 * ranges.h - a set of offsets as ranges, in order.
 *
 * Purpose    Which letters of a topic are settled, chosen or failed: few
 *            ranges where letters are handled in order, as many as need be
 *            where they are not.
 * Threads    One thread.
 * Ownership  The set owns its array until cli_ranges_deinit().
 * Errors     FLV_E_LIMIT past CLI_RANGES_MAX ranges, FLV_E_NOMEM: the set is
 *            as it was.
 * Units      Offsets, both ends included.
 */
#ifndef FLV_CLI_RANGES_H
#define FLV_CLI_RANGES_H

#include "base/bytes.h"

#include <stdbool.h>

#define CLI_RANGES_MAX ((size_t)1 << 20)

struct cli_range {
    int64_t first, last;
};

struct cli_ranges {
    struct cli_range *at; /* owned; in order, neither touching */
    size_t count, cap;
};

void cli_ranges_deinit(struct cli_ranges *r);
void cli_ranges_clear(struct cli_ranges *r);
/* 0 <= first <= last. */
FLV_CHECKED flv_rc cli_ranges_add(struct cli_ranges *r,
                                  int64_t first,
                                  int64_t last);
FLV_CHECKED flv_rc cli_ranges_add_all(struct cli_ranges *r,
                                      const struct cli_ranges *other);
/* The first range that ends at `offset` or behind it, or NULL. */
const struct cli_range *cli_ranges_find(const struct cli_ranges *r,
                                        int64_t offset);
bool cli_ranges_has(const struct cli_ranges *r, int64_t offset);
/* Whether any offset of the range is in the set. */
bool cli_ranges_touches(const struct cli_ranges *r,
                        int64_t first,
                        int64_t last);
/* How many offsets of first..last are in the set. */
uint64_t
cli_ranges_count(const struct cli_ranges *r, int64_t first, int64_t last);
/* "[[3,7],[9,9]]". */
FLV_CHECKED flv_rc cli_ranges_json(const struct cli_ranges *r,
                                   struct flv_buf *out);

#endif
