/* Compiled modules. */
#include "smartmodule/module_priv.h"

#include "base/bytes.h"
#include <malloc.h>

flv_rc flv__sm_compile(struct flv_sm_engine *e,
                       const char *hash,
                       struct flv_slice plain,
                       wasmtime_module_t **out,
                       struct flv_err *err)
{
    wasmtime_error_t *error =
        flv__wt.wasmtime_module_new(e->wt, plain.data, plain.len, out);

    (void)hash;
    if (error != NULL) {
        char text[160];

        flv__wt_error_text(error, text, sizeof(text));
        return flv_fail(err, FLV_E_INVALID, "does not compile: %s", text);
    }
    malloc_trim(0);
    return FLV_OK;
}
