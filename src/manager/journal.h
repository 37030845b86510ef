/*
 * journal.h - changes on their way into the store, without stopping the loop.
 *
 * Purpose    Takes changes in order, writes what has gathered in one
 *            transaction on a thread of its own, and calls back when they are
 *            on disk. A group with an explicit change that fails is tried
 *            change by change, so that nobody pays for another's failure.
 * Threads    Loop thread; the store is used on a pool thread meanwhile.
 * Ownership  Changes are copied. `done` runs exactly once, later.
 * Errors     Of the store, to `done`. FLV_E_LIMIT from add: too much waits.
 */
#ifndef FLV_MANAGER_JOURNAL_H
#define FLV_MANAGER_JOURNAL_H

#include "loop/loop.h"
#include "manager/store.h"

struct flv_journal;

typedef void (*flv_journal_fn)(void *arg, const struct flv_err *err);

/* The store stays the caller's and is not to be used besides. */
FLV_CHECKED flv_rc flv_journal_create(struct flv_journal **out,
                                      struct flv_loop *loop,
                                      struct flv_mstore *store,
                                      struct flv_err *err);
/* done may be NULL: then a failure is only logged. */
FLV_CHECKED flv_rc flv_journal_add(struct flv_journal *j,
                                   const struct flv_mchange *change,
                                   flv_journal_fn done,
                                   void *arg,
                                   struct flv_err *err);
/* Writes what waits (blocks), calls every `done`, then ends. NULL allowed. */
void flv_journal_destroy(struct flv_journal *j);

#endif
