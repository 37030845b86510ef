#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* A pipe that poll() calls writable takes that much in one piece. */
_Static_assert(FLV_LOG_LINE_MAX <= PIPE_BUF, "a line is one atomic write");

#define RULES_MAX 32
#define TARGET_MAX 48
#define VALUE_MAX 1024U
#define ESCAPE_MAX 8 /* one character, escaped, and its NUL */

struct rule {
    char target[TARGET_MAX];
    enum flv_level level;
};

struct rules {
    struct rule rule[RULES_MAX];
    size_t count;
    enum flv_level rest; /* of targets without a rule */
    enum flv_level top;  /* highest of all: a quick no */
};

static const char *const level_names[] = {"off",  "error", "warn",
                                          "info", "debug", "trace"};

static struct rules rules = {.rest = FLV_LEVEL_INFO, .top = FLV_LEVEL_INFO};
static atomic_int out_fd = STDERR_FILENO;
static atomic_uint_fast64_t dropped, told;
/* Keeps the poll() and the write() of one line together. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* ---- Which lines ------------------------------------------------------- */

static bool level_of(struct flv_slice word, enum flv_level *out)
{
    for (unsigned i = 0; i <= FLV_LEVEL_TRACE; i++) {
        if (strlen(level_names[i]) == word.len &&
            strncasecmp(level_names[i], (const char *)word.data, word.len) ==
                0) {
            *out = (enum flv_level)i;
            return true;
        }
    }
    return false;
}

static struct flv_slice trim(struct flv_slice s)
{
    while (s.len > 0 && s.data[0] == ' ') {
        s = flv_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

static flv_rc
add_rule(struct rules *r, struct flv_slice part, struct flv_err *err)
{
    const uint8_t *eq = memchr(part.data, '=', part.len);
    size_t left = eq != NULL ? (size_t)(eq - part.data) : 0;
    struct flv_slice target = trim(flv_slice(part.data, left));
    struct flv_slice word = part;
    enum flv_level level;

    if (eq != NULL) {
        word = trim(flv_slice(eq + 1, part.len - left - 1));
    }
    if (!level_of(word, &level) || (eq != NULL && target.len == 0)) {
        return flv_fail(err, FLV_E_INVALID,
                        "log level '%.*s' is none of off, error, warn, info, "
                        "debug, trace or TARGET=LEVEL",
                        (int)(part.len < 60 ? part.len : 60),
                        (const char *)part.data);
    }
    if (eq == NULL) {
        r->rest = level;
    } else {
        if (r->count == RULES_MAX || target.len >= TARGET_MAX) {
            return flv_fail(err, FLV_E_LIMIT,
                            "log levels name more than %d targets or one of "
                            "more than %d bytes",
                            RULES_MAX, TARGET_MAX - 1);
        }
        memcpy(r->rule[r->count].target, target.data, target.len);
        r->rule[r->count].target[target.len] = '\0';
        r->rule[r->count].level = level;
        r->count++;
    }
    r->top = level > r->top ? level : r->top;
    return FLV_OK;
}

flv_rc flv_log_setup(const char *spec, struct flv_err *err)
{
    /* As in RUST_LOG: naming targets only silences the rest but errors. */
    struct rules next = {.rest = FLV_LEVEL_ERROR, .top = FLV_LEVEL_ERROR};

    while (*spec != '\0') {
        size_t len = strcspn(spec, ",");
        struct flv_slice part = trim(flv_slice(spec, len));

        if (part.len > 0) {
            flv_rc rc = add_rule(&next, part, err);

            if (rc != FLV_OK) {
                return rc;
            }
        }
        spec += len + (spec[len] == ',');
    }
    rules = next;
    return FLV_OK;
}

bool flv_log_on(enum flv_level level, const char *target)
{
    enum flv_level allowed = rules.rest;
    size_t longest = 0;

    if (level > rules.top || level == FLV_LEVEL_OFF) {
        return false;
    }
    for (size_t i = 0; i < rules.count; i++) {
        const char *name = rules.rule[i].target;
        size_t len = strlen(name);

        if (len >= longest && strncmp(target, name, len) == 0 &&
            strchr(":.", target[len]) != NULL) {
            longest = len;
            allowed = rules.rule[i].level;
        }
    }
    return level <= allowed;
}

void flv_log_set_fd(int fd)
{
    atomic_store(&out_fd, fd);
}

uint64_t flv_log_dropped(void)
{
    return atomic_load(&dropped);
}

/* ---- One line ---------------------------------------------------------- */

struct line {
    char text[FLV_LOG_LINE_MAX];
    size_t len; /* always leaves a byte for the line feed */
};

static bool put(struct line *l, const char *text, size_t len)
{
    if (len >= sizeof(l->text) - l->len) {
        return false;
    }
    memcpy(l->text + l->len, text, len);
    l->len += len;
    return true;
}

static bool put_str(struct line *l, const char *text)
{
    return put(l, text, strlen(text));
}

static bool is_bare(struct flv_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"\\=,", c) != NULL) {
            return false;
        }
    }
    return s.len > 0 && s.len <= VALUE_MAX;
}

/* Escapes one character that begins with a byte from 0x80 on; returns the
 * bytes of input taken. */
static size_t escape_wide(struct flv_slice s, char out[ESCAPE_MAX])
{
    size_t max = s.len < 4 ? s.len : 4, n = 1;

    while (n <= max && !flv_text_is_utf8(flv_slice(s.data, n))) {
        n++;
    }
    if (n > max) {
        snprintf(out, ESCAPE_MAX, "\\ufffd");
        return 1;
    }
    if (n == 2 && s.data[0] == 0xc2 && s.data[1] < 0xa0) {
        snprintf(out, ESCAPE_MAX, "\\u%04x", s.data[1]);
    } else if (n == 3 && memcmp(s.data, "\xe2\x80\xa8", 3) == 0) {
        snprintf(out, ESCAPE_MAX, "\\u2028");
    } else if (n == 3 && memcmp(s.data, "\xe2\x80\xa9", 3) == 0) {
        snprintf(out, ESCAPE_MAX, "\\u2029");
    } else {
        snprintf(out, ESCAPE_MAX, "%.*s", (int)n, (const char *)s.data);
    }
    return n;
}

/* The escaped form of the character at the front of *s, which moves on.
 * Line separators of any kind are escaped: one record is one line. */
static size_t escape(struct flv_slice *s, char out[ESCAPE_MAX])
{
    static const char from[] = "\n\r\t\"\\", to[] = "nrt\"\\";
    uint8_t c = s->data[0];
    const char *hit = c != 0 ? strchr(from, c) : NULL;
    size_t n = 1;

    if (c >= 0x80) {
        n = escape_wide(*s, out);
    } else if (hit != NULL) {
        snprintf(out, ESCAPE_MAX, "\\%c", to[hit - from]);
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(out, ESCAPE_MAX, "\\u%04x", c);
    } else {
        snprintf(out, ESCAPE_MAX, "%c", c);
    }
    *s = flv_slice(s->data + n, s->len - n);
    return strlen(out);
}

static bool put_value(struct line *l, struct flv_slice s)
{
    const size_t tail = 4; /* dots and the closing quote */
    size_t start = l->len;
    char out[ESCAPE_MAX];

    if (is_bare(s)) {
        return put(l, (const char *)s.data, s.len);
    }
    if (!put(l, "\"", 1)) {
        return false;
    }
    while (s.len > 0) {
        size_t n = escape(&s, out);

        if (l->len - start + n > VALUE_MAX ||
            l->len + n + tail >= sizeof(l->text)) {
            return put_str(l, "...\"");
        }
        memcpy(l->text + l->len, out, n);
        l->len += n;
    }
    return put(l, "\"", 1);
}

static bool put_kv(struct line *l, const struct flv_kv *kv)
{
    char number[24];

    if (!put(l, " ", 1) || !put_str(l, kv->key) || !put(l, "=", 1)) {
        return false;
    }
    switch (kv->kind) {
    case FLV_KV_KIND_STR:
        return kv->v.str != NULL ? put_value(l, flv_slice_str(kv->v.str))
                                 : put_str(l, "null");
    case FLV_KV_KIND_SLICE:
        return put_value(l, kv->v.slice);
    case FLV_KV_KIND_U64:
        snprintf(number, sizeof(number), "%llu", (unsigned long long)kv->v.u64);
        return put_str(l, number);
    case FLV_KV_KIND_I64:
        snprintf(number, sizeof(number), "%lld", (long long)kv->v.i64);
        return put_str(l, number);
    case FLV_KV_KIND_BOOL:
        return put_str(l, kv->v.truth ? "true" : "false");
    case FLV_KV_KIND_END:
        break;
    }
    assert(0 && "kind of a log value");
    return false;
}

static void begin_line(struct line *l,
                       enum flv_level level,
                       const char *target,
                       const char *msg)
{
    char when[FLV_CLOCK_TEXT_MAX];
    bool ok;

    assert(level > FLV_LEVEL_OFF && level <= FLV_LEVEL_TRACE);
    flv_clock_format(flv_clock_wall_ms(), when);
    l->len = 0;
    ok = put_str(l, when) && put_str(l, " level=") &&
         put_str(l, level_names[level]) && put_str(l, " target=") &&
         put_str(l, target) && put_str(l, " msg=") &&
         put_value(l, flv_slice_str(msg));
    assert(ok);
    (void)ok;
}

/* Only writes what the descriptor takes at once; it may be a pipe shared with
 * others, so that O_NONBLOCK is not ours to set. */
static bool write_now(int fd, const struct line *l)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    ssize_t n;

    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) {
        return false;
    }
    do {
        n = write(fd, l->text, l->len);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)l->len;
}

static void end_line(struct line *l)
{
    int fd = atomic_load(&out_fd), saved = errno;
    uint64_t lost;

    assert(l->len < sizeof(l->text));
    l->text[l->len++] = '\n';
    pthread_mutex_lock(&gate);
    lost = atomic_load(&dropped) - atomic_load(&told);
    if (lost > 0) {
        struct line note;

        begin_line(&note, FLV_LEVEL_WARN, "log", "lines were lost");
        (void)put_kv(&note, &FLV_KV_U64("lost", lost));
        note.text[note.len++] = '\n';
        if (write_now(fd, &note)) {
            atomic_fetch_add(&told, lost);
        }
    }
    if (!write_now(fd, l)) {
        atomic_fetch_add(&dropped, 1);
    }
    pthread_mutex_unlock(&gate);
    errno = saved;
}

void flv_log_line(enum flv_level level,
                  const char *target,
                  const char *msg,
                  ...)
{
    struct flv_kv kv;
    struct line l;
    va_list ap;
    size_t good;

    begin_line(&l, level, target, msg);
    va_start(ap, msg);
    do {
        good = l.len;
        kv = va_arg(ap, struct flv_kv);
    } while (kv.kind != FLV_KV_KIND_END && put_kv(&l, &kv));
    va_end(ap);
    /* What did not fit is cut between two values. */
    l.len = good;
    end_line(&l);
}
