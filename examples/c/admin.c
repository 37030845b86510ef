/* admin.c - make a topic unless it is there, list all, delete it.
 *
 *     admin ADDRESS TOPIC PARTITIONS     ADDRESS as in localhost:9003
 */
#include <fluvio/sync.h>
#include <stdio.h>

static flv_rc list(struct flv_sync *fluvio, struct flv_err *err)
{
    struct flv_sync_topics topics;
    size_t i;
    flv_rc rc = flv_sync_topics(fluvio, NULL, &topics, err);

    if (rc != FLV_OK) {
        return rc;
    }
    for (i = 0; i < topics.count; i++) {
        (void)printf("%s: %u partitions, compression %s\n", topics.at[i].name,
                     topics.at[i].partitions,
                     flv_compression_name(topics.at[i].compression));
    }
    flv_sync_topics_free(&topics);
    return FLV_OK;
}

int main(int argc, char **argv)
{
    struct flv_sync *fluvio = NULL;
    struct flv_sync_conf where;
    struct flv_topic_conf topic;
    unsigned partitions = 0;
    struct flv_err err;
    flv_rc rc;

    if (argc != 4 || sscanf(argv[3], "%u", &partitions) != 1) {
        (void)fprintf(stderr, "usage: %s ADDRESS TOPIC PARTITIONS\n", argv[0]);
        return 2;
    }
    memset(&where, 0, sizeof(where));
    where.address = argv[1];
    where.timeout_ms = 5000;
    topic = flv_topic_conf_default(argv[2]);
    topic.partitions = partitions;
    rc = flv_sync_open(&fluvio, &where, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_topic_create(fluvio, &topic, &err);
        if (rc == FLV_E_EXISTS) {
            (void)printf("%s\n", err.text);
            rc = FLV_OK;
        }
    }
    if (rc == FLV_OK) {
        rc = list(fluvio, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_sync_topic_delete(fluvio, argv[2], &err);
    }
    if (rc != FLV_OK) {
        (void)fprintf(stderr, "admin: %s\n", err.text);
    }
    flv_sync_close(fluvio);
    return rc == FLV_OK ? 0 : 1;
}
