/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/stretches.h"

#include <string.h>

void rf_stretch_geometry(uint64_t geometry[RF_GEOMETRY_WORDS])
{
    memset(geometry, 0, RF_GEOMETRY_WORDS * sizeof *geometry);
    geometry[RF_STRETCH_GEO_STRETCHES] = RF_STRETCHES;
    geometry[RF_STRETCH_GEO_ROWS] = RF_STRETCH_ROWS;
    geometry[RF_STRETCH_GEO_HEAD_WORDS] = RF_STRETCH_HEAD_WORDS;
    geometry[RF_STRETCH_GEO_STRETCH_WORDS] = RF_STRETCH_WORDS;
    geometry[RF_STRETCH_GEO_ROW_WORDS] = RF_STRETCH_ROW_WORDS;
}

bool rf_stretch_layout_of(const uint64_t geometry[RF_GEOMETRY_WORDS],
                          struct rf_stretch_layout *layout)
{
    struct rf_stretch_layout *l = layout;
    *l = (struct rf_stretch_layout){
        .stretches = geometry[RF_STRETCH_GEO_STRETCHES],
        .rows = geometry[RF_STRETCH_GEO_ROWS],
        .head_words = geometry[RF_STRETCH_GEO_HEAD_WORDS],
        .stretch_words = geometry[RF_STRETCH_GEO_STRETCH_WORDS],
        .row_words = geometry[RF_STRETCH_GEO_ROW_WORDS],
    };
    if (l->stretches < 1 || l->stretches > 4096 || l->rows < 1 || l->rows > RF_STRETCH_ROWS ||
        l->head_words < RF_STRETCH_HEAD_WORDS || l->head_words > 1024 ||
        l->stretch_words < RF_STRETCH_WORDS || l->stretch_words > 1024 ||
        l->row_words < RF_STRETCH_ROW_WORDS || l->row_words > 1024)
        return false;
    l->stretch_at_words = l->stretch_words + l->rows * l->row_words;
    l->words = l->head_words + l->stretches * l->stretch_at_words;
    return true;
}

/* Row `i` of stretch `number`. False: it is not there, or is being written. */
static bool read_batch(const uint64_t *row, uint64_t expected, struct rf_stretch_batch *batch)
{
    const uint64_t word = ds_load_acquire(&row[0]);
    if (rf_batch_of(word) != expected) /* an empty row is of no batch */
        return false;
    for (uint32_t i = 0; i < RF_BATCH_TIMES; i += 2) {
        const uint64_t pair = ds_load(&row[1 + i / 2]);
        batch->times[i] = (uint32_t)pair;
        batch->times[i + 1] = (uint32_t)(pair >> 32);
    }
    ds_fence_acquire();
    batch->batch = expected;
    batch->flags = rf_batch_flags(word);
    batch->worker = rf_batch_worker(word);
    return ds_load(&row[0]) == word;
}

uint32_t rf_stretch_read(const uint64_t *entry, const struct rf_stretch_layout *layout,
                         uint64_t place, uint64_t words[RF_STRETCH_WORDS],
                         struct rf_stretch_batch batches[RF_STRETCH_ROWS])
{
    const uint64_t *stretch = entry + layout->head_words + place * layout->stretch_at_words;
    uint32_t count = 0;
    ds_copy_words(words, stretch, RF_STRETCH_WORDS);
    const uint64_t number = words[RF_STRETCH_NUMBER];
    if (number == 0 || number > UINT64_MAX / 2 / layout->rows)
        return 0;
    for (uint64_t i = 0; i < layout->rows; i++)
        count += read_batch(stretch + layout->stretch_words + i * layout->row_words,
                            (number - 1) * layout->rows + i, &batches[count]);
    return count;
}
