/*
 * grid.h - JSON records as rows of a table.
 *
 * Purpose    Columns come from a table format or from the first record, in
 *            the order of their names. A record is printed as a line at once;
 *            or kept, in the place of a row with the same primary keys, and
 *            all that is kept is drawn on a terminal.
 *
 *                record --+-- cli_grid_print() --> header once, then lines
 *                         '-- cli_grid_keep()  --> rows -- cli_grid_draw()
 *
 * Threads    One.
 * Ownership  A grid owns its columns and rows until cli_grid_deinit().
 * Errors     FLV_E_INVALID says why a record is no row, in Fluvio's words;
 *            FLV_E_NOMEM, FLV_E_LIMIT.
 * Units      Widths in characters. Printed cells are whole. At most
 *            CLI_GRID_ROWS_MAX rows are kept, of cells of at most
 *            CLI_GRID_CELL_MAX bytes; then the oldest goes.
 * See        tests/unit/cli/test_cli_print.c, tests/fuzz/fuzz_record_text.c
 */
#ifndef FLV_CLI_GRID_H
#define FLV_CLI_GRID_H

#include "base/bytes.h"

#include <fluvio/client.h>
#include <stdbool.h>

#define CLI_GRID_COLUMNS_MAX 128
#define CLI_GRID_ROWS_MAX 5000
#define CLI_GRID_CELL_MAX 256

struct cli_grid_column {
    char *key;   /* owned; the member that it shows */
    char *label; /* owned; the header */
    size_t width;
    enum flv_table_align align;
    enum flv_table_color back, front; /* of the header */
    bool hidden;
    bool primary;
};

struct cli_grid_row {
    uint64_t id; /* hash of the primary keys */
    char *cells; /* owned; each ends with NUL, one behind the other */
};

struct cli_grid {
    struct cli_grid_column columns[CLI_GRID_COLUMNS_MAX];
    size_t column_count;
    bool fixed;      /* the columns are known */
    bool has_keys;   /* some are primary keys */
    bool has_header; /* printed, and widths with it */
    struct cli_grid_row *rows;
    size_t row_count, row_cap, row_first; /* a ring once it is full */
    size_t selected; /* from the oldest; SIZE_MAX: none, the newest are shown */
    size_t top;      /* the first that is shown while one is selected */
    size_t page;     /* how many were shown last */
    uint64_t dropped;
    struct flv_buf cells; /* of the record at hand */
    size_t cell_max;      /* printed rows have whole cells */
};

void cli_grid_init(struct cli_grid *g);
void cli_grid_deinit(struct cli_grid *g);

/* The columns of a format, before the first record. One without columns
 * leaves them to the first record. */
FLV_CHECKED flv_rc cli_grid_use(struct cli_grid *g,
                                const struct flv_table_format *format,
                                struct flv_err *err);

/* An object, or a list of objects, as lines. On failure `out` keeps what it
 * had. The last line has no line feed. */
FLV_CHECKED flv_rc cli_grid_print(struct cli_grid *g,
                                  struct flv_slice record,
                                  struct flv_buf *out,
                                  struct flv_err *err);
FLV_CHECKED flv_rc cli_grid_keep(struct cli_grid *g,
                                 struct flv_slice record,
                                 struct flv_err *err);
/* Drops the kept rows; the columns stay. */
void cli_grid_clear(struct cli_grid *g);
/* Selects a kept row; with none selected the first one, or the last. Up and
 * down go around the ends, pages stop there. */
enum cli_grid_way {
    CLI_GRID_UP,
    CLI_GRID_DOWN,
    CLI_GRID_PAGE_UP,
    CLI_GRID_PAGE_DOWN,
    CLI_GRID_FIRST,
    CLI_GRID_LAST,
};
void cli_grid_move(struct cli_grid *g, enum cli_grid_way way);
/* A terminal of that size: clears it, and shows the title, the header and the
 * newest rows, or those around the selected one. */
FLV_CHECKED flv_rc cli_grid_draw(struct cli_grid *g,
                                 const char *title,
                                 size_t lines,
                                 size_t columns,
                                 bool colour,
                                 struct flv_buf *out);

#endif
