/*
 * sift.h - `flv-bench sift`: reads a stream with or without a SmartModule.
 *
 * Purpose    The wire alone, so that both ways cost the reader the same.
 *
 *     flv-bench sift PORT TOPIC RECORDS WASM KEY=VALUE
 *
 *            PORT is that of the partition service; WASM and KEY=VALUE may be
 *            "-". Prints how long the first frame took and how many records
 *            were scanned and seen a second.
 */
#ifndef FLV_BENCH_SIFT_H
#define FLV_BENCH_SIFT_H

void sift(const char *const *argv);

#endif
