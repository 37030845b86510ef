/*
 * systemd.h - the user's own systemd, where there is one.
 *
 * Purpose    Decides who brings the programs of a local cluster back: the
 *            systemd of this user (`systemd --user`), or guards (base/guard.h)
 *            alone. Runs and ends programs as units of that systemd: transient
 *            ones, of which nothing stays when they have ended in good order.
 * Threads    One; these calls block.
 * Ownership  Words are borrowed for the time of the call.
 * Errors     FLV_E_UNSUPPORTED: there is no such systemd, and why; FLV_E_IO:
 *            its own words; FLV_E_TIMEOUT.
 * Units      _ms
 * See        docs/operations.md, section systemd; tests/e2e/systemd.bats
 */
#ifndef FLV_CLI_SYSTEMD_H
#define FLV_CLI_SYSTEMD_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

/* What systemd takes, with the zero. */
#define CLI_UNIT_MAX 256

enum cli_supervisor { CLI_BY_ANY, CLI_BY_SYSTEMD, CLI_BY_GUARD };
/* "auto", "systemd", "guard" */
extern const char *const cli_supervisor_names[];

/* CLI_BY_ANY becomes systemd where it answers and stays when the user has
 * logged out (lingering), else the guard. Whoever asks for systemd gets it, or
 * an error that says what is missing. `unit` is a name of
 * cli_unit_name(). */
FLV_CHECKED flv_rc cli_supervisor_choose(enum cli_supervisor asked,
                                         const char *unit,
                                         enum cli_supervisor *out,
                                         struct flv_err *err);
/* Would it end with this user's last session? False, too, when nobody
 * knows. */
bool cli_systemd_leaves(void);

/* "PROGRAM-FOLDER.service", with '-' for each slash of the folder and _2d for a
 * '-': a name that a shell takes as it is. Empty when that is too long, or the
 * folder has a '$': systemd 252 loses words with one when it reloads. */
void cli_unit_name(const char *program,
                   const char *dir,
                   char out[CLI_UNIT_MAX]);

struct cli_unit {
    const char *name;
    const char *about;
    const char *const *settings; /* "Restart=on-failure"; ends with NULL */
    const char *log_file;        /* whole path */
    const char *rust_log;        /* NULL: as inherited */
    const char *program;         /* whole path */
    char *const *words;          /* behind the program; ends with NULL */
};
/* Returns when the program says that it is ready. One that did not start is
 * not tried again. There must be no such unit. */
FLV_CHECKED flv_rc cli_unit_run(const struct cli_unit *u,
                                uint32_t ready_ms_max,
                                struct flv_err *err);
/* Is there such a unit: running, about to be started again, or failed? */
bool cli_unit_exists(const char *name);
/* Ends it. What it may have left running is not its own any more. */
FLV_CHECKED flv_rc cli_unit_stop(const char *name,
                                 uint32_t ms_max,
                                 struct flv_err *err);
/* Waits until systemd has forgotten it, so that another can be run under its
 * name: a moment after its end, and not while what it left runs. */
bool cli_unit_gone(const char *name);
struct cli_unit_state {
    uint32_t restarts; /* since it was run */
    bool failed;       /* systemd has given it up */
    char result[32];   /* then why, in a word of systemd: "signal" */
};
/* False: there is none. */
bool cli_unit_look(const char *name, struct cli_unit_state *out);

#endif
