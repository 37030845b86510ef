/* fuzz-libs: flv_cli */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "cli/ledger.h"
#include "cli/letter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_letter(struct flv_slice value)
{
    struct cli_letter l;
    struct flv_err err = {0};
    struct flv_buf b;
    flv_buf_init(&b, 1 << 28);
    if (cli_letter_read(&l, value, &err) == FLV_OK) {
        assert(l.connector != NULL && l.text != NULL && l.cause != NULL);
        flv_rc rc = cli_letter_place(&l, &b);
        assert(rc == FLV_OK);
        cli_letter_deinit(&l);
    } else {
        assert(err.text[0] != '\0');
    }
    flv_buf_deinit(&b);
}

/* An open replay is written again and read as the same. */
static void write_again(const struct cli_begin *b)
{
    struct cli_ledger l;
    struct flv_buf text;
    cli_ledger_init(&l);
    flv_buf_init(&text, 1 << 28);
    flv_rc rc = cli_settle_begin(&l, b, &text, NULL);
    assert(rc == FLV_OK);
    rc = cli_ledger_take(&l, INT64_MAX - 1, flv_buf_slice(&text), NULL);
    assert(rc == FLV_OK && l.open && l.begun.id == b->id);
    assert(l.begun.record_count == b->record_count);
    assert(l.begun.parcel_count == b->parcel_count);
    for (size_t i = 0; i < b->record_count; i++) {
        const struct flv_msg *m = &b->records[i], *n = &l.begun.records[i];
        assert(m->has_key == n->has_key && flv_slice_eq(m->value, n->value));
        assert(flv_slice_eq(m->key, n->key));
    }
    flv_buf_deinit(&text);
    cli_ledger_deinit(&l);
}

/* Lines are the records of a topic, from offset 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli_ledger ledger;
    struct flv_slice rest = flv_slice(data, size);
    flv_rc rc = FLV_OK;
    cli_ledger_init(&ledger);
    for (int64_t offset = 0; rest.len > 0 && rc == FLV_OK; offset++) {
        const uint8_t *lf = memchr(rest.data, '\n', rest.len);
        const size_t len = lf != NULL ? (size_t)(lf - rest.data) : rest.len;
        const struct flv_slice value = flv_slice(rest.data, len);
        const size_t used = lf != NULL ? len + 1 : len;
        rest = flv_slice(rest.data + used, rest.len - used);
        read_letter(value);
        rc = cli_ledger_take(&ledger, offset, value, NULL);
        assert(rc == FLV_OK || rc == FLV_E_UNSUPPORTED);
        assert(ledger.last <= offset);
        const int64_t open = cli_ledger_next_open(&ledger, 0);
        assert(open < 0 || cli_ledger_is_open(&ledger, open));
        assert((open < 0) == (cli_ledger_count(&ledger, 0, offset) == 0));
    }
    if (ledger.open) {
        write_again(&ledger.begun);
    }
    cli_ledger_deinit(&ledger);
    return 0;
}
