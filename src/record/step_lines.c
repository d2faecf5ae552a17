/* SPDX-License-Identifier: Apache-2.0 */
#include "record/step_lines.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/sums.h"
#include "base/text.h"

static struct step_line_seen *place_for(struct steps *s, uint64_t interval, uint64_t kind,
                                        const char *what, const char *where)
{
    struct step_line_seen *empty = NULL;
    for (uint32_t i = 0; i < STEP_LINES_PENDING; i++) {
        struct step_line_seen *line = &s->pending[i];
        if (line->interval == interval && line->kind == kind && strcmp(line->what, what) == 0 &&
            strcmp(line->where, where) == 0)
            return line;
        if (line->interval == 0 && empty == NULL)
            empty = line;
    }
    if (empty == NULL)
        return NULL;
    *empty = (struct step_line_seen){.interval = interval, .kind = kind};
    strcpy(empty->what, what);
    strcpy(empty->where, where);
    return empty;
}

void step_lines_seen(struct steps *s, uint64_t interval, enum rf_step_line_kind kind,
                     const char *what, const char *where, bool empty)
{
    char cut_what[sizeof s->pending->what], cut_where[sizeof s->pending->where];
    ds_copy_text(cut_what, sizeof cut_what, what);
    ds_copy_text(cut_where, sizeof cut_where, where);
    struct step_line_seen *line = place_for(s, interval, kind, cut_what, cut_where);
    if (line == NULL)
        return;
    line->seen++;
    line->empty += empty;
}

/* The row of the file for it, a free one at its first time; NULL: there is none left. */
static struct rf_step_line *row_for(struct steps *s, uint64_t phase,
                                    const struct step_line_seen *line)
{
    const uint64_t most = line->kind == RF_STEP_LINE_WORKS
                              ? ds_least(s->layout.lines, RF_STEPS_WORK_LINES)
                              : s->layout.lines;
    for (uint64_t i = 0; i < most; i++) {
        struct rf_step_line *row = (struct rf_step_line *)(void *)(s->entry + s->layout.lines_at +
                                                                   i * s->layout.line_words);
        if (ds_load(&row->state) == 1 && row->phase == phase && row->kind == line->kind &&
            memcmp(row->what, line->what, sizeof row->what) == 0 &&
            memcmp(row->where, line->where, sizeof row->where) == 0)
            return row;
        if (ds_load(&row->state) == 1)
            continue;
        ds_store(&row->phase, phase);
        ds_store(&row->kind, line->kind);
        rf_write_words((uint64_t *)(void *)row->what, line->what, sizeof row->what);
        rf_write_words((uint64_t *)(void *)row->where, line->where, sizeof row->where);
        ds_store_release(&row->state, 1);
        return row;
    }
    return NULL;
}

/* Elsewhere the program's own code is the loader's (input), or what torch calls. */
static bool is_told(uint64_t phase, const struct step_line_seen *line)
{
    return line->kind == RF_STEP_LINE_WAITS || phase == STEP_FORWARD || phase == STEP_GRADIENTS ||
           phase == STEP_NO_BACKWARD || phase == STEP_BETWEEN;
}

static void count(struct steps *s, uint64_t phase, const struct step_line_seen *line)
{
    struct rf_step_line *row = is_told(phase, line) ? row_for(s, phase, line) : NULL;
    if (row == NULL)
        return;
    /* This order, and a reader's the other way round: never more empty than seen. */
    ds_store_release(&row->seen, ds_load(&row->seen) + line->seen);
    ds_store_release(&row->empty, ds_load(&row->empty) + line->empty);
}

void step_lines_settle(struct steps *s)
{
    const uint64_t under_way = ds_load_acquire(&s->interval);
    ds_fault_guard_keep(ds_now_ns());
    for (uint32_t i = 0; i < STEP_LINES_PENDING; i++) {
        struct step_line_seen *line = &s->pending[i];
        if (line->interval == 0 || line->interval >= under_way)
            continue;
        const uint64_t known = ds_load(&s->phases[line->interval % STEP_PHASES_KEPT]);
        if (known >> 8 == line->interval)
            count(s, known & 0xff, line);
        line->interval = 0; /* too late: its phase is forgotten */
    }
}
