/* SPDX-License-Identifier: Apache-2.0 */
/* What samples of a device add to its block, word by word: totals, its stage's row, the rows of the
 * ring, the rollups; each figure read and not read. */
#include "cmocka_all.h"

#include <string.h>

#include "runfile/writer.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define RECENT 4

static struct rf_writer *writer;
static struct rf_gpu_writer gpu;
static uint64_t *block;

static int attach(void **state)
{
    (void)state;
    const struct rf_spec spec = {.gpus = 1, .gpu_samples = RECENT};
    const struct rf_process_static process = {.pid = 1};
    const struct rf_gpu_static device = {.index = 3, .uuid = "GPU-3", .name = "three"};
    if (rf_writer_create(NULL, &spec, &process, &writer) != 0)
        return -1;
    block = rf_entry(writer, RF_SECTION_GPUS, 0);
    rf_gpu_attach(writer, 0, &device, &gpu);
    return 0;
}

static int detach(void **state)
{
    (void)state;
    rf_writer_destroy(writer);
    return 0;
}

static uint64_t word(uint32_t at)
{
    return block[RF_BLOCK_PAYLOAD + at];
}

static const uint64_t *row(uint64_t index)
{
    return block + writer->gpu_layout.ring_at + index % RECENT * writer->gpu_layout.sample_words;
}

static const uint64_t *stage_row(uint64_t stage)
{
    return block + writer->gpu_layout.stages_at + stage * writer->gpu_layout.stage_words;
}

static const uint64_t *second(uint64_t time_ns)
{
    return block + writer->gpu_layout.rollup_at +
           (time_ns / SECOND + 1) % writer->gpu_layout.rollup_buckets *
               writer->gpu_layout.rollup_words;
}

static struct rf_gpu_sample sample_at(uint64_t time_ns)
{
    struct rf_gpu_sample sample = rf_gpu_nothing_read();
    sample.time_ns = time_ns;
    sample.state = RF_GPU_OK;
    return sample;
}

static void an_entry_that_begins(void **state)
{
    (void)state;
    struct rf_gpu_static device;
    memcpy(&device, block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, sizeof device);
    assert_int_equal(device.index, 3);
    assert_string_equal(device.uuid, "GPU-3");
    assert_string_equal(device.name, "three");
    assert_int_equal(word(RF_GPU_STATE), RF_GPU_STARTING);
    assert_int_equal(word(RF_GPU_SAMPLES), 0);
    assert_int_equal(block[RF_BLOCK_VERSION], 2);
    rf_gpu_calling(&gpu, 77);
    assert_int_equal(word(RF_GPU_CALL_NS), 77);
}

static void nothing_read_is_unknown(void **state)
{
    (void)state;
    const struct rf_gpu_sample sample = rf_gpu_nothing_read();
    const uint64_t words[] = {sample.busy_percent, sample.memory_used,      sample.memory_total,
                              sample.memory_free,  sample.power_mw,         sample.temperature,
                              sample.sm_clock_mhz, sample.memory_clock_mhz, sample.held};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_int_equal(words[i], RF_UNKNOWN);
    assert_true(isnan(sample.activity));
    for (uint32_t i = 0; i < RF_GPM_FIELDS; i++)
        assert_true(isnan(sample.gpm[i]));
}

static void nothing_read_counts_the_sample_only(void **state)
{
    (void)state;
    struct rf_gpu_sample sample = sample_at(5 * SECOND);
    sample.stage = 2;
    rf_gpu_append(&gpu, &sample);
    assert_int_equal(word(RF_GPU_STATE), RF_GPU_OK);
    assert_int_equal(word(RF_GPU_SAMPLES), 1);
    assert_int_equal(word(RF_GPU_FIRST_NS), 5 * SECOND);
    assert_int_equal(word(RF_GPU_LAST_NS), 5 * SECOND);
    for (uint32_t i = RF_GPU_CALL_NS; i < RF_GPU_WORDS; i++)
        assert_int_equal(word(i), 0);
    assert_int_equal(word(RF_GPU_ERROR), 0);
    static const uint32_t unknown[] = {RF_GPU_SAMPLE_BUSY_PERCENT, RF_GPU_SAMPLE_MEMORY_USED,
                                       RF_GPU_SAMPLE_POWER_MW,     RF_GPU_SAMPLE_TEMPERATURE,
                                       RF_GPU_SAMPLE_SM_CLOCK_MHZ, RF_GPU_SAMPLE_MEMORY_CLOCK_MHZ};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(row(0)[unknown[i]], RF_UNKNOWN);
    assert_int_equal(row(0)[RF_GPU_SAMPLE_SEQUENCE], 1);
    assert_int_equal(row(0)[RF_GPU_SAMPLE_ACTIVITY], 0);
    assert_int_equal(stage_row(2)[RF_GPU_STAGE_SAMPLES], 1);
    for (uint32_t i = RF_GPU_STAGE_BUSY_COUNT; i < RF_GPU_STAGE_WORDS; i++)
        assert_int_equal(stage_row(2)[i], 0);
    assert_int_equal(second(5 * SECOND)[RF_GPU_ROLLUP_NUMBER], 6);
    assert_int_equal(second(5 * SECOND)[RF_GPU_ROLLUP_SAMPLES], 1);
    for (uint32_t i = RF_GPU_ROLLUP_BUSY_COUNT; i < RF_GPU_ROLLUP_WORDS; i++)
        assert_int_equal(second(5 * SECOND)[i], 0);
}

static void figures_are_counted(void **state)
{
    (void)state;
    static const struct {
        uint64_t busy, used, power, temperature, clock, stage;
    } rows[] = {
        {40, 3 << 20, 100, 60, 1400, 1}, {20, 5 << 20, 300, 50, 1200, 1},
        {90, 4 << 20, 50, 70, 1300, 1},  {60, 9 << 20, 200, 55, 1250, 0},
        {70, 1 << 20, 150, 40, 1500, 2},
    };
    for (uint64_t i = 0; i < 5; i++) {
        struct rf_gpu_sample sample = sample_at(5 * SECOND + i * MS);
        sample.busy_percent = rows[i].busy;
        sample.memory_used = rows[i].used;
        sample.memory_total = 100 << 20;
        sample.power_mw = rows[i].power;
        sample.temperature = rows[i].temperature;
        sample.sm_clock_mhz = rows[i].clock;
        sample.memory_clock_mhz = 900 + i;
        sample.stage = rows[i].stage;
        rf_gpu_append(&gpu, &sample);
    }
    static const uint64_t wanted[][2] = {
        {RF_GPU_STATE, RF_GPU_OK},
        {RF_GPU_SAMPLES, 5},
        {RF_GPU_FIRST_NS, 5 * SECOND},
        {RF_GPU_LAST_NS, 5 * SECOND + 4 * MS},
        {RF_GPU_ERRORS, 0},
        {RF_GPU_BUSY_COUNT, 5},
        {RF_GPU_BUSY_PERCENT_SUM, 280},
        {RF_GPU_BUSY_PERCENT_MIN, 20},
        {RF_GPU_BUSY_PERCENT_MAX, 90},
        {RF_GPU_MEMORY_COUNT, 5},
        {RF_GPU_MEMORY_TOTAL, 100 << 20},
        {RF_GPU_MEMORY_USED_SUM_KIB, 22 << 10},
        {RF_GPU_MEMORY_USED_PEAK, 9 << 20},
        {RF_GPU_POWER_COUNT, 5},
        {RF_GPU_POWER_MW_SUM, 800},
        {RF_GPU_POWER_MW_MIN, 50},
        {RF_GPU_POWER_MW_MAX, 300},
        {RF_GPU_TEMPERATURE_COUNT, 5},
        {RF_GPU_TEMPERATURE_SUM, 275},
        {RF_GPU_TEMPERATURE_MAX, 70},
        {RF_GPU_SM_CLOCK_COUNT, 5},
        {RF_GPU_SM_CLOCK_MHZ_SUM, 6650},
        {RF_GPU_SM_CLOCK_MHZ_MIN, 1200},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(word((uint32_t)wanted[i][0]), wanted[i][1]);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_SEQUENCE], 5); /* in the place of the first */
    assert_int_equal(row(3)[RF_GPU_SAMPLE_SEQUENCE], 4);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_NS], 5 * SECOND + 4 * MS);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_BUSY_PERCENT], 70);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_MEMORY_USED], 1 << 20);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_POWER_MW], 150);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_TEMPERATURE], 40);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_SM_CLOCK_MHZ], 1500);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_MEMORY_CLOCK_MHZ], 904);
    assert_int_equal(row(4)[RF_GPU_SAMPLE_STAGE], 2);
    assert_int_equal(stage_row(0)[RF_GPU_STAGE_SAMPLES], 0); /* no stage is no row */
    assert_int_equal(stage_row(1)[RF_GPU_STAGE_SAMPLES], 3);
    assert_int_equal(stage_row(1)[RF_GPU_STAGE_BUSY_COUNT], 3);
    assert_int_equal(stage_row(1)[RF_GPU_STAGE_BUSY_PERCENT_SUM], 150);
    assert_int_equal(stage_row(1)[RF_GPU_STAGE_MEMORY_USED_PEAK], 5 << 20);
    assert_int_equal(stage_row(2)[RF_GPU_STAGE_MEMORY_USED_PEAK], 1 << 20);
    const uint64_t *rollup = second(5 * SECOND);
    assert_int_equal(rollup[RF_GPU_ROLLUP_SAMPLES], 5);
    assert_int_equal(rollup[RF_GPU_ROLLUP_BUSY_COUNT], 5);
    assert_int_equal(rollup[RF_GPU_ROLLUP_BUSY_PERCENT_SUM], 280);
    assert_int_equal(rollup[RF_GPU_ROLLUP_MEMORY_USED_MAX], 9 << 20);
    assert_int_equal(rollup[RF_GPU_ROLLUP_POWER_COUNT], 5);
    assert_int_equal(rollup[RF_GPU_ROLLUP_POWER_MW_SUM], 800);
}

/* The first value is the least and the most, whatever it is. */
static void extremes_of_one(void **state)
{
    (void)state;
    struct rf_gpu_sample sample = sample_at(5 * SECOND);
    sample.power_mw = sample.busy_percent = 0;
    sample.sm_clock_mhz = UINT64_C(1) << 40;
    const uint64_t version = gpu.commit.block[RF_BLOCK_VERSION];
    rf_gpu_append(&gpu, &sample);
    /* Two changes, its totals and its rollups: a journal need not hold both. */
    assert_int_equal(gpu.commit.block[RF_BLOCK_VERSION], version + 4);
    assert_int_equal(word(RF_GPU_POWER_MW_MIN), 0);
    assert_int_equal(word(RF_GPU_POWER_COUNT), 1);
    assert_int_equal(word(RF_GPU_BUSY_COUNT), 1);
    assert_int_equal(word(RF_GPU_SM_CLOCK_MHZ_MIN), UINT64_C(1) << 40);
    assert_int_equal(second(5 * SECOND)[RF_GPU_ROLLUP_POWER_COUNT], 1);
    assert_int_equal(second(5 * SECOND)[RF_GPU_ROLLUP_BUSY_COUNT], 1);
}

static void stages_beyond_the_table(void **state)
{
    (void)state;
    static const uint64_t stages[] = {RF_STAGE_CAPACITY - 1, RF_STAGE_CAPACITY, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        struct rf_gpu_sample sample = sample_at((5 + (uint64_t)i) * SECOND);
        sample.stage = stages[i];
        rf_gpu_append(&gpu, &sample);
    }
    assert_int_equal(stage_row(RF_STAGE_CAPACITY - 1)[RF_GPU_STAGE_SAMPLES], 1);
    assert_int_equal(word(RF_GPU_SAMPLES), 3);
}

static void errors_are_kept(void **state)
{
    (void)state;
    static const uint64_t codes[] = {0, 9, 15, 0};
    for (int i = 0; i < 4; i++) {
        struct rf_gpu_sample sample = sample_at((5 + (uint64_t)i) * SECOND);
        sample.error = codes[i];
        sample.state = codes[i] == 0 ? RF_GPU_OK : RF_GPU_FAILED;
        rf_gpu_append(&gpu, &sample);
        assert_int_equal(word(RF_GPU_STATE), sample.state);
    }
    assert_int_equal(word(RF_GPU_ERROR), 15); /* the last one */
    assert_int_equal(word(RF_GPU_ERRORS), 2);
}

/* ---- time ---- */

struct time_row {
    uint64_t at_ms;
    double activity; /* NaN: not known */
    uint64_t span_ms;
    bool pending;
    uint64_t busy_ms, idle_ms, unknown_ms; /* in all, after it; the first sample is at 1000 ms */
};

static void busy_idle_and_unknown_time(void **state)
{
    (void)state;
    static const struct time_row rows[] = {
        {2000, 0.25, 1000, false, 250, 750, 0},
        {3000, NAN, 0, false, 250, 750, 1000},
        {4000, 1.0, 400, false, 650, 750, 1600},   /* of 600 ms nothing is known */
        {5000, 0.5, 996, false, 1150, 1250, 1600}, /* a few milliseconds are none */
        {6000, 0.0, 995, false, 1150, 2250, 1600},
        {7000, 0.0, 994, false, 1150, 3244, 1606},  /* more are */
        {8000, 1.0, 5000, false, 2150, 3244, 1606}, /* no more than since the last */
        {9000, NAN, 0, true, 2150, 3244, 1606},     /* to be covered by the next */
        {10000, 0.5, 2000, false, 3150, 4244, 1606},
        {11000, NAN, 0, true, 3150, 4244, 1606},
        {12000, NAN, 0, false, 3150, 4244, 3606}, /* which it was not */
        {13000, 1.5, 1000, false, 4150, 4244, 3606},
        {14000, -0.5, 1000, false, 4150, 5244, 3606},
        {14000, 1.0, 1000, false, 4150, 5244, 3606}, /* no time has passed */
        {13500, 1.0, 1000, false, 4150, 5244, 3606},
    };
    struct rf_gpu_sample first = sample_at(1000 * MS);
    first.activity = 1.0;
    first.activity_span_ns = 1000 * MS;
    rf_gpu_append(&gpu, &first); /* what was before it is not observed */
    assert_int_equal(word(RF_GPU_BUSY_NS) + word(RF_GPU_IDLE_NS) + word(RF_GPU_UNKNOWN_NS), 0);
    assert_int_equal(word(RF_GPU_ACTIVITY_SOURCES), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_gpu_sample sample = sample_at(rows[i].at_ms * MS);
        sample.activity = rows[i].activity;
        sample.activity_span_ns = rows[i].span_ms * MS;
        sample.activity_pending = rows[i].pending;
        sample.activity_source = RF_ACTIVITY_GPM;
        rf_gpu_append(&gpu, &sample);
        if (word(RF_GPU_BUSY_NS) != rows[i].busy_ms * MS ||
            word(RF_GPU_IDLE_NS) != rows[i].idle_ms * MS ||
            word(RF_GPU_UNKNOWN_NS) != rows[i].unknown_ms * MS)
            fail_msg("row %zu: %llu %llu %llu", i, (unsigned long long)word(RF_GPU_BUSY_NS) / MS,
                     (unsigned long long)word(RF_GPU_IDLE_NS) / MS,
                     (unsigned long long)word(RF_GPU_UNKNOWN_NS) / MS);
    }
    assert_int_equal(word(RF_GPU_ACTIVITY_SOURCES), 1u << RF_ACTIVITY_GPM);
}

static void activity_in_ring_and_rollup(void **state)
{
    (void)state;
    struct rf_gpu_sample sample = sample_at(5 * SECOND);
    rf_gpu_append(&gpu, &sample);
    sample = sample_at(6 * SECOND);
    sample.activity = 0.25;
    sample.activity_span_ns = 800 * MS;
    sample.activity_source = RF_ACTIVITY_NVML;
    rf_gpu_append(&gpu, &sample);
    assert_int_equal(row(1)[RF_GPU_SAMPLE_ACTIVITY], rf_pack_activity(0.25, 800 * MS));
    assert_int_equal(second(6 * SECOND)[RF_GPU_ROLLUP_BUSY_NS], 200 * MS);
    assert_int_equal(second(6 * SECOND)[RF_GPU_ROLLUP_ACTIVITY_NS], 800 * MS);
    assert_int_equal(word(RF_GPU_ACTIVITY_SOURCES), 1u << RF_ACTIVITY_NVML);
    sample.time_ns = 7 * SECOND;
    sample.activity_source = RF_ACTIVITY_GPM;
    sample.activity = 7;
    rf_gpu_append(&gpu, &sample);
    assert_int_equal(word(RF_GPU_ACTIVITY_SOURCES), 3);
    assert_int_equal(row(2)[RF_GPU_SAMPLE_ACTIVITY], rf_pack_activity(1.0, 800 * MS));
    sample.time_ns = 8 * SECOND;
    sample.activity = -1;
    rf_gpu_append(&gpu, &sample);
    assert_int_equal(row(3)[RF_GPU_SAMPLE_ACTIVITY], rf_pack_activity(0.0, 800 * MS));
}

/* Shares are integrated over time, rates to bytes; what was not read or cannot be adds nothing. */
static void fields_of_gpm(void **state)
{
    (void)state;
    struct rf_gpu_sample sample = sample_at(5 * SECOND);
    rf_gpu_append(&gpu, &sample);
    sample.time_ns = 7 * SECOND;
    sample.activity = 1;
    sample.activity_span_ns = 2 * SECOND;
    for (uint32_t i = 0; i < RF_GPM_FIELDS; i++)
        sample.gpm[i] = i < RF_GPM_PCIE_TX ? 0.1 * (i + 1) : 1000.0 * i;
    sample.gpm[RF_GPM_OCCUPANCY] = NAN;
    sample.gpm[RF_GPM_TENSOR] = -0.1;
    sample.gpm[RF_GPM_DRAM] = 0.0;
    rf_gpu_append(&gpu, &sample);
    static const uint64_t wanted[RF_GPM_FIELDS][2] = {{2 * SECOND, SECOND / 5},
                                                      {0, 0},
                                                      {0, 0},
                                                      {2 * SECOND, 0},
                                                      {2 * SECOND, 8000},
                                                      {2 * SECOND, 10000},
                                                      {2 * SECOND, 12000},
                                                      {2 * SECOND, 14000}};
    for (uint32_t i = 0; i < RF_GPM_FIELDS; i++) {
        assert_int_equal(word(RF_GPU_GPM + 2 * i), wanted[i][0]);
        assert_int_equal(word(RF_GPU_GPM + 2 * i + 1), wanted[i][1]);
    }
}

static void what_held_the_clocks_back(void **state)
{
    (void)state;
    static const uint64_t held[] = {7,
                                    0,
                                    RF_HELD_POWER,
                                    RF_HELD_THERMAL,
                                    RF_HELD_HARDWARE,
                                    RF_UNKNOWN,
                                    RF_HELD_POWER | RF_HELD_THERMAL};
    uint64_t time_ns = 5 * SECOND;
    for (uint64_t i = 0; i < 7; i++) {
        time_ns += SECOND << i;
        struct rf_gpu_sample sample = sample_at(time_ns);
        sample.held = held[i];
        rf_gpu_append(&gpu, &sample);
    }
    /* The times 2, 4, 8, 16, (32), 64 s; that before the first sample is none. */
    assert_int_equal(word(RF_GPU_HELD_KNOWN_NS), (2 + 4 + 8 + 16 + 64) * SECOND);
    assert_int_equal(word(RF_GPU_HELD_POWER_NS), (4 + 64) * SECOND);
    assert_int_equal(word(RF_GPU_HELD_THERMAL_NS), (8 + 64) * SECOND);
    assert_int_equal(word(RF_GPU_HELD_HARDWARE_NS), 16 * SECOND);
}

/* Power is linear between two readings; over more than ten seconds nobody knows. */
static void energy(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_s, power_mw, energy_uj, energy_s;
    } rows[] = {
        {5, 1000, 0, 0},
        {7, 3000, 4000000, 2}, /* 2 W for 2 s */
        {8, RF_UNKNOWN, 4000000, 2},
        {9, 1000, 8000000, 4}, /* over the one that was not read */
        {19, 1000, 18000000, 14},
        {30, 1000, 18000000, 14}, /* eleven seconds */
        {31, 0, 18500000, 15},
        {30, 5000, 18500000, 15}, /* back in time */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rf_gpu_sample sample = sample_at(rows[i].at_s * SECOND);
        sample.power_mw = rows[i].power_mw;
        rf_gpu_append(&gpu, &sample);
        assert_int_equal(word(RF_GPU_ENERGY_UJ), rows[i].energy_uj);
        assert_int_equal(word(RF_GPU_ENERGY_NS), rows[i].energy_s * SECOND);
    }
    assert_int_equal(second(7 * SECOND)[RF_GPU_ROLLUP_ENERGY_UJ], 4000000);
    assert_int_equal(second(19 * SECOND)[RF_GPU_ROLLUP_ENERGY_UJ], 10000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, attach, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_that_begins),
        TEST(nothing_read_is_unknown),
        TEST(nothing_read_counts_the_sample_only),
        TEST(figures_are_counted),
        TEST(extremes_of_one),
        TEST(stages_beyond_the_table),
        TEST(errors_are_kept),
        TEST(busy_idle_and_unknown_time),
        TEST(activity_in_ring_and_rollup),
        TEST(fields_of_gpm),
        TEST(what_held_the_clocks_back),
        TEST(energy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
