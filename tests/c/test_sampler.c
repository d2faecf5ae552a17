/* The sampler's threads, with a vendor library that is slow, hangs, or comes and goes. Runs under
 * the sanitizers too. */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "gpu/sampler.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define DEVICES 4u
#define NOBODY UINT32_MAX

/* ---- a vendor library of our own ---- */

static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static bool gate_open;           /* lets those go that hang */
static uint32_t hangs_in_sample; /* device, from its second sample on */
static uint32_t hangs_in_identify;
static uint32_t opened, closed, samples_of[DEVICES];
static uint32_t inside[DEVICES]; /* threads that are in a call for a device */

static void hang(void)
{
    pthread_mutex_lock(&gate_mutex);
    while (!gate_open)
        pthread_cond_wait(&gate_opens, &gate_mutex);
    pthread_mutex_unlock(&gate_mutex);
}

static void let_go(void)
{
    pthread_mutex_lock(&gate_mutex);
    gate_open = true;
    pthread_cond_broadcast(&gate_opens);
    pthread_mutex_unlock(&gate_mutex);
}

static uint32_t fake_open(struct gpu_library **library)
{
    static uint64_t something;
    *library = (struct gpu_library *)(void *)&something;
    __atomic_add_fetch(&opened, 1, __ATOMIC_RELAXED);
    return 0;
}

static void fake_close(struct gpu_library *library)
{
    (void)library;
    for (uint32_t i = 0; i < DEVICES; i++) /* nobody may be in the library any more */
        assert_int_equal(__atomic_load_n(&inside[i], __ATOMIC_RELAXED), 0);
    __atomic_add_fetch(&closed, 1, __ATOMIC_RELEASE);
}

static uint32_t fake_count(struct gpu_library *library)
{
    (void)library;
    return DEVICES;
}

static void enter(uint32_t index)
{
    /* The promise of gpu_vendor: one thread at a time for a device. */
    assert_int_equal(__atomic_add_fetch(&inside[index], 1, __ATOMIC_RELAXED), 1);
}

static void leave(uint32_t index)
{
    __atomic_sub_fetch(&inside[index], 1, __ATOMIC_RELAXED);
}

static uint32_t fake_identify(struct gpu_library *library, uint32_t index,
                              struct rf_gpu_static *device)
{
    (void)library;
    enter(index);
    if (index == hangs_in_identify)
        hang();
    *device = (struct rf_gpu_static){.index = index};
    snprintf(device->uuid, sizeof device->uuid, "GPU-%u", index);
    leave(index);
    return 0;
}

static void fake_sample(struct gpu_library *library, uint32_t index, struct rf_gpu_sample *sample)
{
    (void)library;
    enter(index);
    if (__atomic_add_fetch(&samples_of[index], 1, __ATOMIC_RELAXED) > 1 && index == hangs_in_sample)
        hang();
    sample->state = RF_GPU_OK;
    sample->busy_percent = index;
    sample->activity = index * 0.1;
    leave(index);
}

static const struct gpu_vendor vendor = {"fake",        fake_open,   fake_close, fake_count,
                                         fake_identify, fake_sample, NULL};

static void reset(uint32_t in_sample, uint32_t in_identify)
{
    gate_open = false;
    hangs_in_sample = in_sample;
    hangs_in_identify = in_identify;
    opened = closed = 0;
    memset(samples_of, 0, sizeof samples_of);
}

/* ---- helpers ---- */

static struct rf_writer *writer_in_memory(uint32_t entries)
{
    const struct rf_spec spec = {.gpus = entries};
    const struct rf_process_static process = {.pid = 1};
    struct rf_writer *writer;
    assert_int_equal(rf_writer_create(NULL, &spec, &process, &writer), 0);
    return writer;
}

static uint64_t word(const struct rf_writer *writer, uint32_t entry, uint32_t which)
{
    return ds_load(rf_entry(writer, RF_SECTION_GPUS, entry) + RF_BLOCK_PAYLOAD + which);
}

static void until_closed(void)
{
    for (int i = 0; i < 12000 && __atomic_load_n(&closed, __ATOMIC_ACQUIRE) == 0; i++)
        usleep(10000);
    assert_int_equal(__atomic_load_n(&closed, __ATOMIC_ACQUIRE), 1);
}

/* Waits until every entry but `other` has so many samples, as long as that may take. */
static void until_sampled(const struct rf_writer *writer, uint32_t entries, uint32_t other,
                          uint64_t samples)
{
    for (uint32_t i = 0; i < entries; i++) {
        for (int k = 0; k < 12000 && i != other && word(writer, i, RF_GPU_SAMPLES) < samples; k++)
            usleep(10000);
    }
}

static uint32_t told; /* samples told to on_sample */

static void on_sample(void *context, uint32_t entry, const struct rf_gpu_sample *sample)
{
    assert_ptr_equal(context, &told);
    assert_int_equal(sample->busy_percent, entry);
    told++; /* one call at a time */
}

/* ---- the tests ---- */

static void every_device_has_its_entry(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory(3); /* one fewer than devices */
    reset(NOBODY, NOBODY);
    told = 0;
    const struct gpu_sampler_options options = {.vendor = &vendor,
                                                .writer = writer,
                                                .interval_s = 0.01,
                                                .on_sample = on_sample,
                                                .context = &told};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    assert_non_null(sampler);
    until_sampled(writer, 3, NOBODY, 3);
    gpu_sampler_stop(sampler);
    assert_int_equal(closed, 1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(word(writer, i, RF_GPU_SAMPLES) >= 3);
        assert_int_equal(word(writer, i, RF_GPU_SAMPLES), samples_of[i]);
        assert_int_equal(word(writer, i, RF_GPU_BUSY_PERCENT_MAX), i);
        assert_int_equal(word(writer, i, RF_GPU_CALL_NS), 0);
        sum += word(writer, i, RF_GPU_SAMPLES);
    }
    assert_int_equal(told, sum);
    assert_int_equal(samples_of[3], 0); /* nobody would read it */
    rf_writer_destroy(writer);
}

/* The last sample is taken at the end, so that the span since the one before is known. */
static void the_last_span_is_completed(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory(1);
    reset(NOBODY, NOBODY);
    const struct gpu_sampler_options options = {
        .vendor = &vendor, .writer = writer, .interval_s = 60.0};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    const uint64_t begin_ns = ds_now_ns();
    until_sampled(writer, 1, NOBODY, 1);
    usleep(250000); /* a shorter last span would not be worth a sample */
    gpu_sampler_stop(sampler);
    assert_int_equal(word(writer, 0, RF_GPU_SAMPLES), 2);
    const uint64_t observed_ns = word(writer, 0, RF_GPU_BUSY_NS) + word(writer, 0, RF_GPU_IDLE_NS);
    assert_true(observed_ns >= 250 * MS && observed_ns <= ds_now_ns() - begin_ns);
    rf_writer_destroy(writer);
}

static void one_hangs(uint32_t in_sample, uint32_t in_identify, uint32_t expected)
{
    struct rf_writer *writer = writer_in_memory(DEVICES);
    reset(in_sample, in_identify);
    const struct gpu_sampler_options options = {
        .vendor = &vendor, .writer = writer, .interval_s = 0.01};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    until_sampled(writer, DEVICES, 1, 3);
    const uint64_t begin_ns = ds_now_ns();
    gpu_sampler_stop(sampler);
    assert_true(ds_now_ns() - begin_ns < 30000 * MS); /* 100 ms, on a machine that has time */
    assert_int_equal(__atomic_load_n(&closed, __ATOMIC_ACQUIRE), 0); /* it is still in use */
    for (uint32_t i = 0; i < DEVICES; i++) {
        if (i == 1) {
            assert_int_equal(word(writer, i, RF_GPU_SAMPLES), expected);
            assert_true(word(writer, i, RF_GPU_CALL_NS) != 0); /* seen to hang */
        } else {
            assert_true(word(writer, i, RF_GPU_SAMPLES) >= 3);
            assert_int_equal(word(writer, i, RF_GPU_CALL_NS), 0);
        }
    }
    /* The driver comes back after the stop: nothing is written any more, all is cleaned up. */
    const uint64_t version = ds_load(rf_entry(writer, RF_SECTION_GPUS, 1));
    let_go();
    until_closed();
    assert_int_equal(ds_load(rf_entry(writer, RF_SECTION_GPUS, 1)), version);
    rf_writer_destroy(writer);
}

static void a_sample_that_hangs(void **state)
{
    (void)state;
    one_hangs(1, NOBODY, 1);
}

static void an_identity_that_hangs(void **state)
{
    (void)state;
    one_hangs(NOBODY, 1, 0);
}

static void start_and_stop_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct rf_writer *writer = writer_in_memory(DEVICES);
        reset(NOBODY, NOBODY);
        const struct gpu_sampler_options options = {
            .vendor = &vendor, .writer = writer, .interval_s = 0.05};
        struct gpu_sampler *sampler = gpu_sampler_start(&options);
        if (i % 2)
            usleep((useconds_t)(i * 10));
        gpu_sampler_stop(sampler);
        until_closed();
        rf_writer_destroy(writer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_has_its_entry), cmocka_unit_test(the_last_span_is_completed),
        cmocka_unit_test(a_sample_that_hangs),        cmocka_unit_test(an_identity_that_hangs),
        cmocka_unit_test(start_and_stop_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
