/*
 * table.h - text tables in the layout that Fluvio's scripts expect.
 *
 * Purpose    Rows of cells to lines: no frame, one blank on either side of a
 *            cell padded to its column's width, header first. Key-value
 *            descriptions are tables of one column.
 * Threads    One thread.
 * Ownership  A table owns copies of its cells until cli_table_deinit().
 * Errors     Out of memory is remembered; cli_table_print() reports it.
 */
#ifndef FLV_CLI_TABLE_H
#define FLV_CLI_TABLE_H

#include "base/bytes.h"

#include <stdbool.h>

#define CLI_COLUMNS_MAX 64

struct cli_table {
    struct flv_buf text; /* owned; every cell, NUL-terminated, row by row */
    size_t
        width[CLI_COLUMNS_MAX]; /* widest cell of each column, in characters */
    size_t columns;             /* widest row */
    size_t column;              /* cells in the row being filled */
    size_t rows;
    unsigned indent; /* blanks in front of each line */
    bool right;      /* cells are right aligned, headers stay left */
    flv_rc rc;       /* first failure */
};

void cli_table_init(struct cli_table *t, unsigned indent);
void cli_table_deinit(struct cli_table *t);

/* Adds a cell to the current row. */
void cli_table_cell(struct cli_table *t, const char *text);
void cli_table_cellf(struct cli_table *t, const char *fmt, ...)
    FLV_PRINTF(2, 3);
/* Ends the current row. */
void cli_table_end_row(struct cli_table *t);
/* A whole row; cells ends with NULL. */
void cli_table_row(struct cli_table *t, const char *const *cells);

/* Appends the finished table to out. Short rows are filled with blanks. */
FLV_CHECKED flv_rc cli_table_print(const struct cli_table *t,
                                   struct flv_buf *out,
                                   struct flv_err *err);

#endif
