/*
 * topic_file.h - topics described in files.
 *
 * Purpose    Reads the YAML document of `topic create --config` and the JSON
 *            of `--replica-assignment` into a topic configuration.
 * Threads    One.
 * Ownership  *out borrows from the file and from it alone; it is valid until
 *            cli_topic_file_deinit().
 * Errors     FLV_E_INVALID with "file:line:column: sentence".
 */
#ifndef FLV_CLI_TOPIC_FILE_H
#define FLV_CLI_TOPIC_FILE_H

#include "base/arena.h"

#include <fluvio/client.h>

struct flv_doc;

struct cli_topic_file {
    struct flv_doc *doc;          /* owned */
    struct flv_replica *replicas; /* owned */
    int32_t *spus;                /* owned */
    struct flv_dedup dedup;
    struct flv_arena arena; /* owned: parameters */
};

/* A zeroed file is valid for deinit. */
void cli_topic_file_deinit(struct cli_topic_file *file);

FLV_CHECKED flv_rc cli_topic_file_read(const char *path,
                                       struct cli_topic_file *file,
                                       struct flv_topic_conf *out,
                                       struct flv_err *err);

/* [{"id": 0, "replicas": [5001]}, ...]; sets out's assignment. */
FLV_CHECKED flv_rc cli_assignment_read(const char *path,
                                       struct cli_topic_file *file,
                                       struct flv_topic_conf *out,
                                       struct flv_err *err);

#endif
