#include <fluvio/err.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
    const char *name, *text;
    enum flv_class cls;
} codes[FLV_RC_COUNT] = {
#define ROW(name, cls, text) {#name, text, FLV_CLASS_##cls},
    FLV_RC_MAP(ROW)
#undef ROW
};

const char *flv_rc_name(flv_rc rc)
{
    return (unsigned)rc < FLV_RC_COUNT ? codes[rc].name : "UNKNOWN";
}

const char *flv_rc_text(flv_rc rc)
{
    return (unsigned)rc < FLV_RC_COUNT ? codes[rc].text : "unknown error";
}

enum flv_class flv_rc_class(flv_rc rc)
{
    return (unsigned)rc < FLV_RC_COUNT ? codes[rc].cls : FLV_CLASS_FATAL;
}

/* What a peer said may be in it. */
static void tidy(struct flv_err *err)
{
    flv_text_tidy(err->text, strlen(err->text));
}

static void append_sys(struct flv_err *err)
{
    size_t len = strlen(err->text);
    char buf[80];
    /* The GNU form returns the text, which may be a static string. */
    const char *text = strerror_r(err->sys, buf, sizeof(buf));

    snprintf(err->text + len, sizeof(err->text) - len, "%s%s",
             len > 0 ? ": " : "", text);
}

void flv_err_raise(struct flv_err *err,
                   flv_rc rc,
                   int sys,
                   const char *file,
                   int line,
                   const char *fmt,
                   ...)
{
    va_list ap;

    assert(rc != FLV_OK);
    if (err == NULL) {
        return;
    }
    err->rc = rc;
    err->sys = sys;
    err->wire = 0;
    err->file = file;
    err->line = line;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    tidy(err);
    if (sys != 0) {
        append_sys(err);
    }
}

void flv_err_prefix(struct flv_err *err, const char *fmt, ...)
{
    char old[FLV_ERR_TEXT_MAX];
    va_list ap;
    size_t len;

    if (err == NULL) {
        return;
    }
    memcpy(old, err->text, sizeof(old));
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
    tidy(err);
}

void flv_err_suffix(struct flv_err *err, const char *text)
{
    if (err != NULL) {
        size_t len = strlen(err->text);

        (void)snprintf(err->text + len, sizeof(err->text) - len, "%s", text);
        tidy(err);
    }
}

void flv_err_clear(struct flv_err *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof(*err));
    }
}
