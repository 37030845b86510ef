/*
 * sha1.h - SHA-1, which the WebSocket handshake asks for.
 *
 * Purpose    A pure function after FIPS 180-4. It proves that a server read
 *            our request, nothing more: SHA-1 is not fit for keeping secrets.
 * Threads    Any thread.
 */
#ifndef FLV_HTTP_SHA1_H
#define FLV_HTTP_SHA1_H

#include <fluvio/slice.h>
#include <stdint.h>

#define FLV_SHA1_SIZE 20
#define FLV_SHA1_BYTES_MAX 1024 /* of a text: no caller has more */

void flv__sha1(struct flv_slice text, uint8_t out[FLV_SHA1_SIZE]);

#endif
