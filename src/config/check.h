/*
 * check.h - all that is wrong with a connector's file, before it is used.
 *
 * Purpose    Reads a file of any dialect to its end and holds it against the
 *            descriptor of its type: names, types, ranges, choices, required
 *            and unknown and replaced settings, what is given twice, version,
 *            direction, secrets. What only the program can judge (its own
 *            check), catalogue/ask.h asks it.
 * Threads    No sharing.
 * Ownership  struct flv_checked owns file and report; the descriptor belongs
 *            to whoever `find` asked.
 * Errors     A failure means that nothing was checked (out of memory). What is
 *            wrong with the file is in the report, and the code is FLV_OK.
 *            Values of secrets are in no message.
 * See        docs/connectors.md, tests/unit/config/test_check.c
 */
#ifndef FLV_CONFIG_CHECK_H
#define FLV_CONFIG_CHECK_H

#include "config/connector_file.h"
#include "config/descriptor.h"
#include "config/report.h"

struct flv_check_conf {
    /* The descriptor of a type, or NULL: not installed. A sink may be asked
     * for as "foo-sink" where its program calls itself "foo". */
    const struct flv_descriptor *(*find)(void *arg, const char *type);
    /* Why a program of that name is there but of no use, or NULL. */
    const char *(*problem)(void *arg, const char *type);
    /* Name of the i-th installed type, NULL behind the last one. */
    const char *(*installed)(void *arg, size_t i);
    /* Is a setting given elsewhere, so that it may be missing here? Or NULL. */
    bool (*given)(void *arg, const char *name);
    void *arg;
    flv_secret_fn secret; /* NULL: there are none */
    void *secret_arg;
    bool secrets_open;       /* see connector_file.h */
    const char *secret_help; /* see connector_file.h */
};

struct flv_checked {
    struct flv_cfile file; /* texts that are missing in the file are NULL */
    const struct flv_descriptor *type; /* NULL: not installed */
    struct flv_report report;          /* sorted */
};

/* flv_checked_deinit() in any case. */
FLV_CHECKED flv_rc flv_check_text(struct flv_checked *out,
                                  struct flv_slice text,
                                  const struct flv_check_conf *conf,
                                  struct flv_err *err);
void flv_checked_deinit(struct flv_checked *c);

/* Takes what the program itself said, a line such as "error: endpoint: ..." or
 * "error: PATH:3:7: ...", into the report, with the place of the setting that
 * it names. `path` is the file's name as the program knows it. */
void flv_check_add_program(struct flv_checked *c,
                           const char *path,
                           const char *line);

/* 1 to 63 lower case letters, digits and '-', no '-' at either end. */
bool flv_topic_name_ok(const char *name);

#endif
