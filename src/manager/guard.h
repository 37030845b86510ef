/*
 * guard.h - the small parent that brings a manager back.
 *
 * Purpose    Runs the manager in a child process, starts it again when it
 *            dies, passes signals on, and buries what the manager's death
 *            orphans.
 * Threads    One, before anything else is set up.
 * Ownership  The lock of the folder is held by both.
 * Errors     The exit status of the manager that ended in good order.
 */
#ifndef FLV_MANAGER_GUARD_H
#define FLV_MANAGER_GUARD_H

#include <stdbool.h>

/* Returns true in the child, which is to become the manager; false in the
 * parent at the end, with the exit status in *out_status. */
bool flv_guard(int *out_status);

#endif
