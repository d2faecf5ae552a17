/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "run/reader.h"

static int compare_stretches(const void *a, const void *b)
{
    const struct run_stretch *one = a, *other = b;
    const uint64_t x = one->words[RF_STRETCH_NUMBER], y = other->words[RF_STRETCH_NUMBER];
    return x < y ? -1 : x > y;
}

/* Its end is stored later than the rest: 0 where it has none yet. */
static bool stretch_is_possible(const uint64_t *words)
{
    const uint64_t end_ns = words[RF_STRETCH_END_NS];
    return words[RF_STRETCH_BEGIN_NS] <= RF_MOST_NS && end_ns <= RF_MOST_NS &&
           words[RF_STRETCH_BEGIN_CPU_NS] <= RF_MOST_NS &&
           words[RF_STRETCH_END_CPU_NS] <= RF_MOST_NS &&
           (end_ns == 0 || end_ns >= words[RF_STRETCH_BEGIN_NS]);
}

static bool head_is_possible(const uint64_t *head)
{
    static const uint32_t times[] = {RF_STRETCH_NEW_ITER_NS,   RF_STRETCH_NEW_FIRST_NS,
                                     RF_STRETCH_AGAIN_ITER_NS, RF_STRETCH_AGAIN_FIRST_NS,
                                     RF_STRETCH_ENDS_NS,       RF_STRETCH_LAST_NS,
                                     RF_STRETCH_LAST_STEPS_NS};
    for (uint32_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (head[times[i]] > RF_MOST_NS)
            return false;
    }
    return head[RF_STRETCH_LOADER] <= RF_LOADER_CAPACITY;
}

/* Places that may be in use: until they are all taken for the first time it is one after the other. */
static uint64_t places_of(const uint64_t *head, const struct rf_stretch_layout *layout)
{
    const uint64_t used = head[RF_STRETCH_BATCHES] / layout->rows + 2;
    return head[RF_STRETCH_EVERY] <= 1 && used < layout->stretches ? used : layout->stretches;
}

static bool take(const uint64_t *entry, const struct rf_stretch_layout *layout, uint64_t places,
                 struct run_stretches *view)
{
    view->stretches = calloc(places, sizeof *view->stretches);
    view->batches = calloc(places * layout->rows + RF_STRETCH_ROWS, sizeof *view->batches);
    if (view->stretches == NULL || view->batches == NULL)
        return true;
    bool possible = true;
    const uint64_t every = view->head[RF_STRETCH_EVERY] > 0 ? view->head[RF_STRETCH_EVERY] : 1;
    for (uint64_t i = 0; i < places; i++) {
        struct run_stretch *stretch = &view->stretches[view->count];
        stretch->first = view->batch_count;
        stretch->count =
            rf_stretch_read(entry, layout, i, stretch->words, view->batches + view->batch_count);
        /* One that is not kept any more, whose place nobody needed yet, would weigh its time double. */
        if (stretch->count == 0 || (stretch->words[RF_STRETCH_NUMBER] - 1) % every != 0)
            continue;
        possible = possible && stretch_is_possible(stretch->words);
        view->batch_count += stretch->count;
        view->count++;
    }
    qsort(view->stretches, view->count, sizeof *view->stretches, compare_stretches);
    return possible;
}

bool run_reader_stretches(struct run_reader *reader, uint64_t index, struct run_stretches *view)
{
    const struct rf_stretch_layout *layout = &reader->stretch_layout;
    const uint64_t at = rf_file_entry(&reader->file, RF_SECTION_STRETCHES, index);
    memset(view, 0, sizeof *view);
    if (at == UINT64_MAX || !reader->has_stretches)
        return false;
    if (!rf_source_read(&reader->file.source, at, RF_STRETCH_HEAD_WORDS, view->head)) {
        run_reader_note(reader, "the file ends within the stretches of loader entry %llu",
                        (unsigned long long)index);
        return false;
    }
    if (view->head[RF_STRETCH_LOADER] == 0)
        return false;
    const uint64_t places = places_of(view->head, layout);
    const uint64_t words = layout->head_words + places * layout->stretch_at_words;
    uint64_t *entry = malloc(words * 8);
    const bool there = entry != NULL && rf_source_read(&reader->file.source, at, words, entry);
    bool possible = head_is_possible(view->head);
    if (there) {
        /* After the rows: of those there are no more than it says. */
        rf_source_read(&reader->file.source, at, RF_STRETCH_HEAD_WORDS, view->head);
        possible = head_is_possible(view->head) && take(entry, layout, places, view);
    }
    free(entry);
    if (there && possible && view->batches != NULL) {
        view->loader = view->head[RF_STRETCH_LOADER] - 1;
        return true;
    }
    if (entry != NULL && !there)
        run_reader_note(reader, "the file ends within the stretches of loader entry %llu",
                        (unsigned long long)index);
    if (!possible)
        run_reader_note(reader, "the stretches of loader entry %llu contradict themselves",
                        (unsigned long long)index);
    run_stretches_free(view);
    return false;
}

void run_stretches_free(struct run_stretches *view)
{
    free(view->stretches);
    free(view->batches);
    memset(view, 0, sizeof *view);
}
