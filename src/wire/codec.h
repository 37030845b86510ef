/*
 * codec.h - messages as tables: one table per struct serves both directions.
 *
 * Purpose    Turns bytes into the plain structs of sc.h and spu.h and back.
 *            A field that exists from one version on is a number in its
 *            table, so an older protocol version is no code.
 * Threads    Tables are constant; everything else belongs to the caller.
 * Ownership  Decoded strings and byte fields borrow from the input; vectors
 *            live in the caller's arena. Both must outlive the struct.
 * Errors     FLV_E_PROTOCOL: the bytes break the format (the sentence names
 *            message and field); FLV_E_NOMEM and FLV_E_LIMIT: arena or
 *            buffer; FLV_E_INVALID: a struct that the format cannot carry.
 * See        docs/format/wire.md
 */
#ifndef FLV_WIRE_CODEC_H
#define FLV_WIRE_CODEC_H

#include "base/arena.h"
#include "base/bytes.h"
#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A vector of a message. Decoded: elements in the arena. To encode: the
 * caller's own array, which is only read. */
#define FLV_VEC(T)                                                             \
    struct {                                                                   \
        T *at; /* borrowed */                                                  \
        uint32_t len;                                                          \
    }

/* A value that may be missing. */
#define FLV_OPT(T)                                                             \
    struct {                                                                   \
        bool has;                                                              \
        T v;                                                                   \
    }

/* Nesting of tables; a table that is deeper is a bug, not an input. */
#define FLV_WIRE_DEPTH_MAX 12
/* Longest string: readers take the 16-bit length as signed. */
#define FLV_WIRE_STR_MAX 32767

enum flv_wire_type {
    FLV_WIRE_BOOL,
    FLV_WIRE_U8,
    FLV_WIRE_I8,
    FLV_WIRE_U16,
    FLV_WIRE_I16,
    FLV_WIRE_U32,
    FLV_WIRE_I32,
    FLV_WIRE_U64,
    FLV_WIRE_I64,
    FLV_WIRE_STR,    /* flv_slice: 16-bit length, UTF-8 */
    FLV_WIRE_BYTES,  /* flv_slice: 32-bit length */
    FLV_WIRE_RDATA,  /* flv_slice: varint length */
    FLV_WIRE_STRUCT, /* another table; struct, tagged union or enum */
    FLV_WIRE_VEC,    /* FLV_VEC: 32-bit count */
    FLV_WIRE_MAP,    /* FLV_VEC of {key, value}: 16-bit count */
};

enum flv_wire_tag {
    FLV_WIRE_TAG_NONE, /* a struct: fields back to back */
    FLV_WIRE_TAG_U8,   /* union or enum: begins with a uint8_t tag */
    FLV_WIRE_TAG_I16,  /* union that begins with an int16_t tag */
    FLV_WIRE_TAG_NAME, /* uint8_t in the struct, the case's name as str */
};

struct flv_wire_schema;

struct flv_wire_field {
    const char *name;
    uint16_t offset; /* of the value in the struct */
    uint16_t has;    /* offset of FLV_OPT's bool; equals `offset` if none */
    uint8_t type;    /* enum flv_wire_type */
    uint8_t elem;    /* VEC and MAP: type of the elements */
    int8_t min, max; /* versions in which the field exists, inclusive */
    bool optional;   /* FLV_OPT */
    const struct flv_wire_schema *sub; /* STRUCT, or elements of STRUCT */
};

struct flv_wire_case {
    const char *name;
    int16_t tag;
    int8_t since;   /* older versions do not know the case, and are sent */
    int16_t before; /* this one, which has no fields, in its place */
    uint8_t nfields;
    const struct flv_wire_field *fields; /* offsets in the union's struct */
};

struct flv_wire_schema {
    const char *name;
    size_t size; /* sizeof the struct */
    uint8_t tag; /* enum flv_wire_tag */
    uint8_t nfields, ncases;
    const struct flv_wire_field *fields; /* tag NONE */
    const struct flv_wire_case *cases;   /* other tags */
};

/* Decodes one message from the head of *in at `version` and advances *in;
 * what is left in *in are trailing bytes, which the protocol ignores. On
 * failure *in and *out are untouched. */
FLV_CHECKED flv_rc flv_wire_decode(const struct flv_wire_schema *schema,
                                   int16_t version,
                                   struct flv_slice *in,
                                   struct flv_arena *arena,
                                   void *out,
                                   struct flv_err *err);

/* Byte fields of at least `min` bytes that are left out of the buffer, so
 * that a payload is sent from where it lies. When `at` is full the bytes are
 * copied as usual. */
struct flv_wire_cut {
    size_t pos;             /* in the buffer: the bytes go in front of it */
    struct flv_slice bytes; /* borrowed from the message */
};

struct flv_wire_cuts {
    struct flv_wire_cut *at; /* borrowed; the caller's array */
    size_t len, max;
    size_t min_bytes;  /* shorter fields are copied */
    size_t size_bytes; /* sum of all cuts */
};

/* Appends the message; on failure `out` keeps what it had. `cuts` may be
 * NULL. */
FLV_CHECKED flv_rc flv_wire_encode(const struct flv_wire_schema *schema,
                                   int16_t version,
                                   const void *msg,
                                   struct flv_buf *out,
                                   struct flv_wire_cuts *cuts,
                                   struct flv_err *err);

/* The frame in sending order: the buffer from `start` on with the cuts in
 * between. Fills at most `max` parts and returns how many there are; with
 * max >= 2 * cuts->len + 1 that always fits. */
size_t flv_wire_parts(const struct flv_buf *buf,
                      size_t start,
                      const struct flv_wire_cuts *cuts,
                      struct flv_slice *parts,
                      size_t max);

/* One line of text, e.g. `status{name="a" error=topic_not_found{} ...}`;
 * byte fields are shown by their length. For logs and tests. */
FLV_CHECKED flv_rc flv_wire_dump(const struct flv_wire_schema *schema,
                                 int16_t version,
                                 const void *msg,
                                 struct flv_buf *out);

/* The smallest number of bytes that a message can take at this version. */
size_t flv_wire_size_min(const struct flv_wire_schema *schema, int16_t version);

/* Declares the table of struct flv_wire_NAME and its typed functions:
 *     flv_wire_NAME_decode(version, &in, arena, &msg, err)
 *     flv_wire_NAME_encode(version, &msg, buf, err) */
#define FLV_WIRE_MESSAGE(NAME)                                                 \
    extern const struct flv_wire_schema flv_wire_##NAME##_schema;              \
    static inline FLV_CHECKED flv_rc flv_wire_##NAME##_decode(                 \
        int16_t version, struct flv_slice *in, struct flv_arena *arena,        \
        struct flv_wire_##NAME *out, struct flv_err *err)                      \
    {                                                                          \
        return flv_wire_decode(&flv_wire_##NAME##_schema, version, in, arena,  \
                               out, err);                                      \
    }                                                                          \
    static inline FLV_CHECKED flv_rc flv_wire_##NAME##_encode(                 \
        int16_t version, const struct flv_wire_##NAME *msg,                    \
        struct flv_buf *out, struct flv_err *err)                              \
    {                                                                          \
        return flv_wire_encode(&flv_wire_##NAME##_schema, version, msg, out,   \
                               NULL, err);                                     \
    }

#endif
