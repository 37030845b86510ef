/*
 * smartmodule.h - write SmartModules in C: this file and a compiler.
 *
 * Purpose    Everything between a function over one record and a WebAssembly
 *            module that Fluvio runs: exports, memory, reading what the host
 *            sends, writing what it expects. Needs no libc and nothing else
 *            of this project.
 *
 *                #include <fluvio/smartmodule.h>
 *
 *                static struct flv_slice word;
 *
 *                FLV_INIT(params)
 *                {
 *                    return flv_param(params, "word", &word)
 *                               ? FLV_DONE
 *                               : flv_reject("the parameter word is missing");
 *                }
 *
 *                FLV_FILTER(record)
 *                {
 *                    return flv_contains(record->value, word);
 *                }
 *
 *            clang-14 --target=wasm32 -O2 -mbulk-memory -nostdlib
 *                -Wl,--no-entry -Wl,--stack-first -o contains.wasm contains.c
 *
 * Kinds      A module has one of FLV_FILTER, FLV_MAP, FLV_FILTER_MAP,
 *            FLV_ARRAY_MAP, FLV_AGGREGATE, and may have FLV_INIT and
 *            FLV_LOOK_BACK. Include this in one source file of a module.
 * Threads    None: a module is called from one thread at a time.
 * Ownership  A record's key and value, and what flv_alloc() gives, stay until
 *            the function that was called for the record returns. Parameters
 *            and what FLV_INIT allocates stay for good. State that lasts from
 *            record to record lives in static variables of a fixed size; it
 *            is sure to be kept only where there is an FLV_LOOK_BACK, else a
 *            fresh instance may take over between batches.
 * Memory     Starts over with each batch, so that it is as large as the
 *            largest batch needed and no larger. What cannot be had ends the
 *            call with a trap, which the host reports.
 * Errors     Return flv_reject("..."): the records before it stay done, the
 *            host reports this one with the text and decides what happens.
 * Units      _ms = milliseconds since 1970, UTC.
 * See        docs/smartmodules.md, docs/smartmodules-abi.md, smartmodules/
 */
#ifndef FLUVIO_SMARTMODULE_H
#define FLUVIO_SMARTMODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same type as in <fluvio/slice.h>, which needs a libc. */
#ifndef FLUVIO_SLICE_H
#define FLUVIO_SLICE_H
struct flv_slice {
    const uint8_t *data;
    size_t len;
};
#endif

struct flv_record {
    struct flv_slice key, value;
    bool has_key; /* an empty key is not the same as none */
    int64_t offset;
    int64_t timestamp_ms; /* -1: not known */
};

struct flv_params;
struct flv_out;

/* What the functions return: DROP and KEEP from a filter and a filter_map
 * (false and true do as well), DONE from the others, REJECT from all of them,
 * by way of flv_reject(). */
enum {
    FLV_REJECT = -1,
    FLV_DROP = 0,
    FLV_DONE = 0,
    FLV_KEEP = 1,
};

/* --- the functions of a module --------------------------------------------
 * Each is followed by a body in braces. The names in parentheses are yours. */

/* (const struct flv_record *): does it stay? */
#define FLV_FILTER(record)                                                     \
    static int flv__filter(const struct flv_record *record);                   \
    FLV__ENTRY(filter, flv__run_filter, flv__filter)                           \
    static int flv__filter(const struct flv_record *record)

/* (const struct flv_record *in, struct flv_record *out): out is a copy of in
 * to begin with; its key and value count. */
#define FLV_MAP(in, out)                                                       \
    static int flv__map(const struct flv_record *in, struct flv_record *out);  \
    FLV__ENTRY(map, flv__run_map, flv__map)                                    \
    static int flv__map(const struct flv_record *in, struct flv_record *out)

/* As FLV_MAP, and says whether the record stays. */
#define FLV_FILTER_MAP(in, out)                                                \
    static int flv__filter_map(const struct flv_record *in,                    \
                               struct flv_record *out);                        \
    FLV__ENTRY(filter_map, flv__run_filter_map, flv__filter_map)               \
    static int flv__filter_map(const struct flv_record *in,                    \
                               struct flv_record *out)

/* (const struct flv_record *in, struct flv_out *out): flv_emit() for each
 * record that comes of it. */
#define FLV_ARRAY_MAP(in, out)                                                 \
    static int flv__array_map(const struct flv_record *in,                     \
                              struct flv_out *out);                            \
    FLV__ENTRY(array_map, flv__run_array_map, flv__array_map)                  \
    static int flv__array_map(const struct flv_record *in, struct flv_out *out)

/* (struct flv_slice before, const struct flv_record *, struct flv_slice
 * *after): after is before to begin with. The record's value becomes it. */
#define FLV_AGGREGATE(before, record, after)                                   \
    static int flv__aggregate(struct flv_slice before,                         \
                              const struct flv_record *record,                 \
                              struct flv_slice *after);                        \
    FLV__ENTRY(aggregate, flv__run_aggregate, flv__aggregate)                  \
    static int flv__aggregate(struct flv_slice before,                         \
                              const struct flv_record *record,                 \
                              struct flv_slice *after)

/* (const struct flv_params *): called once, before anything else. */
#define FLV_INIT(params)                                                       \
    static int flv__init(const struct flv_params *params);                     \
    FLV__ENTRY(init, flv__run_init, flv__init)                                 \
    static int flv__init(const struct flv_params *params)

/* (const struct flv_record *): past records, before the first batch. */
#define FLV_LOOK_BACK(record)                                                  \
    static int flv__look_back(const struct flv_record *record);                \
    FLV__ENTRY(look_back, flv__run_look_back, flv__look_back)                  \
    static int flv__look_back(const struct flv_record *record)

/* --- the compiler's side -------------------------------------------------- */

#define FLV__INLINE static inline __attribute__((always_inline))
#define FLV__CAT2(a, b) a##b
#define FLV__CAT(a, b) FLV__CAT2(a, b)

#ifdef __wasm__
#define FLV__NAME(name) FLV__CAT(flv__export_, name)
#define FLV__EXPORT(name) __attribute__((export_name(#name)))
#else
/* Compiled for the machine at hand, as tests and fuzzers do it: entries are
 * ordinary functions whose names begin with this. */
#ifndef FLV_NATIVE_PREFIX
#define FLV_NATIVE_PREFIX flv_native_
#endif
#define FLV__NAME(name) FLV__CAT(FLV_NATIVE_PREFIX, name)
#define FLV__EXPORT(name)
#endif

#define FLV__ENTRY(name, run, function)                                        \
    FLV__EXPORT(name)                                                          \
    int32_t FLV__NAME(name)(uint8_t * in, size_t len, uint32_t version);       \
    int32_t FLV__NAME(name)(uint8_t * in, size_t len, uint32_t version)        \
    {                                                                          \
        return run(flv_bytes(in, len), version & 0xffff, function);            \
    }

/* --- memory ----------------------------------------------------------------
 *
 *     | stack | static data | kept by init | this call: input, output, ... |
 *                                          base                  top     end
 */

#ifdef __wasm__

__attribute__((import_module("env"), import_name("copy_records"))) void
flv__copy_records(const uint8_t *data, size_t len);

extern uint8_t __heap_base;

struct flv__memory {
    uint8_t *base, *top, *end;
    bool answered; /* the host may read the output until the next alloc */
};
static struct flv__memory flv__memory __attribute__((unused));

static __attribute__((noinline, unused)) void flv__grow(size_t need)
{
    const size_t page = 65536;
    size_t size = __builtin_wasm_memory_size(0), more;

    if (flv__memory.end == NULL) { /* the first time */
        uintptr_t heap = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;

        flv__memory.base = flv__memory.top = (uint8_t *)heap;
        flv__memory.end = (uint8_t *)(size * page);
        if (heap <= size * page && need <= size * page - heap) {
            return;
        }
    }
    need -= (size_t)(flv__memory.end - flv__memory.top);
    more = need / page + 1;
    /* Never the last page: an end of 4 GiB would be 0. */
    if (more > 65535 - size || __builtin_wasm_memory_grow(0, more) != size) {
        __builtin_trap();
    }
    flv__memory.end += more * page;
}

/* For this record, or for good in FLV_INIT; never NULL; not zeroed. */
FLV__INLINE void *flv_alloc(size_t len)
{
    size_t size = (len + 15) & ~(size_t)15;
    uint8_t *p;

    if (size < len) {
        __builtin_trap();
    }
    if (size > (size_t)(flv__memory.end - flv__memory.top) ||
        flv__memory.end == NULL) {
        flv__grow(size);
    }
    p = flv__memory.top;
    flv__memory.top += size;
    return p;
}

FLV__INLINE void *flv__mark(void)
{
    return flv__memory.top;
}

FLV__INLINE void flv__release(void *mark)
{
    flv__memory.top = (uint8_t *)mark;
}

FLV__INLINE void flv__keep(void)
{
    flv__memory.base = flv__memory.top;
}

/* Makes the block larger where it is, if nothing is behind it. */
FLV__INLINE bool flv__extend(void *block, size_t from, size_t to)
{
    if ((uint8_t *)block + ((from + 15) & ~(size_t)15) != flv__memory.top) {
        return false;
    }
    flv__memory.top = (uint8_t *)block;
    (void)flv_alloc(to);
    return true;
}

FLV__INLINE void flv__answered(void)
{
    flv__memory.answered = true;
}

FLV__EXPORT(alloc) void *FLV__NAME(alloc)(size_t len);
void *FLV__NAME(alloc)(size_t len)
{
    if (flv__memory.answered) {
        flv__memory.answered = false;
        flv__memory.top = flv__memory.base;
    }
    return flv_alloc(len);
}

/* The next call's alloc() takes everything back. */
FLV__EXPORT(dealloc) void FLV__NAME(dealloc)(void *block, size_t len);
void FLV__NAME(dealloc)(void *block, size_t len)
{
    (void)block;
    (void)len;
}

#ifndef __wasm_bulk_memory__
#error "compile SmartModules with -mbulk-memory"
#endif

/* What compilers call without being asked. Weak: yours win. */
__attribute__((weak)) void *memmove(void *to, const void *from, size_t n);
__attribute__((weak)) void *memcpy(void *to, const void *from, size_t n);
__attribute__((weak)) void *memset(void *to, int byte, size_t n);
__attribute__((weak)) int memcmp(const void *a, const void *b, size_t n);

void *memmove(void *to, const void *from, size_t n)
{
    return __builtin_memmove(to, from, n);
}

void *memcpy(void *to, const void *from, size_t n)
{
    return __builtin_memcpy(to, from, n);
}

void *memset(void *to, int byte, size_t n)
{
    return __builtin_memset(to, byte, n);
}

__attribute__((no_builtin)) int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

    for (size_t i = 0; i < n; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

#else /* the machine at hand: whoever compiles it so defines these */

void *flv_native_alloc(size_t len);
void *flv_native_mark(void);
void flv_native_release(void *mark);
void flv_native_keep(void);
void flv_native_answered(void);
void flv_native_copy_records(const uint8_t *data, size_t len);

#define flv_alloc flv_native_alloc
#define flv__mark flv_native_mark
#define flv__release flv_native_release
#define flv__keep flv_native_keep
#define flv__answered flv_native_answered
#define flv__copy_records flv_native_copy_records
#define flv__extend(block, from, to) false

#endif

/* --- bytes -----------------------------------------------------------------
 */

FLV__INLINE struct flv_slice flv_bytes(const void *data, size_t len)
{
    struct flv_slice s = {(const uint8_t *)data, len};

    return s;
}

/* Of a text that ends with a NUL. */
FLV__INLINE struct flv_slice flv_text(const char *text)
{
    return flv_bytes(text, text != NULL ? __builtin_strlen(text) : 0);
}

#ifdef __wasm__
__attribute__((weak)) size_t strlen(const char *text);
__attribute__((no_builtin)) size_t strlen(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0') {
        n++;
    }
    return n;
}
#endif

FLV__INLINE uint64_t flv__word(const uint8_t *p)
{
    uint64_t w;

    __builtin_memcpy(&w, p, 8);
    return w;
}

/* Calls into the host's copy are worth it for many bytes only. */
FLV__INLINE void flv__copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n > 64) {
        __builtin_memcpy(to, from, n);
        return;
    }
    for (; n >= 8; n -= 8, to += 8, from += 8) {
        uint64_t w = flv__word(from);

        __builtin_memcpy(to, &w, 8);
    }
    for (; n > 0; n--) {
        *to++ = *from++;
    }
}

FLV__INLINE bool flv_equal(struct flv_slice a, struct flv_slice b)
{
    size_t i = 0;

    if (a.len != b.len) {
        return false;
    }
    for (; i + 8 <= a.len; i += 8) {
        if (flv__word(a.data + i) != flv__word(b.data + i)) {
            return false;
        }
    }
    for (; i < a.len; i++) {
        if (a.data[i] != b.data[i]) {
            return false;
        }
    }
    return true;
}

#define FLV_NOT_FOUND SIZE_MAX

/* Not zero if one of the eight bytes is. */
FLV__INLINE uint64_t flv__zeros(uint64_t w)
{
    return (w - 0x0101010101010101U) & ~w & 0x8080808080808080U;
}

/* Where the needle is first in the hay, or FLV_NOT_FOUND. Looks at eight
 * places at a time, for the first and the last byte of the needle at once. */
static inline size_t flv_find(struct flv_slice hay, struct flv_slice needle)
{
    const uint64_t each = 0x0101010101010101U;
    uint64_t first, last;
    size_t i = 0, places, back;

    if (needle.len == 0) {
        return 0;
    }
    if (needle.len > hay.len) {
        return FLV_NOT_FOUND;
    }
    back = needle.len - 1;
    places = hay.len - back;
    first = each * needle.data[0];
    last = each * needle.data[back];
    while (i < places) {
        size_t stop = i + 8;

        if (stop <= places) {
            uint64_t a = flv__word(hay.data + i) ^ first;
            uint64_t b = flv__word(hay.data + i + back) ^ last;

            if (flv__zeros(a | b) == 0) {
                i = stop;
                continue;
            }
        } else {
            stop = places;
        }
        for (; i < stop; i++) {
            if (flv_equal(flv_bytes(hay.data + i, needle.len), needle)) {
                return i;
            }
        }
    }
    return FLV_NOT_FOUND;
}

FLV__INLINE bool flv_contains(struct flv_slice hay, struct flv_slice needle)
{
    return flv_find(hay, needle) != FLV_NOT_FOUND;
}

/* --- failing ---------------------------------------------------------------
 */

#define FLV__HINT_BYTES_MAX 4096
static struct flv_slice flv__hint __attribute__((unused));

/* Ends the call with this text, which has to stay until then. */
FLV__INLINE int flv_reject(const char *text)
{
    flv__hint = flv_text(text);
    return FLV_REJECT;
}

/* "text: what", of what at most 200 bytes. */
static inline int flv_reject_with(const char *text, struct flv_slice what)
{
    struct flv_slice head = flv_text(text);
    size_t tail = what.len <= 200 ? what.len : 200;
    uint8_t *p = (uint8_t *)flv_alloc(head.len + 2 + tail);

    flv__copy(p, head.data, head.len);
    p[head.len] = ':';
    p[head.len + 1] = ' ';
    flv__copy(p + head.len + 2, what.data, tail);
    flv__hint = flv_bytes(p, head.len + 2 + tail);
    return FLV_REJECT;
}

/* --- reading ---------------------------------------------------------------
 * A reader that met bytes it cannot take is bad and stays so. */

struct flv__reader {
    const uint8_t *p, *end;
    bool bad;
};

FLV__INLINE struct flv_slice flv__take(struct flv__reader *r, uint64_t len)
{
    const uint8_t *p = r->p;

    if (r->bad || len > (size_t)(r->end - p)) {
        r->bad = true;
        return flv_bytes(r->end, 0);
    }
    r->p += (size_t)len;
    return flv_bytes(p, (size_t)len);
}

/* Big-endian, at most eight bytes. */
FLV__INLINE uint64_t flv__fixed(struct flv__reader *r, size_t bytes)
{
    struct flv_slice s = flv__take(r, bytes);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        v = v << 8 | s.data[i];
    }
    return v;
}

static inline uint64_t flv__varint_rest(struct flv__reader *r, uint64_t v)
{
    for (unsigned shift = 7; shift < 70 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;

        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

FLV__INLINE int64_t flv__varint(struct flv__reader *r)
{
    uint64_t v;

    if (r->bad || r->p >= r->end) {
        r->bad = true;
        return 0;
    }
    v = *r->p++;
    if (v >= 0x80) {
        v = flv__varint_rest(r, v & 0x7f);
    }
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

/* Varint length and bytes. A negative length is larger than anything. */
FLV__INLINE struct flv_slice flv__data(struct flv__reader *r)
{
    int64_t len = flv__varint(r);

    return flv__take(r, (uint64_t)len);
}

/* A length of 16 bits and text; negative counts as empty. */
FLV__INLINE struct flv_slice flv__string(struct flv__reader *r)
{
    uint64_t len = flv__fixed(r, 2);

    return flv__take(r, len < 0x8000 ? len : 0);
}

struct flv_params {
    struct flv_slice pairs; /* checked */
    uint32_t count;
};

/* Pairs, and from version 20 on how far a look-back was asked to reach. */
static inline struct flv_params flv__pairs(struct flv__reader *r,
                                           uint32_t version)
{
    struct flv_params params = {{NULL, 0}, 0};

    params.count = (uint32_t)flv__fixed(r, 2);
    params.pairs.data = r->p;
    for (uint32_t i = 0; i < params.count && !r->bad; i++) {
        (void)flv__string(r);
        (void)flv__string(r);
    }
    params.pairs.len = (size_t)(r->p - params.pairs.data);
    if (version >= 20 && flv__fixed(r, 1) == 1) {
        (void)flv__fixed(r, 8); /* records */
        if (version >= 21 && flv__fixed(r, 1) == 1) {
            (void)flv__take(r, 12); /* seconds and nanoseconds */
        }
    }
    return params;
}

/* False, and *out stays as it is, when nobody gave the parameter. */
static inline bool flv_param(const struct flv_params *params,
                             const char *name,
                             struct flv_slice *out)
{
    struct flv__reader r = {params->pairs.data, NULL, false};

    if (params->count == 0) {
        return false;
    }
    r.end = r.p + params->pairs.len;
    for (uint32_t i = 0; i < params->count; i++) {
        struct flv_slice key = flv__string(&r);
        struct flv_slice value = flv__string(&r);

        if (flv_equal(key, flv_text(name))) {
            *out = value;
            return true;
        }
    }
    return false;
}

struct flv__input {
    struct flv__reader records;
    uint8_t *section; /* count and records, in the host's buffer */
    uint32_t left;
    int64_t base_offset, base_timestamp_ms;
    struct flv_slice accumulator;
};

/* One record and where its parts are. */
struct flv__item {
    struct flv_record record;
    const uint8_t *start, *end;
    struct flv_slice head; /* attributes and deltas */
};

static inline bool flv__read_input(struct flv__input *in,
                                   struct flv_slice input,
                                   uint32_t version,
                                   bool aggregate)
{
    struct flv__reader r = {input.data, input.data + input.len, false};
    struct flv_slice raw;

    flv__hint = flv_text("the module did not say why");
    in->base_offset = (int64_t)flv__fixed(&r, 8);
    raw = flv__take(&r, flv__fixed(&r, 4));
    if (version <= 22) {
        (void)flv__pairs(&r, version);
    }
    if (version >= 16 && version <= 22) {
        (void)flv__take(&r, flv__fixed(&r, 4)); /* of a join, long gone */
    }
    in->base_timestamp_ms = -1;
    if (version >= 22) {
        in->base_timestamp_ms = (int64_t)flv__fixed(&r, 8);
    }
    in->accumulator = flv_bytes(NULL, 0);
    if (aggregate) {
        in->accumulator = flv__take(&r, flv__fixed(&r, 4));
    }
    in->records.p = raw.data;
    in->records.end = raw.data + raw.len;
    in->records.bad = r.bad;
    in->section = (uint8_t *)(uintptr_t)raw.data; /* the host gave it away */
    in->left = (uint32_t)flv__fixed(&in->records, 4);
    return !in->records.bad;
}

/* Sums of what the host sent wrap instead of overflowing. */
FLV__INLINE int64_t flv__sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

FLV__INLINE bool flv__next(struct flv__input *in, struct flv__item *item)
{
    struct flv__reader r = {in->records.p, in->records.end, false};
    struct flv_slice body;
    int64_t timestamp_delta, offset_delta, headers;
    uint64_t tag;

    item->start = r.p;
    body = flv__data(&r);
    item->end = in->records.p = r.p;
    in->left--;
    r.p = body.data;
    r.end = body.data + body.len;
    (void)flv__fixed(&r, 1);
    timestamp_delta = flv__varint(&r);
    offset_delta = flv__varint(&r);
    item->head = flv_bytes(body.data, (size_t)(r.p - body.data));
    tag = flv__fixed(&r, 1);
    item->record.has_key = tag == 1;
    item->record.key = tag == 1 ? flv__data(&r) : flv_bytes(r.p, 0);
    item->record.value = flv__data(&r);
    headers = flv__varint(&r); /* Fluvio has none */
    item->record.offset = flv__sum(in->base_offset, offset_delta);
    item->record.timestamp_ms =
        in->base_timestamp_ms > 0
            ? flv__sum(in->base_timestamp_ms, timestamp_delta)
            : -1;
    return !r.bad && tag <= 1 && headers == 0 && r.p == r.end;
}

/* --- writing ---------------------------------------------------------------
 */

struct flv_out {
    uint8_t *data;
    size_t len, size;
    uint32_t count; /* records */
};

/* Room for so many more bytes. */
static inline void flv__room(struct flv_out *out, size_t more)
{
    size_t need = out->len + more, size;
    uint8_t *data;

    if (more <= out->size - out->len) {
        return;
    }
    size = out->size < need / 2 ? need : out->size * 2;
    if (need < more || size < need) {
        __builtin_trap(); /* more than an address can say */
    }
    if (!flv__extend(out->data, out->size, size)) {
        data = (uint8_t *)flv_alloc(size);
        flv__copy(data, out->data, out->len);
        out->data = data;
    }
    out->size = size;
}

/* From here on: there is room. */
FLV__INLINE void flv__put(struct flv_out *out, struct flv_slice s)
{
    flv__copy(out->data + out->len, s.data, s.len);
    out->len += s.len;
}

FLV__INLINE void flv__put_fixed(struct flv_out *out, uint64_t v, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;) {
        out->data[out->len++] = (uint8_t)(v >> (8 * i));
    }
}

#define FLV__VARINT_MAX 10

FLV__INLINE void flv__put_length(struct flv_out *out, size_t len)
{
    uint64_t v = (uint64_t)len << 1;

    for (; v >= 0x80; v >>= 7) {
        out->data[out->len++] = (uint8_t)(v | 0x80);
    }
    out->data[out->len++] = (uint8_t)v;
}

FLV__INLINE size_t flv__length_size(size_t len)
{
    size_t size = 1;

    for (uint64_t v = (uint64_t)len << 1; v >= 0x80; v >>= 7) {
        size++;
    }
    return size;
}

/* Tag and data of a key, then data of a value. */
FLV__INLINE void flv__put_pair(struct flv_out *out, const struct flv_record *r)
{
    flv__put_fixed(out, r->has_key, 1);
    if (r->has_key) {
        flv__put_length(out, r->key.len);
        flv__put(out, r->key);
    }
    flv__put_length(out, r->value.len);
    flv__put(out, r->value);
}

/* Key and value together must be less than half of what an address can say:
 * they are in the same memory. */
static inline void flv__put_record(struct flv_out *out,
                                   struct flv_slice head,
                                   const struct flv_record *r)
{
    size_t size = head.len + 2 + r->value.len + flv__length_size(r->value.len);

    if (r->has_key) {
        size += r->key.len + flv__length_size(r->key.len);
    }
    flv__room(out, size + FLV__VARINT_MAX);
    flv__put_length(out, size);
    flv__put(out, head);
    flv__put_pair(out, r);
    flv__put_fixed(out, 0, 1); /* headers */
    out->count++;
}

/* A new record with this key and value; the rest of it does not count. */
static inline void flv_emit(struct flv_out *out, const struct flv_record *r)
{
    static const uint8_t zeros[3];

    flv__put_record(out, flv_bytes(zeros, sizeof(zeros)), r);
}

/* How many of the bytes at p are one character of UTF-8, 0: none are. */
static inline size_t flv__utf8(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80    ? 1
               : p[0] < 0xc2  ? 0
               : p[0] < 0xe0  ? 2
               : p[0] < 0xf0  ? 3
               : p[0] <= 0xf4 ? 4
                              : 0;

    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0; /* too long, a half of a pair, or no character */
    }
    return n;
}

/* The text of the failure. What is no UTF-8 becomes '?': hosts refuse an
 * answer with such a text as a whole. */
static inline void flv__put_hint(struct flv_out *out)
{
    struct flv_slice s = flv__hint;
    size_t at = out->len, n;

    flv__room(out, 2 + FLV__HINT_BYTES_MAX);
    out->len += 2;
    for (size_t i = 0; i<s.len; i += n> 0 ? n : 1) {
        n = flv__utf8(s.data + i, s.len - i);
        if (out->len - at - 2 + n + 1 > FLV__HINT_BYTES_MAX) {
            break;
        }
        if (n == 0) {
            out->data[out->len++] = '?';
        } else {
            flv__put(out, flv_bytes(s.data + i, n));
        }
    }
    n = out->len - at - 2;
    out->data[at] = (uint8_t)(n >> 8);
    out->data[at + 1] = (uint8_t)n;
}

enum flv__kind {
    FLV__KIND_FILTER = 0,
    FLV__KIND_MAP = 1,
    FLV__KIND_ARRAY_MAP = 2,
    FLV__KIND_AGGREGATE = 3,
    FLV__KIND_FILTER_MAP = 4,
    FLV__KIND_NONE, /* look_back: its failure has no kind */
};

/* Why a record failed, and the record. */
static inline void flv__put_failure(struct flv_out *out,
                                    enum flv__kind kind,
                                    const struct flv_record *r)
{
    flv__put_hint(out);
    flv__room(out, r->key.len + r->value.len + 10 + 2 * FLV__VARINT_MAX);
    flv__put_fixed(out, (uint64_t)r->offset, 8);
    if (kind != FLV__KIND_NONE) {
        flv__put_fixed(out, (uint64_t)kind, 1);
    }
    flv__put_pair(out, r);
}

FLV__INLINE struct flv_out flv__open(size_t size)
{
    struct flv_out out = {NULL, 0, size, 0};

    out.data = (uint8_t *)flv_alloc(size);
    return out;
}

/* --- one call --------------------------------------------------------------
 */

enum {
    FLV__BAD_INPUT = -11,
    FLV__BAD_RECORDS = -22,
    FLV__INIT_FAILED = -2,
    FLV__INIT_BAD_INPUT = -10,
    FLV__LOOK_BACK_BAD_INPUT = -66,
    FLV__LOOK_BACK_BAD_RECORDS = -77,
    FLV__LOOK_BACK_FAILED = -99,
};

typedef int flv__record_fn(const struct flv_record *record);
typedef int flv__map_fn(const struct flv_record *in, struct flv_record *out);
typedef int flv__array_map_fn(const struct flv_record *in, struct flv_out *out);
typedef int flv__aggregate_fn(struct flv_slice before,
                              const struct flv_record *record,
                              struct flv_slice *after);
typedef int flv__init_fn(const struct flv_params *params);

/* The records before the one that failed are at section, size bytes of them;
 * they move to where there is room for the failure. */
static inline int32_t flv__filter_failed(const uint8_t *section,
                                         size_t size,
                                         uint32_t kept,
                                         const struct flv_record *r)
{
    struct flv_out out = flv__open(4 + size + 1 + FLV__HINT_BYTES_MAX);

    flv__put_fixed(&out, kept, 4);
    flv__put(&out, flv_bytes(section + 4, size));
    flv__put_fixed(&out, 1, 1);
    flv__put_failure(&out, FLV__KIND_FILTER, r);
    flv__copy_records(out.data, out.len);
    return (int32_t)kept;
}

/* Records that stay never leave the host's buffer: runs of them close up
 * over those that do not, and count, records and "no failure" are the answer.
 * The one byte for the latter has room: more than that follows the records
 * in every version. */
FLV__INLINE int32_t flv__run_filter(struct flv_slice input,
                                    uint32_t version,
                                    flv__record_fn *filter)
{
    struct flv__input in;
    struct flv__item item;
    uint8_t *to;
    const uint8_t *run; /* of records that stay, not closed up yet */
    struct flv_out out = {NULL, 0, 0, 0};
    void *mark = flv__mark();

    flv__answered();
    if (!flv__read_input(&in, input, version, false)) {
        return FLV__BAD_INPUT;
    }
    run = to = in.section + 4;
    while (in.left > 0) {
        int rc;

        if (!flv__next(&in, &item)) {
            return FLV__BAD_RECORDS;
        }
        rc = filter(&item.record);
        if (rc > 0) {
            out.count++;
            flv__release(mark);
            continue;
        }
        if (to != run) {
            __builtin_memmove(to, run, (size_t)(item.start - run));
        }
        to += item.start - run;
        run = item.end;
        if (rc < 0) {
            return flv__filter_failed(in.section, (size_t)(to - in.section) - 4,
                                      out.count, &item.record);
        }
        flv__release(mark);
    }
    if (to != run) {
        __builtin_memmove(to, run, (size_t)(in.records.p - run));
    }
    to += in.records.p - run;
    out.data = in.section;
    flv__put_fixed(&out, out.count, 4);
    *to++ = 0;
    flv__copy_records(in.section, (size_t)(to - in.section));
    return (int32_t)out.count;
}

/* What the entries have in common that write new records. */
struct flv__pass {
    struct flv__input in;
    struct flv__item item;
    int32_t rc;          /* negative: no answer */
    bool failed;         /* the record of item */
    const uint8_t *data; /* of the output, before this record */
    void *mark;
};

/* Room for about as much as comes in, with the count in front of it, to be
 * filled in at the end. */
FLV__INLINE void flv__begin(struct flv__pass *pass,
                            struct flv_out *out,
                            struct flv_slice input,
                            uint32_t version,
                            bool aggregate)
{
    const size_t size = input.len + input.len / 8 + 64;

    flv__answered();
    pass->rc = pass->failed = 0;
    if (!flv__read_input(&pass->in, input, version, aggregate)) {
        pass->rc = FLV__BAD_INPUT;
        pass->in.left = 0;
    }
    *out = flv__open(size);
    out->len = 4;
    pass->data = out->data;
    pass->mark = flv__mark();
}

/* To the next record, if there is one. What the user allocated for the one
 * before goes, unless the output had to move to behind it. */
FLV__INLINE bool flv__advance(struct flv__pass *pass, const struct flv_out *out)
{
    if (out->data == pass->data) {
        flv__release(pass->mark);
    } else {
        pass->data = out->data;
        pass->mark = flv__mark();
    }
    if (pass->in.left == 0) {
        return false;
    }
    if (!flv__next(&pass->in, &pass->item)) {
        pass->rc = FLV__BAD_RECORDS;
        return false;
    }
    return true;
}

/* What follows the records: the failure of one, or that there is none. */
FLV__INLINE void flv__end_records(struct flv__pass *pass,
                                  struct flv_out *out,
                                  enum flv__kind kind)
{
    const size_t len = out->len;

    out->len = 0;
    flv__put_fixed(out, out->count, 4);
    out->len = len;
    flv__room(out, 1);
    flv__put_fixed(out, pass->failed, 1);
    if (pass->failed) {
        flv__put_failure(out, kind, &pass->item.record);
    }
}

FLV__INLINE int32_t flv__end(const struct flv__pass *pass,
                             const struct flv_out *out)
{
    if (pass->rc < 0) {
        return pass->rc;
    }
    flv__copy_records(out->data, out->len);
    return (int32_t)out->count;
}

FLV__INLINE int32_t flv__run_maps(struct flv_slice input,
                                  uint32_t version,
                                  flv__map_fn *map,
                                  enum flv__kind kind)
{
    struct flv__pass pass;
    struct flv_out out;

    flv__begin(&pass, &out, input, version, false);
    while (flv__advance(&pass, &out)) {
        struct flv_record mapped = pass.item.record;
        int rc = map(&pass.item.record, &mapped);

        if (rc < 0) {
            pass.failed = true;
            break; /* its text is still in use */
        }
        if (rc > 0 || kind == FLV__KIND_MAP) {
            flv__put_record(&out, pass.item.head, &mapped);
        }
    }
    flv__end_records(&pass, &out, kind);
    return flv__end(&pass, &out);
}

FLV__INLINE int32_t flv__run_map(struct flv_slice input,
                                 uint32_t version,
                                 flv__map_fn *map)
{
    return flv__run_maps(input, version, map, FLV__KIND_MAP);
}

FLV__INLINE int32_t flv__run_filter_map(struct flv_slice input,
                                        uint32_t version,
                                        flv__map_fn *map)
{
    return flv__run_maps(input, version, map, FLV__KIND_FILTER_MAP);
}

FLV__INLINE int32_t flv__run_array_map(struct flv_slice input,
                                       uint32_t version,
                                       flv__array_map_fn *array_map)
{
    struct flv__pass pass;
    struct flv_out out;

    flv__begin(&pass, &out, input, version, false);
    while (flv__advance(&pass, &out)) {
        const size_t len = out.len;
        const uint32_t count = out.count;

        if (array_map(&pass.item.record, &out) < 0) {
            out.len = len; /* all of a record or nothing */
            out.count = count;
            pass.failed = true;
            break;
        }
    }
    flv__end_records(&pass, &out, FLV__KIND_ARRAY_MAP);
    return flv__end(&pass, &out);
}

/* The accumulator is the value of the last record that was written. */
FLV__INLINE int32_t flv__run_aggregate(struct flv_slice input,
                                       uint32_t version,
                                       flv__aggregate_fn *aggregate)
{
    struct flv__pass pass;
    struct flv_out out;
    struct flv_slice last;

    flv__begin(&pass, &out, input, version, true);
    last = pass.in.accumulator;
    while (flv__advance(&pass, &out)) {
        struct flv_record sum = pass.item.record;

        sum.value = last;
        if (aggregate(last, &pass.item.record, &sum.value) < 0) {
            pass.failed = true;
            break;
        }
        flv__put_record(&out, pass.item.head, &sum);
        last.len = sum.value.len;
        last.data = out.data + (out.len - 1 - last.len);
    }
    flv__end_records(&pass, &out, FLV__KIND_AGGREGATE);
    if (version >= 16) {
        /* The old place stays readable when the output moves. */
        flv__room(&out, 4 + last.len);
        flv__put_fixed(&out, last.len, 4);
        flv__put(&out, last);
    }
    return flv__end(&pass, &out);
}

FLV__INLINE int32_t flv__run_init(struct flv_slice input,
                                  uint32_t version,
                                  flv__init_fn *init)
{
    struct flv__reader r = {input.data, input.data + input.len, false};
    struct flv_params params = flv__pairs(&r, version);
    struct flv_out out;

    flv__answered();
    if (r.bad) {
        return FLV__INIT_BAD_INPUT;
    }
    flv__hint = flv_text("the module did not say why");
    if (init(&params) >= 0) {
        flv__keep(); /* what it allocated, and the parameters */
        return 0;
    }
    out = flv__open(2 + FLV__HINT_BYTES_MAX);
    flv__put_hint(&out);
    flv__copy_records(out.data, out.len);
    return FLV__INIT_FAILED;
}

FLV__INLINE int32_t flv__run_look_back(struct flv_slice input,
                                       uint32_t version,
                                       flv__record_fn *look_back)
{
    struct flv__input in;
    struct flv__item item;
    struct flv_out out;
    void *mark = flv__mark();

    flv__answered();
    if (!flv__read_input(&in, input, version, false)) {
        return FLV__LOOK_BACK_BAD_INPUT;
    }
    while (in.left > 0) {
        if (!flv__next(&in, &item)) {
            return FLV__LOOK_BACK_BAD_RECORDS;
        }
        if (look_back(&item.record) < 0) {
            out = flv__open(2 + FLV__HINT_BYTES_MAX);
            flv__put_failure(&out, FLV__KIND_NONE, &item.record);
            flv__copy_records(out.data, out.len);
            return FLV__LOOK_BACK_FAILED;
        }
        flv__release(mark);
    }
    return 0;
}

#endif
