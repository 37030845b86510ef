/*
 * limits.h - what this machine can do at most: the rulers of bench/run.
 *
 * Purpose    The same work without us, each the shortest program that does it.
 *
 *     flv-bench disk     FOLDER SIZE SECONDS     write + fdatasync, appended
 *     flv-bench pages    FOLDER SIZE SECONDS     write alone, appended
 *     flv-bench turns    FOLDER SIZE FILES SECONDS   the same in turn to many
 *            files, and the CPU that each write takes
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
void turns(const char *const *argv);
void loopback(const char *const *argv);
void handoff(const char *const *argv);

#endif
