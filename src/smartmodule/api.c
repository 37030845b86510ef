#include "smartmodule/api.h"

#include "base/bytes.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SONAME "libwasmtime.so"

struct flv__wt flv__wt;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded; /* under lock */

static flv_rc resolve(void *dl, const char *path, struct flv_err *err)
{
    static const char *const names[] = {FLV__WT_MAP(FLV_DYN_NAME)};
    const char *missing = FLV_DYN_FILL(dl, names, &flv__wt);

    _Static_assert(sizeof(flv__wt) == sizeof(names),
                   "one pointer per function");
    return missing == NULL ? FLV_OK
                           : flv_fail(err, FLV_E_UNSUPPORTED,
                                      "%s is not Wasmtime " WASMTIME_VERSION
                                      ": it has no %s",
                                      path, missing);
}

/* A path, or with a bare name what the system finds. */
static void *try_open(const char *path, char why[FLV_ERR_TEXT_MAX])
{
    const char *said = NULL;
    void *dl;

    if (strchr(path, '/') != NULL && access(path, F_OK) != 0) {
        return NULL;
    }
    dl = flv_dyn_open(path, &said);
    if (dl == NULL) {
        snprintf(why, FLV_ERR_TEXT_MAX, "%s", said);
    }
    return dl;
}

/* The library installed with this program. */
static bool beside_program(char *out, size_t size)
{
    char exe[3072], *slash;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n <= 0) {
        return false;
    }
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    n = snprintf(out, size, "%s/" FLV_WASMTIME_INSTALLED, exe);
    return n > 0 && (size_t)n < size;
}

static flv_rc load(const char *library, struct flv_err *err)
{
    const char *named =
        library != NULL ? library : secure_getenv("WASMTIME_LIB");
    char why[FLV_ERR_TEXT_MAX] = "", beside[4096] = SONAME;
    const char *path = named;
    void *dl = NULL;

    if (named != NULL) {
        dl = try_open(named, why);
        if (dl == NULL) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            "cannot load the WebAssembly engine %s: %s", named,
                            why[0] != '\0' ? why : "no such file");
        }
    }
    if (dl == NULL && beside_program(beside, sizeof(beside))) {
        path = beside;
        dl = try_open(path, why);
    }
#ifdef FLV_WASMTIME_BUILD
    if (dl == NULL) {
        path = FLV_WASMTIME_BUILD;
        dl = try_open(path, why);
    }
#endif
    if (dl == NULL) {
        path = SONAME;
        dl = try_open(path, why);
    }
    if (dl == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "SmartModules need Wasmtime " WASMTIME_VERSION
                        ", which is neither %s nor " SONAME
                        " on the library path; install it or set WASMTIME_LIB",
                        beside);
    }
    return resolve(dl, path, err);
}

flv_rc flv__wt_load(const char *library, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    pthread_mutex_lock(&lock);
    if (!loaded) {
        rc = load(library, err);
        loaded = rc == FLV_OK;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Wasmtime's words begin with a backtrace; people want its last line. */
static const char *cause_in(const char *text)
{
    static const char *const marks[] = {"wasm trap: ", "Caused by:"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const char *at = strstr(text, marks[i]);

        if (at != NULL) {
            return at + strlen(marks[i]);
        }
    }
    return text;
}

/* One line, without control characters and the blanks of indents. */
static void copy_line(wasm_name_t *words, char *out, size_t size)
{
    char whole[2048];
    size_t len = words->size < sizeof(whole) ? words->size : sizeof(whole) - 1;
    size_t n = 0;

    if (len > 0) {
        memcpy(whole, words->data, len);
    }
    whole[len] = '\0';
    flv__wt.wasm_byte_vec_delete(words);
    for (const char *p = cause_in(whole); *p != '\0' && n + 1 < size; p++) {
        char c = (unsigned char)*p < ' ' ? ' ' : *p;

        if (c != ' ' || (n > 0 && out[n - 1] != ' ')) {
            out[n++] = c;
        }
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}

void flv__wt_error_text(wasmtime_error_t *error, char *out, size_t size)
{
    wasm_name_t words;

    flv__wt.wasmtime_error_message(error, &words);
    flv__wt.wasmtime_error_delete(error);
    copy_line(&words, out, size);
}

void flv__wt_trap_text(wasm_trap_t *trap, char *out, size_t size)
{
    wasm_name_t words;

    flv__wt.wasm_trap_message(trap, &words);
    flv__wt.wasm_trap_delete(trap);
    copy_line(&words, out, size);
}
