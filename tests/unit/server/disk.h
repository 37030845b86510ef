/*
 * disk.h - the real disk with switches, for tests with a server.
 *
 * Purpose    Lets the disk of a server that runs in a process of its own fail,
 *            stop and tell: the switches are in memory that both share.
 * Threads    disk_init() before the server is started; the switches by anyone.
 * Ownership  One at a time; disk_deinit() when its server has ended.
 * Errors     What must not happen fails the test from inside the helper.
 */
#ifndef FLV_TESTS_SERVER_DISK_H
#define FLV_TESTS_SERVER_DISK_H

#include "store/io.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

struct disk {
    atomic_bool full;       /* writes fail with ENOSPC */
    atomic_bool sync_fails; /* fdatasync fails with EIO */
    atomic_bool holds;      /* the next read tells `stopped`, waits for `go` */
    sem_t stopped, go;
    sem_t flushes; /* of page-cache topics, one after the other */
};

struct disk *disk_init(void);
void disk_deinit(void);
/* For the server's configuration. */
struct flv_io *disk_io(void);

#endif
