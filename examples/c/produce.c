/* produce.c - send the lines of standard input to a topic.
 *
 *     produce TOPIC [KEY]
 *
 * The cluster is that of the active profile (fluvio profile). */
#include <fluvio/sync.h>
#include <stdio.h>

static flv_rc
send_lines(struct flv_sync_producer *p, const char *key, struct flv_err *err)
{
    char line[65536];
    flv_rc rc = FLV_OK;

    while (rc == FLV_OK && fgets(line, sizeof(line), stdin) != NULL) {
        struct flv_msg msg = {{NULL, 0}, {NULL, 0}, false, -1};

        msg.value = flv_slice(line, strcspn(line, "\n"));
        msg.has_key = key != NULL;
        msg.key = flv_slice_str(key);
        /* Copied; waits only while too much is not acknowledged yet. */
        rc = flv_sync_put(p, &msg, 1, 10000, err);
    }
    /* Returns when all are stored. */
    return rc == FLV_OK ? flv_sync_flush(p, 10000, err) : rc;
}

int main(int argc, char **argv)
{
    struct flv_sync *fluvio = NULL;
    struct flv_sync_producer *producer = NULL;
    struct flv_producer_conf conf;
    struct flv_producer_stats stats;
    struct flv_err err;
    flv_rc rc;

    if (argc != 2 && argc != 3) {
        (void)fprintf(stderr, "usage: %s TOPIC [KEY]\n", argv[0]);
        return 2;
    }
    conf = flv_producer_conf_default(argv[1]);
    rc = flv_sync_open(&fluvio, NULL, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_producer_open(&producer, fluvio, &conf, &err);
    }
    if (rc == FLV_OK) {
        rc = send_lines(producer, argc == 3 ? argv[2] : NULL, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_sync_producer_stats(producer, &stats, &err);
    }
    if (rc == FLV_OK) {
        (void)printf("%llu records, %llu bytes, %llu batches, %llu retries, "
                     "p99 %llu us\n",
                     (unsigned long long)stats.records,
                     (unsigned long long)stats.bytes,
                     (unsigned long long)stats.batches,
                     (unsigned long long)stats.retries,
                     (unsigned long long)stats.latency.p99_us);
    } else {
        (void)fprintf(stderr, "produce: %s\n", err.text);
    }
    flv_sync_close(fluvio); /* closes the producer, too */
    return rc == FLV_OK ? 0 : 1;
}
