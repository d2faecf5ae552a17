/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/counters.h"

#include <string.h>

#include "base/sums.h"

#define ROW(name, words, op, of, unit, meaning) {#name, words, COUNTER_##op, of, unit, meaning},
const struct counter rf_wait_counters[] = {RF_SECOND_COUNTERS(ROW) RF_STAGE_COUNTERS(ROW)
                                               RF_RUN_COUNTERS(ROW)};
const uint32_t rf_wait_counter_count = sizeof rf_wait_counters / sizeof *rf_wait_counters;
static const struct counter worker_counters[] = {RF_WORKER_COUNTERS(ROW)};
static const struct counter step_counters[] = {RF_STEP_COUNTERS(ROW)};
#undef ROW

void rf_worker_counters_clear(uint64_t *totals)
{
    for (uint32_t i = 0; i < RF_TOTAL_USED_WORDS; i++)
        totals[i] = worker_counters[i].op == COUNTER_KNOWN_SUM ? DS_UNKNOWN : 0;
}

void rf_worker_counters_add(uint64_t *to, const uint64_t *from)
{
    counters_add(worker_counters, RF_TOTAL_USED_WORDS, RF_TOTAL_USED_WORDS, to, from);
}

bool rf_worker_counters_possible(const uint64_t *totals)
{
    for (uint32_t i = 0; i < RF_TOTAL_USED_WORDS; i++) {
        if (worker_counters[i].op != COUNTER_KNOWN_SUM && totals[i] > RF_MOST_NS)
            return false;
    }
    return true;
}

void rf_counters_add(uint64_t *to, const uint64_t *from, uint32_t words)
{
    counters_add(rf_wait_counters, rf_wait_counter_count, words, to, from);
}

static bool times_are_possible(const struct counter *counters, uint32_t count,
                               const uint64_t *totals)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_time = strcmp(counters[i].unit, "ns") == 0;
        for (uint32_t k = 0; k < counters[i].words; k++, at++) {
            if (is_time && totals[at] > RF_MOST_NS)
                return false;
        }
    }
    return true;
}

bool rf_counters_possible(const uint64_t *totals)
{
    return times_are_possible(rf_wait_counters, rf_wait_counter_count, totals);
}

void rf_step_counters_add(uint64_t *to, const uint64_t *from)
{
    counters_add(step_counters, sizeof step_counters / sizeof *step_counters, RF_STEP_TOTAL_WORDS,
                 to, from);
}

bool rf_step_counters_possible(const uint64_t *totals)
{
    return times_are_possible(step_counters, sizeof step_counters / sizeof *step_counters,
                              totals) &&
           totals[RF_STEP_TOTAL_BEGIN_NS] <= totals[RF_STEP_TOTAL_END_NS] &&
           totals[RF_STEP_TOTAL_STATED] <= totals[RF_STEP_TOTAL_STEPS];
}

bool rf_counters_fit(const uint64_t *totals)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < rf_wait_counter_count; i++) {
        const bool whole = rf_wait_counters[i].op <= COUNTER_MIN;
        for (uint32_t k = 0; k < rf_wait_counters[i].words; k++, at++) {
            if (whole && totals[at] >= DS_MOST)
                return false;
        }
    }
    return true;
}
