/*
 * json-sql - the JSON object in the value becomes an SQL operation for
 * sql-sink.
 *
 * Kind        map
 * Parameters  mapping: JSON, such as
 *               {"table": "device", "operation": "upsert",
 *                "unique-columns": ["id"],
 *                "map-columns": {
 *                  "id": {"json-key": "device.id",
 *                         "value": {"type": "int", "required": true}},
 *                  "body": {"json-key": "$", "value": {"type": "jsonb"}}}}
 *
 * operation is insert (default) or upsert; unique-columns (or uniq-idx) a name
 * or a list of them. A json-key leads through objects by name and arrays by
 * number; "$" is all. What is not there is the default, or nothing; an error
 * if it is required. The key stays.
 */
#include <fluvio/smartmodule_text.h>

#define COLUMNS_MAX 256

struct column {
    struct flv_slice name;    /* as in JSON, without the quotes */
    struct flv_slice key;     /* json-key */
    struct flv_slice missing; /* default, as in JSON; empty: none */
    const char *type;
    bool required;
};

static struct column columns[COLUMNS_MAX];
static size_t column_count;
static struct flv_slice table, unique; /* table as in JSON, with quotes */
static bool upsert;

static const struct {
    const char *name, *type;
} types[] = {
    {"bigint", "BigInt"},
    {"int8", "BigInt"},
    {"integer", "Int"},
    {"int4", "Int"},
    {"int", "Int"},
    {"smallint", "SmallInt"},
    {"int2", "SmallInt"},
    {"boolean", "Bool"},
    {"bool", "Bool"},
    {"bytea", "Bytes"},
    {"bytes", "Bytes"},
    {"text", "Text"},
    {"float", "Float"},
    {"float4", "Float"},
    {"real", "Float"},
    {"doubleprecision", "DoublePrecision"},
    {"double precision", "DoublePrecision"},
    {"float8", "DoublePrecision"},
    {"numeric", "Numeric"},
    {"decimal", "Numeric"},
    {"date", "Date"},
    {"time", "Time"},
    {"timestamp", "Timestamp"},
    {"json", "Json"},
    {"jsonb", "Json"},
    {"uuid", "Uuid"},
};

/* --- the mapping ---------------------------------------------------------- */

static bool field(struct flv_slice json, const char *name, struct flv_slice *v)
{
    return flv_json_field(json, flv_text(name), v) == FLV_JSON_FOUND;
}

static bool
text_of(struct flv_slice json, const char *name, struct flv_slice *t)
{
    struct flv_slice v;
    return field(json, name, &v) && v.len > 2 && v.data[0] == '"' &&
           flv_json_text(v, t);
}

static const char *type_of(struct flv_slice name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (flv_equal(name, flv_text(types[i].name))) {
            return types[i].type;
        }
    }
    return NULL;
}

static int read_column(struct flv_slice name, struct flv_slice json)
{
    struct column *c = &columns[column_count];
    struct flv_slice value, word;
    if (column_count == COLUMNS_MAX) {
        return flv_reject("mapping: more than 256 columns");
    }
    if (!text_of(json, "json-key", &c->key)) {
        return flv_reject_with("mapping: a column needs a json-key", name);
    }
    if (!field(json, "value", &value) || !text_of(value, "type", &word)) {
        return flv_reject_with("mapping: a column needs value and type", name);
    }
    c->type = type_of(word);
    if (c->type == NULL) {
        return flv_reject_with("mapping: no such type", word);
    }
    if (!field(value, "default", &c->missing) ||
        flv_equal(c->missing, flv_text("null"))) {
        c->missing = flv_bytes(NULL, 0);
    }
    c->required =
        field(value, "required", &word) && flv_equal(word, flv_text("true"));
    c->name = name;
    column_count++;
    return FLV_DONE;
}

/* "a", or ["a","b"], as "a,b" in JSON. */
static bool read_unique(struct flv_slice json)
{
    struct flv_json_items items;
    struct flv_slice item;
    uint8_t *to;
    if (json.len > 2 && json.data[0] == '"') {
        unique = json;
        return true;
    }
    if (flv_json_open(json, &items) != FLV_JSON_FOUND || items.closing != ']') {
        return false;
    }
    to = (uint8_t *)flv_alloc(json.len + 2);
    unique.data = to;
    while (flv_json_next(&items, NULL, &item) == FLV_JSON_FOUND) {
        if (item.len < 3 || item.data[0] != '"') {
            return false;
        }
        *to = to == unique.data ? '"' : ',';
        to++;
        __builtin_memcpy(to, item.data + 1, item.len - 2);
        to += item.len - 2;
    }
    *to++ = '"';
    unique.len = (size_t)(to - unique.data);
    return unique.len > 2;
}

static int read_columns(struct flv_slice json)
{
    struct flv_json_items items;
    struct flv_slice name, value;
    int rc = FLV_DONE;
    if (flv_json_open(json, &items) != FLV_JSON_FOUND || items.closing != '}') {
        return flv_reject("mapping: map-columns has to be an object");
    }
    while (rc == FLV_DONE &&
           flv_json_next(&items, &name, &value) == FLV_JSON_FOUND) {
        rc = read_column(name, value);
    }
    return rc == FLV_DONE && column_count == 0
               ? flv_reject("mapping: map-columns is empty")
               : rc;
}

FLV_INIT(params)
{
    struct flv_slice mapping, v, word = flv_text("insert");
    if (!flv_param(params, "mapping", &mapping)) {
        return flv_reject("json-sql needs the parameter mapping");
    }
    if (!field(mapping, "table", &table) || table.len < 3 ||
        table.data[0] != '"') {
        return flv_reject("mapping: table is missing");
    }
    (void)text_of(mapping, "operation", &word);
    upsert = flv_equal(word, flv_text("upsert"));
    if (!upsert && !flv_equal(word, flv_text("insert"))) {
        return flv_reject_with("mapping: operation is insert or upsert", word);
    }
    if (upsert && !((field(mapping, "unique-columns", &v) ||
                     field(mapping, "uniq-idx", &v)) &&
                    read_unique(v))) {
        return flv_reject("mapping: upsert needs unique-columns");
    }
    if (!field(mapping, "map-columns", &v) && !field(mapping, "columns", &v)) {
        return flv_reject("mapping: map-columns is missing");
    }
    return read_columns(v);
}

/* --- a record ------------------------------------------------------------- */

/* Element number `word` of an array, member `word` of an object. */
static enum flv_json
step(struct flv_slice json, struct flv_slice word, struct flv_slice *out)
{
    struct flv_json_items items;
    enum flv_json found = flv_json_open(json, &items);
    int64_t n;
    if (found != FLV_JSON_FOUND) {
        return FLV_JSON_NONE; /* a value that has no inside */
    }
    if (items.closing == '}') {
        return flv_json_field(json, word, out);
    }
    if (!flv_parse_i64(word, &n) || n < 0) {
        return FLV_JSON_NONE;
    }
    do {
        found = flv_json_next(&items, NULL, out);
    } while (found == FLV_JSON_FOUND && n-- > 0);
    return found;
}

/* Where the json-key leads. */
static enum flv_json
find(struct flv_slice json, struct flv_slice key, struct flv_slice *out)
{
    size_t i = key.len > 0 && key.data[0] == '$' ? 1 : 0;
    *out = json;
    while (i < key.len) {
        size_t from = i += key.data[i] == '.';
        while (i < key.len && key.data[i] != '.') {
            i++;
        }
        enum flv_json rc =
            step(*out, flv_bytes(key.data + from, i - from), out);
        if (rc != FLV_JSON_FOUND) {
            return rc;
        }
    }
    return FLV_JSON_FOUND;
}

static uint8_t *put(uint8_t *to, const char *text)
{
    size_t len = __builtin_strlen(text);
    __builtin_memcpy(to, text, len);
    return to + len;
}

static uint8_t *put_slice(uint8_t *to, struct flv_slice s)
{
    __builtin_memcpy(to, s.data, s.len);
    return to + s.len;
}

/* A text stays as it is in JSON, null is null, all else becomes a text: at
 * most twice as long, and two quotes. */
static uint8_t *put_value(uint8_t *to, struct flv_slice v)
{
    if (v.len > 0 && (v.data[0] == '"' || flv_equal(v, flv_text("null")))) {
        return put_slice(to, v);
    }
    *to++ = '"';
    for (size_t i = 0; i < v.len; i++) {
        if (v.data[i] == '"' || v.data[i] == '\\') {
            *to++ = '\\';
        }
        *to++ = v.data[i] < 0x20 ? ' ' : v.data[i];
    }
    *to++ = '"';
    return to;
}

/* What stands around one value. */
#define AROUND                                                                 \
    sizeof("{\"column\":\"\",\"raw_value\":,\"type\":\"DoublePrecision\"},")

static uint8_t *put_column(uint8_t *to, size_t i, struct flv_slice value)
{
    to = put(to, i > 0 ? ",{\"column\":\"" : "{\"column\":\"");
    to = put_slice(to, columns[i].name);
    to = put(to, "\",\"raw_value\":");
    to = put_value(to, value);
    to = put(to, ",\"type\":\"");
    to = put(to, columns[i].type);
    return put(to, "\"}");
}

FLV_MAP(in, out)
{
    struct flv_slice found[COLUMNS_MAX];
    size_t size = table.len + unique.len + 64;
    uint8_t *to;
    for (size_t i = 0; i < column_count; i++) {
        const struct column *c = &columns[i];
        enum flv_json rc = find(in->value, c->key, &found[i]);
        if (rc == FLV_JSON_BAD) {
            return flv_reject_with("the value is no JSON object", in->value);
        }
        if (rc == FLV_JSON_NONE) {
            found[i] = c->missing.len > 0 ? c->missing : flv_bytes("", 0);
            if (c->required && c->missing.len == 0) {
                return flv_reject_with("the value lacks what is required",
                                       c->key);
            }
        }
        size += AROUND + c->name.len + found[i].len * 2 + 2;
    }
    to = (uint8_t *)flv_alloc(size);
    out->value.data = to;
    to =
        put(to, upsert ? "{\"Upsert\":{\"table\":" : "{\"Insert\":{\"table\":");
    to = put_slice(to, table);
    if (upsert) {
        to = put_slice(put(to, ",\"uniq_idx\":"), unique);
    }
    to = put(to, ",\"values\":[");
    for (size_t i = 0; i < column_count; i++) {
        to = put_column(to, i, found[i]);
    }
    to = put(to, "]}}");
    out->value.len = (size_t)(to - out->value.data);
    return FLV_DONE;
}
