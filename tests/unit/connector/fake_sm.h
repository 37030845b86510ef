/*
 * fake_sm.h - an engine whose modules do what the records say.
 *
 * Purpose    Stands in for src/smartmodule where its threads and failures are
 *            the point: a chain of two steps that looks at the first letter of
 *            a value. Results are freed by the next call, as the contract of
 *            chain.h allows.
 *
 *              k keep    d two of it   f filter       e step 1 fails, in words
 *              t step 2 traps          r fails twice, then is kept
 *              h the host is out of memory            w waits for the test
 *              v waits for the test, then step 1 fails
 *
 * Threads    fake_sm_go(): any. The rest as chain.h.
 */
#ifndef FLV_TESTS_FAKE_SM_H
#define FLV_TESTS_FAKE_SM_H

#include <stdatomic.h>

#include "smartmodule/chain.h"

extern atomic_uint fake_sm_waits; /* records that wait or waited */
extern atomic_uint fake_sm_runs;  /* calls of flv_sm_chain_run() */

/* Lets every record that waits, and the next ones, go on. */
void fake_sm_go(void);
void fake_sm_reset(void);

#endif
