/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/steps.h"

#include <string.h>

void rf_steps_geometry(uint64_t geometry[RF_GEOMETRY_WORDS])
{
    memset(geometry, 0, RF_GEOMETRY_WORDS * sizeof *geometry);
    geometry[RF_STEPS_GEO_HEAD_WORDS] = RF_STEPS_HEAD_WORDS;
    geometry[RF_STEPS_GEO_COPIES] = RF_STEPS_COPIES;
    geometry[RF_STEPS_GEO_TOTAL_WORDS] = RF_STEP_TOTAL_WORDS;
    geometry[RF_STEPS_GEO_PHASES] = STEP_PHASE_COUNT;
    geometry[RF_STEPS_GEO_LINES] = RF_STEPS_LINES;
    geometry[RF_STEPS_GEO_LINE_WORDS] = RF_STEP_LINE_WORDS;
}

bool rf_steps_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS], struct rf_steps_layout *layout)
{
    struct rf_steps_layout *l = layout;
    *l = (struct rf_steps_layout){
        .head_words = geometry[RF_STEPS_GEO_HEAD_WORDS],
        .copies = geometry[RF_STEPS_GEO_COPIES],
        .total_words = geometry[RF_STEPS_GEO_TOTAL_WORDS],
        .lines = geometry[RF_STEPS_GEO_LINES],
        .line_words = geometry[RF_STEPS_GEO_LINE_WORDS],
    };
    if (l->head_words < RF_STEPS_HEAD_WORDS || l->head_words > 1024 || l->copies < 4 ||
        l->copies > 1024 || (l->copies & (l->copies - 1)) != 0 ||
        l->total_words < RF_STEP_TOTAL_WORDS || l->total_words > 1024 ||
        geometry[RF_STEPS_GEO_PHASES] != STEP_PHASE_COUNT || l->lines > 1024 ||
        l->line_words < RF_STEP_LINE_WORDS || l->line_words > 1024)
        return false;
    l->totals_at = l->head_words;
    l->lines_at = l->totals_at + l->copies * l->total_words;
    l->words = l->lines_at + l->lines * l->line_words;
    return true;
}

#define ATTEMPTS 8

bool rf_steps_totals(const uint64_t *entry, const struct rf_steps_layout *layout,
                     uint64_t totals[RF_STEP_TOTAL_WORDS])
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        memset(totals, 0, RF_STEP_TOTAL_WORDS * sizeof *totals);
        const uint64_t count = ds_load_acquire(&entry[RF_STEPS_COUNT]);
        if (count == 0)
            return true;
        ds_copy_words(totals,
                      entry + layout->totals_at +
                          (count & (layout->copies - 1)) * layout->total_words,
                      RF_STEP_TOTAL_WORDS);
        ds_fence_acquire();
        /* The copy after the newest is the one being written. */
        if (ds_load(&entry[RF_STEPS_COUNT]) - count < layout->copies - 1)
            return totals[RF_STEP_TOTAL_COUNT] == count && rf_step_counters_possible(totals);
    }
    return false;
}
