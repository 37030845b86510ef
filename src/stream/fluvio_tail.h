/*
 * fluvio_tail.h - the last records of a topic, for the driver `fluvio`.
 *
 * Purpose    Reads the end of every partition and answers with the newest
 *            records of all, oldest first.
 * Threads    Loop thread only.
 * Ownership  A tail frees itself behind its answer; the stream keeps those
 *            that are open in a list.
 * Errors     FLV_E_LIMIT: more bytes than allowed. FLV_E_CANCELED: the stream
 *            was closed.
 */
#ifndef FLV_STREAM_FLUVIO_TAIL_H
#define FLV_STREAM_FLUVIO_TAIL_H

#include "stream/stream.h"

struct flv__tail;

FLV_CHECKED flv_rc flv__tail_open(struct flv__tail **list,
                                  struct flv_client *client,
                                  const struct flv_tail_conf *conf,
                                  flv_tail_fn done,
                                  void *user,
                                  struct flv_err *err);
/* Answers those that are open with FLV_E_CANCELED. */
void flv__tail_close_all(struct flv__tail *list);

#endif
