/*
 * meta_vfs.h - SQLite's files on the simulated disk.
 *
 * Purpose    A SQLite VFS that does what the one for unix does, call by call,
 *            on a struct sim: a handle that may have made its journal syncs
 *            the folder after its first sync of the file, and what comes of
 *            the folder's sync is not looked at. A file system whose folder
 *            cannot be synced has lost its own journal and stops: everything
 *            but reading fails until the power cut.
 * Threads    One; there is one VFS per process and one disk below it.
 * Ownership  The disk is the caller's, and outlives what is open on it.
 */
#ifndef FLV_TESTS_META_VFS_H
#define FLV_TESTS_META_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include "io_sim.h"

/* What the disk reports as done and leaves out, X(name, text). */
#define META_IGNORE_MAP(X)                                                     \
    X(DB, "sync of meta.db")                                                   \
    X(JOURNAL, "sync of the rollback journal")                                 \
    X(WAL, "sync of the write-ahead log")                                      \
    X(DIR, "sync of the folder")                                               \
    X(RESCUE_SYNC, "sync of the rewritten write-ahead log")                    \
    X(RESCUE_WRITE, "rewriting of the write-ahead log")

#define META_IGNORE_ENUM(name, text) META_##name,
enum meta_call { META_IGNORE_MAP(META_IGNORE_ENUM) META_CALL_COUNT };
#undef META_IGNORE_ENUM

#define META_IGNORE(call) (1u << META_##call)
/* Every sync. */
#define META_IGNORE_SYNCS                                                      \
    (META_IGNORE(DB) | META_IGNORE(JOURNAL) | META_IGNORE(WAL) |               \
     META_IGNORE(DIR) | META_IGNORE(RESCUE_SYNC))

struct meta_disk {
    struct sim sim;
    unsigned ignored; /* META_IGNORE()s, or'ed */
    bool stopped;     /* the file system; a power cut ends that */
    int sys;          /* errno of the last failed call */
    uint64_t random;  /* SQLite's */
    uint64_t count[META_CALL_COUNT];
};

const char *meta_call_text(enum meta_call call);

/* The disk of all that SQLite does from now on, in this process; also begins
 * SQLite's random numbers anew. */
void meta_disk_use(struct meta_disk *d, uint64_t seed);
/* As sim_power_cut(). */
void meta_disk_power_cut(struct meta_disk *d);

#endif
