/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of many made-up inputs, and was looked at by somebody: a line per input in
 * tests/c/data/NAME.txt, with a digest of all that is said of it. A change of any figure or word shows,
 * also one that no row of a table was written for. To see what changed, have the texts written before and
 * after and compare them; if it is as it should be, approve it:
 *
 *     DATASTALL_TEST_SAID=/tmp/after build-test/tests/c/test_NAME      NAME-INPUT.txt, a file each
 *     DATASTALL_TEST_APPROVE=1 build-test/tests/c/test_NAME
 *
 * Reals are taken to six digits, since compilers need not agree on the last ones.
 */
#ifndef DATASTALL_TESTS_APPROVED_H
#define DATASTALL_TESTS_APPROVED_H

#include <stdint.h>
#include <stdio.h>

#include "base/emitter.h"

void approved_begin(const char *name);
/* The next input, and what is best known of it: it stands in the line beside the digest. */
void approved_input(void);
void approved_label(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What is said goes there, until the next input. */
FILE *approved_stream(void);
/* The same for a document. */
const struct emitter *approved_emitter(void);
/* Ends the test where anything else was approved. */
void approved_end(void);

/* ---- made-up inputs: the same in every run ---- */

void made_up_begin(uint64_t seed);
/* From then on parts are tenths and twentieths, and sizes powers of ten: limits are met exactly, and two
 * are often equal. */
void made_up_round(int is_round);
uint64_t made_up(void);
uint64_t made_up_below(uint64_t count); /* 0 for 0 */
/* One of so many times. */
int made_up_once_in(uint64_t times);
/* A share of it, 0 and all of it now and then. */
uint64_t made_up_part(uint64_t whole);
/* Of 2^low to 2^high, each power of two as often. */
uint64_t made_up_size(unsigned low, unsigned high);

#endif
