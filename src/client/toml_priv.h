/*
 * toml_priv.h - what reading and editing share.
 *
 * Purpose    The index of a document; see the drawing.
 * Threads    As toml.h.
 * Ownership  The document owns keys, statements and text.
 */
#ifndef FLV_CLIENT_TOML_PRIV_H
#define FLV_CLIENT_TOML_PRIV_H

#include "client/table.h"
#include "client/toml.h"

/*
 * The text stays the document; everything else indexes it:
 *
 *     text   | [cluster.local]\n | endpoint = "h:1" # why\n | \n | ...
 *     stmts    TABLE              KEY  key span, value span   BLANK
 *     keys     path "cluster\0local\0endpoint\0" -> value, statement
 *
 * An edit splices the text and reads it again, so that an edit can never
 * write what the reader would refuse.
 */

#define FLV__TOML_PATH_MAX 1024u

struct flv__toml_parts {
    char bytes[FLV__TOML_PATH_MAX]; /* every part ends with a NUL */
    size_t len;
    unsigned depth;
};

struct flv__toml_key {
    char *path; /* owned */
    size_t path_len;
    unsigned depth;
    struct flv__toml_value value;
    char *str;       /* owned; value.str */
    bool defined;    /* a table with a header of its own */
    bool closed;     /* an inline table: nothing can be added later */
    bool inner;      /* lies within an inline table */
    bool lost;       /* the hash table had no memory for it */
    size_t pos, len; /* the value in the text */
    UT_hash_handle hh;
};

enum flv__toml_stmt_kind {
    FLV__TOML_STMT_BLANK,
    FLV__TOML_STMT_TABLE,
    FLV__TOML_STMT_ARRAY_TABLE,
    FLV__TOML_STMT_KEY
};

struct flv__toml_stmt {
    enum flv__toml_stmt_kind kind;
    size_t pos, len;         /* with the line feed */
    size_t key_pos, key_len; /* the key, or what is in a header's brackets */
    char *path;              /* owned; whole path, NULL when blank */
    size_t path_len;
    unsigned table_depth; /* parts that come from the header above */
};

struct flv__toml {
    uint8_t *text; /* owned */
    size_t text_len;
    struct flv__toml_stmt *stmts; /* owned */
    size_t stmt_count, stmt_cap;
    struct flv__toml_key *keys; /* owned hash, in the file's order */
};

/* Appends one part. */
FLV_CHECKED flv_rc flv__toml_path_add(struct flv__toml_parts *path,
                                      const void *part,
                                      size_t len,
                                      unsigned line,
                                      struct flv_err *err);
FLV_CHECKED flv_rc flv__toml_path_of(const struct flv__toml_path *from,
                                     struct flv__toml_parts *out,
                                     struct flv_err *err);
const char *flv__toml_last_part(const struct flv__toml_parts *path);
struct flv__toml_key *
flv__toml_find(const struct flv__toml *doc, const char *bytes, size_t len);
struct flv__toml_key *flv__toml_find_path(const struct flv__toml *doc,
                                          const struct flv__toml_path *path);
/* Frees what the document holds, not the document. */
void flv__toml_clear(struct flv__toml *doc);
bool flv__toml_is_control(int c);
bool flv__toml_is_bare(int c);

#endif
