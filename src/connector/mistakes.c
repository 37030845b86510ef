#include "connector/mistakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/check.h"
#include "connector/describe.h"

struct own {
    struct flv_setup *setup; /* borrowed */
    struct flv_descriptor descriptor;
};

static const struct flv_descriptor *find(void *arg, const char *type)
{
    const struct own *own = arg;
    return strcmp(type, own->descriptor.name) == 0 ? &own->descriptor : NULL;
}

static const char *installed(void *arg, size_t i)
{
    const struct own *own = arg;
    return i == 0 ? own->descriptor.name : NULL;
}

/* On the command line, or in the environment. */
static bool given(void *arg, const char *name)
{
    struct own *own = arg;
    const struct flv_opt *opt = flv_opt_find(own->setup->opts.table, name);
    return flv_opts_given(flv_args_opts(&own->setup->args), name) ||
           (opt != NULL && opt->env != NULL && getenv(opt->env) != NULL);
}

static bool print(const struct flv_report *r, const char *path)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct flv_problem *p = &r->list[i];
        if (p->severity == FLV_SEVERITY_ERROR && p->line > 0) {
            (void)fprintf(stderr, "error: %s:%u:%u: %s\n", path, p->line,
                          p->col, p->text);
        } else if (p->severity == FLV_SEVERITY_ERROR) {
            (void)fprintf(stderr, "error: %s: %s\n", path, p->text);
        }
    }
    return r->errors > 0;
}

static bool check(struct own *own, const char *path)
{
    const struct flv_check_conf conf = {.find = find,
                                        .installed = installed,
                                        .given = given,
                                        .arg = own,
                                        .secret = flv__secrets_get,
                                        .secret_arg = &own->setup->secrets};
    struct flv_buf text;
    struct flv_checked checked;
    bool any = false;
    if (flv_doc_load(&text, path, NULL) != FLV_OK) {
        return false;
    }
    if (flv_check_text(&checked, flv_buf_slice(&text), &conf, NULL) == FLV_OK) {
        any = print(&checked.report, path);
    }
    flv_checked_deinit(&checked);
    flv_buf_deinit(&text);
    return any;
}

bool flv__mistakes_print(struct flv_setup *s)
{
    struct own own = {.setup = s};
    struct flv_buf json;
    const char *path = flv__setup_shared(s)->config;
    /* It was not the file; or one of another type, of which nothing means
     * anything here. */
    if (!s->has_file ||
        (s->file.type != NULL && strcmp(s->file.type, s->type->name) != 0)) {
        return false;
    }
    flv_buf_init(&json, FLV_DESCRIPTOR_BYTES_MAX);
    bool any = flv__connector_describe(s->type, &json, NULL) == FLV_OK &&
               flv_descriptor_parse(&own.descriptor, flv_buf_slice(&json),
                                    NULL) == FLV_OK &&
               check(&own, path);
    flv_descriptor_deinit(&own.descriptor);
    flv_buf_deinit(&json);
    return any;
}
