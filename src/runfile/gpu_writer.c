/* SPDX-License-Identifier: Apache-2.0 */
/* One sample of one GPU, with everything that follows from it, in one change of its block. */
#include <math.h>
#include <string.h>

#include "base/fault_guard.h"
#include "base/unknown.h"
#include "runfile/writer.h"

/* Power is taken as linear between two readings; over a longer gap nobody knows. */
#define MAX_POWER_GAP_NS UINT64_C(10000000000)

/* A sample takes some milliseconds, and its parts are not of one moment. */
#define JITTER_NS UINT64_C(5000000)

struct rf_gpu_sample rf_gpu_nothing_read(void)
{
    struct rf_gpu_sample sample = {
        .busy_percent = RF_UNKNOWN,
        .memory_used = RF_UNKNOWN,
        .memory_total = RF_UNKNOWN,
        .memory_free = RF_UNKNOWN,
        .power_mw = RF_UNKNOWN,
        .temperature = RF_UNKNOWN,
        .sm_clock_mhz = RF_UNKNOWN,
        .memory_clock_mhz = RF_UNKNOWN,
        .held = RF_UNKNOWN,
        .activity = NAN,
    };
    for (uint32_t i = 0; i < RF_GPM_FIELDS; i++)
        sample.gpm[i] = NAN;
    return sample;
}

void rf_gpu_attach(struct rf_writer *writer, uint32_t index, const struct rf_gpu_static *device,
                   struct rf_gpu_writer *gpu)
{
    gpu->layout = &writer->gpu_layout;
    gpu->open_second = gpu->last_ns = gpu->accounted_ns = gpu->power_ns = 0;
    rf_commit_attach(&gpu->commit, rf_entry(writer, RF_SECTION_GPUS, index));
    rf_write_words(gpu->commit.block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, device, sizeof *device);
    rf_put(&gpu->commit, RF_BLOCK_PAYLOAD + RF_GPU_STATE, RF_GPU_STARTING);
    rf_publish(&gpu->commit);
}

void rf_gpu_calling(struct rf_gpu_writer *gpu, uint64_t since_ns)
{
    uint64_t *words = gpu->commit.block + RF_BLOCK_PAYLOAD;
    ds_store(&words[RF_GPU_UNANSWERED_NS], 0);
    ds_store(&words[RF_GPU_CALL_NS], since_ns);
}

void rf_gpu_answered(struct rf_gpu_writer *gpu, uint64_t took_ns)
{
    uint64_t *longest = &gpu->commit.block[RF_BLOCK_PAYLOAD + RF_GPU_CALL_LONGEST_NS];
    rf_gpu_calling(gpu, 0);
    if (took_ns > ds_load(longest))
        ds_store(longest, took_ns);
}

void rf_gpu_unanswered(struct rf_gpu_writer *gpu, uint64_t age_ns)
{
    ds_store(&gpu->commit.block[RF_BLOCK_PAYLOAD + RF_GPU_UNANSWERED_NS], age_ns);
}

/* Counts a field that was read: its count, sum and extreme words, those that exist (0: none). */
static void put_field(struct rf_commit *commit, uint32_t count_word, uint32_t sum_word,
                      uint32_t min_word, uint32_t max_word, uint64_t value)
{
    if (value == RF_UNKNOWN)
        return;
    const uint64_t at = RF_BLOCK_PAYLOAD;
    const uint64_t count = rf_current(commit, at + count_word);
    rf_put(commit, at + count_word, count + 1);
    rf_put_add(commit, at + sum_word, value);
    if (min_word != 0 && (count == 0 || value < rf_current(commit, at + min_word)))
        rf_put(commit, at + min_word, value);
    if (max_word != 0 && (count == 0 || value > rf_current(commit, at + max_word)))
        rf_put(commit, at + max_word, value);
}

static void stage_gpu_totals(struct rf_commit *commit, const struct rf_gpu_sample *sample)
{
    const uint64_t at = RF_BLOCK_PAYLOAD;
    if (rf_current(commit, at + RF_GPU_SAMPLES) == 0)
        rf_put(commit, at + RF_GPU_FIRST_NS, sample->time_ns);
    rf_put_add(commit, at + RF_GPU_SAMPLES, 1);
    rf_put(commit, at + RF_GPU_LAST_NS, sample->time_ns);
    rf_put(commit, at + RF_GPU_STATE, sample->state);
    if (sample->error != 0) {
        rf_put(commit, at + RF_GPU_ERROR, sample->error);
        rf_put_add(commit, at + RF_GPU_ERRORS, 1);
    }
    put_field(commit, RF_GPU_BUSY_COUNT, RF_GPU_BUSY_PERCENT_SUM, RF_GPU_BUSY_PERCENT_MIN,
              RF_GPU_BUSY_PERCENT_MAX, sample->busy_percent);
    if (sample->memory_used != RF_UNKNOWN) {
        rf_put_add(commit, at + RF_GPU_MEMORY_COUNT, 1);
        rf_put_add(commit, at + RF_GPU_MEMORY_USED_SUM_KIB, sample->memory_used / 1024);
        if (sample->memory_used > rf_current(commit, at + RF_GPU_MEMORY_USED_PEAK))
            rf_put(commit, at + RF_GPU_MEMORY_USED_PEAK, sample->memory_used);
        rf_put(commit, at + RF_GPU_MEMORY_TOTAL, sample->memory_total);
    }
    put_field(commit, RF_GPU_POWER_COUNT, RF_GPU_POWER_MW_SUM, RF_GPU_POWER_MW_MIN,
              RF_GPU_POWER_MW_MAX, sample->power_mw);
    put_field(commit, RF_GPU_TEMPERATURE_COUNT, RF_GPU_TEMPERATURE_SUM, 0, RF_GPU_TEMPERATURE_MAX,
              sample->temperature);
    put_field(commit, RF_GPU_SM_CLOCK_COUNT, RF_GPU_SM_CLOCK_MHZ_SUM, RF_GPU_SM_CLOCK_MHZ_MIN, 0,
              sample->sm_clock_mhz);
}

static void stage_gpu_stage_totals(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    if (sample->stage == 0 || sample->stage >= gpu->layout->stages)
        return;
    struct rf_commit *commit = &gpu->commit;
    const uint64_t at = gpu->layout->stages_at + sample->stage * gpu->layout->stage_words;
    rf_put_add(commit, at + RF_GPU_STAGE_SAMPLES, 1);
    if (sample->busy_percent != RF_UNKNOWN) {
        rf_put_add(commit, at + RF_GPU_STAGE_BUSY_COUNT, 1);
        rf_put_add(commit, at + RF_GPU_STAGE_BUSY_PERCENT_SUM, sample->busy_percent);
    }
    if (sample->memory_used != RF_UNKNOWN &&
        sample->memory_used > rf_current(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK))
        rf_put(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK, sample->memory_used);
}

/* What a sample adds to the counters of time. */
struct spans {
    uint64_t busy_ns, idle_ns, unknown_ns;
    uint64_t activity_ns; /* part of busy + idle: what this sample's activity covers anew */
    uint64_t energy_uj, energy_ns;
    uint64_t since_last_ns;
};

static struct spans spans_of(const struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    struct spans spans = {0};
    if (gpu->last_ns == 0 || sample->time_ns <= gpu->last_ns)
        return spans;
    const uint64_t gap_ns = sample->time_ns - gpu->accounted_ns;
    spans.since_last_ns = sample->time_ns - gpu->last_ns;
    if (!isnan(sample->activity)) {
        const double share = fmin(1.0, fmax(0.0, sample->activity));
        spans.activity_ns =
            sample->activity_span_ns + JITTER_NS < gap_ns ? sample->activity_span_ns : gap_ns;
        spans.busy_ns = (uint64_t)(share * (double)spans.activity_ns + 0.5);
        spans.idle_ns = spans.activity_ns - spans.busy_ns;
        spans.unknown_ns = gap_ns - spans.activity_ns;
    } else if (!sample->activity_pending) {
        spans.unknown_ns = gap_ns;
    }
    if (sample->power_mw != RF_UNKNOWN && gpu->power_ns != 0 &&
        sample->time_ns - gpu->power_ns <= MAX_POWER_GAP_NS) {
        spans.energy_ns = sample->time_ns - gpu->power_ns;
        /* mW * ns = 1e-6 uJ */
        spans.energy_uj = (uint64_t)((double)(gpu->power_mw + sample->power_mw) / 2.0 *
                                         (double)spans.energy_ns * 1e-6 +
                                     0.5);
    }
    return spans;
}

static void stage_nonzero(struct rf_commit *commit, uint32_t word, uint64_t delta)
{
    if (delta != 0)
        rf_put_add(commit, RF_BLOCK_PAYLOAD + word, delta);
}

static void stage_spans(struct rf_commit *commit, const struct rf_gpu_sample *sample,
                        const struct spans *spans)
{
    stage_nonzero(commit, RF_GPU_BUSY_NS, spans->busy_ns);
    stage_nonzero(commit, RF_GPU_IDLE_NS, spans->idle_ns);
    stage_nonzero(commit, RF_GPU_UNKNOWN_NS, spans->unknown_ns);
    stage_nonzero(commit, RF_GPU_ENERGY_UJ, spans->energy_uj);
    stage_nonzero(commit, RF_GPU_ENERGY_NS, spans->energy_ns);
    if (spans->activity_ns > 0) {
        const uint64_t at = RF_BLOCK_PAYLOAD + RF_GPU_ACTIVITY_SOURCES;
        const uint64_t known = rf_current(commit, at);
        const uint64_t now = known | UINT64_C(1) << sample->activity_source;
        if (now != known)
            rf_put(commit, at, now);
        for (uint32_t i = 0; i < RF_GPM_FIELDS; i++) {
            if (isnan(sample->gpm[i]) || sample->gpm[i] < 0.0)
                continue;
            const double unit_ns = i < RF_GPM_PCIE_TX ? 1.0 : 1e-9;
            stage_nonzero(commit, RF_GPU_GPM + 2 * i, spans->activity_ns);
            stage_nonzero(commit, RF_GPU_GPM + 2 * i + 1,
                          (uint64_t)(sample->gpm[i] * (double)spans->activity_ns * unit_ns + 0.5));
        }
    }
    if (sample->held != RF_UNKNOWN) {
        const uint64_t span_ns = spans->since_last_ns;
        stage_nonzero(commit, RF_GPU_HELD_KNOWN_NS, span_ns);
        stage_nonzero(commit, RF_GPU_HELD_POWER_NS, sample->held & RF_HELD_POWER ? span_ns : 0);
        stage_nonzero(commit, RF_GPU_HELD_THERMAL_NS, sample->held & RF_HELD_THERMAL ? span_ns : 0);
        stage_nonzero(commit, RF_GPU_HELD_HARDWARE_NS,
                      sample->held & RF_HELD_HARDWARE ? span_ns : 0);
    }
}

static void stage_rollups(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample,
                          const struct spans *spans)
{
    const struct rf_gpu_layout *layout = gpu->layout;
    const bool busy_known = sample->busy_percent != RF_UNKNOWN;
    const bool power_known = sample->power_mw != RF_UNKNOWN;
    const uint64_t values[RF_GPU_ROLLUP_WORDS] = {
        [RF_GPU_ROLLUP_SAMPLES] = 1,
        [RF_GPU_ROLLUP_BUSY_COUNT] = busy_known,
        [RF_GPU_ROLLUP_BUSY_PERCENT_SUM] = busy_known ? sample->busy_percent : 0,
        [RF_GPU_ROLLUP_MEMORY_USED_MAX] = ds_known_or_zero(sample->memory_used),
        [RF_GPU_ROLLUP_POWER_COUNT] = power_known,
        [RF_GPU_ROLLUP_POWER_MW_SUM] = power_known ? sample->power_mw : 0,
        [RF_GPU_ROLLUP_BUSY_NS] = spans->busy_ns,
        [RF_GPU_ROLLUP_ACTIVITY_NS] = spans->activity_ns,
        [RF_GPU_ROLLUP_ENERGY_UJ] = spans->energy_uj,
    };
    const struct rf_rollup_shape shape = {layout->rollup_at, layout->rollup_levels,
                                          layout->rollup_buckets, layout->rollup_words,
                                          1u << RF_GPU_ROLLUP_MEMORY_USED_MAX};
    rf_rollup_add(&gpu->commit, &shape, &gpu->open_second,
                  sample->time_ns / UINT64_C(1000000000) + 1, values);
}

void rf_gpu_append(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    ds_fault_guard_keep(sample->time_ns);
    const struct spans spans = spans_of(gpu, sample);
    const struct rf_gpu_layout *layout = gpu->layout;
    struct rf_commit *commit = &gpu->commit;
    uint64_t index = rf_current(commit, RF_BLOCK_PAYLOAD + RF_GPU_SAMPLES);
    uint64_t *row =
        commit->block + layout->ring_at + (index & (layout->recent - 1)) * layout->sample_words;
    ds_store(&row[RF_GPU_SAMPLE_SEQUENCE], index + 1);
    ds_fence_release(); /* who still reads the sample before sees that it is no longer that */
    ds_store(&row[RF_GPU_SAMPLE_NS], sample->time_ns);
    ds_store(&row[RF_GPU_SAMPLE_BUSY_PERCENT], sample->busy_percent);
    ds_store(&row[RF_GPU_SAMPLE_MEMORY_USED], sample->memory_used);
    ds_store(&row[RF_GPU_SAMPLE_POWER_MW], sample->power_mw);
    ds_store(&row[RF_GPU_SAMPLE_TEMPERATURE], sample->temperature);
    ds_store(&row[RF_GPU_SAMPLE_SM_CLOCK_MHZ], sample->sm_clock_mhz);
    ds_store(&row[RF_GPU_SAMPLE_MEMORY_CLOCK_MHZ], sample->memory_clock_mhz);
    ds_store(&row[RF_GPU_SAMPLE_STAGE], sample->stage);
    ds_store(&row[RF_GPU_SAMPLE_ACTIVITY],
             spans.activity_ns == 0
                 ? 0
                 : rf_pack_activity(fmin(1.0, fmax(0.0, sample->activity)), spans.activity_ns));
    stage_gpu_totals(commit, sample);
    stage_gpu_stage_totals(gpu, sample);
    stage_spans(commit, sample, &spans);
    rf_publish(commit);
    /* A change of its own: both together could outgrow the journal. */
    stage_rollups(gpu, sample, &spans);
    rf_publish(commit);
    if (gpu->last_ns == 0 || !sample->activity_pending)
        gpu->accounted_ns = sample->time_ns;
    gpu->last_ns = sample->time_ns;
    if (sample->power_mw != RF_UNKNOWN) {
        gpu->power_ns = sample->time_ns;
        gpu->power_mw = sample->power_mw;
    }
}
