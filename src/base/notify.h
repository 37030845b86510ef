/*
 * notify.h - telling systemd how a service is.
 *
 * Purpose    One datagram to the socket that NOTIFY_SOCKET names. The protocol
 *            is made to be spoken without a library: sd_notify(3), section
 *            "Standalone Implementations".
 * Threads    Any.
 * Errors     None: without systemd there is nobody to tell, and a service does
 *            not end because it was not heard.
 */
#ifndef FLV_BASE_NOTIFY_H
#define FLV_BASE_NOTIFY_H

#include <stdbool.h>

/* "READY=1", "STOPPING=1", "STATUS=..."; true when it was sent. */
bool flv_notify(const char *state);

#endif
