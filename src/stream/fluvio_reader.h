/*
 * fluvio_reader.h - partitions of a topic, for the driver `fluvio`.
 *
 * Purpose    A reader is a consumer of one partition; looking at a topic takes
 *            its number of partitions and the id of its creation together.
 * Threads    Loop thread only.
 * Ownership  A reader frees itself when it is closed, a look behind its
 *            answer. The client is borrowed: closing it answers looks with
 *            FLV_E_CANCELED; readers have to be closed before.
 * Errors     Those of client.h.
 */
#ifndef FLV_STREAM_FLUVIO_READER_H
#define FLV_STREAM_FLUVIO_READER_H

#include "stream/stream.h"

FLV_CHECKED flv_rc flv__fluvio_look(struct flv_client *client,
                                    const char *topic,
                                    flv_look_fn done,
                                    void *user,
                                    struct flv_err *err);
FLV_CHECKED flv_rc flv__fluvio_reader_open(struct flv_reader **out,
                                           struct flv_client *client,
                                           const struct flv_reader_conf *conf,
                                           struct flv_err *err);

#endif
