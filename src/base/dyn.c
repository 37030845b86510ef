#include "base/dyn.h"

#include <dlfcn.h>
#include <string.h>

void *flv_dyn_open(const char *path, const char **out_why)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    *out_why = library == NULL ? dlerror() : NULL;
    return library;
}

const char *
flv_dyn_fill(void *library, const char *const *names, size_t count, void *table)
{
    unsigned char *p = table;

    for (size_t i = 0; i < count; i++) {
        void *f = dlsym(library, names[i]);

        if (f == NULL) {
            return names[i];
        }
        memcpy(p + i * sizeof(f), &f, sizeof(f));
    }
    return NULL;
}
