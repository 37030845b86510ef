/*
 * tables.h - how the tables of this room are written.
 *
 * Purpose    Macros for the entries of flv_wire_field arrays. Each one fails
 *            to compile when the member's C type does not fit the wire type.
 * See        codec.h
 */
#ifndef FLV_WIRE_TABLES_H
#define FLV_WIRE_TABLES_H

#include "base/field.h"
#include "wire/codec.h"

/* The versions of a field, last in its entry. */
#define FLV_WIRE_EVER 0, 127
#define FLV_WIRE_FROM(min) (min), 127
#define FLV_WIRE_SPAN(min, max) (min), (max)

/* clang-format off */
#define FLV_WIRE_AT(S, f, T) (uint16_t) FLV_FIELD_AT(S, f, T)

#define FLV_WIRE_C_BOOL bool
#define FLV_WIRE_C_U8 uint8_t
#define FLV_WIRE_C_I8 int8_t
#define FLV_WIRE_C_U16 uint16_t
#define FLV_WIRE_C_I16 int16_t
#define FLV_WIRE_C_U32 uint32_t
#define FLV_WIRE_C_I32 int32_t
#define FLV_WIRE_C_U64 uint64_t
#define FLV_WIRE_C_I64 int64_t
#define FLV_WIRE_C_STR struct flv_slice
#define FLV_WIRE_C_BYTES struct flv_slice
#define FLV_WIRE_C_RDATA struct flv_slice

#define FLV_WIRE_ENTRY(NAME, AT, HAS, TYPE, ELEM, OPTIONAL, SUB, MIN, MAX)     \
    {.name = (NAME), .offset = (AT), .has = (HAS), .type = (TYPE),             \
     .elem = (ELEM), .min = (MIN), .max = (MAX), .optional = (OPTIONAL),       \
     .sub = (SUB)}
/* Once more, when the versions have become two arguments. */
#define FLV_WIRE_ENTRY_(...) FLV_WIRE_ENTRY(__VA_ARGS__)

/* A number, string or byte field: TYPE is BOOL, U8, ..., RDATA. */
#define FLV_WIRE_F(S, f, TYPE, ...)                                            \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f, FLV_WIRE_C_##TYPE), 0,               \
                    FLV_WIRE_##TYPE, 0, false, NULL, __VA_ARGS__)
#define FLV_WIRE_F_OPT(S, f, TYPE, ...)                                        \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.v, FLV_WIRE_C_##TYPE),                \
                    FLV_WIRE_AT(S, f.has, bool), FLV_WIRE_##TYPE, 0, true,     \
                    NULL, __VA_ARGS__)

/* struct flv_wire_NAME with its table. */
#define FLV_WIRE_S(S, f, NAME, ...)                                            \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f, struct flv_wire_##NAME), 0,          \
                    FLV_WIRE_STRUCT, 0, false, &flv_wire_##NAME##_schema,      \
                    __VA_ARGS__)
#define FLV_WIRE_S_OPT(S, f, NAME, ...)                                        \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.v, struct flv_wire_##NAME),           \
                    FLV_WIRE_AT(S, f.has, bool), FLV_WIRE_STRUCT, 0, true,     \
                    &flv_wire_##NAME##_schema, __VA_ARGS__)

/* An enum: uint8_t with the table flv_wire_NAME_schema. */
#define FLV_WIRE_E(S, f, NAME, ...)                                            \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f, uint8_t), 0, FLV_WIRE_STRUCT, 0,     \
                    false, &flv_wire_##NAME##_schema, __VA_ARGS__)
#define FLV_WIRE_E_OPT(S, f, NAME, ...)                                        \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.v, uint8_t),                          \
                    FLV_WIRE_AT(S, f.has, bool), FLV_WIRE_STRUCT, 0, true,     \
                    &flv_wire_##NAME##_schema, __VA_ARGS__)

/* Vectors of numbers or strings, of structs, and maps of {key, value}. */
#define FLV_WIRE_V(S, f, TYPE, ...)                                            \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.at, FLV_WIRE_C_##TYPE *), 0,          \
                    FLV_WIRE_VEC, FLV_WIRE_##TYPE, false, NULL, __VA_ARGS__)
#define FLV_WIRE_VS(S, f, NAME, ...)                                           \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.at, struct flv_wire_##NAME *), 0,     \
                    FLV_WIRE_VEC, FLV_WIRE_STRUCT, false,                      \
                    &flv_wire_##NAME##_schema, __VA_ARGS__)
#define FLV_WIRE_VS_OPT(S, f, NAME, ...)                                       \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.v.at, struct flv_wire_##NAME *),      \
                    FLV_WIRE_AT(S, f.has, bool), FLV_WIRE_VEC,                 \
                    FLV_WIRE_STRUCT, true, &flv_wire_##NAME##_schema,          \
                    __VA_ARGS__)
#define FLV_WIRE_MS(S, f, NAME, ...)                                           \
    FLV_WIRE_ENTRY_(#f, FLV_WIRE_AT(S, f.at, struct flv_wire_##NAME *), 0,     \
                    FLV_WIRE_MAP, FLV_WIRE_STRUCT, false,                      \
                    &flv_wire_##NAME##_schema, __VA_ARGS__)
/* The same member run: an already flat part of the struct, as key of a
 * custom SPU, whose table has offsets in the whole struct. */
#define FLV_WIRE_FLAT(LABEL, NAME, ...)                                        \
    FLV_WIRE_ENTRY_(LABEL, 0, 0, FLV_WIRE_STRUCT, 0, false,                    \
                    &flv_wire_##NAME##_schema, __VA_ARGS__)

#define FLV_WIRE_COUNT(array) (uint8_t)(sizeof(array) / sizeof((array)[0]))

/* The table itself, from an array of fields or cases. */
#define FLV_WIRE_TABLE(NAME, FIELDS)                                           \
    const struct flv_wire_schema flv_wire_##NAME##_schema = {                  \
        .name = #NAME, .size = sizeof(struct flv_wire_##NAME),                 \
        .tag = FLV_WIRE_TAG_NONE, .nfields = FLV_WIRE_COUNT(FIELDS),           \
        .fields = (FIELDS)}
#define FLV_WIRE_UNION(NAME, CASES)                                            \
    const struct flv_wire_schema flv_wire_##NAME##_schema = {                  \
        .name = #NAME, .size = sizeof(struct flv_wire_##NAME),                 \
        .tag = FLV_WIRE_TAG_U8, .ncases = FLV_WIRE_COUNT(CASES),               \
        .cases = (CASES)}
#define FLV_WIRE_ENUM(NAME, CASES)                                             \
    const struct flv_wire_schema flv_wire_##NAME##_schema = {                  \
        .name = #NAME, .size = sizeof(uint8_t), .tag = FLV_WIRE_TAG_U8,        \
        .ncases = FLV_WIRE_COUNT(CASES), .cases = (CASES)}
/* A case with fields, and one without. */
#define FLV_WIRE_CASE(NAME, TAG, FIELDS)                                       \
    {.name = (NAME), .tag = (TAG), .nfields = FLV_WIRE_COUNT(FIELDS),          \
     .fields = (FIELDS)}
#define FLV_WIRE_BARE(NAME, TAG)                                               \
    {.name = (NAME), .tag = (TAG)}
/* clang-format on */

/* Bytes of one element of a vector in memory. */
size_t flv__wire_elem_size(const struct flv_wire_field *f);
/* The case that a union or enum in memory holds, or NULL. */
const struct flv_wire_case *
flv__wire_case_of(const struct flv_wire_schema *schema, const uint8_t *in);

/* Tables that both servers' messages use. */
extern const struct flv_wire_schema flv_wire_duration_schema;
extern const struct flv_wire_schema flv_wire_pair_schema;

#endif
