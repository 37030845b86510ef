/*
 * objects.h - topics, partitions, SmartModules, table formats and the SPU as
 *             clients see them.
 *
 * Purpose    Fills the plain structs of wire/sc.h from the objects of this
 *            room, as the captures of a real cluster show them.
 * Threads    Loop thread only.
 * Ownership  Results borrow from the object and from the arena.
 * Errors     FLV_E_NOMEM or FLV_E_LIMIT from the arena; out untouched.
 */
#ifndef FLV_SERVER_OBJECTS_H
#define FLV_SERVER_OBJECTS_H

#include "base/arena.h"
#include "server/formats.h"
#include "server/modules.h"
#include "server/topics.h"
#include "wire/sc.h"

#include <fluvio/err.h>

struct flv_server;

FLV_CHECKED flv_rc flv_object_topic(const struct flv_topic *t,
                                    struct flv_arena *arena,
                                    struct flv_wire_topic *out,
                                    struct flv_err *err);
FLV_CHECKED flv_rc flv_object_partition(const struct flv_topic *t,
                                        uint32_t index,
                                        struct flv_arena *arena,
                                        struct flv_wire_partition *out,
                                        struct flv_err *err);
/* A summary: the size stands for the bytes. */
struct flv_wire_smartmodule flv_object_module(const struct flv_module *m);
struct flv_wire_table_format flv_object_format(const struct flv_format *f);
FLV_CHECKED flv_rc flv_object_spu(const struct flv_server *s,
                                  struct flv_arena *arena,
                                  struct flv_wire_spu *out,
                                  struct flv_err *err);

#endif
