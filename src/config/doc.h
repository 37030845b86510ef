/*
 * doc.h - a YAML (or JSON) document whose every node knows its place.
 *
 * Purpose    Parses one document into a read-only tree with the line and
 *            column of every key and value, so that a complaint can point at
 *            it. Scalars stay text: `10`, `true` and `"10"` are told apart
 *            only by their style. Knows nothing of what the keys mean.
 * Threads    No sharing while parsing; the tree is read-only afterwards.
 * Ownership  The document owns every node and every text; nodes are borrowed
 *            until flv_doc_destroy().
 * Errors     FLV_E_INVALID with "file:line:column: sentence". Bounded: file
 *            size, depth, number of nodes with every alias counted as often as
 *            it is used, so that a document of aliases of aliases is refused.
 * Units      line and col count from 1; col counts characters.
 * See        tests/unit/config/test_doc.c, tests/fuzz/fuzz_yaml.c
 */
#ifndef FLV_CONFIG_DOC_H
#define FLV_CONFIG_DOC_H

#include "base/bytes.h"
#include <stdbool.h>

#define FLV_DOC_BYTES_MAX ((size_t)1024 * 1024)
#define FLV_DOC_DEPTH_MAX 32
#define FLV_DOC_NODES_MAX 20000

enum flv_node_kind { FLV_NODE_SCALAR, FLV_NODE_LIST, FLV_NODE_MAP };

struct flv_node {
    enum flv_node_kind kind;
    bool quoted;        /* scalar written in quotes or as a block */
    uint32_t line, col; /* where it starts */
    uint32_t weight;    /* nodes below and including this, aliases expanded */
    uint32_t height;    /* levels below and including this */
    const char *text;   /* scalar: NUL-terminated; "" for an empty value */
    size_t len;         /* of text, which may hold NUL bytes */
    size_t count;       /* list: items; map: pairs */
    struct flv_node **items; /* list: values; map: key, value, key, value... */
};

struct flv_doc;
struct flv_report;

/* `name` is what messages call the document, usually its path. An empty
 * document gives root NULL. */
FLV_CHECKED flv_rc flv_doc_parse(struct flv_doc **out,
                                 const char *name,
                                 struct flv_slice text,
                                 struct flv_err *err);
/* The same, and a key that is there twice goes to the report instead of ending
 * the reading: flv_node_get() finds the first. */
FLV_CHECKED flv_rc flv_doc_parse_all(struct flv_doc **out,
                                     const char *name,
                                     struct flv_slice text,
                                     struct flv_report *report,
                                     struct flv_err *err);
/* JSON alone, with higher ceilings and faster: answers of our own programs.
 * Numbers, true, false and null are texts that are not quoted. A name that is
 * there twice is no mistake: the first counts. */
#define FLV_JSON_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define FLV_JSON_NODES_MAX 2000000
FLV_CHECKED flv_rc flv_doc_json(struct flv_doc **out,
                                const char *name,
                                struct flv_slice text,
                                struct flv_err *err);
/* The text of a file; on success the caller deinits it. */
FLV_CHECKED flv_rc flv_doc_load(struct flv_buf *out,
                                const char *path,
                                struct flv_err *err);
/* Reads and parses a regular file. */
FLV_CHECKED flv_rc flv_doc_read(struct flv_doc **out,
                                const char *path,
                                struct flv_err *err);
void flv_doc_destroy(struct flv_doc *doc);

const struct flv_node *flv_doc_root(const struct flv_doc *doc);
/* The name, cut in front to at most 60 characters. */
const char *flv_doc_name(const struct flv_doc *doc);

/* The value under `key` of a map, or NULL; `-` and `_` are alike. */
const struct flv_node *flv_node_get(const struct flv_node *map,
                                    const char *key);
const struct flv_node *flv_node_key(const struct flv_node *map, size_t i);
const struct flv_node *flv_node_value(const struct flv_node *map, size_t i);
/* An unquoted nothing, `~` or `null`. */
bool flv_node_is_null(const struct flv_node *node);
/* "a map", "a list", "text": for messages. */
const char *flv_node_kind_name(const struct flv_node *node);
/* Equal when `-` and `_` are taken as one. */
bool flv_key_eq(const char *a, const char *b);

/* Splits "name:line:col: text": returns the text and sets the place. A text of
 * another shape is returned whole, the place left alone. */
const char *flv_doc_place(const char *name,
                          const char *text,
                          uint32_t *line,
                          uint32_t *col);

/* Fails with "name:line:col: text": FLV_E_INVALID. */
#define flv_doc_fail(doc, node, err, ...)                                      \
    (flv_doc_raise((doc), (node), (err), __VA_ARGS__), flv__rc(FLV_E_INVALID))
void flv_doc_raise(const struct flv_doc *doc,
                   const struct flv_node *node,
                   struct flv_err *err,
                   const char *fmt,
                   ...) FLV_PRINTF(4, 5);

#endif
