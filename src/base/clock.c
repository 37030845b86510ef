#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

static const struct flv_clock *fake; /* borrowed; NULL: the real clock */

static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);

    assert(rc == 0 && ts.tv_nsec >= 0);
    (void)rc;
    return ts;
}

uint64_t flv_clock_mono_ns(void)
{
    struct timespec ts;

    if (fake != NULL) {
        return fake->mono_ns(fake->ctx);
    }
    ts = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t flv_clock_mono_ms(void)
{
    return flv_clock_mono_ns() / 1000000U;
}

int64_t flv_clock_wall_ms(void)
{
    struct timespec ts;

    if (fake != NULL) {
        return fake->wall_ms(fake->ctx);
    }
    ts = read_clock(CLOCK_REALTIME);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t flv_clock_thread_ns(void)
{
    struct timespec ts = read_clock(CLOCK_THREAD_CPUTIME_ID);

    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void flv__clock_set(const struct flv_clock *clock)
{
    assert(clock == NULL || (clock->mono_ns != NULL && clock->wall_ms != NULL));
    fake = clock;
}

#define WALL_MIN (-62167219200000LL) /* 0000-01-01T00:00:00.000Z */
#define WALL_MAX 253402300799999LL   /* 9999-12-31T23:59:59.999Z */

struct date {
    int64_t year;
    int month, day;
};

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar. Years
 * are counted from March, so that the leap day is the last of its year. */
static struct date date_of_days(int64_t days)
{
    int64_t z = days + 719468; /* days since 0000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097; /* day of the 400 years */
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153; /* month, 0 is March */
    struct date d = {.year = yoe + era * 400,
                     .month = (int)(mp < 10 ? mp + 3 : mp - 9),
                     .day = (int)(doy - (153 * mp + 2) / 5 + 1)};

    d.year += d.month <= 2;
    return d;
}

void flv_clock_format(int64_t wall_ms, char out[FLV_CLOCK_TEXT_MAX])
{
    const int64_t day_ms = 86400000;
    int64_t days, rest;
    struct date d;
    int len;

    wall_ms = wall_ms < WALL_MIN ? WALL_MIN : wall_ms;
    wall_ms = wall_ms > WALL_MAX ? WALL_MAX : wall_ms;
    days = wall_ms / day_ms;
    rest = wall_ms % day_ms;
    if (rest < 0) {
        rest += day_ms;
        days--;
    }
    d = date_of_days(days);
    len =
        snprintf(out, FLV_CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                 (unsigned)d.year % 10000U, (unsigned)d.month % 100U,
                 (unsigned)d.day % 100U, (unsigned)(rest / 3600000) % 100U,
                 (unsigned)(rest / 60000 % 60), (unsigned)(rest / 1000 % 60),
                 (unsigned)(rest % 1000));
    assert(len == FLV_CLOCK_TEXT_MAX - 1);
    (void)len;
}
