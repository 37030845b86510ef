/*
 * ask.h - a connector's program judges a file, or looks at the far side.
 *
 * Purpose    Runs the program with --check or --probe on a text and secrets
 *            that it finds in inherited descriptors: neither is ever on a disk
 *            or a command line. What no option table can say (is this a web
 *            address?), the program does.
 * Threads    Loop thread only.
 * Ownership  The text and secrets are copied.
 * Errors     FLV_E_UNSUPPORTED: the program does not know the question.
 * See        config/check.h, tests/unit/catalogue/test_catalogue.c
 */
#ifndef FLV_CATALOGUE_ASK_H
#define FLV_CATALOGUE_ASK_H

#include "catalogue/catalogue.h"

/* What the program calls the file. */
#define FLV_ASK_PATH "/dev/fd/3"

enum flv_ask_outcome {
    FLV_ASK_FINE,   /* text: what a probe found, or "" */
    FLV_ASK_WRONG,  /* text: its sentence, for flv_check_add_program() */
    FLV_ASK_FAR,    /* a probe found the far side not as it should be */
    FLV_ASK_BROKEN, /* the program itself failed */
};

struct flv_question {
    struct flv_slice file;
    struct flv_slice secrets; /* lines NAME=VALUE, may be empty */
    bool probe;               /* look at the far side, too */
};

/* `text` is good for the call. */
typedef void (*flv_ask_done)(void *arg,
                             enum flv_ask_outcome outcome,
                             const char *text);

/* Asks whether the file is right. `done` runs once, never from inside. */
FLV_CHECKED flv_rc flv_ask(struct flv_loop *loop,
                           const struct flv_cat_entry *entry,
                           const struct flv_question *question,
                           flv_ask_done done,
                           void *arg,
                           struct flv_err *err);

#endif
