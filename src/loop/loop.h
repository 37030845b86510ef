/*
 * loop.h - the event loop, with what only this tree may know of it.
 *
 * Purpose    <fluvio/loop.h> and the door to libuv, which otherwise stays
 *            inside this room.
 * Threads    The loop's.
 * See        include/fluvio/loop.h
 */
#ifndef FLV_LOOP_LOOP_H
#define FLV_LOOP_LOOP_H

#include <fluvio/loop.h>

struct uv_loop_s;

/* For the few that must hook foreign libraries to the loop (http). */
struct uv_loop_s *flv_loop_uv(struct flv_loop *loop);

#endif
