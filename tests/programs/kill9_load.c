/*
 * kill9_load.c - produce numbered records with libfluvio until standard input
 * ends; print `ACK offset number` for each acknowledged one. The server may be
 * killed and started again at any time: this program never gives up by itself.
 *
 *     kill9-load TOPIC [HEAD TAIL]     the cluster of the active profile
 *
 * HEAD and TAIL stand around each number in its record.
 */
#include <fluvio/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>

#include "loop/loop.h"

enum { IN_FLIGHT = 64 };

struct slot {
    struct flv_send send;
    uint64_t number;
};

struct load {
    struct flv_loop *loop;
    struct flv_client *client;
    struct flv_producer *producer;
    struct slot slots[IN_FLIGHT];
    struct slot *idle[IN_FLIGHT];
    size_t idle_count;
    uint64_t next;
    const char *head, *tail; /* around a number */
    bool open, ending, closing;
    int status;
    struct flv_task ended; /* posted by the thread that reads stdin */
    struct flv_task more;
};

static struct load load;

static void closed(void *user)
{
    (void)user;
}

static void finish(int status)
{
    if (!load.closing) {
        load.closing = true;
        load.status = status;
        flv_client_close(load.client, closed, NULL);
    }
}

static void fail(const struct flv_err *err)
{
    fprintf(stderr, "kill9-load: %s\n", err->text);
    finish(1);
}

static void settled(struct flv_send *send, const struct flv_err *err)
{
    struct slot *slot = (struct slot *)send;

    load.idle[load.idle_count++] = slot;
    if (load.closing) {
        return;
    }
    if (err != NULL) {
        fail(err);
        return;
    }
    printf("ACK %lld %llu\n", (long long)send->offset,
           (unsigned long long)slot->number);
    fflush(stdout);
    flv_loop_defer(load.loop, &load.more);
}

static void produce(struct flv_task *task)
{
    struct flv_err err;

    (void)task;
    while (load.open && !load.ending && load.idle_count > 0) {
        struct slot *slot = load.idle[load.idle_count - 1];
        char text[512];
        struct flv_msg msg = {.partition = -1};
        flv_rc rc;

        snprintf(text, sizeof(text), "%s%llu%s", load.head,
                 (unsigned long long)load.next, load.tail);
        msg.value = flv_slice_str(text);
        slot->number = load.next;
        slot->send.done = settled;
        rc = flv_producer_send(load.producer, &msg, 1, &slot->send, &err);
        if (rc == FLV_E_BUSY) {
            return;
        }
        if (rc != FLV_OK) {
            fail(&err);
            return;
        }
        load.idle_count--;
        load.next++;
    }
    if (load.ending && !load.closing && load.idle_count == IN_FLIGHT) {
        finish(0);
    }
}

static void opened(void *user, const struct flv_err *err)
{
    (void)user;
    if (err != NULL) {
        fail(err);
        return;
    }
    load.open = true;
    produce(NULL);
}

static void connected(void *user, const struct flv_err *err)
{
    struct flv_producer_conf conf = flv_producer_conf_default(user);
    struct flv_err own;

    conf.delivery_timeout_ms = 0;
    if (err != NULL) {
        fail(err);
    } else if (flv_producer_open(&load.producer, load.client, &conf, opened,
                                 NULL, &own) != FLV_OK) {
        fail(&own);
    }
}

static void input_ended(struct flv_task *task)
{
    (void)task;
    load.ending = true;
    flv_loop_release(load.loop);
    produce(NULL);
}

static void *read_input(void *arg)
{
    char buf[256];

    (void)arg;
    while (read(STDIN_FILENO, buf, sizeof(buf)) > 0) {
    }
    if (flv_loop_post(load.loop, &load.ended) != FLV_OK) {
        abort();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct flv_client_conf conf;
    struct flv_profiles *profiles = NULL;
    struct flv_profile profile;
    struct flv_err err;
    pthread_t reader;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: kill9-load TOPIC [HEAD TAIL]\n");
        return 2;
    }
    load.head = argc == 4 ? argv[2] : "";
    load.tail = argc == 4 ? argv[3] : "";
    if (flv_profiles_load(&profiles, NULL, &err) != FLV_OK ||
        flv_profiles_find(profiles, NULL, &profile, &err) != FLV_OK ||
        flv_client_conf_profile(&conf, &profile, &err) != FLV_OK ||
        flv_loop_create(&load.loop, 0, &err) != FLV_OK) {
        fprintf(stderr, "kill9-load: %s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        load.idle[load.idle_count++] = &load.slots[i];
    }
    flv_task_init(&load.more, produce);
    flv_task_init(&load.ended, input_ended);
    conf.retry_max_ms = 100;
    if (flv_client_create(&load.client, load.loop, &conf, &err) != FLV_OK ||
        flv_client_connect(load.client, 5000, connected, argv[1], &err) !=
            FLV_OK) {
        fprintf(stderr, "kill9-load: %s\n", err.text);
        return 1;
    }
    flv_loop_hold(load.loop);
    if (pthread_create(&reader, NULL, read_input, NULL) != 0) {
        return 1;
    }
    flv_loop_run(load.loop);
    if (load.status == 0) {
        pthread_join(reader, NULL);
        flv_loop_destroy(load.loop);
    }
    flv_profiles_destroy(profiles);
    return load.status;
}
