#include "connector/letter.h"

#include "base/clock.h"
#include "base/out.h"

/* `before` ends with the key and its colon. */
static void text_member(struct flv_out *o, const char *before, const char *text)
{
    flv_out_str(o, before);
    flv_out_json(o, flv_slice_str(text));
}

static void
bytes_member(struct flv_out *o, const char *before, struct flv_slice s)
{
    flv_out_str(o, before);
    flv_out_str(o, "\"");
    if (o->rc == FLV_OK) {
        o->rc = flv_text_base64(o->b, s);
    }
    flv_out_str(o, "\"");
}

static void number_member(struct flv_out *o, const char *before, int64_t n)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b, "%s%lld", before, (long long)n);
    }
}

flv_rc flv__letter_write(struct flv_buf *b, const struct flv_letter_facts *f)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    char time[FLV_CLOCK_TEXT_MAX];
    flv_clock_format(f->time_ms, time);
    number_member(&o, "{\"version\":", FLV_LETTER_VERSION);
    text_member(&o, ",\"time\":", time);
    text_member(&o, ",\"connector\":{\"name\":", f->connector);
    text_member(&o, ",\"type\":", f->type);
    if (f->topic != NULL) {
        text_member(&o, ",\"topic\":", f->topic);
    }
    number_member(&o, "},\"stage\":", (int64_t)f->stage);
    if (f->module != NULL) {
        text_member(&o, ",\"module\":{\"name\":", f->module);
        text_member(&o, ",\"sha256\":", f->hash);
        text_member(&o, ",\"kind\":", f->kind);
        flv_out_str(&o, "}");
    }
    text_member(&o, ",\"error\":{\"cause\":", f->cause);
    text_member(&o, ",\"text\":", f->text);
    if (f->hint.len > 0) {
        flv_out_str(&o, ",\"hint\":");
        flv_out_json(&o, f->hint);
    }
    number_member(&o, "},\"source\":{\"number\":", (int64_t)f->number);
    if (f->of_topic != NULL) {
        text_member(&o, ",\"topic\":", f->of_topic);
        number_member(&o, ",\"partition\":", f->partition);
        number_member(&o, ",\"offset\":", f->offset);
    }
    flv_out_str(&o, "},\"record\":{");
    if (f->has_key) {
        bytes_member(&o, "\"key\":", f->key);
        flv_out_str(&o, ",");
    }
    bytes_member(&o, "\"value\":", f->value);
    flv_out_str(&o, "}}");
    return o.rc;
}
