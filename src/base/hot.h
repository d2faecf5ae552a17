/* SPDX-License-Identifier: Apache-2.0 */
/* What runs for every batch lies together in the program, apart from what runs once in a while. After
 * a step of the host's program none of it is in a cache: what counts is how many lines and pages are
 * touched, and not how many instructions run. */
#ifndef DATASTALL_BASE_HOT_H
#define DATASTALL_BASE_HOT_H

/* A function that runs for every batch, and one that is called from such and hardly ever runs. */
#define DS_HOT __attribute__((hot))
#define DS_COLD __attribute__((cold, noinline))

/* A small variable of the process that is read for every batch. */
#define DS_HOT_DATA __attribute__((section("datastall_hot")))

#endif
