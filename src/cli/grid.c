#include "cli/grid.h"

#include "base/mem.h"
#include "base/text.h"
#include "cli/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 512 /* of one record */
#define ITEMS_MAX 1024  /* of one list */
#define WIDTH_MAX 64    /* of a column, unless its format says more */
#define NESTING_MAX 8   /* of a key path */
#define NONE SIZE_MAX   /* no row is selected */
/* Of one record; it is no longer than this, nor are its texts. */
#define CELLS_BYTES_MAX ((size_t)64 << 20)

void cli_grid_init(struct cli_grid *g)
{
    *g = (struct cli_grid){.selected = NONE};
    flv_buf_init(&g->cells, CELLS_BYTES_MAX);
}

void cli_grid_deinit(struct cli_grid *g)
{
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < g->column_count; i++) {
        flv_free(g->columns[i].key);
        flv_free(g->columns[i].label);
    }
    cli_grid_clear(g);
    flv_free(g->rows);
    flv_buf_deinit(&g->cells);
    *g = (struct cli_grid){.selected = NONE};
}

void cli_grid_clear(struct cli_grid *g)
{
    for (size_t i = 0; i < g->row_count; i++) {
        flv_free(g->rows[i].cells);
    }
    g->row_count = g->row_first = g->top = 0;
    g->selected = NONE;
}

static flv_rc no_memory(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for a table");
}

/* ---- Columns ------------------------------------------------------------- */

static struct cli_grid_column *
add_column(struct cli_grid *g, struct flv_slice key, struct flv_slice label)
{
    assert(g->column_count < CLI_GRID_COLUMNS_MAX);
    struct cli_grid_column *c = &g->columns[g->column_count];
    *c = (struct cli_grid_column){.key = flv_slice_dup(key),
                                  .label = flv_slice_dup(label)};
    if (c->key == NULL || c->label == NULL) {
        flv_free(c->key);
        flv_free(c->label);
        return NULL;
    }
    flv_text_tidy(c->label, strlen(c->label));
    g->column_count++;
    return c;
}

/* A number of characters; what is none is no width. */
static size_t width_of(const char *text)
{
    uint64_t n = 0;
    return text != NULL &&
                   flv_text_u64(text, 0, CLI_GRID_CELL_MAX, &n, NULL) == FLV_OK
               ? (size_t)n
               : 0;
}

flv_rc cli_grid_use(struct cli_grid *g,
                    const struct flv_table_format *format,
                    struct flv_err *err)
{
    assert(!g->fixed);
    if (format->column_count > CLI_GRID_COLUMNS_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "TableFormat %.80s has %zu columns and at most %d can "
                        "be shown",
                        format->name, format->column_count,
                        CLI_GRID_COLUMNS_MAX);
    }
    for (size_t i = 0; i < format->column_count; i++) {
        const struct flv_table_column *in = &format->columns[i];
        const char *label =
            in->header_label != NULL ? in->header_label : in->key_path;
        struct cli_grid_column *c =
            add_column(g, flv_slice_str(in->key_path), flv_slice_str(label));
        if (c == NULL) {
            return no_memory(err);
        }
        c->width = width_of(in->width);
        c->align = in->alignment;
        c->back = in->header_bg_color;
        c->front = in->header_text_color;
        c->hidden = in->display == FLV_TABLE_NO;
        c->primary = in->primary_key == FLV_TABLE_YES;
        g->has_keys = g->has_keys || c->primary;
    }
    g->fixed = format->column_count > 0;
    return FLV_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct cli_json_member *x = a, *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = n > 0 ? memcmp(x->name.data, y->name.data, n) : 0;
    return order != 0
               ? order
               : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* The members of the first record, as Fluvio orders them: by their names. */
static flv_rc fix_columns(struct cli_grid *g,
                          struct cli_json_member *members,
                          size_t count,
                          struct flv_err *err)
{
    qsort(members, count, sizeof *members, by_name);
    for (size_t i = 0; i < count && g->column_count < CLI_GRID_COLUMNS_MAX;
         i++) {
        struct flv_slice name = members[i].name;
        if (i > 0 && flv_slice_eq(name, members[i - 1].name)) {
            continue;
        }
        if (add_column(g, name, name) == NULL) {
            return no_memory(err);
        }
    }
    g->fixed = count > 0;
    return FLV_OK;
}

/* ---- Records ------------------------------------------------------------- */

static const struct cli_json_member *find_member(
    const struct cli_json_member *members, size_t count, struct flv_slice name)
{
    const struct cli_json_member *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (flv_slice_eq(members[i].name, name)) {
            found = &members[i]; /* the last one counts */
        }
    }
    return found;
}

/* The member of that name, or what a path a.b.c leads to. */
static bool find_value(const struct cli_json_member *members,
                       size_t count,
                       struct flv_slice path,
                       unsigned depth,
                       struct cli_json_member *out)
{
    const struct cli_json_member *found = find_member(members, count, path);
    const uint8_t *dot = path.len > 0 ? memchr(path.data, '.', path.len) : NULL;
    if (found != NULL) {
        *out = *found;
        return true;
    }
    if (dot == NULL || depth == NESTING_MAX) {
        return false;
    }
    size_t head = (size_t)(dot - path.data);
    found = find_member(members, count, flv_slice(path.data, head));
    if (found == NULL || found->is_text) {
        return false;
    }
    struct cli_json_member inner[CLI_GRID_COLUMNS_MAX];
    size_t inner_count = 0;
    return cli_json_members(found->value, inner, CLI_GRID_COLUMNS_MAX,
                            &inner_count, NULL) == FLV_OK &&
           find_value(inner, inner_count,
                      flv_slice(dot + 1, path.len - head - 1), depth + 1, out);
}

/* Cuts the cell that begins at `from` to `most` bytes, in whole characters,
 * and takes what would move a terminal's cursor out of it. */
static void tidy_cell(struct flv_buf *cells, size_t from, size_t most)
{
    if (cells->len - from > most) {
        cells->len = from + most;
        while (cells->len > from && (cells->data[cells->len] & 0xc0) == 0x80) {
            cells->len--;
        }
    }
    if (cells->len > from) {
        flv_text_tidy(cells->data + from, cells->len - from);
    }
}

static flv_rc
put_cell(struct flv_buf *cells, const struct cli_json_member *m, size_t most)
{
    const size_t from = cells->len;
    flv_rc rc = m->is_text ? cli_json_text(m->value, cells)
                           : flv_buf_add(cells, m->value.data, m->value.len);
    if (rc != FLV_OK) {
        return rc;
    }
    tidy_cell(cells, from, most);
    return flv_buf_add_u8(cells, 0);
}

/* The cells of an object to g->cells. */
static flv_rc
read_object(struct cli_grid *g, struct flv_slice object, struct flv_err *err)
{
    struct cli_json_member members[MEMBERS_MAX];
    size_t count = 0;
    flv_rc rc = cli_json_members(object, members, MEMBERS_MAX, &count, err);
    if (rc == FLV_OK && !g->fixed) {
        rc = fix_columns(g, members, count, err);
    }
    flv_buf_reset(&g->cells);
    for (size_t i = 0; i < g->column_count && rc == FLV_OK; i++) {
        struct cli_json_member m = {.value = flv_slice("", 0)};
        (void)find_value(members, count, flv_slice_str(g->columns[i].key), 0,
                         &m);
        if (put_cell(&g->cells, &m, g->cell_max) != FLV_OK) {
            rc = no_memory(err);
        }
    }
    return rc;
}

static int first_byte(struct flv_slice text)
{
    size_t i = 0;
    while (i < text.len && (text.data[i] == ' ' || text.data[i] == '\t' ||
                            text.data[i] == '\r' || text.data[i] == '\n')) {
        i++;
    }
    return i < text.len ? text.data[i] : -1;
}

/* Calls fn when g->cells has the row of each object in turn. */
static flv_rc
each_row(struct cli_grid *g,
         struct flv_slice record,
         flv_rc (*fn)(struct cli_grid *g, void *arg, struct flv_err *err),
         void *arg,
         struct flv_err *err)
{
    struct flv_err why = {0};
    int c = first_byte(record);
    struct flv_slice *items = NULL;
    size_t count = 0;
    flv_rc rc = FLV_OK;
    if (c == '[') {
        items = flv_alloc(ITEMS_MAX * sizeof *items);
        if (items == NULL) {
            return no_memory(err);
        }
        rc = cli_json_items(record, items, ITEMS_MAX, &count, &why);
    } else if (c == '{') {
        rc = read_object(g, record, &why);
        rc = rc == FLV_OK ? fn(g, arg, err) : rc;
    } else {
        struct flv_buf none;
        flv_buf_init(&none, record.len * 2 + 64);
        rc = cli_json_pretty(record, &none, &why);
        flv_buf_deinit(&none);
        if (rc == FLV_OK) {
            return flv_fail(err, FLV_E_INVALID,
                            "error: Unable to parse json as object map");
        }
    }
    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        rc = read_object(g, items[i], &why);
        rc = rc == FLV_OK ? fn(g, arg, err) : rc;
    }
    flv_free(items);
    return why.rc != FLV_OK
               ? flv_fail(err, why.rc, "error parsing record as json: %s",
                          why.text)
               : rc;
}

/* ---- Lines --------------------------------------------------------------- */

static size_t shown_width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static flv_rc blanks(struct flv_buf *out, size_t n)
{
    flv_rc rc = FLV_OK;
    while (n-- > 0 && rc == FLV_OK) {
        rc = flv_buf_add_u8(out, ' ');
    }
    return rc;
}

/* At most `room` characters of a cell that wants `width`; less for none. */
static flv_rc line_cell(const char *text,
                        size_t width,
                        enum flv_table_align align,
                        size_t room,
                        struct flv_buf *out)
{
    size_t used = 0;
    size_t n = 0;
    width = width < room ? width : room;
    while (text[n] != '\0') {
        bool begins = ((unsigned char)text[n] & 0xc0) != 0x80;
        if (begins && used == room) {
            break;
        }
        used += begins;
        n++;
    }
    size_t pad = used < width ? width - used : 0;
    size_t left = align == FLV_TABLE_ALIGN_RIGHT    ? pad
                  : align == FLV_TABLE_ALIGN_CENTER ? pad / 2
                                                    : 0;
    flv_rc rc = blanks(out, left);
    rc = rc == FLV_OK ? flv_buf_add(out, text, n) : rc;
    return rc == FLV_OK ? blanks(out, pad - left) : rc;
}

/* Cells of a row, or NULL for the header; room: characters of the line. */
static flv_rc put_line(const struct cli_grid *g,
                       const size_t *widths,
                       const char *cells,
                       size_t room,
                       struct flv_buf *out)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < g->column_count && rc == FLV_OK; i++) {
        const struct cli_grid_column *c = &g->columns[i];
        const char *text = cells != NULL ? cells : c->label;
        if (cells != NULL) {
            cells += strlen(cells) + 1;
        }
        if (c->hidden || room < 3) {
            continue;
        }
        size_t before = out->len;
        rc = flv_buf_add_u8(out, ' ');
        rc = rc == FLV_OK ? line_cell(text, widths[i], c->align, room - 2, out)
                          : rc;
        rc = rc == FLV_OK ? flv_buf_add_u8(out, ' ') : rc;
        for (; rc == FLV_OK && before < out->len && room > 0; before++) {
            room -= (out->data[before] & 0xc0) != 0x80;
        }
    }
    return rc;
}

/* Widths as wide as header and these cells need. */
static void
widen(const struct cli_grid *g, const char *cells, size_t most, size_t *widths)
{
    for (size_t i = 0; i < g->column_count; i++) {
        const char *text = cells != NULL ? cells : g->columns[i].label;
        size_t width = shown_width(text);
        width = width < most ? width : most;
        widths[i] = width > widths[i] ? width : widths[i];
        if (cells != NULL) {
            cells += strlen(cells) + 1;
        }
    }
}

static flv_rc print_row(struct cli_grid *g, void *arg, struct flv_err *err)
{
    struct flv_buf *out = arg;
    const char *cells = g->column_count > 0 ? (const char *)g->cells.data : "";
    size_t widths[CLI_GRID_COLUMNS_MAX] = {0};
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < g->column_count; i++) {
        widths[i] = g->columns[i].width;
    }
    if (!g->has_header && g->column_count > 0) {
        widen(g, NULL, WIDTH_MAX, widths);
        widen(g, cells, WIDTH_MAX, widths);
        for (size_t i = 0; i < g->column_count; i++) {
            g->columns[i].width = widths[i];
        }
        g->has_header = true;
        rc = put_line(g, widths, NULL, SIZE_MAX, out);
        rc = rc == FLV_OK ? flv_buf_add_u8(out, '\n') : rc;
    }
    rc = rc == FLV_OK ? put_line(g, widths, cells, SIZE_MAX, out) : rc;
    rc = rc == FLV_OK ? flv_buf_add_u8(out, '\n') : rc;
    return rc == FLV_OK ? rc : no_memory(err);
}

flv_rc cli_grid_print(struct cli_grid *g,
                      struct flv_slice record,
                      struct flv_buf *out,
                      struct flv_err *err)
{
    const size_t kept = out->len;
    g->cell_max = SIZE_MAX;
    flv_rc rc = each_row(g, record, print_row, out, err);
    if (rc != FLV_OK) {
        out->len = kept;
    } else if (out->len > kept) {
        out->len--;
    }
    return rc;
}

/* ---- Kept rows ----------------------------------------------------------- */

static uint64_t hash(uint64_t h, const char *text)
{
    do {
        h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
    } while (*text++ != '\0');
    return h;
}

static uint64_t id_of(const struct cli_grid *g, const char *cells)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < g->column_count; i++) {
        h = g->columns[i].primary ? hash(h, cells) : h;
        cells += strlen(cells) + 1;
    }
    return h;
}

static bool same_keys(const struct cli_grid *g, const char *a, const char *b)
{
    bool same = true;
    for (size_t i = 0; i < g->column_count && same; i++) {
        same = !g->columns[i].primary || strcmp(a, b) == 0;
        a += strlen(a) + 1;
        b += strlen(b) + 1;
    }
    return same;
}

/* The row that these cells replace, or NULL. */
static struct cli_grid_row *
find_row(struct cli_grid *g, uint64_t id, const char *cells)
{
    for (size_t i = 0; g->has_keys && i < g->row_count; i++) {
        if (g->rows[i].id == id && same_keys(g, g->rows[i].cells, cells)) {
            return &g->rows[i];
        }
    }
    return NULL;
}

/* A place behind the newest row; the oldest goes where there is none. */
static struct cli_grid_row *new_row(struct cli_grid *g)
{
    if (g->row_count == CLI_GRID_ROWS_MAX) {
        struct cli_grid_row *oldest = &g->rows[g->row_first];
        g->row_first = (g->row_first + 1) % CLI_GRID_ROWS_MAX;
        g->dropped++;
        /* Places count from the oldest: the selected row stays selected. */
        g->selected -= g->selected != NONE && g->selected > 0;
        g->top -= g->top > 0;
        return oldest;
    }
    if (g->row_count == g->row_cap) {
        size_t cap = g->row_cap > 0 ? g->row_cap * 2 : 64;
        cap = cap < CLI_GRID_ROWS_MAX ? cap : CLI_GRID_ROWS_MAX;
        struct cli_grid_row *rows = flv_realloc(g->rows, cap * sizeof *rows);
        if (rows == NULL) {
            return NULL;
        }
        g->rows = rows;
        g->row_cap = cap;
    }
    g->rows[g->row_count] = (struct cli_grid_row){.cells = NULL};
    return &g->rows[g->row_count++];
}

static flv_rc keep_row(struct cli_grid *g, void *arg, struct flv_err *err)
{
    (void)arg;
    if (g->column_count == 0) {
        return FLV_OK;
    }
    const char *cells = (const char *)g->cells.data;
    uint64_t id = g->has_keys ? id_of(g, cells) : 0;
    char *copy = flv_alloc(g->cells.len);
    struct cli_grid_row *row = find_row(g, id, cells);
    row = row != NULL || copy == NULL ? row : new_row(g);
    if (row == NULL || copy == NULL) {
        flv_free(copy);
        return no_memory(err);
    }
    memcpy(copy, cells, g->cells.len);
    flv_free(row->cells);
    *row = (struct cli_grid_row){.id = id, .cells = copy};
    return FLV_OK;
}

flv_rc
cli_grid_keep(struct cli_grid *g, struct flv_slice record, struct flv_err *err)
{
    g->cell_max = CLI_GRID_CELL_MAX;
    return each_row(g, record, keep_row, NULL, err);
}

/* ---- The screen ---------------------------------------------------------- */

static const struct cli_grid_row *row_at(const struct cli_grid *g, size_t i)
{
    return &g->rows[(g->row_first + i) % g->row_count];
}

static flv_rc put_header(const struct cli_grid *g,
                         const size_t *widths,
                         size_t room,
                         bool colour,
                         struct flv_buf *out)
{
    static const int codes[] = {0, 4, 3, 2}; /* blue, yellow, green */
    enum flv_table_color back = FLV_TABLE_COLOR_NONE;
    enum flv_table_color front = FLV_TABLE_COLOR_NONE;
    for (size_t i = g->column_count; i-- > 0;) {
        back = g->columns[i].back != 0 ? g->columns[i].back : back;
        front = g->columns[i].front != 0 ? g->columns[i].front : front;
    }
    flv_rc rc = FLV_OK;
    if (colour) {
        rc = flv_buf_addf(out, "\033[1;%d;%dm",
                          30 + codes[front != 0 ? front : 2],
                          40 + codes[back != 0 ? back : 1]);
    }
    rc = rc == FLV_OK ? put_line(g, widths, NULL, room, out) : rc;
    rc = rc == FLV_OK && colour ? flv_buf_add_str(out, "\033[0m") : rc;
    return rc == FLV_OK ? flv_buf_add_str(out, "\033[K\r\n") : rc;
}

static size_t moved(const struct cli_grid *g, enum cli_grid_way way)
{
    const size_t last = g->row_count - 1;
    const size_t page = g->page > 1 ? g->page - 1 : 1;
    const size_t at = g->selected;
    if (at == NONE || way == CLI_GRID_FIRST || way == CLI_GRID_LAST) {
        return way == CLI_GRID_UP || way == CLI_GRID_PAGE_UP ||
                       way == CLI_GRID_LAST
                   ? last
                   : 0;
    }
    switch (way) {
    case CLI_GRID_UP:
        return at > 0 ? at - 1 : last;
    case CLI_GRID_DOWN:
        return at < last ? at + 1 : 0;
    case CLI_GRID_PAGE_UP:
        return at > page ? at - page : 0;
    default:
        return last - at > page ? at + page : last;
    }
}

void cli_grid_move(struct cli_grid *g, enum cli_grid_way way)
{
    if (g->row_count == 0) {
        return;
    }
    if (g->selected == NONE) { /* from what is shown */
        g->top = g->row_count > g->page ? g->row_count - g->page : 0;
    }
    g->selected = moved(g, way);
}

/* The first of the rows that are shown, where so many fit. */
static size_t first_shown(struct cli_grid *g, size_t fit)
{
    const size_t newest = g->row_count > fit ? g->row_count - fit : 0;
    g->page = fit;
    if (g->selected == NONE) {
        return newest;
    }
    g->top = g->selected < g->top ? g->selected : g->top;
    g->top = g->selected - g->top >= fit ? g->selected - fit + 1 : g->top;
    g->top = g->top < newest ? g->top : newest;
    return g->top;
}

/* A row, marked where it is the selected one. */
static flv_rc put_row(const struct cli_grid *g,
                      size_t index,
                      const size_t *widths,
                      size_t room,
                      bool colour,
                      struct flv_buf *out)
{
    const bool selected = index == g->selected;
    flv_rc rc = selected && colour ? flv_buf_add_str(out, "\033[7m") : FLV_OK;
    const size_t from = out->len;
    rc = rc == FLV_OK ? put_line(g, widths, row_at(g, index)->cells, room, out)
                      : rc;
    if (rc == FLV_OK && selected && out->len > from) {
        out->data[from] = '>';
    }
    rc = rc == FLV_OK && selected && colour ? flv_buf_add_str(out, "\033[0m")
                                            : rc;
    return rc == FLV_OK ? flv_buf_add_str(out, "\033[K\r\n") : rc;
}

flv_rc cli_grid_draw(struct cli_grid *g,
                     const char *title,
                     size_t lines,
                     size_t columns,
                     bool colour,
                     struct flv_buf *out)
{
    size_t widths[CLI_GRID_COLUMNS_MAX] = {0};
    size_t fit = lines > 3 ? lines - 3 : 1;
    size_t first = first_shown(g, fit);
    size_t end = g->row_count - first > fit ? first + fit : g->row_count;
    for (size_t i = 0; i < g->column_count; i++) {
        widths[i] = g->columns[i].width;
    }
    widen(g, NULL, WIDTH_MAX, widths);
    for (size_t i = first; i < end; i++) {
        widen(g, row_at(g, i)->cells, WIDTH_MAX, widths);
    }
    flv_rc rc = flv_buf_add_str(out, "\033[H");
    rc = rc == FLV_OK ? line_cell(title, 0, FLV_TABLE_ALIGN_LEFT, columns, out)
                      : rc;
    rc = rc == FLV_OK ? flv_buf_add_str(out, "\033[K\r\n") : rc;
    rc = rc == FLV_OK ? put_header(g, widths, columns, colour, out) : rc;
    for (size_t i = first; i < end && rc == FLV_OK; i++) {
        rc = put_row(g, i, widths, columns, colour, out);
    }
    return rc == FLV_OK ? flv_buf_add_str(out, "\033[J") : rc;
}
