/*
 * dir.h - the folder that one manager owns.
 *
 * Purpose    Makes and locks it, keeps the token, says to others where the
 *            manager is, and makes the sockets on which it listens.
 * Threads    At the start and the end; blocks on disk.
 * Ownership  The caller owns struct flv_mdir; it owns its descriptors.
 * Errors     FLV_E_LOCKED names the holder; FLV_E_EXISTS: the port is taken.
 * See        docs/rest.md for what lies in the folder
 */
#ifndef FLV_MANAGER_DIR_H
#define FLV_MANAGER_DIR_H

#include <fluvio/err.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FLV_MDIR_PATH_MAX 3072
#define FLV_TOKEN_MAX 65

struct flv_mdir {
    char path[FLV_MDIR_PATH_MAX]; /* absolute */
    int fd, lock_fd;              /* -1: closed */
    char token[FLV_TOKEN_MAX];
};

/* Makes and locks the folder. The lock goes on to children by fork. */
FLV_CHECKED flv_rc flv_mdir_open(struct flv_mdir *d,
                                 const char *path,
                                 struct flv_err *err);
void flv_mdir_close(struct flv_mdir *d);
/* Reads the token, or makes one. */
FLV_CHECKED flv_rc flv_mdir_token(struct flv_mdir *d, struct flv_err *err);
/* The listening unix socket DIR/manager.sock, in *out_fd. */
FLV_CHECKED flv_rc flv_mdir_socket(const struct flv_mdir *d,
                                   int *out_fd,
                                   struct flv_err *err);
/* A listening socket on 127.0.0.1; port 0: any free one. */
FLV_CHECKED flv_rc flv_mdir_tcp(uint16_t port,
                                int *out_fd,
                                uint16_t *out_port,
                                struct flv_err *err);

struct flv_mdir_public {
    pid_t guard; /* 0: none */
    uint16_t port;
    const char *cluster; /* NULL: the active profile's */
};
FLV_CHECKED flv_rc flv_mdir_publish(const struct flv_mdir *d,
                                    const struct flv_mdir_public *p,
                                    struct flv_err *err);
void flv_mdir_unpublish(const struct flv_mdir *d);

#endif
