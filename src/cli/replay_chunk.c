#include "cli/replay.h"

#include "base/mem.h"
#include "smartmodule/section.h"

#include <assert.h>
#include <inttypes.h>

#define BYTES_MAX ((size_t)128 << 20)
#define CHUNK_RECORDS 10000
/* Of one letter, so that a chunk stays below CLI_BEGIN_RECORDS_MAX. */
#define LETTER_RECORDS_MAX (CLI_BEGIN_RECORDS_MAX - CHUNK_RECORDS)
/* What a settlement needs beside its records. */
#define SETTLEMENT_HEAD 512
#define SETTLEMENT_RECORD 32

flv_rc cli_chunk_init(struct cli_chunk *c, struct flv_err *err)
{
    flv_buf_init(&c->bytes, BYTES_MAX);
    flv_buf_init(&c->section, BYTES_MAX);
    c->items = flv_zalloc(CLI_CHUNK_LETTERS, sizeof *c->items);
    return c->items != NULL ? FLV_OK
                            : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

void cli_chunk_deinit(struct cli_chunk *c)
{
    flv_free(c->topic);
    flv_free(c->items);
    flv_free(c->made);
    flv_buf_deinit(&c->bytes);
    flv_buf_deinit(&c->section);
    *c = (struct cli_chunk){.letters = NULL};
}

/* ---- From a letter to records ------------------------------------------- */

static flv_rc add_bytes(struct flv_buf *b, struct flv_slice s, size_t *out_at)
{
    *out_at = b->len;
    return s.len > 0 ? flv_buf_add(b, s.data, s.len) : FLV_OK;
}

static flv_rc add_record(struct cli_chunk *c,
                         bool has_key,
                         struct flv_slice key,
                         struct flv_slice value)
{
    if (c->made_count == c->made_cap) {
        const size_t cap = c->made_cap > 0 ? 2 * c->made_cap : 256;
        struct cli_made *made = flv_realloc(c->made, cap * sizeof *made);
        if (made == NULL) {
            return FLV_E_NOMEM;
        }
        c->made = made;
        c->made_cap = cap;
    }
    struct cli_made *m = &c->made[c->made_count];
    *m = (struct cli_made){.has_key = has_key, .value_len = value.len};
    flv_rc rc = FLV_OK;
    if (has_key) {
        m->key_len = key.len;
        rc = add_bytes(&c->bytes, key, &m->key_at);
    }
    rc = rc == FLV_OK ? add_bytes(&c->bytes, value, &m->value_at) : rc;
    c->made_count += rc == FLV_OK ? 1 : 0;
    return rc;
}

/* FLV_E_REFUSED: the letter's own fault, with its text. */
static flv_rc run_chain(struct cli_chunk *c,
                        const struct flv_record_view *r,
                        const struct cli_letter *l,
                        struct flv_err *err)
{
    struct flv_sm_result made;
    flv_buf_reset(&c->section);
    flv_rc rc =
        flv_sm_section_add(&c->section, l->has_key, flv_buf_slice(&l->key),
                           flv_buf_slice(&l->value), 0);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no room for the letter's record");
    }
    const struct flv_sm_input in = {.section = flv_buf_slice(&c->section),
                                    .base_offset = r->offset,
                                    .base_timestamp_ms = r->timestamp_ms};
    rc = flv_sm_chain_run(c->chain, &in, false, &made, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (made.failure_count > 0) {
        return flv_fail(err, FLV_E_REFUSED, "fails again: %s",
                        made.failures[0].text);
    }
    if (made.record_count > LETTER_RECORDS_MAX) {
        return flv_fail(err, FLV_E_REFUSED,
                        "becomes %zu records, more than the %d that can be "
                        "replayed as one",
                        made.record_count, LETTER_RECORDS_MAX);
    }
    for (size_t i = 0; i < made.record_count && rc == FLV_OK; i++) {
        const struct flv_sm_record *m = &made.records[i];
        rc = add_record(c, m->has_key, m->key, m->value);
    }
    return rc;
}

/* What the records from `first` on take of a settlement, in base 64. */
static size_t noted_size(const struct cli_chunk *c, size_t first)
{
    size_t size = SETTLEMENT_HEAD;
    for (size_t i = first; i < c->made_count; i++) {
        size += (c->made[i].key_len + 2) / 3 * 4 +
                (c->made[i].value_len + 2) / 3 * 4 + SETTLEMENT_RECORD;
    }
    return size;
}

static flv_rc make_records(struct cli_chunk *c,
                           const struct flv_record_view *r,
                           const struct cli_letter *l,
                           struct flv_err *err)
{
    const size_t first = c->made_count;
    flv_rc rc = c->chain != NULL
                    ? run_chain(c, r, l, err)
                    : add_record(c, l->has_key, flv_buf_slice(&l->key),
                                 flv_buf_slice(&l->value));
    if (rc == FLV_E_NOMEM) {
        return flv_fail(err, rc, "out of memory for records");
    }
    if (rc == FLV_E_LIMIT ||
        (rc == FLV_OK && noted_size(c, first) > CLI_SETTLEMENT_BYTES_MAX)) {
        return flv_fail(err, FLV_E_REFUSED,
                        "becomes more bytes than can be replayed as one");
    }
    return rc;
}

/* ---- Gathering ---------------------------------------------------------- */

/* Where the letter's record belongs; NULL with the reason. */
static const char *topic_of(const struct cli_chunk *c,
                            const struct cli_letter *l,
                            struct flv_err *why)
{
    if (c->to != NULL) {
        return c->to;
    }
    if (l->source_topic != NULL) {
        (void)flv_fail(why, FLV_E_REFUSED,
                       "a sink failed on a record of topic %.60s, where it "
                       "still is; '--to <TOPIC>' says where else to send it",
                       l->source_topic);
        return NULL;
    }
    if (l->topic == NULL) {
        (void)flv_fail(why, FLV_E_REFUSED,
                       "the letter does not say what topic it belongs to; "
                       "'--to <TOPIC>' does");
    }
    return l->topic;
}

static bool is_full(const struct cli_chunk *c,
                    const struct cli_letter *l,
                    const char *topic)
{
    return c->item_count > 0 &&
           (c->item_count == CLI_CHUNK_LETTERS ||
            c->made_count >= CHUNK_RECORDS ||
            c->bytes.len + l->value.len > CLI_CHUNK_BYTES ||
            strcmp(c->topic, topic) != 0);
}

static flv_rc
take_topic(struct cli_chunk *c, const char *topic, struct flv_err *err)
{
    if (c->topic == NULL) {
        c->topic = flv_strdup(topic);
    }
    return c->topic != NULL ? FLV_OK
                            : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

/* FLV_E_REFUSED: the letter stays open. */
static flv_rc add_letter(struct cli_chunk *c,
                         const struct flv_record_view *r,
                         const struct cli_letter *l,
                         struct flv_err *err)
{
    const size_t bytes = c->bytes.len, made = c->made_count;
    const char *topic = topic_of(c, l, err);
    if (topic == NULL) {
        return FLV_E_REFUSED;
    }
    if (is_full(c, l, topic)) {
        return FLV_E_CANCELED;
    }
    flv_rc rc = make_records(c, r, l, err);
    if (rc == FLV_OK && c->item_count > 0 &&
        c->bytes.len > 2 * CLI_CHUNK_BYTES) {
        rc = FLV_E_CANCELED; /* grew: it gets a chunk of its own */
    }
    rc = rc == FLV_OK ? take_topic(c, topic, err) : rc;
    if (rc != FLV_OK) {
        c->bytes.len = bytes;
        c->made_count = made;
        return rc;
    }
    c->items[c->item_count++] = (struct cli_chunk_item){
        .offset = r->offset, .first = made, .count = c->made_count - made};
    return FLV_OK;
}

static flv_rc gather_one(void *user,
                         const struct flv_record_view *r,
                         const struct cli_letter *letter,
                         const struct flv_err *why,
                         struct flv_err *err)
{
    struct cli_chunk *c = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_E_REFUSED;
    if (letter == NULL) {
        (void)flv_fail(&own, rc, "is no dead letter: %s", why->text);
    } else {
        rc = add_letter(c, r, letter, &own);
    }
    if (rc == FLV_E_REFUSED) {
        c->complain(c->user, r->offset, own.text);
        rc = FLV_OK;
    } else if (rc != FLV_OK && rc != FLV_E_CANCELED) {
        *err = own;
    }
    if (rc == FLV_OK) {
        c->next = r->offset + 1;
    }
    return rc;
}

flv_rc cli_chunk_gather(struct cli_chunk *c,
                        const struct cli_choice *choice,
                        struct flv_err *err)
{
    struct cli_choice rest = *choice;
    flv_free(c->topic);
    c->topic = NULL;
    c->item_count = 0;
    c->made_count = 0;
    flv_buf_reset(&c->bytes);
    rest.first = c->next > rest.first ? c->next : rest.first;
    return cli_letters_each(c->letters, &rest, gather_one, c, err);
}

/* ---- Addressing --------------------------------------------------------- */

/* The partition of all that became of the item. False: of several. */
static bool choose_partition(const struct cli_chunk *c,
                             const struct flv_producer *producer,
                             struct cli_chunk_item *item)
{
    const uint32_t count = flv_producer_partition_count(producer);
    bool keyed = false;
    /* Without a key they go round, the same letter always to the same. */
    item->partition = (uint32_t)(item->offset % count);
    for (size_t i = item->first; i < item->first + item->count; i++) {
        const struct cli_made *m = &c->made[i];
        if (!m->has_key) {
            continue;
        }
        const uint32_t partition = flv_producer_key_partition(
            producer, flv_slice(c->bytes.data + m->key_at, m->key_len));
        if (keyed && partition != item->partition) {
            return false;
        }
        item->partition = partition;
        keyed = true;
    }
    return true;
}

static flv_rc choose_all(struct cli_chunk *c,
                         const struct flv_producer *producer,
                         struct cli_begin *out)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < c->item_count && rc == FLV_OK; i++) {
        struct cli_chunk_item *item = &c->items[i];
        item->left_out = !choose_partition(c, producer, item);
        if (item->left_out) {
            c->complain(c->user, item->offset,
                        "becomes records of several partitions, which cannot "
                        "arrive as one; send it to a topic of one partition");
        } else {
            out->record_count += item->count;
            rc = cli_ranges_add(&out->letters, item->offset, item->offset);
        }
    }
    return rc;
}

static struct flv_msg
msg_of(const struct cli_chunk *c, const struct cli_made *m, uint32_t partition)
{
    /* Without bytes there is nothing to point at. */
    const uint8_t *base = c->bytes.data;
    return (struct flv_msg){
        .has_key = m->has_key,
        .key = m->key_len > 0 ? flv_slice(base + m->key_at, m->key_len)
                              : flv_slice(NULL, 0),
        .value = m->value_len > 0 ? flv_slice(base + m->value_at, m->value_len)
                                  : flv_slice(NULL, 0),
        .partition = (int32_t)partition,
    };
}

/* Adds the records of one partition behind the others, as one parcel. */
static void lay_out(const struct cli_chunk *c,
                    uint32_t partition,
                    int64_t end,
                    struct cli_begin *out)
{
    struct cli_parcel *p = &out->parcels[out->parcel_count];
    *p = (struct cli_parcel){.partition = partition,
                             .end = end,
                             .records = out->records + out->record_count};
    for (size_t i = 0; i < c->item_count; i++) {
        const struct cli_chunk_item *item = &c->items[i];
        if (item->left_out || item->partition != partition) {
            continue;
        }
        for (size_t k = 0; k < item->count; k++) {
            out->records[out->record_count++] =
                msg_of(c, &c->made[item->first + k], partition);
            p->count++;
        }
    }
    out->parcel_count += p->count > 0 ? 1 : 0;
}

static bool is_first_of_partition(const struct cli_chunk *c, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (!c->items[k].left_out &&
            c->items[k].partition == c->items[i].partition) {
            return false;
        }
    }
    return !c->items[i].left_out;
}

flv_rc cli_chunk_address(struct cli_chunk *c,
                         const struct flv_producer *producer,
                         const int64_t *ends,
                         struct cli_begin *out,
                         struct flv_err *err)
{
    *out = (struct cli_begin){.id = 0};
    flv_rc rc = choose_all(c, producer, out);
    out->topic = flv_strdup(c->topic);
    out->records = flv_zalloc(out->record_count + 1, sizeof *out->records);
    out->parcels = flv_zalloc(c->item_count + 1, sizeof *out->parcels);
    if (rc != FLV_OK || out->topic == NULL || out->records == NULL ||
        out->parcels == NULL) {
        cli_begin_deinit(out);
        return flv_fail(err, rc != FLV_OK ? rc : FLV_E_NOMEM,
                        "out of memory for a replay");
    }
    out->record_count = 0;
    for (size_t i = 0; i < c->item_count; i++) {
        if (is_first_of_partition(c, i)) {
            const uint32_t partition = c->items[i].partition;
            lay_out(c, partition, ends[partition], out);
        }
    }
    return FLV_OK;
}
