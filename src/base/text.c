#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What the user typed, fit for a sentence: cut, and without control bytes. */
#define SHOWN_MAX 64
struct shown {
    char text[SHOWN_MAX];
};

static struct shown show(const char *text)
{
    struct shown s;
    size_t len = strnlen(text, SHOWN_MAX);
    size_t keep = len < SHOWN_MAX ? len : SHOWN_MAX - 4;

    for (size_t i = 0; i < keep; i++) {
        unsigned char c = (unsigned char)text[i];

        s.text[i] = text[i];
        if (c < 0x20 || c == 0x7f) {
            s.text[i] = '?';
        }
    }
    if (len == SHOWN_MAX) {
        keep = flv_text_utf8_prefix(flv_slice(s.text, keep));
        memcpy(s.text + keep, "...", 3);
        keep += 3;
    }
    s.text[keep] = '\0';
    return s;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits only, the whole text; false also when they overflow. */
static bool whole_number(const char *text, uint64_t *out)
{
    uint64_t v = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_digit(*text) || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

flv_rc flv_text_u64(const char *text,
                    uint64_t min,
                    uint64_t max,
                    uint64_t *out,
                    struct flv_err *err)
{
    uint64_t v;

    assert(min <= max);
    if (whole_number(text, &v) && v >= min && v <= max) {
        *out = v;
        return FLV_OK;
    }
    if (max == UINT64_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "'%s' is not a whole number of at least %llu",
                        show(text).text, (unsigned long long)min);
    }
    return flv_fail(
        err, FLV_E_INVALID, "'%s' is not a whole number from %llu to %llu",
        show(text).text, (unsigned long long)min, (unsigned long long)max);
}

flv_rc flv_text_i64(const char *text,
                    int64_t min,
                    int64_t max,
                    int64_t *out,
                    struct flv_err *err)
{
    bool minus = text[0] == '-';
    uint64_t limit = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t raw;

    assert(min <= max);
    if (whole_number(text + minus, &raw) && raw <= limit) {
        int64_t v = (int64_t)(minus ? 0 - raw : raw);

        if (v >= min && v <= max) {
            *out = v;
            return FLV_OK;
        }
    }
    return flv_fail(err, FLV_E_INVALID,
                    "'%s' is not a whole number from %lld to %lld",
                    show(text).text, (long long)min, (long long)max);
}

/* ---- Numbers with units ------------------------------------------------ */

__extension__ typedef unsigned __int128 wide;

#define FRACTION_DIGITS_MAX 9U

struct decimal {
    uint64_t whole;
    uint64_t part, scale; /* part / scale is the fraction */
};

/* Reads "12" or "12.5"; NULL when there is no such number. */
static const char *read_decimal(const char *p, struct decimal *out)
{
    struct decimal d = {.scale = 1};
    unsigned digits = 0;

    if (!is_digit(*p)) {
        return NULL;
    }
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(d.whole, 10U, &d.whole) ||
            __builtin_add_overflow(d.whole, (uint64_t)(*p - '0'), &d.whole)) {
            return NULL;
        }
    }
    if (*p == '.') {
        for (p++; is_digit(*p); p++, digits++) {
            if (digits == FRACTION_DIGITS_MAX) {
                return NULL;
            }
            d.part = d.part * 10 + (uint64_t)(*p - '0');
            d.scale *= 10;
        }
        if (digits == 0) {
            return NULL;
        }
    }
    *out = d;
    return p;
}

/* d times unit, parts of one cut off; false when it does not fit. */
static bool times(struct decimal d, uint64_t unit, uint64_t *out)
{
    wide v = (wide)d.whole * unit + (wide)d.part * unit / d.scale;

    if (v > UINT64_MAX) {
        return false;
    }
    *out = (uint64_t)v;
    return true;
}

struct unit {
    const char *names; /* separated by blanks */
    uint64_t factor;
};

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Letters at p that name a unit; 0 when unknown. */
static uint64_t read_unit(const char **p, const struct unit *units, bool fold)
{
    char word[16];
    size_t len = 0;
    const char *q = *p;
    char c;

    for (c = lower(*q); c >= 'a' && c <= 'z'; c = lower(*++q)) {
        if (len + 1 == sizeof(word)) {
            return 0;
        }
        word[len++] = *q;
        if (fold) {
            word[len - 1] = c;
        }
    }
    word[len] = '\0';
    for (; units->names != NULL; units++) {
        for (const char *name = units->names; *name != '\0';) {
            size_t n = strcspn(name, " ");

            if (n == len && memcmp(name, word, n) == 0) {
                *p = q;
                return units->factor;
            }
            name += n + (name[n] == ' ');
        }
    }
    return 0;
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " ");
}

static const struct unit time_units[] = {
    {"ns nsec nanosecond nanoseconds", 1},
    {"us usec microsecond microseconds", 1000},
    {"ms msec millisecond milliseconds", 1000000},
    {"s sec secs second seconds", 1000000000},
    {"m min mins minute minutes", 60000000000},
    {"h hr hrs hour hours", 3600000000000},
    {"d day days", 86400000000000},
    {"w week weeks", 604800000000000},
    {NULL, 0},
};

static bool sum_duration(const char *p, uint64_t bare_unit_ns, uint64_t *out_ns)
{
    uint64_t sum = 0, unit, ns;
    struct decimal d;
    size_t parts = 0;

    for (p = skip_blanks(p); *p != '\0'; p = skip_blanks(p), parts++) {
        p = read_decimal(p, &d);
        if (p == NULL) {
            return false;
        }
        p = skip_blanks(p);
        if (*p == '\0' && parts == 0) {
            unit = bare_unit_ns;
        } else {
            unit = read_unit(&p, time_units, false);
        }
        if (unit == 0 || !times(d, unit, &ns) ||
            __builtin_add_overflow(sum, ns, &sum)) {
            return false;
        }
    }
    *out_ns = sum;
    return parts > 0;
}

flv_rc flv_text_duration(const char *text,
                         uint64_t bare_unit_ms,
                         uint64_t *out_ms,
                         struct flv_err *err)
{
    uint64_t ns;

    assert(bare_unit_ms <= UINT64_MAX / 1000000U);
    if (!sum_duration(text, bare_unit_ms * 1000000U, &ns)) {
        return flv_fail(err, FLV_E_INVALID,
                        "'%s' is not a duration such as 10s, 100ms, 1h 30m "
                        "or 1d",
                        show(text).text);
    }
    *out_ms = ns / 1000000U + (ns % 1000000U != 0);
    return FLV_OK;
}

static const struct unit size_units[] = {
    {"b byte bytes", 1},        {"k kb", 1000},          {"ki kib", 1U << 10},
    {"m mb", 1000000},          {"mi mib", 1U << 20},    {"g gb", 1000000000},
    {"gi gib", 1U << 30},       {"t tb", 1000000000000}, {"ti tib", 1ULL << 40},
    {"p pb", 1000000000000000}, {"pi pib", 1ULL << 50},  {NULL, 0},
};

flv_rc flv_text_size(const char *text, uint64_t *out_bytes, struct flv_err *err)
{
    struct decimal d;
    uint64_t unit = 1, v;
    const char *p = read_decimal(skip_blanks(text), &d);

    if (p != NULL) {
        p = skip_blanks(p);
        if (*p != '\0') {
            unit = read_unit(&p, size_units, true);
            p = skip_blanks(p);
        }
    }
    if (p == NULL || *p != '\0' || unit == 0 || !times(d, unit, &v)) {
        return flv_fail(err, FLV_E_INVALID,
                        "'%s' is not a size such as 16384, 2 Ki, 1Mb or 10GiB",
                        show(text).text);
    }
    *out_bytes = v;
    return FLV_OK;
}

/* ---- For people -------------------------------------------------------- */

void flv_text_format_duration(uint64_t ms, char out[FLV_TEXT_FORMAT_MAX])
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
    };
    size_t len = 0;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t n = ms / units[i].ms;

        ms %= units[i].ms;
        if (n > 0) {
            len += (size_t)snprintf(out + len, FLV_TEXT_FORMAT_MAX - len,
                                    "%s%llu%s", len > 0 ? " " : "",
                                    (unsigned long long)n, units[i].name);
            assert(len < FLV_TEXT_FORMAT_MAX);
        }
    }
    if (len == 0) {
        snprintf(out, FLV_TEXT_FORMAT_MAX, "0s");
    }
}

void flv_text_format_size(uint64_t bytes, char out[FLV_TEXT_FORMAT_MAX])
{
    static const char prefixes[] = "KMGTPE";
    uint64_t unit = 1000, tenths;
    size_t i = 0;

    if (bytes < 1000) {
        snprintf(out, FLV_TEXT_FORMAT_MAX, "%u B", (unsigned)bytes);
        return;
    }
    for (;;) {
        tenths = (uint64_t)(((wide)bytes * 10 + unit / 2) / unit);
        if (tenths < 10000 || prefixes[i + 1] == '\0') {
            break;
        }
        unit *= 1000;
        i++;
    }
    snprintf(out, FLV_TEXT_FORMAT_MAX, "%llu.%u %cB",
             (unsigned long long)(tenths / 10), (unsigned)(tenths % 10),
             prefixes[i]);
}
