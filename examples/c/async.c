/* async.c - send ten records and read them back, with callbacks on a loop.
 *
 *     async TOPIC        the topic exists: fluvio topic create TOPIC
 *
 * Nothing here waits: every call returns at once, and what came of it is told
 * on the loop, by the one thread that is inside of flv_loop_run(). */
#include <fluvio/client.h>
#include <fluvio/loop.h>
#include <stdio.h>

#define RECORDS 10

struct app {
    const char *topic;
    struct flv_loop *loop;
    struct flv_client *client;
    struct flv_producer *producer;
    struct flv_consumer *consumer;
    struct flv_send sends[RECORDS];
    char texts[RECORDS][24];
    int acknowledged, read, status;
};

/* Closing completes what is pending; the loop then has nothing left to do. */
static void finish(struct app *a, const struct flv_err *err)
{
    if (err != NULL) {
        (void)fprintf(stderr, "async: %s\n", err->text);
        a->status = 1;
    }
    if (a->client != NULL) {
        flv_client_close(a->client, NULL, NULL);
        a->client = NULL;
    }
}

static void on_batch(void *user, const struct flv_record_batch *batch)
{
    struct app *a = (struct app *)user;
    size_t i;

    for (i = 0; i < batch->count; i++) {
        const struct flv_record_view *r = &batch->records[i];

        (void)printf("read offset %lld: %.*s\n", (long long)r->offset,
                     (int)r->value.len, (const char *)r->value.data);
        a->read++;
    }
    if (a->read == RECORDS) {
        finish(a, NULL);
    }
}

static void on_ended(void *user, const struct flv_err *err)
{
    finish((struct app *)user, err);
}

/* Reads from where the first record of this run went. */
static void read_back(struct app *a)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default(a->topic);
    struct flv_err err;

    conf.start.kind = FLV_START_ABSOLUTE;
    conf.start.n = a->sends[0].offset;
    conf.batch = on_batch;
    conf.ended = on_ended;
    conf.user = a;
    if (flv_consumer_open(&a->consumer, a->client, &conf, &err) != FLV_OK) {
        finish(a, &err);
    }
}

static void on_acknowledged(struct flv_send *send, const struct flv_err *err)
{
    struct app *a = (struct app *)send->user;

    if (err != NULL) {
        finish(a, err);
        return;
    }
    a->acknowledged++;
    if (a->acknowledged == RECORDS) {
        read_back(a);
    }
}

static void on_producer(void *user, const struct flv_err *open_err)
{
    struct app *a = (struct app *)user;
    struct flv_err err;
    int i;

    if (open_err != NULL) {
        finish(a, open_err);
        return;
    }
    for (i = 0; i < RECORDS; i++) {
        struct flv_msg msg = {{NULL, 0}, {NULL, 0}, false, -1};

        (void)snprintf(a->texts[i], sizeof(a->texts[i]), "record %d", i);
        msg.value = flv_slice_str(a->texts[i]);
        a->sends[i].done = on_acknowledged;
        a->sends[i].user = a;
        if (flv_producer_send(a->producer, &msg, 1, &a->sends[i], &err) !=
            FLV_OK) {
            finish(a, &err);
            return;
        }
    }
}

static void on_connected(void *user, const struct flv_err *connect_err)
{
    struct app *a = (struct app *)user;
    struct flv_producer_conf conf = flv_producer_conf_default(a->topic);
    struct flv_err err;

    if (connect_err != NULL) {
        finish(a, connect_err);
    } else if (flv_producer_open(&a->producer, a->client, &conf, on_producer, a,
                                 &err) != FLV_OK) {
        finish(a, &err);
    }
}

/* Where the active profile says that the cluster is. */
static flv_rc start(struct app *a, struct flv_err *err)
{
    struct flv_profiles *profiles = NULL;
    struct flv_profile profile;
    struct flv_client_conf conf;
    flv_rc rc = flv_profiles_load(&profiles, NULL, err);

    if (rc == FLV_OK) {
        rc = flv_profiles_find(profiles, NULL, &profile, err);
    }
    if (rc == FLV_OK) {
        rc = flv_client_conf_profile(&conf, &profile, err);
    }
    if (rc == FLV_OK) {
        rc = flv_client_create(&a->client, a->loop, &conf, err);
    }
    if (rc == FLV_OK) {
        rc = flv_client_connect(a->client, 0, on_connected, a, err);
    }
    flv_profiles_destroy(profiles);
    return rc;
}

int main(int argc, char **argv)
{
    static struct app a;
    struct flv_err err;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s TOPIC\n", argv[0]);
        return 2;
    }
    a.topic = argv[1];
    if (flv_loop_create(&a.loop, 0, &err) != FLV_OK) {
        (void)fprintf(stderr, "async: %s\n", err.text);
        return 1;
    }
    if (start(&a, &err) != FLV_OK) {
        finish(&a, &err);
    }
    flv_loop_run(a.loop);
    flv_loop_destroy(a.loop);
    return a.status;
}
