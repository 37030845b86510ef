/* fuzz-libs: flv_config */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct flv_descriptor *find(void *arg, const char *type)
{
    struct flv_descriptor *d = arg;
    return strcmp(d->name, type) == 0 ? d : NULL;
}

static const char *installed(void *arg, size_t i)
{
    const struct flv_descriptor *d = arg;
    return i == 0 ? d->name : NULL;
}

/* A file that gives every option its own example has nothing to complain of
 * but what the descriptor itself contradicts; it must not crash. */
static void use(struct flv_descriptor *d)
{
    struct flv_buf file;
    flv_buf_init(&file, 1 << 20);
    flv_rc rc = flv_buf_addf(
        &file, "name: a\ntopic: b\ntype: %s\nparameters:\n", d->name);
    for (size_t i = 0; i < d->opt_count && rc == FLV_OK; i++) {
        rc = flv_buf_addf(&file, "  %s: ", d->opts[i].name);
        rc = rc == FLV_OK ? flv_descriptor_example(&d->opts[i], &file) : rc;
        rc = rc == FLV_OK ? flv_buf_add_str(&file, "\n") : rc;
    }
    const struct flv_check_conf conf = {
        .find = find, .installed = installed, .arg = d};
    struct flv_checked c;
    struct flv_err err = {0};
    rc = flv_check_text(&c, flv_buf_slice(&file), &conf, &err);
    assert(rc == FLV_OK);
    for (size_t i = 0; i < c.report.count; i++) {
        assert(c.report.list[i].text[0] != '\0');
    }
    flv_checked_deinit(&c);
    flv_buf_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_descriptor d;
    struct flv_err err = {0};
    flv_rc rc = flv_descriptor_parse(&d, flv_slice(data, size), &err);
    assert((rc == FLV_OK) == (err.text[0] == '\0'));
    if (rc == FLV_OK) {
        assert(d.versions[0] != NULL && d.version[0] != '\0');
        assert(d.opts[d.opt_count].name == NULL);
        use(&d);
    }
    flv_descriptor_deinit(&d);
    return 0;
}
