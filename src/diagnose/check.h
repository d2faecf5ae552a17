/* SPDX-License-Identifier: Apache-2.0 */
/* `--check 'idle<5'`: conditions on a summary, for scripts and CI. Pure. */
#ifndef DATASTALL_DIAGNOSE_CHECK_H
#define DATASTALL_DIAGNOSE_CHECK_H

#include "diagnose/summary.h"

enum check_result { CHECK_HOLDS, CHECK_FAILS, CHECK_UNKNOWN, CHECK_INVALID };

/* condition: FIGURE OP NUMBER with OP one of < <= > >=, and FIGURE one of
 *   idle   percent of the window in which the GPU was not busy; of several GPUs that did
 *          anything, the worst
 *   stall  percent of the window spent waiting for data; of several processes the worst
 *   p50, p95, p99, max, mean   steady waits in milliseconds; of several loaders the worst
 * A trailing "%" or "ms" is allowed where it fits. sentence (size bytes) receives one line about
 * the outcome, whatever it is. An unknown figure never holds. */
enum check_result check_condition(const struct summary *summary, const char *condition,
                                  char *sentence, size_t size);

#endif
