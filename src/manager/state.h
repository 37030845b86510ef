/*
 * state.h - what a connector is said to be, and the words for it.
 *
 * Purpose    The states of docs/rest.md, their names, and Kafka Connect's
 *            word for each.
 * Threads    Pure.
 * See        docs/rest.md
 */
#ifndef FLV_MANAGER_STATE_H
#define FLV_MANAGER_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, word, word of Kafka Connect) */
#define FLV_MSTATE_MAP(X)                                                      \
    X(CREATING, "Creating", "UNASSIGNED")                                      \
    X(RUNNING, "Running", "RUNNING")                                           \
    X(RETRYING, "Retrying", "RESTARTING")                                      \
    X(STALLED, "Stalled", "RUNNING")                                           \
    X(PAUSED, "Paused", "PAUSED")                                              \
    X(FAILED, "Failed", "FAILED")                                              \
    X(COMPLETED, "Completed", "STOPPED")                                       \
    X(STOPPING, "Stopping", "STOPPED")

#define FLV_MSTATE_ENUM(name, word, kafka) FLV_MSTATE_##name,
enum flv_mstate { FLV_MSTATE_MAP(FLV_MSTATE_ENUM) FLV_MSTATE_COUNT };
#undef FLV_MSTATE_ENUM

const char *flv_mstate_word(enum flv_mstate s);
const char *flv_mstate_kafka(enum flv_mstate s);

#endif
