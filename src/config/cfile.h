/*
 * cfile.h - what the parts of the connector file's reader share.
 *
 * Purpose    Values with templates replaced, settings, warnings, and the
 *            topic of a connector file. Private to this room.
 * Threads    No sharing.
 * Ownership  Texts made here live in the file's arena.
 * Errors     As in connector_file.h.
 */
#ifndef FLV_CONFIG_CFILE_H
#define FLV_CONFIG_CFILE_H

#include "config/connector_file.h"
#include "config/try.h"

struct flv__cread {
    struct flv_cfile *f;               /* borrowed; being filled */
    const struct flv_cfile_conf *conf; /* borrowed */
    const char *example; /* static; of the mistake just made, or NULL */
    struct flv_err *err;
};

flv_rc flv__cfile_nomem(struct flv__cread *r);

/* With a report, a mistake of the file goes there and reading goes on behind
 * it: FLV_OK. Anything else is returned. */
FLV_CHECKED flv_rc flv__cfile_keep(struct flv__cread *r, flv_rc rc);
#define FLV_STEP(r, call) FLV_TRY(flv__cfile_keep((r), (call)))

/* Lists "name:line:col: text"; beyond the ceiling nothing. With a report it
 * goes there. */
FLV_CHECKED flv_rc flv__cfile_warn(struct flv__cread *r,
                                   const struct flv_node *node,
                                   const char *fmt,
                                   ...) FLV_PRINTF(3, 4);
/* One warning for each key of the map that is not in `known` (NULL ends); a
 * report takes a likely slip for a mistake. */
FLV_CHECKED flv_rc flv__cfile_unknown(struct flv__cread *r,
                                      const struct flv_node *map,
                                      const char *where,
                                      const char *const *known);

/* The value of a secret; that it has none is a mistake at the node. */
FLV_CHECKED flv_rc flv__cfile_secret(struct flv__cread *r,
                                     const struct flv_node *node,
                                     const char *name,
                                     const char **out);

/* The text of a single value with its templates replaced. *out_secret may be
 * NULL. `what` names the value in messages. */
FLV_CHECKED flv_rc flv__cfile_text(struct flv__cread *r,
                                   const struct flv_node *node,
                                   const char *what,
                                   const char **out,
                                   bool *out_secret);
/* map.key as text; *out is left alone when there is no such key. With
 * required a missing or empty one is an error. */
FLV_CHECKED flv_rc flv__cfile_get(struct flv__cread *r,
                                  const struct flv_node *map,
                                  const char *key,
                                  bool required,
                                  const char **out);
/* true or false. */
FLV_CHECKED flv_rc flv__cfile_bool(struct flv__cread *r,
                                   const struct flv_node *map,
                                   const char *key,
                                   bool *out);
/* The map under key, NULL when it is not there or empty. */
FLV_CHECKED flv_rc flv__cfile_map(struct flv__cread *r,
                                  const struct flv_node *map,
                                  const char *key,
                                  const struct flv_node **out);

/* `on-error` of the map as a command line would say it ("retry:3"); *out is
 * left alone when there is none. */
FLV_CHECKED flv_rc flv__cfile_on_error(struct flv__cread *r,
                                       const struct flv_node *map,
                                       const char **out);
/* A list of SmartModules with what they are given. */
FLV_CHECKED flv_rc flv__cfile_transforms(struct flv__cread *r,
                                         const struct flv_node *node);
/* The document is one entry of such a list. */
FLV_CHECKED flv_rc flv__cfile_one_transform(struct flv__cread *r);

/* {"name": N, "config": {...}}, as Kafka Connect has it, becomes the flat form
 * it stands for; everything keeps its place. Other documents stay as they
 * are. */
FLV_CHECKED flv_rc flv__cfile_unwrap(struct flv_doc *doc, struct flv_err *err);

/* map.key as one setting of that name, when it is there. */
FLV_CHECKED flv_rc flv__cfile_on_error_setting(struct flv__cread *r,
                                               const struct flv_node *map);
/* Every pair of the map becomes settings; `transforms` is taken apart. */
FLV_CHECKED flv_rc flv__cfile_settings(struct flv__cread *r,
                                       const struct flv_node *map);
/* linger, compression and batch-size as producer-... settings. */
FLV_CHECKED flv_rc flv__cfile_producer(struct flv__cread *r,
                                       const struct flv_node *map);
/* meta.topic: a name, or from 0.2.0 on a topic's configuration. */
FLV_CHECKED flv_rc flv__cfile_topic(struct flv__cread *r,
                                    const struct flv_node *meta,
                                    bool settings_allowed);

#endif
