/*
 * datadir.h - the folder that one server owns.
 *
 * Purpose    Creates, recognises and locks a data directory:
 *                DIR/VERSION       the marker: which format, made by whom
 *                DIR/lock          pid of the holder, locked while it lives
 *                DIR/meta.db       topics and consumer offsets (metadb.h)
 *                DIR/topics/ID/P/  the log of partition P of topic ID
 *                DIR/server.json   pid and ports of the running server
 *                DIR/guard.json    how it died, when a guard saw it die
 *            Anything else at the top level makes the folder foreign: it is
 *            then refused before a single byte is written.
 * Threads    Any, one at a time.
 * Ownership  The caller owns struct flv_datadir; it owns its descriptors.
 * Errors     FLV_E_LOCKED names the holder; FLV_E_UNSUPPORTED a newer
 *            format; FLV_E_INVALID a foreign folder; FLV_E_IO the rest.
 * See        docs/server.md, tests/unit/server/test_datadir.c
 */
#ifndef FLV_SERVER_DATADIR_H
#define FLV_SERVER_DATADIR_H

#include <fluvio/err.h>
#include <stdint.h>

#define FLV_DATADIR_FORMAT 1
#define FLV_DATADIR_PATH_MAX 3072

enum flv_datadir_mode {
    FLV_DATADIR_SERVE, /* made when missing, locked exclusively */
    FLV_DATADIR_CHECK, /* must exist, locked shared, nothing is written */
};

struct flv_datadir {
    char path[FLV_DATADIR_PATH_MAX]; /* absolute */
    int fd;                          /* of the folder itself, -1 when closed */
    int lock_fd;                     /* -1 when there is nothing to hold */
};

FLV_CHECKED flv_rc flv_datadir_open(struct flv_datadir *dir,
                                    const char *path,
                                    enum flv_datadir_mode mode,
                                    struct flv_err *err);
void flv_datadir_close(struct flv_datadir *dir);

/* "DIR/topics/ID/P" into out (size FLV_DATADIR_PATH_MAX + 64). */
#define FLV_DATADIR_LOG_PATH_MAX (FLV_DATADIR_PATH_MAX + 64)
void flv_datadir_log_path(const struct flv_datadir *dir,
                          uint64_t topic_id,
                          uint32_t partition,
                          char *out);

/* DIR/topics/ID, synced; the partitions' folders are made by the store. An
 * existing folder is kept. Blocks. */
FLV_CHECKED flv_rc flv_datadir_make_topic(const struct flv_datadir *dir,
                                          uint64_t topic_id,
                                          struct flv_err *err);

/* Removes DIR/topics/ID with everything below it; missing is success.
 * Blocks. */
FLV_CHECKED flv_rc flv_datadir_remove_topic(const struct flv_datadir *dir,
                                            uint64_t topic_id,
                                            struct flv_err *err);

/* Calls fn with the id of each folder below DIR/topics. */
FLV_CHECKED flv_rc flv_datadir_each_topic(const struct flv_datadir *dir,
                                          void (*fn)(uint64_t topic_id,
                                                     void *arg),
                                          void *arg,
                                          struct flv_err *err);

/* The lock names this process from now on: it was inherited. */
FLV_CHECKED flv_rc flv_datadir_claim(const struct flv_datadir *dir,
                                     struct flv_err *err);

/* Replaces DIR/guard.json, which stays until a server that was started anew
 * serves, or ends in good order. */
struct flv_guard_death;
void flv_datadir_note_death(const struct flv_datadir *dir,
                            const struct flv_guard_death *d);
void flv_datadir_forget_deaths(const struct flv_datadir *dir);

/* Replaces DIR/server.json (metrics_port, guard 0: there is none); readers see
 * the old file or the new one. */
FLV_CHECKED flv_rc flv_datadir_publish(const struct flv_datadir *dir,
                                       uint16_t sc_port,
                                       uint16_t spu_port,
                                       uint16_t metrics_port,
                                       long guard,
                                       const char *advertise,
                                       struct flv_err *err);
void flv_datadir_unpublish(const struct flv_datadir *dir);

#endif
