/*
 * api.h - the functions of Wasmtime's C API that we use, found at run time.
 *
 * Purpose    One table, filled from the shared library when the first engine
 *            is made. Nothing of this tree links the library.
 * Threads    Loading: any thread, once per process. The table is constant
 *            after that.
 * Ownership  The library stays open until the process ends: its threads'
 *            exit handlers live in it.
 * Errors     FLV_E_UNSUPPORTED: not found, or not the version whose headers
 *            we were built with.
 */
#ifndef FLV_SMARTMODULE_API_H
#define FLV_SMARTMODULE_API_H

#include "base/dyn.h"
#include <fluvio/err.h>
#include <wasmtime.h>

#define FLV__WT_MAP(X)                                                         \
    X(wasm_byte_vec_delete)                                                    \
    X(wasm_config_new)                                                         \
    X(wasm_engine_delete)                                                      \
    X(wasm_engine_new_with_config)                                             \
    X(wasm_functype_delete)                                                    \
    X(wasm_functype_new)                                                       \
    X(wasm_trap_delete)                                                        \
    X(wasm_trap_message)                                                       \
    X(wasm_valtype_new)                                                        \
    X(wasm_valtype_vec_new)                                                    \
    X(wasmtime_caller_context)                                                 \
    X(wasmtime_caller_export_get)                                              \
    X(wasmtime_config_consume_fuel_set)                                        \
    X(wasmtime_config_cranelift_opt_level_set)                                 \
    X(wasmtime_config_epoch_interruption_set)                                  \
    X(wasmtime_config_gc_support_set)                                          \
    X(wasmtime_config_host_memory_creator_set)                                 \
    X(wasmtime_config_max_wasm_stack_set)                                      \
    X(wasmtime_config_memory_init_cow_set)                                     \
    X(wasmtime_config_native_unwind_info_set)                                  \
    X(wasmtime_config_parallel_compilation_set)                                \
    X(wasmtime_config_shared_memory_set)                                       \
    X(wasmtime_config_wasm_exceptions_set)                                     \
    X(wasmtime_config_wasm_function_references_set)                            \
    X(wasmtime_config_wasm_gc_set)                                             \
    X(wasmtime_config_wasm_memory64_set)                                       \
    X(wasmtime_config_wasm_multi_memory_set)                                   \
    X(wasmtime_config_wasm_threads_set)                                        \
    X(wasmtime_context_get_data)                                               \
    X(wasmtime_context_get_fuel)                                               \
    X(wasmtime_context_set_epoch_deadline)                                     \
    X(wasmtime_context_set_fuel)                                               \
    X(wasmtime_engine_increment_epoch)                                         \
    X(wasmtime_error_delete)                                                   \
    X(wasmtime_error_message)                                                  \
    X(wasmtime_error_new)                                                      \
    X(wasmtime_func_call_unchecked)                                            \
    X(wasmtime_instance_export_get)                                            \
    X(wasmtime_instance_pre_delete)                                            \
    X(wasmtime_instance_pre_instantiate)                                       \
    X(wasmtime_linker_allow_shadowing)                                         \
    X(wasmtime_linker_define_func_unchecked)                                   \
    X(wasmtime_linker_delete)                                                  \
    X(wasmtime_linker_instantiate_pre)                                         \
    X(wasmtime_linker_new)                                                     \
    X(wasmtime_memory_data)                                                    \
    X(wasmtime_memory_data_size)                                               \
    X(wasmtime_memory_grow)                                                    \
    X(wasmtime_module_delete)                                                  \
    X(wasmtime_module_deserialize_file)                                        \
    X(wasmtime_module_new)                                                     \
    X(wasmtime_module_serialize)                                               \
    X(wasmtime_store_context)                                                  \
    X(wasmtime_store_delete)                                                   \
    X(wasmtime_store_epoch_deadline_callback)                                  \
    X(wasmtime_store_limiter)                                                  \
    X(wasmtime_store_new)                                                      \
    X(wasmtime_trap_code)                                                      \
    X(wasmtime_trap_new)

struct flv__wt {
    FLV__WT_MAP(FLV_DYN_FIELD)
};

/* Valid after flv__wt_load() succeeded once. */
extern struct flv__wt flv__wt;

/* `library` as in struct flv_sm_engine_conf; when the library is loaded
 * already, that one stays. */
FLV_CHECKED flv_rc flv__wt_load(const char *library, struct flv_err *err);

/* Takes the error's words and deletes it. Cut to fit, one line. */
void flv__wt_error_text(wasmtime_error_t *error, char *out, size_t size);
void flv__wt_trap_text(wasm_trap_t *trap, char *out, size_t size);

#endif
