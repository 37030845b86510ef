/*
 * ops.h - one SQL operation, read from the value of a record.
 *
 * Purpose    Reads the JSON that SmartModule json-sql makes,
 *              {"Insert":{"table":"t","values":[
 *                {"column":"c","raw_value":"1","type":"Int"}]}}
 *            or {"Upsert":{...,"uniq_idx":"c"}}, and checks every value
 *            against its type. Knows no database.
 * Threads    Pure; any thread.
 * Ownership  What is read points into the record or into the arena; both have
 *            to stay until the operation has been applied.
 * Errors     FLV_E_INVALID: the record's fault, the text names the column or
 *            the key. FLV_E_NOMEM.
 * Units      A year has four digits, a fraction of a second any number.
 * See        README.md, tests/unit/connector/test_sql_ops.c
 */
#ifndef FLV_CONNECTORS_SQL_OPS_H
#define FLV_CONNECTORS_SQL_OPS_H

#include <fluvio/slice.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"

#define SQL_COLUMNS_MAX 1600 /* of a table in PostgreSQL */
#define SQL_NAME_MAX 63      /* bytes of a name; PostgreSQL cuts longer ones */

/* X(enumerator, name in a record) */
#define SQL_TYPE_MAP(X)                                                        \
    X(BOOL, "Bool")                                                            \
    X(CHAR, "Char")                                                            \
    X(SMALL_INT, "SmallInt")                                                   \
    X(INT, "Int")                                                              \
    X(BIG_INT, "BigInt")                                                       \
    X(FLOAT, "Float")                                                          \
    X(DOUBLE, "DoublePrecision")                                               \
    X(TEXT, "Text")                                                            \
    X(BYTES, "Bytes")                                                          \
    X(NUMERIC, "Numeric")                                                      \
    X(TIMESTAMP, "Timestamp")                                                  \
    X(DATE, "Date")                                                            \
    X(TIME, "Time")                                                            \
    X(UUID, "Uuid")                                                            \
    X(JSON, "Json")

#define SQL_TYPE_ENUM(name, text) SQL_##name,
enum sql_type { SQL_TYPE_MAP(SQL_TYPE_ENUM) SQL_TYPE_COUNT };
#undef SQL_TYPE_ENUM

enum sql_kind { SQL_INSERT, SQL_UPSERT };

struct sql_value {
    struct flv_slice column; /* as the record writes it */
    struct flv_slice text;   /* as the record writes it; UTF-8 */
    enum sql_type type;
    bool is_null; /* JSON null, or empty and not of Text or Bytes */
};

struct sql_op {
    enum sql_kind kind;
    struct flv_slice table;
    struct flv_slice unique; /* UPSERT: column, or columns with commas */
    struct sql_value *values;
    size_t count; /* 1..SQL_COLUMNS_MAX */
};

FLV_CHECKED flv_rc sql_op_read(struct flv_slice record,
                               struct flv_arena *arena,
                               struct sql_op *out,
                               struct flv_err *err);
/* The same table, columns, types and way: one statement can hold both. */
bool sql_op_alike(const struct sql_op *a, const struct sql_op *b);

const char *sql_type_name(enum sql_type type);
/* Is the text one of the type? A NULL is of every type. */
FLV_CHECKED flv_rc sql_value_check(const struct sql_value *v,
                                   struct flv_err *err);
/* Behind the time of a Timestamp: "Z", "+01:00"; empty when there is none. */
struct flv_slice sql_zone_of(struct flv_slice timestamp);

/* --- names in statements ---------------------------------------------------
 *
 * A plain name (letters, digits, _ and $) means what it means in SQL without
 * quotes: with `fold` it is written in lower case, as PostgreSQL does. In
 * double quotes, or with any other character, it is taken as it stands. All
 * are written in quotes, so that no name can be anything but a name. */
FLV_CHECKED flv_rc sql_put_name(struct flv_buf *b,
                                struct flv_slice name,
                                bool fold,
                                struct flv_err *err);
/* The same without the quotes: what a catalogue calls it. */
FLV_CHECKED flv_rc sql_name_meant(struct flv_slice name,
                                  bool fold,
                                  char out[SQL_NAME_MAX + 1],
                                  struct flv_err *err);
/* [schema.]table */
FLV_CHECKED flv_rc sql_put_table(struct flv_buf *b,
                                 struct flv_slice table,
                                 bool fold,
                                 struct flv_err *err);
/* a, b, c */
FLV_CHECKED flv_rc sql_put_names(struct flv_buf *b,
                                 struct flv_slice list,
                                 bool fold,
                                 struct flv_err *err);
/* "INSERT INTO t (a, b) " */
FLV_CHECKED flv_rc sql_put_head(struct flv_buf *b,
                                const struct sql_op *op,
                                bool fold,
                                struct flv_err *err);
/* UPSERT: " ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b"; else nothing. */
FLV_CHECKED flv_rc sql_put_conflict(struct flv_buf *b,
                                    const struct sql_op *op,
                                    bool fold,
                                    struct flv_err *err);

#endif
