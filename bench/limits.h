/*
 * limits.h - what this machine can do at most: the rulers of bench/run.
 *
 * Purpose    The same work without us, each the shortest program that does it.
 *
 *     flv-bench disk     FOLDER SIZE SECONDS     write + fdatasync, appended
 *     flv-bench pages    FOLDER SIZE SECONDS     write alone, appended
 *     flv-bench intake   FOLDER SIZE GROUP FILES SECONDS   messages of SIZE
 *            from another process, over loopback TCP, with a check sum of
 *            each; GROUP of them in one write, to the FILES in turn. Prints
 *            the receiver's CPU for a message: what any server costs that
 *            keeps so many logs.
 *     flv-bench loopback SIZE SECONDS            one TCP connection, copied
 *     flv-bench handoff  FOLDER SIZE SECONDS     a message there and back: over
 *            loopback TCP to another process, whose one thread takes it off
 *            the socket, whose other one writes and syncs it, and an answer
 *            of 8 bytes the same way. What a server costs that never blocks
 *            where it listens, before it has done anything else.
 *
 * Units      Sizes in bytes. Files are removed; those of `pages` are cut off
 *            at 1 GiB and begun again.
 */
#ifndef FLV_BENCH_LIMITS_H
#define FLV_BENCH_LIMITS_H

void disk(const char *const *argv);
void pages(const char *const *argv);
void intake(const char *const *argv);
void loopback(const char *const *argv);
void handoff(const char *const *argv);

#endif
