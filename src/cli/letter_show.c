/* fluvio dead-letter show: everything of one letter. */
#include "cli/dead_letter.h"

#include "base/text.h"
#include "cli/format.h"

#include <inttypes.h>

#define TEXT_BYTES_MAX ((size_t)256 << 20)

struct show_conf {
    struct cli_which_conf which;
    uint64_t offset;
    bool raw;
    int output;
};

struct show {
    const struct show_conf *conf;
    struct cli_letters letters;
    bool found;
};

static const char *state_of(const struct show *s)
{
    const struct cli_ledger *l = &s->letters.ledger;
    const int64_t offset = (int64_t)s->conf->offset;
    return cli_ranges_has(&l->settled, offset) ? "settled"
           : cli_ledger_is_open(l, offset)     ? "open"
                                               : "in replay";
}

static bool is_layout(uint8_t c)
{
    return c == '\n' || c == '\t' || c == '\r';
}

/* Text that does nothing to a terminal but fill lines. */
static bool is_printable(struct flv_slice s)
{
    size_t from = 0;
    for (size_t i = 0; i <= s.len; i++) {
        if (i == s.len || is_layout(s.data[i])) {
            if (!flv_text_is_tidy(flv_slice(s.data + from, i - from))) {
                return false;
            }
            from = i + 1;
        }
    }
    return flv_text_is_utf8(s);
}

/* One line of the description. */
static void line(const char *name, const char *text)
{
    cli_say(stdout, "%-10s %s", name, text);
}

static flv_rc print_bytes(struct flv_slice s, struct flv_err *err)
{
    struct cli_formatter f;
    struct flv_buf out;
    const struct flv_record_view view = {.value = s};
    if (is_printable(s)) {
        fwrite(s.data, 1, s.len, stdout);
        putchar('\n');
        return FLV_OK;
    }
    cli_formatter_init(&f);
    f.form = CLI_VALUE_BINARY;
    flv_buf_init(&out, TEXT_BYTES_MAX);
    flv_rc rc = cli_format_record(&f, &view, 0, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    cli_formatter_deinit(&f);
    return rc;
}

/* Texts of letters can be of any length: what is longer is cut. */
static void FLV_PRINTF(2, 3) linef(const char *name, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    line(name, text);
}

static void print_place(const struct cli_letter *l)
{
    if (l->source_topic != NULL) {
        linef("Record", "topic %s, partition %" PRId64 ", offset %" PRId64,
              l->source_topic, l->source_partition, l->source_offset);
    } else if (l->number > 0) {
        linef("Record", "number %" PRId64 " since the connector's start",
              l->number);
    }
}

static flv_rc print_table(const struct show *s,
                          const struct cli_letter *l,
                          struct flv_err *err)
{
    const struct flv_slice key = flv_buf_slice(&l->key);
    const struct flv_slice value = flv_buf_slice(&l->value);
    linef("Letter", "offset %" PRIu64 " of topic %s, partition %" PRIu32,
          s->conf->offset, s->letters.topic, s->letters.partition);
    line("State", state_of(s));
    line("Time", l->time);
    linef("Connector", "%s (%s)", l->connector, l->type);
    if (l->topic != NULL) {
        line("Topic", l->topic);
    }
    print_place(l);
    linef("Stage", "%" PRId64, l->stage);
    linef("Module", "%s (%s), sha256 %s", l->module, l->kind, l->hash);
    line("Cause", l->cause);
    line("Error", l->text);
    if (l->hint != NULL) {
        printf("Hint\n");
        flv_rc rc = print_bytes(flv_slice_str(l->hint), err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    if (l->has_key) {
        printf("Key        %zu byte%s\n", key.len, cli_plural(key.len));
        flv_rc rc = print_bytes(key, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    printf("Value      %zu byte%s\n", value.len, cli_plural(value.len));
    return print_bytes(value, err);
}

/* As text where it is text, else in base 64 under another name. */
static flv_rc doc_bytes(struct cli_doc *d,
                        const char *name,
                        const char *name64,
                        struct flv_slice s,
                        struct flv_err *err)
{
    struct flv_buf b;
    const bool text = is_printable(s);
    flv_buf_init(&b, TEXT_BYTES_MAX);
    flv_rc rc = text ? flv_buf_add(&b, s.data, s.len) : flv_text_base64(&b, s);
    const char *shown = rc == FLV_OK ? flv_buf_str(&b) : NULL;
    if (shown != NULL) {
        cli_doc_str(d, text ? name : name64, shown);
    } else {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_buf_deinit(&b);
    return rc;
}

static void
doc_facts(struct cli_doc *d, const struct show *s, const struct cli_letter *l)
{
    cli_doc_i64(d, "offset", (int64_t)s->conf->offset);
    cli_doc_str(d, "state", state_of(s));
    cli_doc_str(d, "time", l->time);
    cli_doc_str(d, "connector", l->connector);
    cli_doc_str(d, "type", l->type);
    if (l->topic != NULL) {
        cli_doc_str(d, "topic", l->topic);
    }
    if (l->source_topic != NULL) {
        cli_doc_str(d, "source_topic", l->source_topic);
        cli_doc_i64(d, "source_partition", l->source_partition);
        cli_doc_i64(d, "source_offset", l->source_offset);
    } else {
        cli_doc_i64(d, "source_number", l->number);
    }
    cli_doc_i64(d, "stage", l->stage);
    cli_doc_str(d, "module", l->module);
    cli_doc_str(d, "kind", l->kind);
    cli_doc_str(d, "sha256", l->hash);
    cli_doc_str(d, "cause", l->cause);
    cli_doc_str(d, "error", l->text);
    if (l->hint != NULL) {
        cli_doc_str(d, "hint", l->hint);
    }
}

static flv_rc
print_doc(const struct show *s, const struct cli_letter *l, struct flv_err *err)
{
    struct cli_doc d;
    flv_rc rc = FLV_OK;
    cli_doc_init(&d, (enum cli_format)s->conf->output);
    cli_doc_map(&d, NULL);
    doc_facts(&d, s, l);
    if (l->has_key) {
        rc = doc_bytes(&d, "key", "key_base64", flv_buf_slice(&l->key), err);
    }
    rc = rc == FLV_OK ? doc_bytes(&d, "value", "value_base64",
                                  flv_buf_slice(&l->value), err)
                      : rc;
    cli_doc_end(&d);
    rc = rc == FLV_OK ? cli_doc_finish(&d, err) : rc;
    if (rc == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
    return rc;
}

static flv_rc show_one(void *user,
                       const struct flv_record_view *r,
                       const struct cli_letter *letter,
                       const struct flv_err *why,
                       struct flv_err *err)
{
    struct show *s = user;
    s->found = true;
    if (letter == NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "offset %" PRId64 " is no dead letter: %s", r->offset,
                        why->text);
    }
    if (s->conf->raw) {
        fwrite(letter->value.data, 1, letter->value.len, stdout);
        return FLV_OK;
    }
    return s->conf->output == CLI_FORMAT_TABLE ? print_table(s, letter, err)
                                               : print_doc(s, letter, err);
}

static int show_run(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_err err = {0};
    struct show s = {.conf = flv_args_conf(args)};
    const struct cli_which_conf *which = &s.conf->which;
    const int64_t offset = (int64_t)s.conf->offset;
    const struct cli_choice choice = {
        .first = offset, .last = offset, .settled = true};
    flv_rc rc =
        cli_letters_open(&s.letters, c, which->topic,
                         cli_partition_of(which, flv_args_opts(args)), &err);
    rc = rc == FLV_OK
             ? cli_letters_each(&s.letters, &choice, show_one, &s, &err)
             : rc;
    if (rc == FLV_OK && !s.found) {
        rc = flv_fail(&err, FLV_E_NOT_FOUND,
                      "topic %.100s has no letter at offset %" PRId64,
                      which->topic, offset);
    }
    cli_letters_close(&s.letters);
    return rc == FLV_OK ? 0 : cli_letters_fail(c, &err);
}

static const struct flv_opt show_opts[] = {
    CLI_LETTERS_TOPIC(struct show_conf, FLV_OPT_REQUIRED),
    {.name = "offset",
     FLV_U64(struct show_conf, offset),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .max = INT64_MAX - 1,
     .help = "Offset of the letter"},
    CLI_LETTERS_PARTITION(struct show_conf),
    {.name = "raw",
     FLV_FLAG(struct show_conf, raw),
     .help = "Print the original value alone, byte for byte"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct show_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

const struct flv_cmd cli_cmd_dead_letter_show = {
    .name = "show",
    .about = "Show everything of one dead letter",
    .opts = show_opts,
    .conf_size = sizeof(struct show_conf),
    .run = show_run,
};
