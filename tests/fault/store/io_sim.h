/*
 * io_sim.h - the crash twin of the I/O seam: a disk in memory.
 *
 * Purpose    Every file and directory has what programs see (the cache) and
 *            what would be there after a power cut (the disk). Calls change
 *            the cache and leave a list of pending changes; a sync carries
 *            the list over to the disk. sim_power_cut() keeps any subset of
 *            what is pending, sector by sector and name by name. A failed
 *            sync of a file forgets pending writes without writing them, as
 *            Linux does: they are read back until the power cut.
 * Threads    One.
 * Ownership  The caller owns the struct; sim_deinit() frees all it made. Open
 *            files have to be closed first.
 */
#ifndef FLV_TESTS_IO_SIM_H
#define FLV_TESTS_IO_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/io.h"

#define SIM_SECTOR 512

struct sim_node;

/* One of so many calls fails like this; 0: never. */
struct sim_faults {
    unsigned no_space; /* write (after a part), create, rename: ENOSPC */
    unsigned write;    /* EIO, after a part */
    unsigned sync;     /* EIO */
    unsigned names;    /* rename, unlink, create, list, sync_dir: EIO */
    unsigned read;     /* EIO */
    unsigned shorter;  /* write or read: less than asked */
};

struct sim {
    struct flv_io io; /* what store gets */
    struct sim_node *root;
    struct sim_node *nodes; /* all of them */
    uint64_t random;
    struct sim_faults faults;
    uint64_t space;   /* bytes that all files may have together */
    uint64_t calls;   /* made so far */
    uint64_t down_at; /* at this call the machine stops; 0: never */
    bool down;        /* it did: every call fails */
    bool frozen;      /* nobody may change anything */
    int ignored;      /* enum flv_sync that does nothing; -1: none */
    uint64_t syncs[FLV_SYNC_COUNT]; /* calls of each */
    unsigned open_files;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_deinit(struct sim *s);

uint64_t sim_random(struct sim *s);
/* 0 .. n - 1 */
uint64_t sim_below(struct sim *s, uint64_t n);

/* The process ends: nothing is lost that was written. All files are closed by
 * now. Calls work again. */
void sim_restart(struct sim *s);
/* The power fails: only what is on disk remains, and any subset of what is
 * pending. */
void sim_power_cut(struct sim *s);

/* Direct access for tests: the bytes of a file as programs see them, NULL if
 * there is no such file. Changing them changes what is read, nothing else. */
uint8_t *sim_bytes(struct sim *s, const char *path, size_t *len);
/* Makes or replaces a file, durable at once. Parents have to exist. */
void sim_put(struct sim *s, const char *path, const void *data, size_t len);
void sim_remove(struct sim *s, const char *path);
/* Makes a directory, durable at once. */
void sim_mkdir(struct sim *s, const char *path);
/* The i-th name in a directory in a fixed order, or NULL. */
const char *sim_name(struct sim *s, const char *dir, size_t i);
/* `to` becomes a copy of all that `from` shows, durable at once. */
void sim_copy(struct sim *to, struct sim *from);

#endif
