/* One sample of one GPU, with everything that follows from it, in one change of its block. */
#include <string.h>

#include "runfile/writer.h"

static uint64_t known_or_zero(uint64_t value)
{
    return value == RF_UNKNOWN ? 0 : value;
}

void rf_gpu_attach(struct rf_writer *writer, uint32_t index, const struct rf_gpu_static *device,
                   struct rf_gpu_writer *gpu)
{
    gpu->layout = &writer->gpu_layout;
    gpu->open_second = 0;
    rf_commit_attach(&gpu->commit, rf_entry(writer, RF_SECTION_GPUS, index));
    rf_write_words(gpu->commit.block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, device, sizeof *device);
    rf_stage(&gpu->commit, RF_BLOCK_PAYLOAD + RF_GPU_STATE, RF_GPU_STARTING);
    rf_publish(&gpu->commit);
}

void rf_gpu_calling(struct rf_gpu_writer *gpu, uint64_t since_ns)
{
    ds_store(&gpu->commit.block[RF_BLOCK_PAYLOAD + RF_GPU_CALL_NS], since_ns);
}

/* Counts a field that was read: its count, sum and extreme words, those that exist (0: none). */
static void stage_field(struct rf_commit *commit, uint32_t count_word, uint32_t sum_word,
                        uint32_t min_word, uint32_t max_word, uint64_t value)
{
    if (value == RF_UNKNOWN)
        return;
    const uint64_t at = RF_BLOCK_PAYLOAD;
    const uint64_t count = rf_current(commit, at + count_word);
    rf_stage(commit, at + count_word, count + 1);
    rf_stage_add(commit, at + sum_word, value);
    if (min_word != 0 && (count == 0 || value < rf_current(commit, at + min_word)))
        rf_stage(commit, at + min_word, value);
    if (max_word != 0 && (count == 0 || value > rf_current(commit, at + max_word)))
        rf_stage(commit, at + max_word, value);
}

static void stage_gpu_totals(struct rf_commit *commit, const struct rf_gpu_sample *sample)
{
    const uint64_t at = RF_BLOCK_PAYLOAD;
    if (rf_current(commit, at + RF_GPU_SAMPLES) == 0)
        rf_stage(commit, at + RF_GPU_FIRST_NS, sample->time_ns);
    rf_stage_add(commit, at + RF_GPU_SAMPLES, 1);
    rf_stage(commit, at + RF_GPU_LAST_NS, sample->time_ns);
    rf_stage(commit, at + RF_GPU_STATE, sample->state);
    if (sample->error != 0) {
        rf_stage(commit, at + RF_GPU_ERROR, sample->error);
        rf_stage_add(commit, at + RF_GPU_ERRORS, 1);
    }
    stage_field(commit, RF_GPU_BUSY_COUNT, RF_GPU_BUSY_PERCENT_SUM, RF_GPU_BUSY_PERCENT_MIN,
                RF_GPU_BUSY_PERCENT_MAX, sample->busy_percent);
    if (sample->memory_used != RF_UNKNOWN) {
        rf_stage_add(commit, at + RF_GPU_MEMORY_COUNT, 1);
        rf_stage_add(commit, at + RF_GPU_MEMORY_USED_SUM_KIB, sample->memory_used / 1024);
        if (sample->memory_used > rf_current(commit, at + RF_GPU_MEMORY_USED_PEAK))
            rf_stage(commit, at + RF_GPU_MEMORY_USED_PEAK, sample->memory_used);
        rf_stage(commit, at + RF_GPU_MEMORY_TOTAL, sample->memory_total);
    }
    stage_field(commit, RF_GPU_POWER_COUNT, RF_GPU_POWER_MW_SUM, 0, RF_GPU_POWER_MW_MAX,
                sample->power_mw);
    stage_field(commit, RF_GPU_TEMPERATURE_COUNT, RF_GPU_TEMPERATURE_SUM, 0, RF_GPU_TEMPERATURE_MAX,
                sample->temperature);
    stage_field(commit, RF_GPU_SM_CLOCK_COUNT, RF_GPU_SM_CLOCK_MHZ_SUM, RF_GPU_SM_CLOCK_MHZ_MIN, 0,
                sample->sm_clock_mhz);
}

static void stage_gpu_stage_totals(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    if (sample->stage == 0 || sample->stage >= gpu->layout->stages)
        return;
    struct rf_commit *commit = &gpu->commit;
    const uint64_t at = gpu->layout->stages_at + sample->stage * gpu->layout->stage_words;
    rf_stage_add(commit, at + RF_GPU_STAGE_SAMPLES, 1);
    if (sample->busy_percent != RF_UNKNOWN) {
        rf_stage_add(commit, at + RF_GPU_STAGE_BUSY_COUNT, 1);
        rf_stage_add(commit, at + RF_GPU_STAGE_BUSY_PERCENT_SUM, sample->busy_percent);
    }
    if (sample->memory_used != RF_UNKNOWN &&
        sample->memory_used > rf_current(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK))
        rf_stage(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK, sample->memory_used);
}

void rf_gpu_append(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
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
    stage_gpu_totals(commit, sample);
    stage_gpu_stage_totals(gpu, sample);
    const bool busy_known = sample->busy_percent != RF_UNKNOWN;
    const bool power_known = sample->power_mw != RF_UNKNOWN;
    const uint64_t values[RF_GPU_ROLLUP_WORDS] = {
        [RF_GPU_ROLLUP_SAMPLES] = 1,
        [RF_GPU_ROLLUP_BUSY_COUNT] = busy_known,
        [RF_GPU_ROLLUP_BUSY_PERCENT_SUM] = busy_known ? sample->busy_percent : 0,
        [RF_GPU_ROLLUP_MEMORY_USED_MAX] = known_or_zero(sample->memory_used),
        [RF_GPU_ROLLUP_POWER_COUNT] = power_known,
        [RF_GPU_ROLLUP_POWER_MW_SUM] = power_known ? sample->power_mw : 0,
    };
    const struct rf_rollup_shape shape = {layout->rollup_at, layout->rollup_levels,
                                          layout->rollup_buckets, layout->rollup_words,
                                          1u << RF_GPU_ROLLUP_MEMORY_USED_MAX};
    rf_rollup_add(commit, &shape, &gpu->open_second, sample->time_ns / UINT64_C(1000000000) + 1,
                  values);
    rf_publish(commit);
}
