#include "config/schema.h"

#include <stdio.h>

#include "base/text.h"

/* Stops adding at the first failure. */
struct out {
    struct flv_buf *b;
    flv_rc rc;
};

static void add(struct out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_add_str(o->b, text);
    }
}

static void add_json(struct out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_text_json_str(o->b, text);
    }
}

static void
member(struct out *o, const char *before, const char *key, const char *text)
{
    add(o, before);
    add_json(o, key);
    add(o, ": ");
    add_json(o, text);
}

/* --- one option ---------------------------------------------------------- */

static const char *schema_type(const struct flv_opt *opt)
{
    switch (opt->type) {
    case FLV_OPT_FLAG:
        return "boolean";
    case FLV_OPT_U64:
    case FLV_OPT_I64:
        return "integer";
    case FLV_OPT_LIST:
        return "array";
    default:
        return "string";
    }
}

static void
schema_default(struct out *o, const struct flv_opt *opt, const char *before)
{
    if (opt->fallback == NULL) {
        return;
    }
    bool number = opt->type == FLV_OPT_U64 || opt->type == FLV_OPT_I64;
    add(o, ",");
    add(o, before);
    add(o, "\"default\": ");
    if (number) {
        add(o, opt->fallback);
    } else {
        add_json(o, opt->fallback);
    }
}

static void
schema_choices(struct out *o, const struct flv_opt *opt, const char *before)
{
    add(o, ",");
    add(o, before);
    add(o, "\"enum\": [");
    for (size_t i = 0; opt->choices[i] != NULL; i++) {
        add(o, i > 0 ? ", " : "");
        add_json(o, opt->choices[i]);
    }
    add(o, "]");
}

flv_rc flv_schema_property(const struct flv_opt *opt,
                           const char *before,
                           struct flv_buf *out)
{
    struct out o = {.b = out, .rc = FLV_OK};
    add(&o, "{");
    member(&o, before, "description", opt->help);
    schema_default(&o, opt, before);
    if (opt->choices != NULL) {
        schema_choices(&o, opt, before);
    }
    if (opt->type == FLV_OPT_LIST) {
        add(&o, ",");
        add(&o, before);
        add(&o, "\"items\": { \"type\": \"string\" }");
    }
    add(&o, ",");
    /* A number is as good as text where text is due. */
    if (opt->type == FLV_OPT_DURATION || opt->type == FLV_OPT_SIZE) {
        add(&o, before);
        add(&o, "\"type\": [\"string\", \"integer\"]");
    } else {
        member(&o, before, "type", schema_type(opt));
    }
    /* The brace stands two blanks before its members. */
    size_t len = strlen(before);
    char end[32] = "";
    if (len > 2) {
        (void)snprintf(end, sizeof(end), "%.*s", (int)(len - 2), before);
    }
    add(&o, end);
    add(&o, "}");
    return o.rc;
}

/* --- a file -------------------------------------------------------------- */

static bool is_setting(const struct flv_opt *opt)
{
    return (opt->flags & (FLV_OPT_HIDDEN | FLV_OPT_LINE)) == 0 &&
           strcmp(opt->name, "fluvio-topic") != 0;
}

/* Another name of an option, or its spelling with `_`. */
static void other_name(struct out *o, const char *name, const char *of)
{
    add(o, ",");
    add_json(o, name);
    add(o, ":{\"$ref\":\"#/definitions/settings/properties/");
    add(o, of);
    add(o, "\"}");
}

static void setting(struct out *o, const struct flv_opt *opt)
{
    char low[80];
    add_json(o, opt->name);
    add(o, ":");
    if (o->rc == FLV_OK) {
        o->rc = flv_schema_property(opt, "", o->b);
    }
    (void)snprintf(low, sizeof(low), "%s", opt->name);
    for (char *p = low; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    if (strcmp(low, opt->name) != 0) {
        other_name(o, low, opt->name);
    }
    for (size_t i = 0; opt->aliases != NULL && opt->aliases[i] != NULL; i++) {
        other_name(o, opt->aliases[i], opt->name);
    }
}

static void settings(struct out *o, const struct flv_descriptor *d)
{
    size_t shown = 0;
    add(o, "\"settings\":{\"type\":\"object\",\"additionalProperties\":false,"
           "\"properties\":{");
    for (const struct flv_opt *opt = d->opts; opt->name != NULL; opt++) {
        if (is_setting(opt)) {
            add(o, shown++ > 0 ? "," : "");
            setting(o, opt);
        }
    }
    add(o, shown > 0 ? "," : "");
    add(o, "\"topic\":{\"type\":\"string\"},\"fluvio-topic\":{\"type\":"
           "\"string\"}},\"required\":[");
    shown = 0;
    for (const struct flv_opt *opt = d->opts; opt->name != NULL; opt++) {
        if (is_setting(opt) && (opt->flags & FLV_OPT_REQUIRED) != 0) {
            add(o, shown++ > 0 ? "," : "");
            add_json(o, opt->name);
        }
    }
    add(o, "]}");
}

/* Name, type, direction, and what a manager reads. */
static void head(struct out *o, const struct flv_descriptor *d)
{
    const char *way = d->direction == FLV_CFILE_SINK ? "sink" : "source";
    add(o, "\"name\":{\"description\":\"Name of the instance\",\"type\":"
           "\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$\","
           "\"maxLength\":63},\"type\":{\"enum\":[");
    add_json(o, d->name);
    add(o, ",\"");
    add(o, d->name);
    add(o, "-");
    add(o, way);
    add(o, "\"]},\"version\":{\"description\":\"latest, or a version that is "
           "installed\",\"type\":\"string\"},\"direction\":{\"const\":");
    add_json(o, way);
    add(o, "},\"producer\":{\"$ref\":\"#/definitions/producer\"},"
           "\"consumer\":{\"type\":\"object\"},"
           "\"restart\":{\"description\":\"What becomes of it when it ends\","
           "\"enum\":[\"on-failure\",\"always\",\"never\"]},"
           "\"limits\":{\"$ref\":\"#/definitions/limits\"}");
}

static void shared_definitions(struct out *o)
{
    add(o, ",\"producer\":{\"type\":\"object\",\"additionalProperties\":false,"
           "\"properties\":{\"linger\":{\"description\":\"Such as 100ms\","
           "\"type\":\"string\"},\"compression\":{\"enum\":[\"none\",\"gzip\","
           "\"snappy\",\"lz4\",\"zstd\"]},\"batch-size\":{\"description\":"
           "\"Such as 16 KB\",\"type\":[\"string\",\"integer\"]},"
           "\"batch_size\":{\"type\":[\"string\",\"integer\"]}}},"
           "\"limits\":{\"type\":\"object\",\"additionalProperties\":false,"
           "\"properties\":{\"memory\":{\"description\":\"Such as 512 MB\","
           "\"type\":[\"string\",\"integer\"]},\"files\":{\"type\":\"integer\","
           "\"minimum\":32}}},"
           "\"transforms\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
           "\"required\":[\"uses\"],\"properties\":{\"uses\":{\"description\":"
           "\"Name of a SmartModule\",\"type\":\"string\"},\"with\":{\"type\":"
           "\"object\"}}}}");
}

static void flat_file(struct out *o, const struct flv_descriptor *d)
{
    add(o, ",\"flat\":{\"type\":\"object\",\"required\":[\"name\",\"type\","
           "\"topic\"],\"properties\":{");
    head(o, d);
    add(o, ",\"api_version\":{\"const\":\"v1\"},"
           "\"topic\":{\"description\":\"The topic\",\"type\":\"string\"},"
           "\"create_topic\":{\"description\":\"Make the topic when it is "
           "missing\",\"type\":\"boolean\"},"
           "\"parameters\":{\"$ref\":\"#/definitions/settings\"},"
           "\"secrets\":{\"description\":\"Environment of the connector\","
           "\"type\":\"object\"},"
           "\"transforms\":{\"$ref\":\"#/definitions/transforms\"}}}");
}

static void meta_file(struct out *o, const struct flv_descriptor *d)
{
    const char *section = d->section != NULL ? d->section : "custom";
    add(o, ",\"meta\":{\"type\":\"object\",\"required\":[\"meta\"],"
           "\"properties\":{\"apiVersion\":{\"enum\":[\"0.0.0\",\"0.1.0\","
           "\"0.2.0\"]},\"meta\":{\"type\":\"object\",\"required\":[\"name\","
           "\"type\",\"version\",\"topic\"],\"properties\":{");
    head(o, d);
    add(o, ",\"topic\":{\"type\":[\"string\",\"object\"]},"
           "\"secrets\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
           "\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":"
           "\"string\",\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\"}}}}}},"
           "\"transforms\":{\"$ref\":\"#/definitions/transforms\"},");
    add_json(o, section);
    add(o, ":{\"$ref\":\"#/definitions/settings\"}");
    if (strcmp(section, "custom") != 0) {
        add(o, ",\"custom\":{\"$ref\":\"#/definitions/settings\"}");
    }
    add(o, "}}");
}

flv_rc flv_schema_file(const struct flv_descriptor *d, struct flv_buf *out)
{
    struct out o = {.b = out, .rc = FLV_OK};
    member(&o, "{", "$schema", "http://json-schema.org/draft-07/schema#");
    member(&o, ",", "title", d->name);
    member(&o, ",", "description", d->summary);
    add(&o, ",\"type\":\"object\",\"if\":{\"required\":[\"meta\"]},"
            "\"then\":{\"$ref\":\"#/definitions/meta\"},"
            "\"else\":{\"$ref\":\"#/definitions/flat\"},\"definitions\":{");
    settings(&o, d);
    shared_definitions(&o);
    flat_file(&o, d);
    meta_file(&o, d);
    add(&o, "}}");
    return o.rc;
}
