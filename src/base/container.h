/*
 * container.h - what two failures mean inside a container.
 *
 * Purpose    An image of this project holds one program: a server is never in
 *            it, and its users are not the host's. So a refused connection to
 *            a loopback address and an unreadable profile have one likely
 *            cause each there, and one remedy, which these sentences name.
 *            They go behind an error's text.
 * Threads    Any.
 * Ownership  The caller's buffers; static texts.
 * Errors     None: where nothing is to be said, the text is empty.
 * See        scripts/images, docs/packaging.md, tests/e2e/images.bats
 */
#ifndef FLV_BASE_CONTAINER_H
#define FLV_BASE_CONTAINER_H

#include <fluvio/err.h>
#include <stdbool.h>

/* The file that every image of this project has. */
#define FLV_CONTAINER_MARK "/etc/fluvio-image"
#define FLV_CONTAINER_HINT_MAX 112

/* This process runs in an image of this project. */
bool flv_container_here(void);

/* "; ..." for a connection that was refused; "" unless the address ("HOST" or
 * "HOST:PORT") is one of a loopback interface. */
const char *flv_container_refused(const char *address);

/* The same for a file that could not be opened with errno `sys`; "" unless
 * that is a matter of users, or of a folder in the file's place. */
void flv_container_unreadable(const char *path,
                              int sys,
                              char out[FLV_CONTAINER_HINT_MAX]);

#endif
