/*
 * catalogue.h - the connectors of this machine, and what each is.
 *
 * Purpose    Finds every program fluvio-connect-NAME beside the running one
 *            and in PATH, asks each with --describe, several at a time and
 *            with a time limit, and keeps the answers. What gives no usable
 *            answer is listed with the reason. Knows nothing of how connectors
 *            run.
 * Threads    Loop thread only. Looking through the folders blocks briefly.
 * Ownership  The catalogue owns its entries; an entry that did not change on
 *            disk is kept by a refresh, others are good until the next one.
 * Errors     FLV_E_BUSY: a refresh is under way.
 * Units      ms.
 * See        docs/connectors.md, tests/unit/catalogue/test_catalogue.c
 */
#ifndef FLV_CATALOGUE_CATALOGUE_H
#define FLV_CATALOGUE_CATALOGUE_H

#include <sys/stat.h>

#include "config/check.h"
#include "config/descriptor.h"
#include "loop/loop.h"

#define FLV_CATALOGUE_MAX 256

struct flv_catalogue;

struct flv_cat_entry {
    char *path;                            /* owned; of the program */
    char name[FLV_CONNECTOR_NAME_MAX + 1]; /* NAME of its file */
    struct flv_descriptor descriptor;      /* owned; empty with a problem */
    char problem[FLV_ERR_TEXT_MAX];        /* "": none */
    /* Private: what the file was when it was asked. */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
    bool asked;
};

struct flv_catalogue_conf {
    const char *folders; /* "a:b"; NULL: beside this program, then PATH */
    uint32_t timeout_ms; /* for one answer; 0: 3 s */
    unsigned parallel;   /* programs asked at once; 0: 8 */
};

FLV_CHECKED flv_rc flv_catalogue_create(struct flv_catalogue **out,
                                        const struct flv_catalogue_conf *conf,
                                        struct flv_err *err);
/* Not while a refresh is under way. NULL is allowed. */
void flv_catalogue_destroy(struct flv_catalogue *c);

/* Looks for programs, asks those that are new or changed (with `all`: every
 * one), forgets those that are gone. `done` runs once, never from inside. */
FLV_CHECKED flv_rc flv_catalogue_refresh(struct flv_catalogue *c,
                                         struct flv_loop *loop,
                                         bool all,
                                         void (*done)(void *arg),
                                         void *arg,
                                         struct flv_err *err);

/* Sorted by name. */
size_t flv_catalogue_count(const struct flv_catalogue *c);
const struct flv_cat_entry *flv_catalogue_at(const struct flv_catalogue *c,
                                             size_t i);
/* NULL: there is no such program. It may have a problem. A name with -source or
 * -sink also finds the program that is called without it. */
const struct flv_cat_entry *flv_catalogue_find(const struct flv_catalogue *c,
                                               const char *name);

/* Sets find, problem, installed and arg. */
void flv_catalogue_check(struct flv_catalogue *c, struct flv_check_conf *conf);

#endif
