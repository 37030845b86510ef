#include "config/schema.h"

#include <stdio.h>

#include "base/out.h"

static void
member(struct flv_out *o, const char *before, const char *key, const char *text)
{
    flv_out_str(o, before);
    flv_out_json_str(o, key);
    flv_out_str(o, ": ");
    flv_out_json_str(o, text);
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
schema_default(struct flv_out *o, const struct flv_opt *opt, const char *before)
{
    if (opt->fallback == NULL) {
        return;
    }
    bool number = opt->type == FLV_OPT_U64 || opt->type == FLV_OPT_I64;
    flv_out_str(o, ",");
    flv_out_str(o, before);
    flv_out_str(o, "\"default\": ");
    if (number) {
        flv_out_str(o, opt->fallback);
    } else {
        flv_out_json_str(o, opt->fallback);
    }
}

/* A choice that may be written as true or false, which YAML does not take for
 * text. */
static bool has_switch(const struct flv_opt *opt)
{
    for (size_t i = 0; opt->choices != NULL && opt->choices[i] != NULL; i++) {
        if (strcmp(opt->choices[i], "true") == 0) {
            return true;
        }
    }
    return false;
}

static void
schema_choices(struct flv_out *o, const struct flv_opt *opt, const char *before)
{
    flv_out_str(o, ",");
    flv_out_str(o, before);
    flv_out_str(o, "\"enum\": [");
    for (size_t i = 0; opt->choices[i] != NULL; i++) {
        flv_out_str(o, i > 0 ? ", " : "");
        flv_out_json_str(o, opt->choices[i]);
    }
    flv_out_str(o, has_switch(opt) ? ", false, true]" : "]");
}

flv_rc flv_schema_property(const struct flv_opt *opt,
                           const char *before,
                           struct flv_buf *out)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    flv_out_str(&o, "{");
    member(&o, before, "description", opt->help);
    schema_default(&o, opt, before);
    if (opt->choices != NULL) {
        schema_choices(&o, opt, before);
    }
    if (opt->type == FLV_OPT_LIST) {
        flv_out_str(&o, ",");
        flv_out_str(&o, before);
        flv_out_str(&o, "\"items\": { \"type\": \"string\" }");
    }
    flv_out_str(&o, ",");
    /* A number is as good as text where text is due. */
    if (opt->type == FLV_OPT_DURATION || opt->type == FLV_OPT_SIZE) {
        flv_out_str(&o, before);
        flv_out_str(&o, "\"type\": [\"string\", \"integer\"]");
    } else if (has_switch(opt)) {
        flv_out_str(&o, before);
        flv_out_str(&o, "\"type\": [\"string\", \"boolean\"]");
    } else {
        member(&o, before, "type", schema_type(opt));
    }
    /* The brace stands two blanks before its members. */
    size_t len = strlen(before);
    char end[32] = "";
    if (len > 2) {
        (void)snprintf(end, sizeof(end), "%.*s", (int)(len - 2), before);
    }
    flv_out_str(&o, end);
    flv_out_str(&o, "}");
    return o.rc;
}

/* --- a file -------------------------------------------------------------- */

static bool is_setting(const struct flv_opt *opt)
{
    return (opt->flags & (FLV_OPT_HIDDEN | FLV_OPT_LINE)) == 0 &&
           strcmp(opt->name, "fluvio-topic") != 0;
}

/* Another name of an option, or its spelling with `_`. */
static void other_name(struct flv_out *o, const char *name, const char *of)
{
    flv_out_str(o, ",");
    flv_out_json_str(o, name);
    flv_out_str(o, ":{\"$ref\":\"#/definitions/settings/properties/");
    flv_out_str(o, of);
    flv_out_str(o, "\"}");
}

static void setting(struct flv_out *o, const struct flv_opt *opt)
{
    char low[80];
    flv_out_json_str(o, opt->name);
    flv_out_str(o, ":");
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

static void settings(struct flv_out *o, const struct flv_descriptor *d)
{
    size_t shown = 0;
    flv_out_str(
        o, "\"settings\":{\"type\":\"object\",\"additionalProperties\":false,"
           "\"patternProperties\":{\"[_-]config$\":{\"type\":\"object\"}},"
           "\"properties\":{");
    for (const struct flv_opt *opt = d->opts; opt->name != NULL; opt++) {
        if (is_setting(opt)) {
            flv_out_str(o, shown++ > 0 ? "," : "");
            setting(o, opt);
        }
    }
    flv_out_str(o, shown > 0 ? "," : "");
    flv_out_str(o, "\"topic\":{\"type\":\"string\"},\"fluvio-topic\":{\"type\":"
                   "\"string\"}},\"required\":[");
    shown = 0;
    for (const struct flv_opt *opt = d->opts; opt->name != NULL; opt++) {
        if (is_setting(opt) && (opt->flags & FLV_OPT_REQUIRED) != 0) {
            flv_out_str(o, shown++ > 0 ? "," : "");
            flv_out_json_str(o, opt->name);
        }
    }
    flv_out_str(o, "]}");
}

/* Name, type, direction, and what a manager reads. */
static void head(struct flv_out *o, const struct flv_descriptor *d)
{
    const char *way = d->direction == FLV_CFILE_SINK ? "sink" : "source";
    flv_out_str(o,
                "\"name\":{\"description\":\"Name of the instance\",\"type\":"
                "\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$\","
                "\"maxLength\":63},\"type\":{\"enum\":[");
    flv_out_json_str(o, d->name);
    flv_out_str(o, ",\"");
    flv_out_str(o, d->name);
    flv_out_str(o, "-");
    flv_out_str(o, way);
    flv_out_str(
        o, "\"]},\"version\":{\"description\":\"latest, or a version that is "
           "installed\",\"type\":\"string\"},\"direction\":{\"const\":");
    flv_out_json_str(o, way);
    flv_out_str(
        o, "},\"producer\":{\"$ref\":\"#/definitions/producer\"},"
           "\"consumer\":{\"type\":\"object\"},"
           "\"restart\":{\"description\":\"What becomes of it when it ends\","
           "\"enum\":[\"on-failure\",\"always\",\"never\"]},"
           "\"limits\":{\"$ref\":\"#/definitions/limits\"}");
}

static void shared_definitions(struct flv_out *o)
{
    flv_out_str(
        o, ",\"producer\":{\"type\":\"object\",\"additionalProperties\":false,"
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

static void flat_file(struct flv_out *o, const struct flv_descriptor *d)
{
    flv_out_str(
        o, ",\"flat\":{\"type\":\"object\",\"required\":[\"name\",\"type\","
           "\"topic\"],\"properties\":{");
    head(o, d);
    flv_out_str(o,
                ",\"api_version\":{\"const\":\"v1\"},"
                "\"topic\":{\"description\":\"The topic\",\"type\":\"string\"},"
                "\"create_topic\":{\"description\":\"Make the topic when it is "
                "missing\",\"type\":\"boolean\"},"
                "\"parameters\":{\"$ref\":\"#/definitions/settings\"},"
                "\"secrets\":{\"description\":\"Environment of the connector\","
                "\"type\":\"object\"},"
                "\"transforms\":{\"$ref\":\"#/definitions/transforms\"}}}");
}

static void meta_file(struct flv_out *o, const struct flv_descriptor *d)
{
    const char *section = d->section != NULL ? d->section : "custom";
    flv_out_str(
        o, ",\"meta\":{\"type\":\"object\",\"required\":[\"meta\"],"
           "\"properties\":{\"apiVersion\":{\"enum\":[\"0.0.0\",\"0.1.0\","
           "\"0.2.0\"]},\"meta\":{\"type\":\"object\",\"required\":[\"name\","
           "\"type\",\"version\",\"topic\"],\"properties\":{");
    head(o, d);
    flv_out_str(
        o, ",\"topic\":{\"type\":[\"string\",\"object\"]},"
           "\"secrets\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
           "\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":"
           "\"string\",\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\"}}}}}},"
           "\"transforms\":{\"$ref\":\"#/definitions/transforms\"},");
    flv_out_json_str(o, section);
    flv_out_str(o, ":{\"$ref\":\"#/definitions/settings\"}");
    if (strcmp(section, "custom") != 0) {
        flv_out_str(o, ",\"custom\":{\"$ref\":\"#/definitions/settings\"}");
    }
    flv_out_str(o, "}}");
}

flv_rc flv_schema_file(const struct flv_descriptor *d, struct flv_buf *out)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    member(&o, "{", "$schema", "http://json-schema.org/draft-07/schema#");
    member(&o, ",", "title", d->name);
    member(&o, ",", "description", d->summary);
    flv_out_str(&o,
                ",\"type\":\"object\",\"if\":{\"required\":[\"meta\"]},"
                "\"then\":{\"$ref\":\"#/definitions/meta\"},"
                "\"else\":{\"$ref\":\"#/definitions/flat\"},\"definitions\":{");
    settings(&o, d);
    shared_definitions(&o);
    flat_file(&o, d);
    meta_file(&o, d);
    flv_out_str(&o, "}}");
    return o.rc;
}
