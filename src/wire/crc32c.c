#include "wire/crc32c.h"
#include <assert.h>
#include <isa-l/crc.h>
#include <limits.h>

uint32_t flv_crc32c(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint32_t state = ~crc;

    assert(data != NULL || len == 0);
    /* isa-l takes an int and neither inverts at the start nor at the end; it
     * only reads, although its parameter is not const. */
    while (len > 0) {
        size_t n = len < INT_MAX ? len : INT_MAX;

        state = crc32_iscsi((unsigned char *)p, (int)n, state);
        p += n;
        len -= n;
    }
    return ~state;
}
