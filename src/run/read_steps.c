/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "run/reader.h"

static bool head_is_possible(const uint64_t *head)
{
    return head[RF_STEPS_CLOCK] <= RF_STEPS_CLOCK_CAPTURERS &&
           head[RF_STEPS_LOW_COUNT] < RF_STEPS_LOWS &&
           head[RF_STEPS_MEMORY_ALLOCATED] <= head[RF_STEPS_MEMORY_ALLOCATED_PEAK] &&
           head[RF_STEPS_MEMORY_RESERVED] <= head[RF_STEPS_MEMORY_RESERVED_PEAK];
}

/* Of a look that is counted in the line but not yet in the copy, or the other way round: at most all. */
static void take_lines(const uint64_t *entry, const struct rf_steps_layout *layout,
                       struct run_steps *view)
{
    for (uint64_t i = 0; i < layout->lines && view->line_count < RF_STEPS_LINES; i++) {
        struct rf_step_line *line = &view->lines[view->line_count];
        memcpy(line, entry + layout->lines_at + i * layout->line_words, sizeof *line);
        if (line->state != 1 || line->phase >= STEP_PHASE_COUNT || line->kind > RF_STEP_LINE_WORKS)
            continue;
        line->empty = ds_least(line->empty, line->seen); /* counted between the two readings */
        line->what[sizeof line->what - 1] = line->where[sizeof line->where - 1] = '\0';
        view->line_count++;
    }
}

#define ATTEMPTS 16

/* True when the head, the totals and the lines are there; possible: and belong to one another. */
static bool read_entry(struct run_reader *reader, uint64_t at, uint64_t *entry,
                       struct run_steps *view, bool *possible)
{
    const struct rf_steps_layout *layout = &reader->steps_layout;
    *possible = false;
    for (int attempt = 0; attempt < ATTEMPTS && !*possible; attempt++) {
        if (!rf_source_read(&reader->file.source, at, layout->words, entry))
            return false;
        *possible = rf_steps_totals(entry, layout, view->totals) && head_is_possible(entry);
    }
    return true;
}

bool run_reader_steps(struct run_reader *reader, uint64_t index, struct run_steps *view)
{
    const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_STEPS, index);
    uint64_t count = 0;
    memset(view, 0, sizeof *view);
    if (at == UINT64_MAX || !reader->has_steps)
        return false;
    if (rf_source_read(&reader->file.source, at + RF_STEPS_COUNT, 1, &count) && count == 0)
        return false; /* most entries */
    uint64_t *entry = malloc(reader->steps_layout.words * 8);
    bool possible = false;
    const bool there = entry != NULL && read_entry(reader, at, entry, view, &possible);
    if (possible) {
        memcpy(view->head, entry, sizeof view->head);
        take_lines(entry, &reader->steps_layout, view);
    } else if (entry != NULL) {
        run_reader_note(reader,
                        there ? "the steps of entry %llu contradict themselves"
                              : "the file ends within the steps of entry %llu",
                        (unsigned long long)index);
    }
    free(entry);
    return possible;
}
