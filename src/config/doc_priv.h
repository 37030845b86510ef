/*
 * doc_priv.h - what the two readers of documents share.
 *
 * Purpose    The struct behind doc.h. Private to this room.
 * Ownership  The document owns everything in it.
 */
#ifndef FLV_CONFIG_DOC_PRIV_H
#define FLV_CONFIG_DOC_PRIV_H

#include "base/arena.h"
#include "config/doc.h"

struct flv_doc {
    struct flv_arena arena; /* owns all nodes and texts */
    char *name;             /* owned; as shown */
    struct flv_node *root;  /* in the arena, or NULL */
};

/* The name as messages show it; NULL when out of memory. */
char *flv__doc_name_shown(const char *name);

#endif
