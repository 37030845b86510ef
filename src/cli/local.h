/*
 * local.h - the one local cluster of this user: where it is, whether it runs.
 *
 * Purpose    Finds folders, starts fluvio-server in the background, finds the
 *            process that holds the data directory, stops it, removes data.
 * Threads    One; these calls block.
 * Ownership  The caller owns struct cli_local.
 * Errors     Sentences that name the folder, the process or the log file.
 * See        src/server/datadir.h for what a data directory holds
 */
#ifndef FLV_CLI_LOCAL_H
#define FLV_CLI_LOCAL_H

#include "base/bytes.h"
#include "cli/systemd.h"

#include <stdbool.h>
#include <sys/types.h>

#define CLI_PATH_MAX 3072

struct cli_local {
    char data_dir[CLI_PATH_MAX]; /* absolute */
    char log_dir[CLI_PATH_MAX];  /* absolute */
    char log_file[CLI_PATH_MAX + 32];
    char manager_dir[CLI_PATH_MAX + 32]; /* in the data folder */
    char manager_log[CLI_PATH_MAX + 32];
    /* The manager's own profile, where the cluster speaks TLS. */
    char manager_profile[CLI_PATH_MAX + 64];
    /* What they are called where systemd runs them; empty: it cannot. */
    char server_unit[CLI_UNIT_MAX], manager_unit[CLI_UNIT_MAX];
};

/* The folders that were given, else those of the last start (when `recorded`),
 * else ~/.fluvio/data and ~/.fluvio/log. Nothing is created. */
FLV_CHECKED flv_rc cli_local_find(struct cli_local *l,
                                  const char *data_dir,
                                  const char *log_dir,
                                  bool recorded,
                                  struct flv_err *err);

/* The two programs of a cluster. */
enum cli_part { CLI_SERVER, CLI_MANAGER };

struct cli_holder {
    bool held;             /* somebody has the folder locked */
    pid_t pid;             /* 0: held, but by nobody we can see */
    pid_t guard;           /* who brings it back; 0: nobody. May be pid, too */
    uint16_t metrics_port; /* of the server; 0: none */
    uint16_t port;         /* of the SC, or of the REST API; 0: unknown */
    char cluster[300];     /* the manager's; "": the active profile's */
};
/* Who holds the data directory? A folder without a lock is held by nobody. */
FLV_CHECKED flv_rc cli_local_holder(const struct cli_local *l,
                                    struct cli_holder *out,
                                    struct flv_err *err);
/* The same for the manager's folder. */
FLV_CHECKED flv_rc cli_manager_holder(const struct cli_local *l,
                                      struct cli_holder *out,
                                      struct flv_err *err);

struct cli_server_conf {
    const char *rust_log;  /* NULL: as inherited */
    const char *bind;      /* NULL: the server's default */
    const char *advertise; /* NULL: the server's default */
    uint16_t sc_port;
    uint16_t spu_port;
    bool insecure;
    bool as_unit;             /* of systemd; else in the background */
    const char *metrics_addr; /* NULL: none */
    /* Whole paths; NULL: plain TCP. */
    const char *tls_cert, *tls_key, *tls_client_ca, *policy;
};
/* One start at a time for this user: waits for one that is under way. Closing
 * *out_fd lets the next one in. */
FLV_CHECKED flv_rc cli_local_lock(int *out_fd, struct flv_err *err);
/* Creates the folders and remembers them for the commands that follow. */
FLV_CHECKED flv_rc cli_local_prepare(const struct cli_local *l,
                                     struct flv_err *err);
/* Starts the server and returns when it serves (launch.c). */
FLV_CHECKED flv_rc cli_local_start(const struct cli_local *l,
                                   const struct cli_server_conf *conf,
                                   struct cli_holder *out,
                                   struct flv_err *err);
/* Starts the manager for the cluster at that address, or for that of its own
 * profile if it has one; FLV_E_NOT_FOUND: it is not installed. */
FLV_CHECKED flv_rc cli_manager_start(const struct cli_local *l,
                                     const char *cluster,
                                     const char *rust_log,
                                     bool as_unit,
                                     struct flv_err *err);
/* What guard.json says of the server's last death. */
struct cli_deaths {
    unsigned row;  /* in a row */
    bool given_up; /* and not started again */
    int64_t wall_s;
    char why[256];
};
/* False: it has not died since it was started. */
bool cli_local_deaths(const struct cli_local *l, struct cli_deaths *out);
/* Do connectors run that no manager holds? */
bool cli_manager_orphans(const struct cli_local *l);
/* SIGTERM to the holder, after making sure that it is one, then waits until
 * the process is gone. */
FLV_CHECKED flv_rc cli_local_stop(const struct cli_local *l,
                                  enum cli_part part,
                                  const struct cli_holder *holder,
                                  struct flv_err *err);
/* Removes the data of a directory that is marked as ours and not in use.
 * *out_removed is false when there was nothing. */
FLV_CHECKED flv_rc cli_local_remove(const struct cli_local *l,
                                    bool *out_removed,
                                    struct flv_err *err);

#endif
