/* offsets.c - handle records once, over several runs: offsets that the cluster
 * stores for a consumer, by hand.
 *
 *     offsets TOPIC CONSUMER COUNT     handles COUNT records and stores that
 */
#include <fluvio/sync.h>
#include <stdio.h>

/* What lies in a buffer is not handled yet. */
static bool handle(const struct flv_sync_record *r)
{
    return printf("%.*s\n", (int)r->value.len, (const char *)r->value.data) >=
               0 &&
           fflush(stdout) == 0;
}

/* A record is marked when it was handled, never before: what is not stored
 * when the program ends, however it ends, comes again. */
static flv_rc work(struct flv_sync_consumer *k, long count, struct flv_err *err)
{
    const struct flv_sync_record *r = NULL;
    flv_rc rc = FLV_OK;

    while (rc == FLV_OK && count-- > 0) {
        rc = flv_sync_next(k, 5000, &r, err);
        if (rc != FLV_OK || r == NULL) {
            break;
        }
        if (!handle(r)) {
            return flv_fail(err, FLV_E_IO, "standard output failed");
        }
        rc = flv_sync_mark(k, r->partition, r->offset, err);
    }
    return rc == FLV_OK ? flv_sync_commit(k, 5000, err) : rc;
}

int main(int argc, char **argv)
{
    struct flv_sync *fluvio = NULL;
    struct flv_sync_consumer *consumer = NULL;
    struct flv_consumer_conf conf;
    long count = 0;
    struct flv_err err;
    flv_rc rc;

    if (argc != 4 || sscanf(argv[3], "%ld", &count) != 1) {
        (void)fprintf(stderr, "usage: %s TOPIC CONSUMER COUNT\n", argv[0]);
        return 2;
    }
    conf = flv_consumer_conf_default(argv[1]);
    conf.consumer_id = argv[2];
    conf.offsets = FLV_OFFSETS_MANUAL;
    conf.start.kind = FLV_START_BEGINNING; /* where nothing is stored yet */
    conf.stop_at_end = true;
    rc = flv_sync_open(&fluvio, NULL, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_consumer_open(&consumer, fluvio, &conf, &err);
    }
    if (rc == FLV_OK) {
        rc = work(consumer, count, &err);
    }
    if (rc != FLV_OK) {
        (void)fprintf(stderr, "offsets: %s\n", err.text);
    }
    flv_sync_close(fluvio);
    return rc == FLV_OK ? 0 : 1;
}
