/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/fold.h"

#include "base/sums.h"
#include "base/unknown.h"
#include "datastall.h"
#include "runfile/rollup.h"

#define ROLLUP_MAXIMA (1u << RF_ROLLUP_OF(MAX_NS))

static struct rf_rollup_shape shape_of(const struct rf_slot_layout *layout)
{
    return (struct rf_rollup_shape){layout->rollup_at, layout->rollup_levels,
                                    layout->rollup_buckets, layout->rollup_words, ROLLUP_MAXIMA};
}

/* The newest second of level 0. */
static uint64_t open_second_of(const struct rf_commit *commit, const struct rf_slot_layout *layout)
{
    uint64_t newest = 0;
    for (uint64_t b = 0; b < layout->rollup_buckets; b++) {
        const uint64_t number = rf_current(commit, layout->rollup_at + b * layout->rollup_words);
        newest = number > newest ? number : newest;
    }
    return newest;
}

void rf_fold_start(struct rf_fold *fold, struct rf_commit *commit,
                   const struct rf_slot_layout *layout, uint64_t *counters, bool has_tables)
{
    *fold = (struct rf_fold){
        .commit = commit, .layout = layout, .counters = counters, .has_tables = has_tables};
    for (uint32_t i = 0; i < RF_COUNT_WORDS; i++)
        counters[i] = rf_current(commit, layout->counters_at + i);
    if (!has_tables)
        return;
    fold->open_second = open_second_of(commit, layout);
    for (uint32_t set = 0; set < 2; set++) {
        for (uint32_t i = 0; i < RF_SLOWEST && i < layout->slowest; i++)
            fold->slow_ns[set][i] =
                rf_current(commit, layout->slow_at + (set * layout->slowest + i) * RF_SLOW_WORDS);
        fold->slow_least[set] = ds_place_of_least(fold->slow_ns[set], RF_SLOWEST);
    }
}

/* ---- what is counted per second and per stage as well ---- */

static void add_span(uint64_t *to, const uint64_t *from)
{
    const uint64_t max_ns =
        from[RF_COUNT_MAX_NS] > to[RF_COUNT_MAX_NS] ? from[RF_COUNT_MAX_NS] : to[RF_COUNT_MAX_NS];
    for (uint32_t i = 0; i < RF_STAGE_WORDS; i++)
        to[i] = ds_add(to[i], from[i]);
    to[RF_COUNT_MAX_NS] = max_ns;
}

static void add_to_second(struct rf_fold *fold)
{
    const struct rf_rollup_shape shape = shape_of(fold->layout);
    uint64_t values[RF_ROLLUP_WORDS];
    memcpy(values + 1, fold->span, RF_COUNT_SECOND_WORDS * sizeof *values);
    rf_rollup_add(fold->commit, &shape, &fold->open_second, fold->second, values);
}

static void add_to_stage(struct rf_fold *fold)
{
    const uint64_t at = fold->layout->stages_at + fold->stage * fold->layout->stage_words;
    uint64_t totals[RF_STAGE_WORDS];
    for (uint32_t i = 0; i < RF_STAGE_WORDS; i++)
        totals[i] = rf_current(fold->commit, at + i);
    add_span(totals, fold->span);
    for (uint32_t i = 0; i < RF_STAGE_WORDS; i++) {
        if (fold->span[i] != 0)
            rf_put(fold->commit, at + i, totals[i]);
    }
}

/* Adds what was collected where it belongs: the run, its second, its stage. */
static void settle_span(struct rf_fold *fold)
{
    if (fold->second == 0)
        return;
    add_span(fold->counters, fold->span);
    if (fold->has_tables)
        add_to_second(fold);
    if (fold->has_tables && fold->stage != 0)
        add_to_stage(fold);
    fold->second = 0;
}

/* The totals to which a row of a stage adds that ended then. */
static uint64_t *span_of(struct rf_fold *fold, uint64_t stage, uint64_t end_ns)
{
    const uint64_t second = end_ns / UINT64_C(1000000000) + 1;
    if (second == fold->second && stage == fold->stage)
        return fold->span;
    settle_span(fold);
    fold->second = second;
    fold->stage = stage;
    memset(fold->span, 0, sizeof fold->span);
    return fold->span;
}

/* ---- totals of the run only ---- */

static void count(uint64_t *word, uint64_t value)
{
    *word = ds_add(*word, value);
}

/* count: RF_COUNT_STEADY or _STARTUP; its minimum and maximum are given. */
static void count_extremes(uint64_t *c, uint32_t number, uint32_t min, uint32_t max, uint64_t ns)
{
    if (c[number] == 0 || ns < c[min])
        c[min] = ns;
    if (ns > c[max])
        c[max] = ns;
    c[number]++;
}

static void count_efficiency(uint64_t *c, double efficiency)
{
    if (efficiency != efficiency)
        return;
    if (c[RF_COUNT_EFFICIENCY_BATCHES] == 0 ||
        efficiency < ds_double_of(c[RF_COUNT_EFFICIENCY_MIN]))
        c[RF_COUNT_EFFICIENCY_MIN] = ds_bits_of(efficiency);
    c[RF_COUNT_EFFICIENCY_SUM] = ds_bits_of(ds_double_of(c[RF_COUNT_EFFICIENCY_SUM]) + efficiency);
    c[RF_COUNT_EFFICIENCY_BATCHES]++;
    c[RF_COUNT_EFFICIENCY_LOW] += efficiency < 0.80;
}

static void count_composition(uint64_t *c, const uint64_t *row, uint32_t flags)
{
    const uint64_t tokens = row[RF_RECORD_TOKENS], longest = row[RF_RECORD_LONGEST];
    const double mean_length = ds_double_of(row[RF_RECORD_MEAN_LENGTH]);
    if (tokens != RF_UNKNOWN) {
        c[RF_COUNT_TOKENS_SAMPLED] += (flags & DATASTALL_BATCH_TOKENS_SAMPLED) != 0;
        if (row[RF_RECORD_PADDED] != RF_UNKNOWN) {
            count(&c[RF_COUNT_PACKED_TOKENS], tokens);
            count(&c[RF_COUNT_PACKED_PADDED], row[RF_RECORD_PADDED]);
        }
    }
    if (longest != RF_UNKNOWN) {
        count(&c[RF_COUNT_LONGEST_SUM], longest);
        c[RF_COUNT_LONGEST_BATCHES]++;
        if (longest > c[RF_COUNT_LONGEST_MAX])
            c[RF_COUNT_LONGEST_MAX] = longest;
    }
    if (mean_length == mean_length) {
        c[RF_COUNT_MEAN_LENGTH_SUM] =
            ds_bits_of(ds_double_of(c[RF_COUNT_MEAN_LENGTH_SUM]) + mean_length);
        c[RF_COUNT_MEAN_LENGTH_BATCHES]++;
    }
    count_efficiency(c, ds_double_of(row[RF_RECORD_EFFICIENCY]));
}

static void count_steady(uint64_t *c, uint64_t *span, uint32_t queue, uint64_t wait_ns)
{
    c[RF_COUNT_QUEUE + queue]++;
    if (wait_ns == RF_UNKNOWN)
        return;
    count_extremes(c, RF_COUNT_STEADY, RF_COUNT_STEADY_MIN, RF_COUNT_STEADY_MAX, wait_ns);
    span[RF_COUNT_STEADY_NS] += wait_ns;
    span[RF_COUNT_STARVED] += queue == DATASTALL_QUEUE_STARVED;
}

static void count_other(uint64_t *c, uint64_t *span, uint32_t kind, uint64_t wait_ns)
{
    const uint64_t known_ns = ds_known_or_zero(wait_ns);
    span[RF_COUNT_OTHER_NS] += known_ns;
    if (kind == DATASTALL_WAIT_FAILED) {
        c[RF_COUNT_FAILED]++;
        count(&c[RF_COUNT_FAILED_NS], known_ns);
        return;
    }
    c[RF_COUNT_ITERATORS] += kind == DATASTALL_WAIT_ITER;
    if (wait_ns == RF_UNKNOWN)
        return;
    count_extremes(c, RF_COUNT_STARTUP, RF_COUNT_STARTUP_MIN, RF_COUNT_STARTUP_MAX, wait_ns);
    count(&c[RF_COUNT_STARTUP_NS], wait_ns);
}

static void count_window(uint64_t *c, uint64_t begin_ns, uint64_t end_ns)
{
    if (c[RF_COUNT_SEQUENCE] == 0 || begin_ns < c[RF_COUNT_BEGIN_NS])
        c[RF_COUNT_BEGIN_NS] = begin_ns;
    if (end_ns > c[RF_COUNT_END_NS])
        c[RF_COUNT_END_NS] = end_ns;
    c[RF_COUNT_SEQUENCE]++;
}

/* ---- causes ---- */

static void count_split(uint64_t *c, const struct cause_share *split)
{
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        count(&c[RF_COUNT_CAUSE_NS + i], split->states_ns[i]);
    count(&c[RF_COUNT_LATER_READY_NS], split->later_ready_ns);
    count(&c[RF_COUNT_OTHERS_IDLE_NS], split->others_idle_ns);
    count(&c[RF_COUNT_WINDOW_FULL_NS], split->window_full_ns);
}

/* As the row holds it, word by word. */
static struct cause_share split_of(const uint64_t *cause)
{
    struct cause_share split = {.later_ready_ns = cause[RF_CAUSE_LATER_READY_NS],
                                .others_idle_ns = cause[RF_CAUSE_OTHERS_IDLE_NS],
                                .window_full_ns = cause[RF_CAUSE_WINDOW_FULL_NS]};
    memcpy(split.states_ns, &cause[RF_CAUSE_SPLIT_NS], sizeof split.states_ns);
    return split;
}

static void count_depth(uint64_t *c, uint64_t depth)
{
    if (depth == RF_UNKNOWN)
        return;
    c[RF_COUNT_DEPTH_WAITS]++;
    for (int i = 0; i < 4; i++)
        count(&c[RF_COUNT_DEPTH_READY + i], depth >> (16 * i) & 0xffff);
    c[RF_COUNT_DEPTH_EMPTY] += (depth & 0xffff) == 0;
}

static void count_cause(uint64_t *c, const uint64_t *row, const uint64_t *cause)
{
    const struct cause_share split = split_of(cause);
    const uint32_t kind = rf_kind_of(row[RF_RECORD_KIND]);
    if (!(cause[RF_CAUSE_FLAGS] & RF_CAUSE_IS_PENDING) || row[RF_RECORD_STALL_UPPER] != RF_UNKNOWN)
        count_split(c, &split);
    count_depth(c, cause[RF_CAUSE_DEPTH]);
    count(&c[RF_COUNT_SAMPLER_NS], cause[RF_CAUSE_SAMPLER_NS]);
    if (kind == DATASTALL_WAIT_ITER || kind == DATASTALL_WAIT_FIRST)
        count(&c[RF_COUNT_SAMPLER_FIRST_NS], cause[RF_CAUSE_SAMPLER_NS]);
    count(&c[RF_COUNT_PIN_NS], cause[RF_CAUSE_PIN_NS]);
    count(&c[RF_COUNT_GET_CPU_NS], cause[RF_CAUSE_GET_CPU_NS]);
    count(&c[RF_COUNT_GET_CPU_BATCHES], cause[RF_CAUSE_GET_CPU_BATCHES]);
    c[RF_COUNT_CAUSES]++;
    if (cause[RF_CAUSE_FLAGS] & RF_CAUSE_IS_REPLAYED) {
        c[RF_COUNT_REPLAYED]++;
        count(&c[RF_COUNT_REPLAYED_NS], row[RF_RECORD_WAIT_NS]);
        count(&c[RF_COUNT_REPLAY_NS], cause[RF_CAUSE_REPLAY_NS]);
        count(&c[RF_COUNT_REPLAY_LARGER_NS], cause[RF_CAUSE_REPLAY_LARGER_NS]);
    }
}

/* ---- tables ---- */

static void count_in_histogram(struct rf_fold *fold, uint32_t kind, uint64_t wait_ns)
{
    if (kind >= DATASTALL_WAIT_FAILED)
        return;
    const uint64_t table =
        kind == DATASTALL_WAIT_STEADY ? fold->layout->steady_at : fold->layout->startup_at;
    rf_put_add(fold->commit, table + histogram_bucket(wait_ns), 1);
}

static void keep_slowest(struct rf_fold *fold, const uint64_t *row, uint32_t set)
{
    const uint32_t place = fold->slow_least[set];
    if (row[RF_RECORD_WAIT_NS] <= fold->slow_ns[set][place] || place >= fold->layout->slowest)
        return;
    fold->slow_ns[set][place] = row[RF_RECORD_WAIT_NS];
    fold->slow_least[set] = ds_place_of_least(fold->slow_ns[set], RF_SLOWEST);
    const uint64_t at =
        fold->layout->slow_at + (set * fold->layout->slowest + place) * RF_SLOW_WORDS;
    const bool composed = rf_flags_of(row[RF_RECORD_KIND]) & RF_RECORD_COMPOSED;
    struct rf_commit *commit = fold->commit;
    rf_put(commit, at + RF_SLOW_WAIT_NS, row[RF_RECORD_WAIT_NS]);
    rf_put(commit, at + RF_SLOW_BEGIN_NS, row[RF_RECORD_BEGIN_NS]);
    rf_put(commit, at + RF_SLOW_KIND, row[RF_RECORD_KIND]);
    rf_put(commit, at + RF_SLOW_BATCH, row[RF_RECORD_BATCH]);
    rf_put(commit, at + RF_SLOW_SAMPLES, row[RF_RECORD_SAMPLES]);
    rf_put(commit, at + RF_SLOW_TOKENS, composed ? row[RF_RECORD_TOKENS] : RF_UNKNOWN);
    rf_put(commit, at + RF_SLOW_RECORD, row[RF_RECORD_SEQUENCE]);
}

/* ---- a row ---- */

static bool is_count(uint64_t value)
{
    return value <= DATASTALL_MAX_COUNT || value == RF_UNKNOWN;
}

static bool is_wait(uint64_t value)
{
    return value <= RF_MOST_WAIT_NS || value == RF_UNKNOWN;
}

bool rf_row_is_possible(const uint64_t *row)
{
    const uint64_t kind = row[RF_RECORD_KIND];
    const bool composed = rf_flags_of(kind) & RF_RECORD_COMPOSED;
    return rf_kind_of(kind) <= DATASTALL_WAIT_FAILED &&
           rf_queue_of(kind) <= DATASTALL_QUEUE_STARVED && rf_stage_of(kind) < RF_STAGE_CAPACITY &&
           row[RF_RECORD_BEGIN_NS] <= RF_MOST_NS && is_wait(row[RF_RECORD_WAIT_NS]) &&
           is_wait(row[RF_RECORD_STALL_LOWER]) && is_wait(row[RF_RECORD_STALL_UPPER]) &&
           is_count(row[RF_RECORD_SAMPLES]) &&
           (!composed || (is_count(row[RF_RECORD_TOKENS]) && is_count(row[RF_RECORD_LONGEST]) &&
                          is_count(row[RF_RECORD_PADDED])));
}

static void count_batch(struct rf_fold *fold, const uint64_t *row, uint64_t *span)
{
    const uint64_t samples = row[RF_RECORD_SAMPLES];
    const uint32_t flags = rf_flags_of(row[RF_RECORD_KIND]);
    span[RF_COUNT_BATCHES]++;
    if (samples != RF_UNKNOWN) {
        span[RF_COUNT_SAMPLES] += samples;
        span[RF_COUNT_SAMPLES_BATCHES]++;
    }
    if (!(flags & RF_RECORD_COMPOSED))
        return;
    if (row[RF_RECORD_TOKENS] != RF_UNKNOWN) {
        span[RF_COUNT_TOKENS] += row[RF_RECORD_TOKENS];
        span[RF_COUNT_TOKENS_BATCHES]++;
    }
    count_composition(fold->counters, row, flags);
}

static void count_stall(struct rf_fold *fold, uint64_t *span, uint64_t wait_ns, uint64_t lower_ns,
                        uint64_t upper_ns)
{
    span[RF_COUNT_STALL_KNOWN_NS] += wait_ns;
    span[RF_COUNT_STALL_LOWER_NS] += lower_ns;
    span[RF_COUNT_STALL_UPPER_NS] += upper_ns;
    fold->counters[RF_COUNT_STALL_WAITS]++;
    fold->counters[RF_COUNT_STALL_BOUNDS] += lower_ns != upper_ns;
}

static inline void fold_row(struct rf_fold *fold, const uint64_t *row, const uint64_t *cause)
{
    uint64_t *c = fold->counters;
    const uint64_t kind_word = row[RF_RECORD_KIND], wait_ns = row[RF_RECORD_WAIT_NS];
    const uint32_t kind = rf_kind_of(kind_word);
    const uint64_t known_ns = ds_known_or_zero(wait_ns), upper_ns = row[RF_RECORD_STALL_UPPER];
    const bool steady = kind == DATASTALL_WAIT_STEADY;
    const uint64_t end_ns = row[RF_RECORD_BEGIN_NS] + known_ns;
    uint64_t *span = span_of(fold, rf_stage_of(kind_word), end_ns);
    if (steady)
        count_steady(c, span, rf_queue_of(kind_word), wait_ns);
    else
        count_other(c, span, kind, wait_ns);
    if (steady || kind == DATASTALL_WAIT_FIRST)
        count_batch(fold, row, span);
    if (known_ns > span[RF_COUNT_MAX_NS])
        span[RF_COUNT_MAX_NS] = known_ns;
    if (upper_ns != RF_UNKNOWN && wait_ns != RF_UNKNOWN) {
        count_stall(fold, span, wait_ns, row[RF_RECORD_STALL_LOWER], upper_ns);
        if (rf_flags_of(kind_word) & RF_RECORD_CARRIED)
            count(&c[RF_COUNT_STALL_CARRIED_NS], wait_ns);
    }
    count_window(c, row[RF_RECORD_BEGIN_NS], end_ns);
    if (cause != NULL)
        count_cause(c, row, cause);
    else if (c[RF_COUNT_CAUSES] > 0) /* nothing is told of it, where much is of others */
        count(&c[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN], ds_least(upper_ns, known_ns));
    if (fold->has_tables && wait_ns != RF_UNKNOWN) {
        count_in_histogram(fold, kind, wait_ns);
        keep_slowest(fold, row, steady ? 0 : 1);
    }
}

/* The cause of a row, which is the next one to be counted if that is of this row. */
static inline const uint64_t *cause_of(const struct rf_fold *fold, const struct rf_rows *rows,
                                       uint64_t index)
{
    const uint64_t next = fold->counters[RF_COUNT_CAUSES];
    const uint64_t *cause = rows->causes + (next & rows->cause_mask) * rows->cause_words;
    return cause[RF_CAUSE_RECORD] == index + 1 ? cause : NULL;
}

uint64_t rf_fold_rows(struct rf_fold *fold, const struct rf_rows *rows, uint64_t from, uint64_t to)
{
    uint64_t index = from;
    while (index < to && rf_fold_has_room(fold)) {
        fold_row(fold, rows->rows + (index & rows->row_mask) * rows->row_words,
                 cause_of(fold, rows, index));
        index++;
    }
    return index;
}

void rf_fold_late(struct rf_fold *fold, const struct rf_late_stall *late)
{
    uint64_t *span = span_of(fold, late->stage, 0);
    count_stall(fold, span, late->wait_ns, late->lower_ns, late->upper_ns);
    if (late->has_split)
        count_split(fold->counters, &late->split);
    else if (fold->counters[RF_COUNT_CAUSES] > 0)
        count(&fold->counters[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN], late->upper_ns);
}

void rf_fold_settle(struct rf_fold *fold)
{
    const uint64_t at = fold->layout->counters_at;
    settle_span(fold);
    for (uint32_t i = 0; i < RF_COUNT_WORDS; i++) {
        if (ds_load(&fold->commit->block[at + i]) != fold->counters[i])
            rf_put(fold->commit, at + i, fold->counters[i]);
    }
}
