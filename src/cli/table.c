#include "cli/table.h"

#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* A cell's terminator, and the mark between rows. Cells cannot hold either:
 * control characters become blanks, so that one record is one line. */
#define CELL_END 0x00
#define ROW_END 0x01

#define TABLE_BYTES_MAX ((size_t)64 << 20)

void cli_table_init(struct cli_table *t, unsigned indent)
{
    *t = (struct cli_table){.indent = indent};
    flv_buf_init(&t->text, TABLE_BYTES_MAX);
}

void cli_table_deinit(struct cli_table *t)
{
    if (t != NULL) {
        flv_buf_deinit(&t->text);
    }
}

static void keep(struct cli_table *t, flv_rc rc)
{
    if (t->rc == FLV_OK) {
        t->rc = rc;
    }
}

/* Characters, not bytes: continuation bytes do not count. */
static size_t text_width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

void cli_table_cell(struct cli_table *t, const char *text)
{
    assert(t->column < CLI_COLUMNS_MAX);
    const size_t from = t->text.len;
    keep(t, flv_buf_add_str(&t->text, text));
    keep(t, flv_buf_add_u8(&t->text, CELL_END));
    if (t->rc != FLV_OK) {
        return; /* cli_table_print() tells */
    }
    char *cell = (char *)t->text.data + from;
    flv_text_tidy(cell, strlen(cell));
    size_t width = text_width(cell);
    if (width > t->width[t->column]) {
        t->width[t->column] = width;
    }
    t->column++;
    if (t->column > t->columns) {
        t->columns = t->column;
    }
}

void cli_table_cellf(struct cli_table *t, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cli_table_cell(t, text);
}

void cli_table_end_row(struct cli_table *t)
{
    keep(t, flv_buf_add_u8(&t->text, ROW_END));
    t->column = 0;
    t->rows++;
}

void cli_table_row(struct cli_table *t, const char *const *cells)
{
    for (; *cells != NULL; cells++) {
        cli_table_cell(t, *cells);
    }
    cli_table_end_row(t);
}

static flv_rc blanks(struct flv_buf *out, size_t n)
{
    flv_rc rc = FLV_OK;
    while (n-- > 0 && rc == FLV_OK) {
        rc = flv_buf_add_u8(out, ' ');
    }
    return rc;
}

static flv_rc
print_cell(struct flv_buf *out, const char *text, size_t width, bool right)
{
    size_t used = text_width(text);
    assert(used <= width);
    flv_rc rc = blanks(out, 1 + (right ? width - used : 0));
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(out, text);
    }
    return rc == FLV_OK ? blanks(out, 1 + (right ? 0 : width - used)) : rc;
}

/* Prints the row at *cursor and moves behind it. */
static flv_rc print_row(const struct cli_table *t,
                        struct flv_buf *out,
                        const char **cursor,
                        bool header)
{
    flv_rc rc = blanks(out, t->indent);
    for (size_t i = 0; i < t->columns && rc == FLV_OK; i++) {
        const char *cell = "";
        if (**cursor != ROW_END) {
            cell = *cursor;
            *cursor += strlen(cell) + 1;
        }
        rc = print_cell(out, cell, t->width[i], t->right && !header);
    }
    assert(**cursor == ROW_END);
    (*cursor)++;
    return rc == FLV_OK ? flv_buf_add_u8(out, '\n') : rc;
}

flv_rc cli_table_print(const struct cli_table *t,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    assert(t->column == 0);
    flv_rc rc = t->rc;
    const char *cursor = (const char *)t->text.data;
    for (size_t i = 0; i < t->rows && rc == FLV_OK; i++) {
        rc = print_row(t, out, &cursor, i == 0);
    }
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "cannot build a table of %zu rows", t->rows);
    }
    return FLV_OK;
}
