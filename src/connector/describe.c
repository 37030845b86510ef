#include "connector/describe.h"

#include "base/out.h"
#include "config/schema.h"
#include "connector/options.h"

static void
member(struct flv_out *o, const char *before, const char *key, const char *text)
{
    flv_out_str(o, before);
    flv_out_json_str(o, key);
    flv_out_str(o, ": ");
    flv_out_json_str(o, text);
}

static flv_rc result(const struct flv_out *o, struct flv_err *err)
{
    if (o->rc != FLV_OK) {
        return flv_fail(err, o->rc, "the description cannot be made: %s",
                        flv_rc_text(o->rc));
    }
    return FLV_OK;
}

/* --- --describe ---------------------------------------------------------- */

static void
describe_member(struct flv_out *o, const char *key, const char *text)
{
    flv_out_json_str(o, key);
    flv_out_str(o, ":");
    flv_out_json_str(o, text);
    flv_out_str(o, ",");
}

flv_rc flv__connector_describe(const struct flv_connector *type,
                               struct flv_buf *b,
                               struct flv_err *err)
{
    struct flv_conn_opts opts;
    flv_rc rc = flv__conn_opts_init(&opts, type, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_out o = {.b = b, .rc = FLV_OK};
    flv_out_str(&o, "{");
    describe_member(&o, "name", type->name);
    describe_member(&o, "direction", type->sink != NULL ? "sink" : "source");
    describe_member(&o, "version", type->version);
    describe_member(&o, "summary", type->summary);
    if (type->section != NULL) {
        describe_member(&o, "section", type->section);
    }
    /* What the program understands besides running (who asks for more would
     * start it), and which version of control.h it speaks. */
    flv_out_str(&o, "\"features\":[\"check\"");
    flv_out_str(&o, type->probe != NULL ? ",\"probe\"" : "");
    flv_out_str(&o, "],\"control\":1,\"options\":");
    if (o.rc == FLV_OK) {
        o.rc = flv_opt_describe(opts.table, b);
    }
    flv_out_str(&o, "}\n");
    flv__conn_opts_deinit(&opts);
    return result(&o, err);
}

/* --- metadata ------------------------------------------------------------ */

static void schema_property(struct flv_out *o, const struct flv_opt *opt)
{
    flv_out_str(o, "      ");
    flv_out_json_str(o, opt->name);
    flv_out_str(o, ": ");
    if (o->rc == FLV_OK) {
        o->rc = flv_schema_property(opt, "\n        ", o->b);
    }
}

static void schema_required(struct flv_out *o, const struct flv_opt *table)
{
    size_t shown = 0;
    flv_out_str(o, "    \"required\": [");
    for (; table != NULL && table->name != NULL; table++) {
        if ((table->flags & FLV_OPT_REQUIRED) != 0) {
            flv_out_str(o, shown++ > 0 ? ", " : "");
            flv_out_json_str(o, table->name);
        }
    }
    flv_out_str(o, "],\n");
}

flv_rc flv__connector_metadata(const struct flv_connector *type,
                               struct flv_buf *b,
                               struct flv_err *err)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    member(&o, "{\n  ", "name", type->name);
    member(&o, ",\n  ", "direction", type->sink != NULL ? "Sink" : "Source");
    flv_out_str(&o, ",\n  \"schema\": {\n");
    member(&o, "    ", "$schema", "http://json-schema.org/draft-07/schema#");
    member(&o, ",\n    ", "title", type->name);
    flv_out_str(&o, ",\n    \"type\": \"object\",\n");
    schema_required(&o, type->opts);
    flv_out_str(&o, "    \"properties\": {\n");
    size_t shown = 0;
    for (const struct flv_opt *opt = type->opts;
         opt != NULL && opt->name != NULL; opt++) {
        if ((opt->flags & FLV_OPT_HIDDEN) == 0) {
            flv_out_str(&o, shown++ > 0 ? ",\n" : "");
            schema_property(&o, opt);
        }
    }
    flv_out_str(&o, "\n    }\n  }");
    member(&o, ",\n  ", "version", type->version);
    member(&o, ",\n  ", "description", type->summary);
    flv_out_str(&o, "\n}\n");
    return result(&o, err);
}

/* --- the README's table -------------------------------------------------- */

static const char *type_word(const struct flv_opt *opt)
{
    switch (opt->type) {
    case FLV_OPT_FLAG:
        return "flag";
    case FLV_OPT_U64:
    case FLV_OPT_I64:
        return "whole number";
    case FLV_OPT_DURATION:
        return "duration";
    case FLV_OPT_SIZE:
        return "size";
    case FLV_OPT_CHOICE:
        return "choice";
    case FLV_OPT_LIST:
        return "text, repeatable";
    case FLV_OPT_STR:
        break;
    }
    return "text";
}

/* In a table `|` would end the cell. */
static void cell(struct flv_out *o, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        char two[3] = {*p, '\0', '\0'};
        if (*p == '|') {
            two[0] = '\\';
            two[1] = '|';
        }
        flv_out_str(o, two);
    }
}

static void type_cell(struct flv_out *o, const struct flv_opt *opt)
{
    if (opt->choices == NULL) {
        flv_out_str(o, type_word(opt));
        return;
    }
    for (size_t i = 0; opt->choices[i] != NULL; i++) {
        flv_out_str(o, i > 0 ? ", `" : "`");
        cell(o, opt->choices[i]);
        flv_out_str(o, "`");
    }
}

static void bare_note(struct flv_out *o, const struct flv_opt *opt)
{
    if (opt->type != FLV_OPT_DURATION || opt->unit_ms == 0) {
        return;
    }
    char unit[FLV_TEXT_FORMAT_MAX];
    flv_text_format_duration(opt->unit_ms, unit);
    flv_out_str(o, "; a bare number counts ");
    flv_out_str(o, opt->unit_ms == 1000 ? "seconds"
                   : opt->unit_ms == 1  ? "milliseconds"
                                        : unit);
}

static void table_row(struct flv_out *o, const struct flv_opt *opt)
{
    flv_out_str(o, "| `--");
    flv_out_str(o, opt->name);
    flv_out_str(o, "` | ");
    type_cell(o, opt);
    bare_note(o, opt);
    flv_out_str(o, " | ");
    if ((opt->flags & FLV_OPT_REQUIRED) != 0) {
        flv_out_str(o, "required");
    } else if (opt->fallback != NULL) {
        flv_out_str(o, "`");
        cell(o, opt->fallback);
        flv_out_str(o, "`");
    }
    flv_out_str(o, " | ");
    cell(o, opt->help);
    if (opt->deprecated != NULL) {
        flv_out_str(o, " (");
        cell(o, opt->deprecated);
        flv_out_str(o, ")");
    }
    flv_out_str(o, " |\n");
}

flv_rc flv__connector_table(const struct flv_connector *type,
                            struct flv_buf *b,
                            struct flv_err *err)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    flv_out_str(&o,
                "| Option | Value | Default | Meaning |\n|---|---|---|---|\n");
    for (const struct flv_opt *opt = type->opts;
         opt != NULL && opt->name != NULL; opt++) {
        if ((opt->flags & FLV_OPT_HIDDEN) == 0) {
            table_row(&o, opt);
        }
    }
    return result(&o, err);
}
