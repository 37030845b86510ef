/*
 * field.h - where a field stands in its struct, and back again.
 *
 * Purpose    Offsets for tables that name fields, and the struct around a
 *            member that a callback was given. Both reject a field of another
 *            type when they are compiled.
 * Threads    Pure.
 * Ownership  Nothing.
 */
#ifndef FLV_BASE_FIELD_H
#define FLV_BASE_FIELD_H

#include <stddef.h>

/* clang-format off */
/* Offset of S.f, a field of type T. T cannot stand in parentheses there. */
#define FLV_FIELD_AT(S, f, T)                                                  \
    (offsetof(S, f) + 0 * sizeof(char[_Generic(&((S *)0)->f,                   \
        T *: 1, /* NOLINT(bugprone-macro-parentheses) */                       \
        default: -1)]))
/* clang-format on */

/* The struct S whose member f is *ptr; ptr is evaluated once and not NULL. */
#define FLV_OWNER_OF(ptr, S, f)                                                \
    ((S *)(void *)((char *)(ptr)-FLV_FIELD_AT(S, f, __typeof__(*(ptr)))))

#endif
