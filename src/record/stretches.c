/* SPDX-License-Identifier: Apache-2.0 */
#include "record/stretches.h"

#include "base/clock.h"
#include "base/hot.h"
#include "base/unknown.h"

/* ---- a loader's entry ---- */

/* That of the loader, or an unused one, which is the loader's from now on. The caller holds the
 * monitor's mutex. */
static uint64_t *find_entry(struct stretches *s, const struct rf_section *section, uint32_t loader)
{
    for (uint32_t i = 0; i < section->entry_count && i < RF_STRETCH_LOADERS; i++) {
        uint64_t *entry = rf_entry(s->monitor->writer, RF_SECTION_STRETCHES, i);
        const uint64_t owner = ds_load(&entry[RF_STRETCH_LOADER]);
        s->place = i;
        if (owner == loader + UINT64_C(1))
            return entry;
        if (owner == 0) {
            ds_store(&entry[RF_STRETCH_EVERY], 1);
            ds_store_release(&entry[RF_STRETCH_LOADER], loader + UINT64_C(1));
            return entry;
        }
    }
    return NULL;
}

DS_WAIT_END static bool is_newest(const struct stretches *s)
{
    return s->entry != NULL && ds_load(&s->monitor->stretches_token[s->place]) == s->token;
}

static void add(uint64_t *word, uint64_t value)
{
    ds_store(word, ds_add(ds_load(word), value));
}

static uint64_t *stretch_at(const struct stretches *s, uint64_t place)
{
    return s->entry + s->layout.head_words + place * s->layout.stretch_at_words;
}

void stretches_open(struct stretches *s, datastall_monitor *monitor, uint32_t loader, bool again,
                    uint64_t iter_ns)
{
    const struct rf_section *section =
        rf_section_of(&monitor->writer->header, RF_SECTION_STRETCHES);
    *s = (struct stretches){.monitor = monitor, .again = again};
    if (loader == 0 || section == NULL || !rf_stretch_layout_of(section->geometry, &s->layout))
        return;
    pthread_mutex_lock(&monitor->mutex);
    s->entry = find_entry(s, section, loader);
    if (s->entry != NULL) {
        s->token = ds_load(&monitor->stretches_token[s->place]) + 1;
        ds_store(&monitor->stretches_token[s->place], s->token);
    }
    pthread_mutex_unlock(&monitor->mutex);
    if (s->entry == NULL)
        return;
    s->batch = ds_load(&s->entry[RF_STRETCH_BATCHES]);
    const uint64_t number = s->batch / s->layout.rows;
    for (uint64_t i = 0; s->batch % s->layout.rows != 0 && i < s->layout.stretches; i++) {
        if (ds_load(&stretch_at(s, i)[RF_STRETCH_NUMBER]) == number + 1)
            s->stretch = stretch_at(s, i);
    }
    add(&s->entry[again ? RF_STRETCH_AGAIN : RF_STRETCH_NEW], 1);
    s->iter_ns = ds_known_or_zero(iter_ns);
    add(&s->entry[again ? RF_STRETCH_AGAIN_ITER_NS : RF_STRETCH_NEW_ITER_NS], s->iter_ns);
}

/* ---- stretches ---- */

/* A place that is empty, or that of a stretch which is not kept any more. */
static uint64_t *free_place(const struct stretches *s, uint64_t every)
{
    for (uint64_t i = 0; i < s->layout.stretches; i++) {
        const uint64_t number = ds_load(&stretch_at(s, i)[RF_STRETCH_NUMBER]);
        if (number == 0 || (number - 1) % every != 0)
            return stretch_at(s, i);
    }
    return NULL;
}

DS_COLD static void begin_stretch(struct stretches *s, uint64_t now_ns)
{
    const uint64_t number = s->batch / s->layout.rows;
    uint64_t every = ds_load(&s->entry[RF_STRETCH_EVERY]);
    s->stretch = NULL;
    if (every == 0 || number % every != 0)
        return;
    uint64_t *place = free_place(s, every);
    if (place == NULL) {
        every *= 2;
        ds_store(&s->entry[RF_STRETCH_EVERY], every);
        if (number % every != 0)
            return;
        place = free_place(s, every);
    }
    if (place == NULL)
        return;
    ds_store(&place[RF_STRETCH_NUMBER], 0);
    ds_fence_release();
    ds_store(&place[RF_STRETCH_BEGIN_NS], now_ns);
    ds_store(&place[RF_STRETCH_BEGIN_CPU_NS], ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID));
    ds_store(&place[RF_STRETCH_END_NS], 0);
    ds_store(&place[RF_STRETCH_END_CPU_NS], 0);
    ds_store_release(&place[RF_STRETCH_NUMBER], number + 1);
    s->stretch = place;
}

DS_COLD static void mark_end(const struct stretches *s, uint64_t now_ns)
{
    if (s->stretch == NULL)
        return;
    ds_store(&s->stretch[RF_STRETCH_END_CPU_NS], ds_clock_ns_of(CLOCK_PROCESS_CPUTIME_ID));
    ds_store_release(&s->stretch[RF_STRETCH_END_NS], now_ns);
}

/* ---- batches ---- */

DS_WAIT_END static uint64_t pair_of(const uint32_t units[2])
{
    return units[0] | (uint64_t)units[1] << 32;
}

DS_WAIT_END static void write_row(struct stretches *s, const struct stretches_batch *batch,
                                  bool first, struct cause_row *row)
{
    uint64_t *words =
        s->stretch + s->layout.stretch_words + s->batch % s->layout.rows * s->layout.row_words;
    ds_store(&words[0], 0);
    ds_fence_release();
    for (uint32_t i = 0; i < RF_BATCH_TIMES; i += 2)
        ds_store(&words[1 + i / 2], pair_of(&batch->times[i]));
    row->row = words;
    row->word = rf_pack_batch(s->batch, first ? RF_BATCH_IS_FIRST : 0, batch->worker);
    ds_store_release(&words[0], row->word);
}

DS_WAIT_END void stretches_add(struct stretches *s, struct stretches_batch *batch,
                               struct cause_row *row)
{
    const bool first = s->since_ns == 0;
    row->row = NULL;
    if (DS_SELDOM(!is_newest(s)))
        return;
    const uint64_t waited_ns = batch->end_ns - batch->begin_ns;
    if (DS_SELDOM(first)) {
        add(&s->entry[s->again ? RF_STRETCH_AGAIN_FIRST_NS : RF_STRETCH_NEW_FIRST_NS], waited_ns);
        batch->times[RF_BATCH_ITER] = rf_stretch_units(s->iter_ns);
        s->since_ns = ds_load(&s->entry[RF_STRETCH_LAST_NS]); /* 0: the loader's very first */
    }
    batch->times[RF_BATCH_WAITED] = rf_stretch_units(waited_ns);
    batch->times[RF_BATCH_CONSUMED] =
        s->since_ns == 0 ? RF_STRETCH_UNKNOWN
                         : rf_stretch_units(ds_subtract(ds_subtract(batch->begin_ns, s->since_ns),
                                                        first ? s->iter_ns : 0));
    if (DS_SELDOM(s->batch % s->layout.rows == 0))
        begin_stretch(s, batch->begin_ns);
    if (s->stretch != NULL)
        write_row(s, batch, first, row);
    s->batch++;
    if (DS_SELDOM(s->batch % s->layout.rows == 0))
        mark_end(s, batch->end_ns);
    ds_store(&s->entry[RF_STRETCH_LAST_NS], batch->end_ns);
    ds_store_release(&s->entry[RF_STRETCH_BATCHES], s->batch);
    s->since_ns = batch->end_ns;
}

void stretches_end(struct stretches *s, uint64_t begin_ns, uint64_t end_ns)
{
    if (!is_newest(s))
        return;
    add(&s->entry[RF_STRETCH_ENDS], 1);
    add(&s->entry[RF_STRETCH_ENDS_NS], end_ns - begin_ns);
    if (s->since_ns != 0)
        add(&s->entry[RF_STRETCH_LAST_STEPS_NS], ds_subtract(begin_ns, s->since_ns));
}

void stretches_close(struct stretches *s)
{
    if (is_newest(s) && s->since_ns != 0 && s->batch % s->layout.rows != 0)
        mark_end(s, s->since_ns);
    s->entry = NULL;
}

DS_WAIT_END void stretches_exposed(const struct cause_row *row, const struct stall_bounds *exposed)
{
    const uint32_t pair[2] = {rf_stretch_units_known(exposed->lower_ns),
                              rf_stretch_units_known(exposed->upper_ns)};
    if (row->row != NULL && exposed->upper_ns != DS_UNKNOWN && ds_load(&row->row[0]) == row->word)
        ds_store(&row->row[1 + RF_BATCH_EXPOSED_LOWER / 2], pair_of(pair));
}
