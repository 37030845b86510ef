/*
 * text.h - strict readers and writers of small texts.
 *
 * Purpose    Numbers, durations, sizes, UTF-8, JSON strings, hex and "did
 *            you mean". Nothing depends on the locale.
 * Threads    Pure functions, any thread.
 * Ownership  Nothing is kept. Results go to the caller's variables and
 *            buffers.
 * Errors     FLV_E_INVALID with one sentence that names the text and what
 *            was expected; FLV_E_LIMIT and FLV_E_NOMEM from a flv_buf.
 * Units      Durations in ms, sizes in bytes.
 */
#ifndef FLV_BASE_TEXT_H
#define FLV_BASE_TEXT_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Decimal digits only (i64: after an optional '-'): no blanks, no '+', no
 * other base. The whole text has to be the number, within min..max. */
FLV_CHECKED flv_rc flv_text_u64(const char *text,
                                uint64_t min,
                                uint64_t max,
                                uint64_t *out,
                                struct flv_err *err);
FLV_CHECKED flv_rc flv_text_i64(const char *text,
                                int64_t min,
                                int64_t max,
                                int64_t *out,
                                struct flv_err *err);

/* "10s", "100ms", "1d", "1h 30m", "1.5s"; a bare number such as "10" counts
 * in bare_unit_ms (1000: seconds; 0: a unit must be given). Units: ns us ms s
 * sec m min h hr d w, and the words of them ("2 minutes"). Less than a
 * millisecond is rounded up. */
FLV_CHECKED flv_rc flv_text_duration(const char *text,
                                     uint64_t bare_unit_ms,
                                     uint64_t *out_ms,
                                     struct flv_err *err);

/* "16384", "2 Ki", "1Mb", "10Gb", "44.0 MB": k/kb/m/mb/... are powers of
 * 1000, ki/kib/mi/mib/... powers of 1024, upper and lower case alike. Parts of
 * a byte are cut off. */
FLV_CHECKED flv_rc flv_text_size(const char *text,
                                 uint64_t *out_bytes,
                                 struct flv_err *err);

/* For people: "1h 30m", "100ms", "0s"; "512 B", "44.0 MB" (powers of 1000).
 * Every duration text is read back by flv_text_duration() unchanged. */
#define FLV_TEXT_FORMAT_MAX 48
void flv_text_format_duration(uint64_t ms, char out[FLV_TEXT_FORMAT_MAX]);
void flv_text_format_size(uint64_t bytes, char out[FLV_TEXT_FORMAT_MAX]);

/* Bytes at the front of s that are valid UTF-8 (no surrogates, no overlong
 * forms, nothing past U+10FFFF); s.len when all of it is. */
size_t flv_text_utf8_prefix(struct flv_slice s);
bool flv_text_is_utf8(struct flv_slice s);

/* The bytes of a character (none above U+10FFFF); returns how many. */
#define FLV_TEXT_UTF8_MAX 4
size_t flv_text_put_utf8(uint32_t c, uint8_t out[FLV_TEXT_UTF8_MAX]);

/* Each control character, which could move a terminal's cursor or worse,
 * becomes blank: those below 0x20, DEL, and U+0080 to U+009F in UTF-8. A text
 * from outside is one line then, of as many bytes as before. */
void flv_text_tidy(void *text, size_t len);
/* Has it none of them? */
bool flv_text_is_tidy(struct flv_slice s);

/* Appends s as a JSON string with its quotes, control characters escaped.
 * Valid UTF-8 comes back unchanged when read; each byte of invalid UTF-8
 * becomes U+FFFD. */
FLV_CHECKED flv_rc flv_text_json(struct flv_buf *b, struct flv_slice s);
FLV_CHECKED flv_rc flv_text_json_str(struct flv_buf *b, const char *text);

/* What stands behind "\u" in a JSON string: the character of four hex digits,
 * or of a pair of surrogates with the second "\u". Returns how many bytes that
 * is; 0: no four hex digits. Half of a pair is returned as it is: see below. */
size_t flv_text_json_u(struct flv_slice s, uint32_t *out);
static inline bool flv_text_is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c < 0xe000;
}

/* Is all of s one JSON text (RFC 8259), valid UTF-8, nested at most
 * FLV_TEXT_JSON_DEPTH_MAX deep? Nothing is converted: what passes may be
 * embedded as it stands. */
#define FLV_TEXT_JSON_DEPTH_MAX 512
bool flv_text_is_json(struct flv_slice s);

/* The value of a hex digit of either case; -1: it is none. */
int flv_text_hex_digit(char c);
/* Decodes the %XX of a URL's part and ends it with a NUL; false: a bad escape,
 * a NUL in it, or more than `size` holds. */
bool flv_text_unpercent(const char *from, size_t len, char *out, size_t size);
/* Lower-case hex. Reading takes both cases and wants an even length. */
FLV_CHECKED flv_rc flv_text_hex(struct flv_buf *b, struct flv_slice s);
FLV_CHECKED flv_rc flv_text_unhex(struct flv_buf *b,
                                  const char *text,
                                  struct flv_err *err);

/* Base 64 with its padding, RFC 4648, section 4. */
FLV_CHECKED flv_rc flv_text_base64(struct flv_buf *b, struct flv_slice s);
/* Reads it back: no blanks, padding as due, no bits left over. On failure b
 * keeps what it had. */
FLV_CHECKED flv_rc flv_text_unbase64(struct flv_buf *b,
                                     struct flv_slice text,
                                     struct flv_err *err);

/* Levenshtein's distance; SIZE_MAX when a word has more than 64 bytes. */
size_t flv_text_distance(const char *a, const char *b);

/* "Did you mean": offer all known words, then read the nearest. NULL when
 * none is near enough to be a likely slip. */
struct flv_nearest {
    const char *word; /* borrowed: what was typed */
    const char *best; /* borrowed: nearest of the offered */
    size_t distance;
};
void flv_nearest_init(struct flv_nearest *n, const char *word);
void flv_nearest_offer(struct flv_nearest *n, const char *known);
const char *flv_nearest_get(const struct flv_nearest *n);
/* The same over an array that ends with NULL. */
const char *flv_text_nearest(const char *word, const char *const *known);

#endif
