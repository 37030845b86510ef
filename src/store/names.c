#include "store/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/format.h"

#define FILES_MAX (1u << 20)

static bool add(struct flv__bases *b, int64_t base)
{
    if (b->len == b->cap) {
        uint32_t cap = b->cap > 0 ? b->cap * 2 : 16;
        int64_t *at =
            cap <= FILES_MAX ? flv_realloc(b->at, cap * sizeof(*at)) : NULL;

        if (at == NULL) {
            return false;
        }
        b->at = at;
        b->cap = cap;
    }
    b->at[b->len++] = base;
    return true;
}

static void see(void *user, const char *name)
{
    struct flv__names *names = user;
    const char *dot = strrchr(name, '.');
    struct flv__bases *of = NULL;
    int64_t base;

    names->torn += dot != NULL && strcmp(dot, FLV__ENDING_TORN) == 0;
    if (flv__name_offset(name, FLV__ENDING_SEGMENT, &base)) {
        of = &names->segments;
    } else if (flv__name_offset(name, FLV__ENDING_NEXT, &base)) {
        of = &names->nexts;
    }
    if (of != NULL && !add(of, base)) {
        names->no_memory = true;
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void sort(struct flv__bases *b)
{
    if (b->len > 0) {
        qsort(b->at, b->len, sizeof(*b->at), by_value);
    }
}

flv_rc flv__names_list(struct flv_io *io,
                       const char *dir,
                       struct flv__names *out,
                       struct flv_err *err)
{
    flv_rc rc = io->ops->list(io, dir, see, out, err);

    if (rc == FLV_OK && out->no_memory) {
        rc = flv_fail(err, FLV_E_NOMEM, "no memory for the names in %s", dir);
    }
    sort(&out->segments);
    sort(&out->nexts);
    return rc;
}

void flv__names_deinit(struct flv__names *names)
{
    flv_free(names->segments.at);
    flv_free(names->nexts.at);
    *names = (struct flv__names){0};
}
