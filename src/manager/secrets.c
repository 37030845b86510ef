/* Values of secrets on their way from the file to one connector. */
#include <errno.h>
#include <stdio.h>

#include "manager/manager_priv.h"

#define BYTES_MAX ((size_t)1024 * 1024)
#define LINE_BYTES_MAX 65536

void flv__msecrets_deinit(struct flv_msecrets *s)
{
    struct flv_buf *bufs[] = {&s->text, &s->used};
    for (size_t i = 0; i < 2; i++) {
        if (bufs[i]->data != NULL) {
            explicit_bzero(bufs[i]->data, bufs[i]->cap);
        }
        flv_buf_deinit(bufs[i]);
    }
}

static flv_rc take_line(struct flv_msecrets *s,
                        char *line,
                        unsigned number,
                        struct flv_err *err)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#') {
        return FLV_OK;
    }
    char *equals = strchr(line, '=');
    if (equals == NULL || equals == line) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u of the file of secrets is not NAME=VALUE",
                        number);
    }
    *equals = '\0';
    flv_rc rc =
        flv_buf_add(&s->text, line, strlen(line) + 1 + strlen(equals + 1) + 1);
    return rc == FLV_OK ? rc
                        : flv_fail(err, rc,
                                   "the file of secrets has more than %zu "
                                   "bytes",
                                   BYTES_MAX);
}

flv_rc flv__msecrets_read(struct flv_msecrets *s,
                          const char *path,
                          struct flv_err *err)
{
    static char line[LINE_BYTES_MAX];
    flv_buf_init(&s->text, BYTES_MAX);
    flv_buf_init(&s->used, BYTES_MAX);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT ? FLV_OK
                               : flv_fail_sys(err, FLV_E_IO, errno,
                                              "cannot read %.120s", path);
    }
    flv_rc rc = FLV_OK;
    for (unsigned n = 1;
         rc == FLV_OK && fgets(line, sizeof(line), file) != NULL; n++) {
        rc = strchr(line, '\n') == NULL && !feof(file)
                 ? flv_fail(err, FLV_E_LIMIT,
                            "line %u of the file of secrets is too long", n)
                 : take_line(s, line, n, err);
    }
    explicit_bzero(line, sizeof(line));
    (void)fclose(file);
    return rc;
}

static bool is_used(const struct flv_msecrets *s, const char *name)
{
    const char *p = (const char *)s->used.data;
    const char *end = p != NULL ? p + s->used.len : p;
    size_t len = strlen(name);
    while (p < end) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        if ((size_t)(end - p) > len && memcmp(p, name, len) == 0 &&
            p[len] == '=') {
            return true;
        }
        p = feed != NULL ? feed + 1 : end;
    }
    return false;
}

const char *flv__msecrets_get(void *secrets, const char *name)
{
    struct flv_msecrets *s = secrets;
    const char *p = (const char *)s->text.data;
    const char *end = p != NULL ? p + s->text.len : p;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (strcmp(p, name) == 0) {
            bool ok = is_used(s, name) ||
                      flv_buf_addf(&s->used, "%s=%s\n", name, value) == FLV_OK;
            return ok ? value : NULL;
        }
        p = value + strlen(value) + 1;
    }
    return NULL;
}
