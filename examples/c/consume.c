/* consume.c - print what a topic has, from all of its partitions.
 *
 *     consume TOPIC          from the beginning to the end as it is now
 *     consume TOPIC follow   and then on, until it is interrupted
 */
#include <fluvio/sync.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int signum)
{
    (void)signum;
    interrupted = 1;
}

static void print(const struct flv_sync_record *r)
{
    (void)printf("%u:%lld ", r->partition, (long long)r->offset);
    if (r->has_key) {
        (void)printf("[%.*s] ", (int)r->key.len, (const char *)r->key.data);
    }
    (void)printf("%.*s\n", (int)r->value.len, (const char *)r->value.data);
}

/* The library catches no signals: whoever wants to stop looks between calls,
 * so no call waits long. */
static flv_rc print_all(struct flv_sync_consumer *k, struct flv_err *err)
{
    const struct flv_sync_record *r = NULL;

    while (!interrupted) {
        flv_rc rc = flv_sync_next(k, 500, &r, err);

        if (rc == FLV_OK && r == NULL) {
            return FLV_OK; /* the end */
        }
        if (rc == FLV_OK) {
            print(r);
        } else if (rc == FLV_E_TIMEOUT) {
            (void)fflush(stdout);
        } else if (flv_rc_class(rc) == FLV_CLASS_RETRY) {
            (void)fprintf(stderr, "consume: %s\n", err->text);
        } else {
            return rc;
        }
    }
    return FLV_OK;
}

int main(int argc, char **argv)
{
    struct flv_sync *fluvio = NULL;
    struct flv_sync_consumer *consumer = NULL;
    struct flv_consumer_conf conf;
    struct flv_err err;
    flv_rc rc;

    if (argc != 2 && argc != 3) {
        (void)fprintf(stderr, "usage: %s TOPIC [follow]\n", argv[0]);
        return 2;
    }
    (void)signal(SIGINT, interrupt);
    conf = flv_consumer_conf_default(argv[1]);
    conf.start.kind = FLV_START_BEGINNING;
    conf.stop_at_end = argc == 2;
    rc = flv_sync_open(&fluvio, NULL, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_consumer_open(&consumer, fluvio, &conf, &err);
    }
    if (rc == FLV_OK) {
        rc = print_all(consumer, &err);
    }
    if (rc != FLV_OK) {
        (void)fprintf(stderr, "consume: %s\n", err.text);
    }
    flv_sync_close(fluvio);
    return rc == FLV_OK ? 0 : 1;
}
