/*
 * dyn.h - functions of a library that is found at run time.
 *
 * Purpose    One list of names makes a table of typed pointers and fills it:
 *
 *                #define MAP(X) X(SSL_new) X(SSL_free)
 *                struct ssl { MAP(FLV_DYN_FIELD) };
 *                static const char *const names[] = {MAP(FLV_DYN_NAME)};
 *
 * Threads    Whoever fills a table sees to it that nobody reads it before.
 * Ownership  The library stays open.
 * Errors     A name that the library has not.
 */
#ifndef FLV_BASE_DYN_H
#define FLV_BASE_DYN_H

#include <stddef.h>

/* Declares a pointer; parentheses would make it something else.
 * NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define FLV_DYN_FIELD(name) __typeof__(&name) name;
#define FLV_DYN_NAME(name) #name,

/* Loads a library for as long as the process lives: of that path, or, for a
 * bare name, what the system finds. NULL: *out_why says why not, until the next
 * call of any thread. */
void *flv_dyn_open(const char *path, const char **out_why);

/* Fills the table, a pointer for each name, from such a library. NULL: all
 * are there; else the first that is missing, and the table is not to be used.
 */
const char *flv_dyn_fill(void *library,
                         const char *const *names,
                         size_t count,
                         void *table);

/* The same for arrays; the table has as many pointers as there are names. */
#define FLV_DYN_FILL(library, names, table)                                    \
    flv_dyn_fill((library), (names), sizeof(names) / sizeof *(names), (table))

#endif
