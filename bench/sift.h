/*
 * sift.h - `flv-bench sift` and `spin`: streams with SmartModules.
 *
 * Purpose    The wire alone, so that both ways cost the reader the same.
 *
 *     flv-bench sift PORT TOPIC RECORDS WASM KEY=VALUE
 *
 *            PORT is that of the partition service; WASM and KEY=VALUE may be
 *            "-". Prints how long the first frame took and how many records
 *            were scanned and seen a second.
 *
 *     flv-bench spin PORT TOPIC WASM STREAMS
 *
 *            Keeps so many streams open, one for each that its module ends;
 *            prints a word when the first has, and goes on until it is killed.
 */
#ifndef FLV_BENCH_SIFT_H
#define FLV_BENCH_SIFT_H

void sift(const char *const *argv);
void spin(const char *const *argv);

#endif
