/* SPDX-License-Identifier: Apache-2.0 */
/* What the devices and the processes' loaders did: each figure of a summary from the words that were
 * read, each known and unknown. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "world.h"

#define NOW (500 * S)

/* A process that waited from 10 s to 20 s, and a device of which nothing is known. */
static uint64_t *begin_device(void)
{
    begin_world(1);
    set_wait(0, 10 * S, 20 * S, S);
    set_gpu(0, RF_ACTIVITY_GPM, 0, 0, 0);
    world.gpus[0].words[RF_GPU_SAMPLES] = 0;
    return world.gpus[0].words;
}

/* ---- how busy ---- */

static void busy_within_the_window(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint64_t begin_ms, end_ms;
            double busy;
        } samples[3]; /* end 0: no more */
        double share;
    } rows[] = {
        {{{10000, 20000, 0.25}}, 0.25},
        {{{10000, 15000, 0.0}, {15000, 20000, 1.0}}, 0.5},
        {{{10000, 12500, 1.0}, {12500, 20000, 0.2}}, 0.4},
        /* of what reaches beyond it only what is inside */
        {{{5000, 15000, 1.0}, {15000, 25000, 0.0}}, 0.5},
        {{{0, 12500, 1.0}, {12500, 20000, 0.0}}, 0.25},
        {{{10000, 17500, 0.0}, {17500, 30000, 1.0}}, 0.25},
        {{{5000, 10000, 1.0}, {10000, 20000, 0.0}, {20000, 25000, 1.0}}, 0.0},
        {{{5000, 10000, 1.0}}, NAN},
        {{{20000, 25000, 1.0}}, NAN},
        {{{15000, 15000, 1.0}}, NAN}, /* the first sample has no time before it */
        {{{10000, 20000, 1.5}}, 1.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_device();
        for (uint32_t k = 0; k < 3 && rows[i].samples[k].end_ms > 0; k++)
            add_sample(0, rows[i].samples[k].begin_ms * MS, rows[i].samples[k].end_ms * MS,
                       rows[i].samples[k].busy);
        /* What stands behind the last one is nobody's. */
        add_sample(0, 10 * S, 20 * S, 0.6);
        world.gpus[0].words[RF_GPU_SAMPLES]--;
        struct summary *summary = made(NOW);
        assert_figure(summary->gpus[0].busy_share, rows[i].share);
        if (isnan(rows[i].share))
            assert_null(summary->gpus[0].busy_source);
        else
            assert_string_equal(summary->gpus[0].busy_source, "gpm");
        summary_free(summary);
    }
    /* A span that would begin before the clock did. */
    begin_device();
    set_wait(0, 0, 20 * S, S);
    add_sample(0, 0, 8 * S, 0.5);
    world.samples[0][RF_GPU_SAMPLE_ACTIVITY] = rf_pack_activity(0.5, 16 * S);
    struct summary *summary = made(NOW);
    assert_figure(summary->gpus[0].busy_share, 0.5);
    summary_free(summary);
}

static void sources_of_activity(void **state)
{
    (void)state;
    static const struct {
        uint64_t sources;
        const char *source;
    } rows[] = {
        {1u << RF_ACTIVITY_GPM, "gpm"},
        {1u << RF_ACTIVITY_NVML, "nvml"},
        {1u << RF_ACTIVITY_GPM | 1u << RF_ACTIVITY_NVML, "nvml"},
        {0, "nvml"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *w = begin_device();
        add_sample(0, 10 * S, 20 * S, 0.5);
        w[RF_GPU_ACTIVITY_SOURCES] = rows[i].sources;
        struct summary *summary = made(NOW);
        assert_string_equal(summary->gpus[0].busy_source, rows[i].source);
        summary_free(summary);
    }
}

/* Utilisation serves where no activity is known: of the window's samples, else of the run's. */
static void utilisation_alone(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns[2], percent[2];
        uint64_t count, sum; /* of the run */
        double share;
        uint64_t samples;
    } rows[] = {
        {{10 * S, 20 * S}, {40, 61}, 9, 9, 0.505, 2},
        {{10 * S - 1, 20 * S}, {40, 61}, 9, 9, 0.61, 1},
        {{10 * S, 20 * S + 1}, {40, 61}, 9, 9, 0.40, 1},
        {{15 * S, 16 * S}, {100, 0}, 9, 9, 0.5, 2},
        {{15 * S, 16 * S}, {101, 20}, 9, 9, 0.2, 1}, /* damage */
        {{15 * S, 16 * S}, {RF_UNKNOWN, 20}, 9, 9, 0.2, 1},
        {{5 * S, 6 * S}, {40, 61}, 8, 240, 0.3, 8}, /* none in the window */
        {{15 * S, 16 * S}, {RF_UNKNOWN, RF_UNKNOWN}, 8, 240, 0.3, 8},
        {{5 * S, 6 * S}, {40, 61}, 0, 0, NAN, 0},
        {{5 * S, 6 * S}, {40, 61}, 1, 100, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *w = begin_device();
        for (uint32_t k = 0; k < 2; k++) {
            add_sample(0, rows[i].ns[k], rows[i].ns[k], 0);
            world.samples[0][k * RF_GPU_SAMPLE_WORDS + RF_GPU_SAMPLE_BUSY_PERCENT] =
                rows[i].percent[k];
        }
        w[RF_GPU_BUSY_COUNT] = rows[i].count;
        w[RF_GPU_BUSY_PERCENT_SUM] = rows[i].sum;
        struct summary *summary = made(NOW);
        assert_figure(summary->gpus[0].busy_share, rows[i].share);
        assert_int_equal(summary->gpus[0].busy_samples, rows[i].samples);
        if (isnan(rows[i].share))
            assert_null(summary->gpus[0].busy_source);
        else
            assert_string_equal(summary->gpus[0].busy_source, "nvml");
        summary_free(summary);
    }
}

/* Without a window all that was seen counts. */
static void a_device_without_a_loop(void **state)
{
    (void)state;
    uint64_t *w = begin_device();
    world.data.process_count = 0;
    w[RF_GPU_BUSY_NS] = 3 * S;
    w[RF_GPU_IDLE_NS] = 5 * S;
    w[RF_GPU_BUSY_COUNT] = 7;
    w[RF_GPU_BUSY_PERCENT_SUM] = 140;
    struct summary *summary = made(NOW);
    assert_figure(summary->gpus[0].busy_share, 0.375);
    assert_int_equal(summary->gpus[0].busy_samples, 7);
    assert_true(isnan(summary->gpus[0].stall_share));
    summary_free(summary);
    w[RF_GPU_BUSY_NS] = w[RF_GPU_IDLE_NS] = 0;
    summary = made(NOW);
    assert_figure(summary->gpus[0].busy_share, 0.2);
    summary_free(summary);
}

/* More samples than the ring holds: from the rollups, whole seconds. */
static void busy_from_the_rollups(void **state)
{
    (void)state;
    static uint64_t block[64 * RF_GPU_ROLLUP_WORDS];
    for (uint32_t at_ring = 0; at_ring < 2; at_ring++) {
        uint64_t *w = begin_device();
        struct rf_gpu_view *gpu = &world.gpus[0];
        memset(block, 0, sizeof block);
        gpu->block = block;
        gpu->layout.rollup_levels = 1;
        gpu->layout.rollup_buckets = 64;
        gpu->layout.rollup_words = RF_GPU_ROLLUP_WORDS;
        w[RF_GPU_SAMPLES] = WORLD_SAMPLES + 1 - at_ring;
        for (uint64_t second = 5; second < 25; second++) {
            uint64_t *row = block + second * RF_GPU_ROLLUP_WORDS;
            row[RF_GPU_ROLLUP_NUMBER] = 1 + second;
            row[RF_GPU_ROLLUP_ACTIVITY_NS] = S;
            row[RF_GPU_ROLLUP_BUSY_NS] = second < 10 || second > 20 ? S : S / 4;
            row[RF_GPU_ROLLUP_BUSY_COUNT] = 2;
            row[RF_GPU_ROLLUP_BUSY_PERCENT_SUM] = 100;
        }
        struct summary *summary = made(NOW);
        if (at_ring == 0) {
            assert_figure(summary->gpus[0].busy_share, 0.25);
            assert_int_equal(summary->gpus[0].busy_samples, 22);
        }
        summary_free(summary);
    }
    /* Without activity their utilisation serves. */
    for (uint64_t second = 5; second < 25; second++)
        block[second * RF_GPU_ROLLUP_WORDS + RF_GPU_ROLLUP_ACTIVITY_NS] = 0;
    world.gpus[0].words[RF_GPU_SAMPLES] = WORLD_SAMPLES + 1;
    struct summary *summary = made(NOW);
    assert_figure(summary->gpus[0].busy_share, 0.5);
    assert_string_equal(summary->gpus[0].busy_source, "nvml");
    summary_free(summary);
    /* A bucket of more words than a reader has room for is passed over. */
    world.gpus[0].words[RF_GPU_SAMPLES] = WORLD_SAMPLES + 1;
    world.gpus[0].layout.rollup_words = 65;
    summary = made(NOW);
    assert_true(isnan(summary->gpus[0].busy_share));
    summary_free(summary);
}

/* ---- what the driver told ---- */

static void figures_of_a_device(void **state)
{
    (void)state;
    uint64_t *w = begin_device();
    struct summary *summary = made(NOW);
    const struct summary_gpu *gpu = &summary->gpus[0];
    assert_true(isnan(gpu->held_power_share) && isnan(gpu->held_thermal_share) &&
                isnan(gpu->held_hardware_share));
    assert_int_equal(gpu->energy_uj, DATASTALL_UNKNOWN);
    assert_int_equal(gpu->memory_used_peak_bytes, DATASTALL_UNKNOWN);
    assert_int_equal(gpu->memory_total_bytes, DATASTALL_UNKNOWN);
    assert_true(isnan(gpu->power_mean_w) && isnan(gpu->power_max_w));
    assert_true(isnan(gpu->temperature_max_c) && isnan(gpu->sm_clock_mean_mhz));
    assert_true(isnan(gpu->stalled_energy_lower_j) && isnan(gpu->stalled_energy_upper_j));
    assert_true(isnan(gpu->other_idle_share));
    assert_true(isnan(gpu->stall_share) && isnan(gpu->stall_share_lower));
    assert_null(gpu->busy_source);
    summary_free(summary);

    w[RF_GPU_BUSY_NS] = 11;
    w[RF_GPU_IDLE_NS] = 12;
    w[RF_GPU_UNKNOWN_NS] = 13;
    w[RF_GPU_HELD_KNOWN_NS] = 100;
    w[RF_GPU_HELD_POWER_NS] = 10;
    w[RF_GPU_HELD_THERMAL_NS] = 20;
    w[RF_GPU_HELD_HARDWARE_NS] = 30;
    w[RF_GPU_ENERGY_NS] = 1;
    w[RF_GPU_ENERGY_UJ] = 0;
    w[RF_GPU_MEMORY_COUNT] = 1;
    w[RF_GPU_MEMORY_USED_PEAK] = 40;
    w[RF_GPU_MEMORY_TOTAL] = 80;
    w[RF_GPU_POWER_COUNT] = 1;
    w[RF_GPU_POWER_MW_SUM] = 2000;
    w[RF_GPU_POWER_MW_MAX] = 3000;
    w[RF_GPU_TEMPERATURE_COUNT] = 1;
    w[RF_GPU_TEMPERATURE_MAX] = 60;
    w[RF_GPU_SM_CLOCK_COUNT] = 2;
    w[RF_GPU_SM_CLOCK_MHZ_SUM] = 3000;
    summary = made(NOW);
    gpu = &summary->gpus[0];
    assert_int_equal(gpu->busy_ns, 11);
    assert_int_equal(gpu->idle_ns, 12);
    assert_int_equal(gpu->unknown_ns, 13);
    assert_figure(gpu->held_power_share, 0.1);
    assert_figure(gpu->held_thermal_share, 0.2);
    assert_figure(gpu->held_hardware_share, 0.3);
    assert_int_equal(gpu->energy_uj, 0);
    assert_int_equal(gpu->energy_ns, 1);
    assert_int_equal(gpu->memory_used_peak_bytes, 40);
    assert_int_equal(gpu->memory_total_bytes, 80);
    assert_figure(gpu->power_mean_w, 2);
    assert_figure(gpu->power_max_w, 3);
    assert_figure(gpu->temperature_max_c, 60);
    assert_figure(gpu->sm_clock_mean_mhz, 1500);
    summary_free(summary);
}

static void figures_of_gpm(void **state)
{
    (void)state;
    uint64_t *w = begin_device();
    struct summary *summary = made(NOW);
    assert_true(isnan(summary->gpus[0].gpm.sm_share));
    assert_true(isnan(summary->gpus[0].gpm.nvlink_rx_bytes_per_s));
    summary_free(summary);
    for (uint32_t field = 0; field < RF_GPM_FIELDS; field++) {
        w[RF_GPU_GPM + 2 * field] = 100;
        w[RF_GPU_GPM + 2 * field + 1] = 10 * (field + 1);
    }
    summary = made(NOW);
    const struct summary_gpm *gpm = &summary->gpus[0].gpm;
    assert_figure(gpm->sm_share, 0.1);
    assert_figure(gpm->occupancy_share, 0.2);
    assert_figure(gpm->tensor_share, 0.3);
    assert_figure(gpm->dram_share, 0.4);
    assert_figure(gpm->pcie_tx_bytes_per_s, 0.5e9);
    assert_figure(gpm->pcie_rx_bytes_per_s, 0.6e9);
    assert_figure(gpm->nvlink_tx_bytes_per_s, 0.7e9);
    assert_figure(gpm->nvlink_rx_bytes_per_s, 0.8e9);
    summary_free(summary);
}

/* A call that does not return: after two seconds of a run that goes on, or when that has ended. */
static void a_silent_driver(void **state)
{
    (void)state;
    static const struct {
        enum rf_process_state file; /* of the launcher */
        enum rf_liveness liveness, process;
        uint64_t since_ns, last_ns, gpu_state;
        bool silent;
        uint64_t unknown_ns;
    } rows[] = {
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 0, 100 * S, RF_GPU_OK, false, 0},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, NOW - 2 * S, 100 * S, RF_GPU_OK, false, 0},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, NOW - 2 * S - 1, 100 * S, RF_GPU_OK, true, 398 * S},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 1, 0, RF_GPU_OK, true, 0},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 1, NOW - 2 * S, RF_GPU_OK, true, 0},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 1, NOW - 2 * S - 1, RF_GPU_OK, true, 1},
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 1, NOW, RF_GPU_OK, true, 0},
        /* sampling ended: its devices are unknown since */
        {RF_STATE_OPEN, RF_ALIVE, RF_ALIVE, 0, 100 * S, RF_GPU_ENDED, false, 398 * S},
        {RF_STATE_CLOSED, RF_DEAD, RF_DEAD, 0, 100 * S, RF_GPU_ENDED, false, 0},
        {RF_STATE_CLOSED, RF_DEAD, RF_DEAD, NOW - 1, 100 * S, RF_GPU_OK, true, 0},
        /* the launcher, and with it the sampler, was killed in the middle of a call */
        {RF_STATE_OPEN, RF_DEAD, RF_DEAD, 1, 100 * S, RF_GPU_OK, false, 0},
        {RF_STATE_OPEN, RF_DEAD, RF_ALIVE, 1, 100 * S, RF_GPU_OK, false, 0},
        {RF_STATE_OPEN, RF_UNSEEN, RF_UNSEEN, 1, 100 * S, RF_GPU_OK, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t *w = begin_device();
        world.data.gpu_state = rows[i].gpu_state;
        world.processes[0].view.words[RF_PROCESS_STATE] = RF_STATE_OPEN;
        world.processes[0].liveness = rows[i].process;
        set_launcher(rows[i].file, rows[i].liveness);
        w[RF_GPU_CALL_NS] = rows[i].since_ns;
        w[RF_GPU_LAST_NS] = rows[i].last_ns;
        w[RF_GPU_UNKNOWN_NS] = 7;
        struct summary *summary = made(NOW);
        if (summary->gpus[0].silent != rows[i].silent ||
            summary->gpus[0].unknown_ns != 7 + rows[i].unknown_ns)
            fail_msg("row %zu: %d, %llu", i, summary->gpus[0].silent,
                     (unsigned long long)summary->gpus[0].unknown_ns);
        summary_free(summary);
    }
}

/* ---- loaders and threads ---- */

static void waiting_share_of_a_loader(void **state)
{
    (void)state;
    static const struct {
        uint64_t steady_s, other_s, end_s;
        double share;
    } rows[] = {
        {0, 0, 20, 0},   {4, 0, 20, 0.4}, {4, 1, 20, 0.5},
        {0, 1, 20, 0.1}, {30, 0, 20, 1},  {4, 1, 10, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(1);
        set_wait(0, 10 * S, rows[i].end_s * S, rows[i].steady_s * S);
        world.loaders[0].totals.counters[RF_COUNT_OTHER_NS] = rows[i].other_s * S;
        struct summary *summary = made(NOW);
        assert_figure(summary->loaders[0].waiting_share, rows[i].share);
        assert_int_equal(summary->loaders[0].stall.waiting_ns,
                         (rows[i].steady_s + rows[i].other_s) * S);
        summary_free(summary);
    }
}

/* What a program reports by hand while hooks see it would count twice. */
static void which_loaders_count(void **state)
{
    (void)state;
    static const struct {
        uint64_t sources[2];
        uint32_t threads; /* of the second one */
        bool in_verdict[2];
        uint64_t waiting_s;
    } rows[] = {
        {{DATASTALL_SOURCE_MANUAL, DATASTALL_SOURCE_MANUAL}, 1, {true, true}, 3},
        {{DATASTALL_SOURCE_MANUAL, DATASTALL_SOURCE_TORCH}, 1, {false, true}, 2},
        {{DATASTALL_SOURCE_MANUAL, DATASTALL_SOURCE_WATCH}, 1, {false, true}, 2},
        {{DATASTALL_SOURCE_TORCH, DATASTALL_SOURCE_MANUAL}, 1, {true, false}, 1},
        {{DATASTALL_SOURCE_TORCH, DATASTALL_SOURCE_WATCH}, 1, {true, true}, 3},
        {{DATASTALL_SOURCE_MANUAL, DATASTALL_SOURCE_TORCH}, 0, {true, true}, 3}, /* never used */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        world.data.process_count = 1;
        world.processes[0].loader_count = 2;
        set_wait(0, 10 * S, 20 * S, S);
        set_wait(1, 10 * S, 20 * S, 2 * S);
        for (uint32_t k = 0; k < 2; k++)
            world.loaders[k].entry.source = rows[i].sources[k];
        world.loaders[1].threads = rows[i].threads;
        struct summary *summary = made(NOW);
        for (uint32_t k = 0; k < 2; k++)
            assert_int_equal(summary->loaders[k].in_verdict, rows[i].in_verdict[k]);
        assert_int_equal(summary->processes[0].stall.waiting_ns, rows[i].waiting_s * S);
        summary_free(summary);
    }
}

static void the_window_of_a_process(void **state)
{
    (void)state;
    static const struct {
        uint64_t begin[2], end[2], from, to;
    } rows[] = {
        {{10, 12}, {20, 18}, 10, 20}, {{12, 10}, {18, 20}, 10, 20}, {{10, 15}, {12, 20}, 10, 20},
        {{15, 10}, {20, 12}, 10, 20}, {{10, 10}, {20, 20}, 10, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        world.data.process_count = 1;
        world.processes[0].loader_count = 2;
        for (uint32_t k = 0; k < 2; k++)
            set_wait(k, rows[i].begin[k] * S, rows[i].end[k] * S, S);
        struct summary *summary = made(NOW);
        assert_int_equal(summary->processes[0].begin_ns, rows[i].from * S);
        assert_int_equal(summary->processes[0].end_ns, rows[i].to * S);
        assert_float_equal(summary->processes[0].stall_share, 0.2, NEAR);
        assert_float_equal(summary->processes[0].speedup_ceiling, 1.25, NEAR);
        summary_free(summary);
    }
    /* Without a wait there is no window, with one of no length no method. */
    begin_world(1);
    struct summary *summary = made(NOW);
    assert_int_equal(summary->processes[0].begin_ns, DATASTALL_UNKNOWN);
    assert_int_equal(summary->processes[0].method, SUMMARY_METHOD_UNKNOWN);
    summary_free(summary);
    set_wait(0, 10 * S, 10 * S, 0);
    summary = made(NOW);
    assert_int_equal(summary->processes[0].begin_ns, 10 * S);
    assert_int_equal(summary->processes[0].method, SUMMARY_METHOD_UNKNOWN);
    assert_int_equal(summary->processes[0].threads, 0);
    assert_true(isnan(summary->processes[0].stall_share));
    summary_free(summary);
}

/* Each thread once, however many loaders it waits in. */
static void threads_of_a_process(void **state)
{
    (void)state;
    static const struct {
        uint32_t counts[2];
        uint64_t ids[2][3];
        bool background[2];
        uint64_t source; /* of the second loader */
        uint32_t threads;
        bool some_background;
    } rows[] = {
        {{1, 0}, {{7}, {0}}, {false, false}, DATASTALL_SOURCE_TORCH, 1, false},
        {{1, 1}, {{7}, {7}}, {false, false}, DATASTALL_SOURCE_TORCH, 1, false},
        {{1, 1}, {{7}, {8}}, {false, true}, DATASTALL_SOURCE_TORCH, 2, true},
        {{3, 3}, {{1, 2, 3}, {3, 4, 1}}, {true, false}, DATASTALL_SOURCE_TORCH, 4, true},
        {{3, 3}, {{1, 2, 3}, {4, 5, 6}}, {false, true}, DATASTALL_SOURCE_MANUAL, 3, false},
        {{3, 1}, {{1, 1, 1}, {1}}, {false, false}, DATASTALL_SOURCE_TORCH, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_world(2);
        world.data.process_count = 1;
        world.processes[0].loader_count = 2;
        for (uint32_t k = 0; k < 2; k++) {
            set_wait(k, 10 * S, 20 * S, S);
            world.loaders[k].threads = rows[i].counts[k];
            world.loaders[k].background = rows[i].background[k];
            memcpy(world.loaders[k].thread_ids, rows[i].ids[k], sizeof rows[i].ids[k]);
        }
        world.loaders[1].entry.source = rows[i].source;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->processes[0].threads, rows[i].threads);
        assert_int_equal(summary->processes[0].background, rows[i].some_background);
        assert_int_equal(summary->upper_bound, rows[i].some_background);
        assert_int_equal(summary->processes[0].exposed.lower_ns,
                         rows[i].some_background ? 0 : summary->processes[0].stall.waiting_ns);
        summary_free(summary);
    }
    /* No more than there is room for. */
    begin_world(2);
    world.data.process_count = 1;
    world.processes[0].loader_count = 2;
    for (uint32_t k = 0; k < 2; k++) {
        set_wait(k, 10 * S, 20 * S, S);
        world.loaders[k].threads = RUN_THREADS;
        for (uint32_t t = 0; t < RUN_THREADS; t++)
            world.loaders[k].thread_ids[t] = 1000 * k + t;
    }
    struct summary *summary = made(NOW);
    assert_int_equal(summary->processes[0].threads, RUN_THREADS);
    summary_free(summary);
}

/* ---- stages ---- */

static void figures_of_stages(void **state)
{
    (void)state;
    begin_world(2);
    strcpy(world.processes[0].stage_names[0], "never told");
    strcpy(world.processes[0].stage_names[2], "train");
    strcpy(world.processes[1].stage_names[RF_STAGE_OTHER], "other");
    world.processes[0].view.words[RF_PROCESS_STAGE_NS + 2] = 10 * S;
    for (uint32_t i = 0; i < 2; i++) {
        set_wait(i, 10 * S, 20 * S, S);
        uint64_t *words = world.loaders[i].stages[i == 0 ? 2 : RF_STAGE_OTHER];
        words[RF_COUNT_BATCHES] = 5;
        words[RF_COUNT_STEADY_NS] = 3 * S;
        words[RF_COUNT_OTHER_NS] = S;
        words[RF_COUNT_SAMPLES] = 320;
        words[RF_COUNT_SAMPLES_BATCHES] = i;
        words[RF_COUNT_TOKENS] = 64000;
        words[RF_COUNT_TOKENS_BATCHES] = 1 - i;
    }
    struct summary *summary = made(NOW);
    assert_int_equal(summary->stage_count, 2);
    const struct summary_stage *stage = &summary->stages[0];
    assert_string_equal(stage->name, "train");
    assert_int_equal(stage->process, 0);
    assert_int_equal(stage->batches, 5);
    assert_int_equal(stage->stall.waiting_ns, 4 * S);
    assert_int_equal(stage->samples, DATASTALL_UNKNOWN); /* no batch stated them */
    assert_int_equal(stage->tokens, 64000);
    assert_figure(stage->waiting_share, 0.4);
    stage = &summary->stages[1];
    assert_string_equal(stage->name, "other");
    assert_int_equal(stage->process, 1);
    assert_int_equal(stage->samples, 320);
    assert_int_equal(stage->tokens, DATASTALL_UNKNOWN);
    assert_true(isnan(stage->waiting_share)); /* no time was spent in it */
    summary_free(summary);
    world.processes[0].view.words[RF_PROCESS_STAGE_NS + 2] = 2 * S;
    summary = made(NOW);
    assert_figure(summary->stages[0].waiting_share, 1);
    summary_free(summary);
}

/* A stage's figures are the sum over the loaders of the verdict. */
static void stages_over_loaders(void **state)
{
    (void)state;
    for (uint32_t manual = 0; manual < 2; manual++) {
        begin_world(2);
        world.data.process_count = 1;
        world.processes[0].loader_count = 2;
        strcpy(world.processes[0].stage_names[1], "train");
        for (uint32_t k = 0; k < 2; k++) {
            set_wait(k, 10 * S, 20 * S, S);
            uint64_t *words = world.loaders[k].stages[1];
            words[RF_COUNT_BATCHES] = words[RF_COUNT_SAMPLES_BATCHES] = 1 + k;
            words[RF_COUNT_SAMPLES] = 10 * (1 + k);
            words[RF_COUNT_STEADY_NS] = (1 + k) * S;
        }
        if (manual)
            world.loaders[1].entry.source = DATASTALL_SOURCE_MANUAL;
        struct summary *summary = made(NOW);
        assert_int_equal(summary->stages[0].batches, manual ? 1 : 3);
        assert_int_equal(summary->stages[0].samples, manual ? 10 : 30);
        assert_int_equal(summary->stages[0].stall.waiting_ns, (manual ? 1 : 3) * S);
        summary_free(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_within_the_window),
        cmocka_unit_test(sources_of_activity),
        cmocka_unit_test(utilisation_alone),
        cmocka_unit_test(a_device_without_a_loop),
        cmocka_unit_test(busy_from_the_rollups),
        cmocka_unit_test(figures_of_a_device),
        cmocka_unit_test(figures_of_gpm),
        cmocka_unit_test(a_silent_driver),
        cmocka_unit_test(waiting_share_of_a_loader),
        cmocka_unit_test(which_loaders_count),
        cmocka_unit_test(the_window_of_a_process),
        cmocka_unit_test(threads_of_a_process),
        cmocka_unit_test(figures_of_stages),
        cmocka_unit_test(stages_over_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
