/* fuzz-libs: flv_cli */
/* Records of a topic are untrusted bytes on their way to a terminal: every
 * form prints them or says why not. JSON laid out once stays as it is when it
 * is laid out again. */
#include "cli/format.h"
#include "cli/grid.h"
#include "cli/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void lay_out_twice(struct flv_slice text)
{
    struct flv_buf once, twice;
    flv_buf_init(&once, 64 << 20);
    flv_buf_init(&twice, 64 << 20);
    if (cli_json_pretty(text, &once, NULL) == FLV_OK) {
        expect(cli_json_pretty(flv_buf_slice(&once), &twice, NULL) == FLV_OK);
        expect(flv_slice_eq(flv_buf_slice(&once), flv_buf_slice(&twice)));
    } else {
        expect(once.len == 0);
    }
    flv_buf_deinit(&once);
    flv_buf_deinit(&twice);
}

static void
print_as(enum cli_value_form form, struct flv_slice value, const char *template)
{
    struct cli_formatter f;
    struct flv_buf out;
    const struct flv_record_view r = {.key = value,
                                      .value = value,
                                      .has_key = value.len % 2 == 0,
                                      .timestamp_ms = (int64_t)value.len - 1};
    cli_formatter_init(&f);
    flv_buf_init(&out, 64 << 20);
    f.form = form;
    f.template = template;
    f.key_value = value.len % 3 == 0;
    f.line_max = value.len % 5 == 0 ? 7 : 0;
    for (int i = 0; i < 2; i++) {
        expect(cli_format_record(&f, &r, 0, &out, NULL) == FLV_OK);
    }
    cli_formatter_deinit(&f);
    flv_buf_deinit(&out);
}

/* Kept rows stay within the terminal, whatever the records are. */
static void draw(struct flv_slice value)
{
    static const struct flv_table_column columns[] = {
        {.key_path = "a", .primary_key = FLV_TABLE_YES},
        {.key_path = "b.c", .alignment = FLV_TABLE_ALIGN_CENTER}};
    const struct flv_table_format format = {
        .name = "f", .columns = columns, .column_count = value.len % 2 * 2};
    struct cli_grid g;
    struct flv_buf out;
    cli_grid_init(&g);
    flv_buf_init(&out, 64 << 20);
    expect(cli_grid_use(&g, &format, NULL) == FLV_OK);
    flv_rc rc = cli_grid_keep(&g, value, NULL);
    expect(cli_grid_keep(&g, value, NULL) == rc);
    expect(cli_grid_draw(&g, "title", 10, 20, true, &out) == FLV_OK);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.data[i] == '\n';
    }
    expect(lines <= 10);
    cli_grid_deinit(&g);
    flv_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char template[256];
    struct flv_slice value = flv_slice(data, size);
    if (size > 4096) {
        return 0;
    }
    lay_out_twice(value);
    draw(value);
    for (int form = CLI_VALUE_DYNAMIC; form <= CLI_VALUE_TABLE; form++) {
        print_as((enum cli_value_form)form, value, NULL);
    }
    if (size > 0 && size < sizeof template) {
        memcpy(template, data, size);
        template[size] = '\0';
        if (cli_template_check(template, NULL) == FLV_OK) {
            print_as(CLI_VALUE_DYNAMIC, value, template);
        }
    }
    return 0;
}
