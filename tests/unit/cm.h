/*
 * cm.h - cmocka with the headers it wants in front of it.
 *
 * Purpose    One include for the tests, in place of five.
 */
#ifndef FLV_TESTS_UNIT_CM_H
#define FLV_TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
