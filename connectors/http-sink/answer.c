#include "http_sink.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define SNIPPET_MAX 80
#define DAY_S INT64_C(86400)

/* --- Retry-After
 * --------------------------------------------------------------- */

/* Days since 1970 of a date in the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    static const int before[] = {0,   31,  59,  90,  120, 151,
                                 181, 212, 243, 273, 304, 334};
    int64_t y = year - 1;
    int64_t leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return y * 365 + y / 4 - y / 100 + y / 400 + before[month] +
           (month > 1 ? leap : 0) + day - 1 - 719162;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": the one form that servers send now. */
static bool date_of(const char *text, int64_t *out_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char name[4] = "", zone[4] = "";
    int day, year, hour, minute, second, end = -1;
    int n = sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s%n",
                   &day, name, &year, &hour, &minute, &second, zone, &end);
    const char *at = strlen(name) == 3 ? strstr(months, name) : NULL;
    if (n != 7 || end < 0 || text[end] != '\0' || at == NULL ||
        (at - months) % 3 != 0 || strcmp(zone, "GMT") != 0 || day < 1 ||
        day > 31 || year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60) {
        return false;
    }
    *out_s = days_of(year, (int)(at - months) / 3, day) * DAY_S + hour * 3600 +
             minute * 60 + second;
    return true;
}

bool http_sink_retry_after(const char *text,
                           int64_t now_ms,
                           uint64_t *out_wait_ms)
{
    uint64_t seconds;
    int64_t then;
    if (flv_text_u64(text, 0, INT64_MAX / 1000, &seconds, NULL) == FLV_OK) {
        *out_wait_ms = seconds * 1000;
        return true;
    }
    if (date_of(text, &then)) {
        then *= 1000;
        *out_wait_ms = then > now_ms ? (uint64_t)(then - now_ms) : 0;
        return true;
    }
    return false;
}

/* --- the answer
 * ------------------------------------------------------------------ */

static const char *header_of(const struct flv_http_response *a,
                             const char *name)
{
    for (size_t i = 0; i < a->header_count; i++) {
        if (strcmp(a->headers[i].name, name) == 0) {
            return a->headers[i].value;
        }
    }
    return NULL;
}

/* The first words of the body, for people: what is no plain text is left out.
 */
static const char *snippet(const struct flv_http_response *a,
                           char out[SNIPPET_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < a->body.len && n < SNIPPET_MAX; i++) {
        uint8_t c = a->body.data[i];
        if (c == '\r' || c == '\n') {
            break;
        }
        if (c < ' ' || c > '~') {
            return "";
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return out;
}

/* As sent, unless that is not plain text. */
static const char *reason_of(const struct flv_http_response *a)
{
    for (const char *p = a->reason; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            return flv_http_reason(a->status);
        }
    }
    return a->reason[0] != '\0' ? a->reason : flv_http_reason(a->status);
}

enum http_sink_outcome http_sink_judge(const struct flv_http_response *a,
                                       const char *shown,
                                       int64_t now_ms,
                                       uint64_t wait_max_ms,
                                       uint64_t *out_wait_ms,
                                       struct flv_err *err)
{
    unsigned s = a->status;
    char text[SNIPPET_MAX + 1];
    const char *after = header_of(a, "retry-after");
    *out_wait_ms = 0;
    if (s >= 200 && s < 300) {
        return HTTP_SINK_DELIVERED;
    }
    const char *said = snippet(a, text);
    (void)flv_fail(err, FLV_E_REFUSED, "%s answers %u %.40s%s%s", shown, s,
                   reason_of(a), said[0] != '\0' ? ": " : "", said);
    bool again = s == 408 || s == 425 || s == 429 || s >= 500;
    bool asked = again && after != NULL &&
                 http_sink_retry_after(after, now_ms, out_wait_ms);
    if (*out_wait_ms > wait_max_ms) {
        *out_wait_ms = wait_max_ms;
    }
    if (s == 429 || (s == 503 && asked)) {
        return HTTP_SINK_PAUSE;
    }
    return again ? HTTP_SINK_RETRY : HTTP_SINK_REFUSED;
}
