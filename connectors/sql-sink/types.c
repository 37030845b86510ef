/* The types of ops.h: is this text one of that type? */
#include "ops.h"

#include <assert.h>

#include "base/text.h"

struct scan {
    const uint8_t *p, *end;
};

static bool eat(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != (uint8_t)c) {
        return false;
    }
    s->p++;
    return true;
}

static bool eat_any(struct scan *s, const char *set)
{
    if (s->p == s->end || *s->p == '\0' || strchr(set, *s->p) == NULL) {
        return false;
    }
    s->p++;
    return true;
}

static size_t digits(struct scan *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return (size_t)(s->p - from);
}

static bool is_over(const struct scan *s)
{
    return s->p == s->end;
}

/* Exactly n digits, at least low and at most high. */
static bool field(struct scan *s, unsigned n, int low, int high, int *out)
{
    int v = 0;
    for (unsigned i = 0; i < n; i++, s->p++) {
        if (s->p == s->end || *s->p < '0' || *s->p > '9') {
            return false;
        }
        v = v * 10 + (*s->p - '0');
    }
    *out = v;
    return v >= low && v <= high;
}

static bool is_integer(struct flv_slice text, int64_t min, int64_t max)
{
    struct scan s = {text.data, text.data + text.len};
    bool minus = eat(&s, '-');
    uint64_t v = 0, limit = minus ? (uint64_t) - (min + 1) + 1 : (uint64_t)max;
    if (!minus) {
        (void)eat(&s, '+');
    }
    if (is_over(&s)) {
        return false;
    }
    for (; !is_over(&s); s.p++) {
        unsigned digit = (unsigned)*s.p - '0';
        if (digit > 9 || v > (limit - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    return true;
}

static bool is_word(struct flv_slice text, const char *word)
{
    size_t len = strlen(word);
    if (text.len != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((text.data[i] | 0x20) != (uint8_t)word[i]) {
            return false;
        }
    }
    return true;
}

static bool is_decimal(struct flv_slice text)
{
    struct scan s = {text.data, text.data + text.len};
    (void)eat_any(&s, "+-");
    size_t n = digits(&s);
    if (eat(&s, '.')) {
        n += digits(&s);
    }
    if (n == 0) {
        return false;
    }
    if (eat_any(&s, "eE")) {
        (void)eat_any(&s, "+-");
        n = digits(&s);
        return n > 0 && n <= 4 && is_over(&s);
    }
    return is_over(&s);
}

static bool is_float(struct flv_slice text)
{
    struct flv_slice bare = text;
    if (bare.len > 0 && (bare.data[0] == '-' || bare.data[0] == '+')) {
        bare = flv_slice(bare.data + 1, bare.len - 1);
    }
    return is_decimal(text) || is_word(bare, "nan") || is_word(bare, "inf") ||
           is_word(bare, "infinity");
}

static bool date(struct scan *s)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!field(s, 4, 1, 9999, &year) || !eat(s, '-') ||
        !field(s, 2, 1, 12, &month) || !eat(s, '-') ||
        !field(s, 2, 1, 31, &day)) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] && (month != 2 || day <= 28 || leap);
}

static bool clock_time(struct scan *s)
{
    int part;
    if (!field(s, 2, 0, 23, &part) || !eat(s, ':') ||
        !field(s, 2, 0, 59, &part)) {
        return false;
    }
    if (!eat(s, ':')) {
        return true;
    }
    return field(s, 2, 0, 59, &part) && (!eat(s, '.') || digits(s) > 0);
}

static bool zone(struct scan *s)
{
    int part;
    if (is_over(s) || eat_any(s, "zZ")) {
        return is_over(s);
    }
    if (!eat_any(s, "+-") || !field(s, 2, 0, 15, &part)) {
        return false;
    }
    if (is_over(s)) {
        return true;
    }
    (void)eat(s, ':');
    return field(s, 2, 0, 59, &part) && is_over(s);
}

static bool is_timestamp(struct flv_slice text)
{
    struct scan s = {text.data, text.data + text.len};
    return date(&s) && eat_any(&s, " tT") && clock_time(&s) && zone(&s);
}

static bool is_date(struct flv_slice text)
{
    struct scan s = {text.data, text.data + text.len};
    return date(&s) && is_over(&s);
}

static bool is_time(struct flv_slice text)
{
    struct scan s = {text.data, text.data + text.len};
    return clock_time(&s) && is_over(&s);
}

static bool is_uuid(struct flv_slice text)
{
    bool dashes = text.len == 36;
    if (!dashes && text.len != 32) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool dash = dashes && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash ? c != '-'
                 : c == '\0' || strchr("0123456789abcdefABCDEF", c) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_of(enum sql_type type, struct flv_slice text)
{
    switch (type) {
    case SQL_BOOL:
        return flv_slice_eq_str(text, "true") ||
               flv_slice_eq_str(text, "false");
    case SQL_CHAR:
        return is_integer(text, INT8_MIN, INT8_MAX);
    case SQL_SMALL_INT:
        return is_integer(text, INT16_MIN, INT16_MAX);
    case SQL_INT:
        return is_integer(text, INT32_MIN, INT32_MAX);
    case SQL_BIG_INT:
        return is_integer(text, INT64_MIN, INT64_MAX);
    case SQL_FLOAT:
    case SQL_DOUBLE:
        return is_float(text);
    case SQL_NUMERIC:
        return is_decimal(text);
    case SQL_TIMESTAMP:
        return is_timestamp(text);
    case SQL_DATE:
        return is_date(text);
    case SQL_TIME:
        return is_time(text);
    case SQL_UUID:
        return is_uuid(text);
    case SQL_JSON:
        return flv_text_is_json(text);
    case SQL_TEXT:
    case SQL_BYTES:
    case SQL_TYPE_COUNT:
        break;
    }
    return true;
}

flv_rc sql_value_check(const struct sql_value *v, struct flv_err *err)
{
    static const char *const forms[SQL_TYPE_COUNT] = {
        [SQL_BOOL] = ": true or false",
        [SQL_TIMESTAMP] = ": 2026-01-31 23:59:59.5, with a zone or without",
        [SQL_DATE] = ": 2026-01-31",
        [SQL_TIME] = ": 23:59:59.5",
    };
    if (v->is_null || is_of(v->type, v->text)) {
        return FLV_OK;
    }
    bool cut = v->text.len > 40;
    return flv_fail(err, FLV_E_INVALID, "\"%.*s%s\" is not of type %s%s",
                    (int)(cut ? 40 : v->text.len), (const char *)v->text.data,
                    cut ? "..." : "", sql_type_name(v->type),
                    forms[v->type] != NULL ? forms[v->type] : "");
}

struct flv_slice sql_zone_of(struct flv_slice timestamp)
{
    /* Behind "2026-01-31 "; a '-' there is the zone's. */
    for (size_t i = 11; i < timestamp.len; i++) {
        if (strchr("zZ+-", timestamp.data[i]) != NULL) {
            return flv_slice(timestamp.data + i, timestamp.len - i);
        }
    }
    return flv_slice(NULL, 0);
}
