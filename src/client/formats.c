/* Table formats: the plain structs of the public header to the wire's and
 * back. */
#include "client/admin.h"

#include <assert.h>

static flv_rc no_memory(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for a table format");
}

/* Copies into the op's arena; the first failure is remembered. */
struct texts {
    struct flv_arena *arena;
    bool failed;
};

static const char *copy(struct texts *t, const char *data, size_t len)
{
    const char *made = flv_arena_text(t->arena, data, len);

    t->failed = t->failed || made == NULL;
    return made;
}

/* ---------------------------------------------------------------- create */

static struct flv_slice sent(struct texts *t, const char *s)
{
    const struct flv_slice in = flv_slice_str(s);

    return flv_slice(copy(t, s, in.len), in.len);
}

static void
send_text(struct texts *t, const char *in, bool *has, struct flv_slice *v)
{
    *has = in != NULL;
    if (in != NULL) {
        *v = sent(t, in);
    }
}

/* Of an enum that begins with "not said", which the wire does not count. */
static void send_enum(unsigned in, bool *has, uint8_t *v)
{
    *has = in > 0;
    *v = (uint8_t)(in > 0 ? in - 1 : 0);
}

static void send_flag(enum flv_table_flag in, bool *has, bool *v)
{
    *has = in != FLV_TABLE_UNSAID;
    *v = in == FLV_TABLE_YES;
}

static void fill_column(const struct flv_table_column *in,
                        struct texts *t,
                        struct flv_wire_table_column *out)
{
    out->key_path = sent(t, in->key_path);
    send_text(t, in->header_label, &out->header_label.has,
              &out->header_label.v);
    send_text(t, in->width, &out->width.has, &out->width.v);
    send_text(t, in->format, &out->format.has, &out->format.v);
    send_enum(in->alignment, &out->alignment.has, &out->alignment.v);
    send_enum(in->header_bg_color, &out->header_bg_color.has,
              &out->header_bg_color.v);
    send_enum(in->header_text_color, &out->header_text_color.has,
              &out->header_text_color.v);
    send_flag(in->display, &out->display.has, &out->display.v);
    send_flag(in->primary_key, &out->primary_key.has, &out->primary_key.v);
}

static flv_rc fill_spec(const struct flv_table_format *in,
                        struct flv_arena *arena,
                        struct flv_wire_table_format_spec *out,
                        struct flv_err *err)
{
    struct texts t = {.arena = arena};

    out->name = sent(&t, in->name);
    out->input_format.has = in->input_json;
    send_text(&t, in->smartmodule, &out->smartmodule.has, &out->smartmodule.v);
    out->columns.has = in->has_columns;
    if (in->column_count > 0) {
        struct flv_wire_table_column *columns = FLV_ARENA_NEW(
            arena, struct flv_wire_table_column, in->column_count);

        if (columns == NULL) {
            return no_memory(err);
        }
        for (size_t i = 0; i < in->column_count; i++) {
            fill_column(&in->columns[i], &t, &columns[i]);
        }
        out->columns.v.at = columns;
        out->columns.v.len = (uint32_t)in->column_count;
    }
    return t.failed ? no_memory(err) : FLV_OK;
}

flv_rc flv_client_table_format_create(struct flv_client *c,
                                      const struct flv_table_format *format,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err)
{
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv__name_copy(o->name, format->name, "TableFormat name", err);
    if (rc == FLV_OK) {
        rc = fill_spec(format, &o->arena, &o->body.format_create.spec, err);
    }
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    o->body.format_create.common.name = flv_slice_str(o->name);
    o->call.api = FLV_API_SC_CREATE;
    o->call.done = flv__admin_status;
    o->call.message = (struct flv_wire_message){
        .schema = &flv_wire_table_format_create_schema,
        .body = &o->body,
        .label = flv_wire_object_label(FLV_WIRE_TABLE_FORMAT)};
    return flv__admin_submit(o, err);
}

flv_rc flv_client_table_format_delete(struct flv_client *c,
                                      const char *name,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err)
{
    const struct remove_ask ask = {.object = FLV_WIRE_TABLE_FORMAT,
                                   .name = name};

    return flv__admin_remove(c, &ask, done, user, err);
}

/* ------------------------------------------------------------------ list */

static const char *shown(struct texts *t, struct flv_slice s)
{
    return copy(t, (const char *)s.data, s.len);
}

static enum flv_table_flag flag(bool has, bool v)
{
    return !has ? FLV_TABLE_UNSAID : v ? FLV_TABLE_YES : FLV_TABLE_NO;
}

static void show_column(const struct flv_wire_table_column *in,
                        struct texts *t,
                        struct flv_table_column *out)
{
    out->key_path = shown(t, in->key_path);
    out->header_label =
        in->header_label.has ? shown(t, in->header_label.v) : NULL;
    out->width = in->width.has ? shown(t, in->width.v) : NULL;
    out->format = in->format.has ? shown(t, in->format.v) : NULL;
    out->alignment =
        (enum flv_table_align)(in->alignment.has ? in->alignment.v + 1 : 0);
    out->header_bg_color = (enum flv_table_color)(
        in->header_bg_color.has ? in->header_bg_color.v + 1 : 0);
    out->header_text_color = (enum flv_table_color)(
        in->header_text_color.has ? in->header_text_color.v + 1 : 0);
    out->display = flag(in->display.has, in->display.v);
    out->primary_key = flag(in->primary_key.has, in->primary_key.v);
}

static flv_rc fill_format(struct admin_op *o,
                          const void *wire,
                          void *info,
                          bool *keep,
                          struct flv_err *err)
{
    static const char *const states[] = {"Init", "Invalid", "Running",
                                         "Pending", "Failed"};
    const struct flv_wire_table_format *w = wire;
    struct flv_table_format *out = info;
    struct texts t = {.arena = &o->arena};
    const uint32_t count = w->spec.columns.has ? w->spec.columns.v.len : 0;
    struct flv_table_column *columns = NULL;

    if (o->name[0] != '\0' && !flv_slice_eq_str(w->name, o->name)) {
        *keep = false; /* filters match parts of names */
        return FLV_OK;
    }
    columns =
        FLV_ARENA_NEW(&o->arena, struct flv_table_column, (size_t)count + 1);
    if (columns == NULL) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < count; i++) {
        show_column(&w->spec.columns.v.at[i], &t, &columns[i]);
    }
    *out = (struct flv_table_format){
        .name = shown(&t, w->name),
        .input_json = w->spec.input_format.has,
        .has_columns = w->spec.columns.has,
        .columns = columns,
        .column_count = count,
        .smartmodule =
            w->spec.smartmodule.has ? shown(&t, w->spec.smartmodule.v) : NULL,
        .state = w->resolution < 5 ? states[w->resolution] : states[1],
        .reason = w->reason.has ? shown(&t, w->reason.v) : NULL,
    };
    return t.failed ? no_memory(err) : FLV_OK;
}

static void deliver_formats(struct admin_op *o,
                            const struct flv_err *err,
                            const void *infos,
                            size_t count)
{
    o->fn.formats(o->user, err, infos, count);
}

static const struct list_kind format_list = {
    .object = FLV_WIRE_TABLE_FORMAT,
    .schema = &flv_wire_table_format_list_schema,
    .wire_size = sizeof(struct flv_wire_table_format),
    .info_size = sizeof(struct flv_table_format),
    .fill = fill_format,
    .deliver = deliver_formats,
};

flv_rc flv_client_table_formats(struct flv_client *c,
                                const char *name,
                                flv_table_formats_fn done,
                                void *user,
                                struct flv_err *err)
{
    const struct list_ask ask = {.name = name};

    assert(done != NULL);
    return flv__admin_list(c, &format_list, &ask,
                           (union admin_fn){.formats = done}, user, err);
}
