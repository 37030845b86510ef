/*
 * tool.h - what the programs of bench/ share.
 *
 * Purpose    Arguments, percentiles, an end with a reason.
 * Errors     None comes back: a measurement that fails ends the program with
 *            status 1 and one line on stderr.
 */
#ifndef FLV_BENCH_TOOL_H
#define FLV_BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *what);
/* 1 to max. */
uint64_t number(const char *text, uint64_t max);
void *need(void *memory);
/* Of this process, user and system. */
double cpu_seconds(void);
/* Sorts; permille 500 is the median. */
double percentile_us(uint64_t *ns, size_t count, unsigned permille);
/* Bytes that are neither all alike nor different each time; flv_free(). */
uint8_t *make_record(size_t size);

#endif
