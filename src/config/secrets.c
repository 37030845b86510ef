#include "config/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX ((size_t)1024 * 1024)

void flv__secrets_init(struct flv_secrets *s)
{
    flv_buf_init(&s->text, BYTES_MAX);
    flv_buf_init(&s->used, BYTES_MAX);
}

void flv__secrets_deinit(struct flv_secrets *s)
{
    struct flv_buf *bufs[] = {&s->text, &s->used};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        if (bufs[i]->data != NULL) {
            explicit_bzero(bufs[i]->data, bufs[i]->cap);
        }
        flv_buf_deinit(bufs[i]);
    }
}

static flv_rc take_line(struct flv_secrets *s,
                        char *line,
                        const char *path,
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
                        "%.80s:%u: a line of a secrets file is NAME=VALUE",
                        path, number);
    }
    *equals = '\0';
    size_t len = strlen(line) + 1 + strlen(equals + 1) + 1;
    flv_rc rc = flv_buf_add(&s->text, line, len);
    if (rc != FLV_OK) {
        return flv_fail(err, rc,
                        "%.80s:%u: the secrets take more than %zu "
                        "bytes",
                        path, number, BYTES_MAX);
    }
    return FLV_OK;
}

flv_rc
flv__secrets_read(struct flv_secrets *s, const char *path, struct flv_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return flv_fail_sys(err, errno == ENOENT ? FLV_E_NOT_FOUND : FLV_E_IO,
                            errno, "cannot read the secrets file %.80s", path);
    }
    static char line[65536];
    flv_rc rc = FLV_OK;
    for (unsigned n = 1;
         rc == FLV_OK && fgets(line, sizeof(line), file) != NULL; n++) {
        if (strchr(line, '\n') == NULL && !feof(file)) {
            rc = flv_fail(err, FLV_E_LIMIT, "%.80s:%u: the line is too long",
                          path, n);
        } else {
            rc = take_line(s, line, path, n, err);
        }
    }
    if (rc == FLV_OK && ferror(file) != 0) {
        rc = flv_fail_sys(err, FLV_E_IO, errno,
                          "cannot read the secrets file %.80s", path);
    }
    explicit_bzero(line, sizeof(line));
    (void)fclose(file);
    return rc;
}

const char *flv__secrets_find(void *secrets, const char *name)
{
    const struct flv_secrets *s = secrets;
    const char *p = (const char *)s->text.data;
    const char *end = p != NULL ? p + s->text.len : p;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (strcmp(p, name) == 0) {
            return value;
        }
        p = value + strlen(value) + 1;
    }
    return NULL;
}

const char *flv__secrets_get(void *secrets, const char *name)
{
    const char *value = flv__secrets_find(secrets, name);
    return value != NULL ? value : getenv(name);
}

/* Is there a line NAME=...? */
static bool is_used(const struct flv_secrets *s, const char *name)
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

const char *flv__secrets_use(void *secrets, const char *name)
{
    struct flv_secrets *s = secrets;
    const char *value = flv__secrets_find(secrets, name);
    if (value == NULL || is_used(s, name)) {
        return value;
    }
    return flv_buf_addf(&s->used, "%s=%s\n", name, value) == FLV_OK ? value
                                                                    : NULL;
}
