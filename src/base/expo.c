#include "base/expo.h"

#include <stdarg.h>
#include <stdio.h>

void flv_expo_addf(struct flv_out *o, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    flv_out_str(o, text);
}

void flv_expo_family(struct flv_out *o,
                     const char *name,
                     const char *kind,
                     const char *help)
{
    flv_expo_addf(o, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void flv_expo_label(struct flv_out *o, const char *name, const char *value)
{
    struct flv_slice rest = flv_slice_str(value);
    flv_expo_addf(o, "%s=\"", name);
    size_t good = flv_text_utf8_prefix(rest);
    for (size_t i = 0; i < rest.len;) {
        const char c = value[i];
        char one[3] = {c, '\0', '\0'};
        if (i == good) {
            flv_out_str(o, "\xef\xbf\xbd");
            i++;
            good = i +
                   flv_text_utf8_prefix(flv_slice(rest.data + i, rest.len - i));
            continue;
        }
        if (c == '\\' || c == '"') {
            one[0] = '\\';
            one[1] = c;
        }
        flv_out_str(o, c == '\n' ? "\\n" : one);
        i++;
    }
    flv_out_str(o, "\"");
}
