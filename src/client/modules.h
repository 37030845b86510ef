/*
 * modules.h - SmartModules between the public header and the wire.
 *
 * Purpose    Packs and unpacks their bytes, turns what a list shows into the
 *            public struct, and what a consumer asks for into invocations.
 * Threads    Loop thread only.
 * Ownership  Everything that is made lives in the arena that is passed.
 * Errors     FLV_E_INVALID names the module; FLV_E_LIMIT, FLV_E_NOMEM.
 */
#ifndef FLV_CLIENT_MODULES_H
#define FLV_CLIENT_MODULES_H

#include <fluvio/client.h>

#include "base/arena.h"
#include "wire/sc.h"
#include "wire/spu.h"

#define FLV__MODULE_BYTES_MAX ((size_t)32 * 1024 * 1024) /* plain, packed */
#define FLV__MODULES_MAX 16                              /* of one consumer */

/* As gzip, which bytes that are gzip already stay. */
FLV_CHECKED flv_rc flv__module_pack(struct flv_slice wasm,
                                    struct flv_arena *arena,
                                    struct flv_slice *out,
                                    struct flv_err *err);
FLV_CHECKED flv_rc flv__module_info(const struct flv_wire_smartmodule *w,
                                    struct flv_arena *arena,
                                    struct flv_smartmodule_info *out,
                                    struct flv_err *err);
FLV_CHECKED flv_rc flv__module_uses(const struct flv_smartmodule_use *uses,
                                    size_t count,
                                    struct flv_arena *arena,
                                    struct flv_wire_module_invocation **out,
                                    struct flv_err *err);

#endif
