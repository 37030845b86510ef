#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/text.h"

void die(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

uint64_t number(const char *text, uint64_t max)
{
    struct flv_err err;
    uint64_t n;

    if (flv_text_u64(text, 1, max, &n, &err) != FLV_OK) {
        die(err.text);
    }
    return n;
}

void *need(void *memory)
{
    if (memory == NULL) {
        die("out of memory");
    }
    return memory;
}

double cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

double percentile_us(uint64_t *ns, size_t count, unsigned permille)
{
    size_t at = count * permille / 1000;

    if (count == 0) {
        die("nothing was measured");
    }
    qsort(ns, count, sizeof(*ns), by_size);
    return (double)ns[at < count ? at : count - 1] / 1e3;
}

uint8_t *make_record(size_t size)
{
    uint8_t *data = need(flv_alloc(size));

    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)("abcdefghijklmnopqrstuvwxyz0123456"[i * 7 % 33]);
    }
    return data;
}
