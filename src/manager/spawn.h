/*
 * spawn.h - one child process, started the careful way.
 *
 * Purpose    fork and exec with signals, descriptors, limits and session as a
 *            connector shall find them; processes that still hold a file.
 *            Private to this room.
 * Threads    Any; other threads may run meanwhile.
 * Ownership  Descriptors stay the caller's.
 * Errors     FLV_E_IO with errno: the kernel gives no process.
 */
#ifndef FLV_MANAGER_SPAWN_H
#define FLV_MANAGER_SPAWN_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct flv_spawn {
    const char *program; /* path */
    char *const *argv, *const *envp;
    int in_fd; /* -1: /dev/null */
    int out_fd, err_fd;
    int keep[4]; /* stay open in the child; -1: none */
    int pid_fd;  /* gets the child's pid as text; -1: none */
    uint64_t memory_bytes_max, files_max; /* 0: as they are */
};

/* The child leads a session and a process group of its own. */
FLV_CHECKED flv_rc flv__spawn(const struct flv_spawn *s,
                              pid_t *out,
                              struct flv_err *err);

/* Sends the signal to every process but this one that has the file open;
 * 0 only counts. Returns how many there are. */
unsigned flv__signal_holders(const struct stat *file, int signum);
/* Does the process have the file open? */
bool flv__holds(pid_t pid, const struct stat *file);
/* SIGKILL to all members of a session whose leader is gone. */
void flv__kill_session(pid_t session);
int flv__pidfd_open(pid_t pid);

#endif
