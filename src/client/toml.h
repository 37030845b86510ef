/*
 * toml.h - reads and edits TOML text without disturbing what it leaves alone.
 *
 * Purpose    Enough TOML 1.0 to read every profile file that real tools write
 *            (tables, dotted and quoted keys, all strings, inline tables;
 *            arrays, numbers and dates are checked and kept, not decoded) and
 *            to change single values in place: comments, order and unknown
 *            keys survive. Arrays of tables are kept and never looked into.
 * Threads    No sharing; a document belongs to one thread at a time.
 * Ownership  The document owns its text. Texts handed out are borrowed until
 *            the next change. An edit that fails changes nothing.
 * Errors     FLV_E_INVALID names the line; FLV_E_LIMIT beyond a ceiling.
 * See        tests/unit/client/test_profile.c, tests/fuzz/fuzz_profile.c
 */
#ifndef FLV_CLIENT_TOML_H
#define FLV_CLIENT_TOML_H

#include "base/bytes.h"

#define FLV__TOML_SIZE_MAX (256u * 1024)
#define FLV__TOML_DEPTH_MAX 8 /* parts of a key */
#define FLV__TOML_NEST_MAX 16 /* arrays and inline tables in each other */
#define FLV__TOML_KEYS_MAX 8192

enum flv__toml_type {
    FLV__TOML_TABLE,
    FLV__TOML_STRING,
    FLV__TOML_BOOL,
    FLV__TOML_INT,
    FLV__TOML_OTHER, /* array, float, date: valid, not decoded */
};

struct flv__toml_value {
    enum flv__toml_type type;
    const char *str; /* STRING; no NUL inside */
    int64_t num;     /* INT; BOOL as 0 or 1 */
    unsigned line;
};

/* Parts of a key, as FLV__TOML_PATH("cluster", name, "endpoint"). */
struct flv__toml_path {
    const char *parts[FLV__TOML_DEPTH_MAX];
};
#define FLV__TOML_PATH(...)                                                    \
    (&(const struct flv__toml_path){.parts = {__VA_ARGS__}})

struct flv__toml;

FLV_CHECKED flv_rc flv__toml_parse(struct flv__toml **out,
                                   struct flv_slice text,
                                   struct flv_err *err);
void flv__toml_destroy(struct flv__toml *doc);
struct flv_slice flv__toml_text(const struct flv__toml *doc);

bool flv__toml_get(const struct flv__toml *doc,
                   const struct flv__toml_path *path,
                   struct flv__toml_value *out);
/* A string value or NULL. */
const char *flv__toml_str(const struct flv__toml *doc,
                          const struct flv__toml_path *path);
/* Name of the ith key directly below path, in the file's order, or NULL. */
const char *flv__toml_child(const struct flv__toml *doc,
                            const struct flv__toml_path *path,
                            size_t i);

/* Replaces the value in place, or adds the key to its table, or adds the
 * table at the end. */
FLV_CHECKED flv_rc flv__toml_set_str(struct flv__toml *doc,
                                     const struct flv__toml_path *path,
                                     const char *value,
                                     struct flv_err *err);
FLV_CHECKED flv_rc flv__toml_set_bool(struct flv__toml *doc,
                                      const struct flv__toml_path *path,
                                      bool value,
                                      struct flv_err *err);
/* Removes a key or a table with everything below it; absent is fine. */
FLV_CHECKED flv_rc flv__toml_remove(struct flv__toml *doc,
                                    const struct flv__toml_path *path,
                                    struct flv_err *err);
/* Gives the last part of a table's path another name. */
FLV_CHECKED flv_rc flv__toml_rename(struct flv__toml *doc,
                                    const struct flv__toml_path *path,
                                    const char *name,
                                    struct flv_err *err);

#endif
