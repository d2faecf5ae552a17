/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/counters.h"

#define ROW(name, words, op, of, unit, meaning) {#name, words, COUNTER_##op, of, unit, meaning},
const struct counter rf_wait_counters[] = {RF_SECOND_COUNTERS(ROW) RF_STAGE_COUNTERS(ROW)
                                               RF_RUN_COUNTERS(ROW)};
#undef ROW
const uint32_t rf_wait_counter_count = sizeof rf_wait_counters / sizeof *rf_wait_counters;

void rf_counters_add(uint64_t *to, const uint64_t *from, uint32_t words)
{
    counters_add(rf_wait_counters, rf_wait_counter_count, words, to, from);
}
