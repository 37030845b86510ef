/* fuzz-libs: flv_connect_sql-sink */
/*
 * The value of a record, which is to be an SQL operation: it is read or
 * refused with a sentence, what was read holds together, and the names in it
 * cannot end the quotes that they are put into.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../connectors/sql-sink/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Every quote is one of a pair, so that the statement ends outside of them. */
static void statement(const struct sql_op *op, bool fold)
{
    struct flv_err err = {0};
    struct flv_buf b;
    flv_buf_init(&b, (size_t)4 << 20);
    flv_rc rc = sql_put_head(&b, op, fold, &err);
    if (rc == FLV_OK) {
        rc = sql_put_conflict(&b, op, fold, &err);
    }
    demand(rc == FLV_OK || (rc == FLV_E_INVALID && err.text[0] != '\0'));
    size_t quotes = 0, outside = 0;
    for (size_t i = 0; rc == FLV_OK && i < b.len; i++) {
        quotes += b.data[i] == '"';
        outside += quotes % 2 == 0 && (b.data[i] == ';' || b.data[i] == '\'' ||
                                       b.data[i] == '-' || b.data[i] == 0);
    }
    demand(rc != FLV_OK || (quotes % 2 == 0 && outside == 0));
    flv_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_arena arena;
    struct flv_err err = {0};
    struct sql_op op;
    flv_arena_init(&arena, 4096, (size_t)1 << 24);
    flv_rc rc = sql_op_read(flv_slice(data, size), &arena, &op, &err);
    if (rc != FLV_OK) {
        demand(rc == FLV_E_INVALID && err.text[0] != '\0');
    } else {
        demand(op.count > 0 && op.count <= SQL_COLUMNS_MAX);
        demand(op.table.len > 0 && sql_op_alike(&op, &op));
        demand((op.kind == SQL_UPSERT) <= (op.unique.len > 0));
        for (size_t i = 0; i < op.count; i++) {
            demand(op.values[i].column.len > 0);
            demand(sql_value_check(&op.values[i], &err) == FLV_OK);
            (void)sql_zone_of(op.values[i].text);
        }
        statement(&op, true);
        statement(&op, false);
    }
    flv_arena_deinit(&arena);
    return 0;
}
