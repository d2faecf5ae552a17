/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler, by a process and by a thread, with a vendor library that is slow, hangs, dies, or comes
 * and goes. Runs under the sanitizers too. The process is this program itself, started again. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "gpu/sampler.h"
#include "gpu/sampler_process.h"
#include "support.h"

#define MS UINT64_C(1000000)
#define DEVICES 4u
#define NOBODY UINT32_MAX
#define OURSELVES "/proc/self/exe"
#define NO_PROGRAM "/no/such/program"

/* ---- a vendor library of our own ---- */

static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static bool gate_open;           /* lets those go that hang */
static uint32_t hangs_in_sample; /* device, from its second sample on */
static uint32_t hangs_in_identify;
static uint32_t dies_in_sample; /* device, at its second sample; in a process only */
static uint32_t device_count = DEVICES;
/* A file: who hangs adds a letter to it; once it is gone, nobody hangs. */
static const char *hangs_noted_in;
static uint32_t opened, closed, samples_of[DEVICES];
static uint32_t inside;   /* threads that are in a call */
static uint32_t overlaps; /* calls that met another one; cmocka asserts in its own thread only */

static void hang(void)
{
    if (hangs_noted_in != NULL) {
        const int fd = open(hangs_noted_in, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd < 0)
            return;
        assert_int_equal(write(fd, "h", 1), 1);
        close(fd);
    }
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

/* The promise of gpu_vendor: one thread at a time, whatever it asks. */
static void enter(void)
{
    if (__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED) != 1)
        __atomic_add_fetch(&overlaps, 1, __ATOMIC_RELAXED);
    usleep(20); /* long enough for another one to come */
}

static void leave(void)
{
    __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
}

/* In this process or in one before it. */
static bool hung_before(void)
{
    struct stat status;
    return hangs_noted_in != NULL && stat(hangs_noted_in, &status) == 0 && status.st_size > 0;
}

static uint32_t fake_open(struct gpu_library **library)
{
    static uint64_t something;
    enter();
    *library = (struct gpu_library *)(void *)&something;
    __atomic_add_fetch(&opened, 1, __ATOMIC_RELAXED);
    leave();
    return 0;
}

static void fake_close(struct gpu_library *library)
{
    (void)library;
    enter();
    __atomic_add_fetch(&closed, 1, __ATOMIC_RELEASE);
    leave();
}

static uint32_t fake_count(struct gpu_library *library)
{
    (void)library;
    return device_count;
}

static uint32_t fake_identify(struct gpu_library *library, uint32_t index,
                              struct rf_gpu_static *device)
{
    (void)library;
    enter();
    if (index == hangs_in_identify)
        hang();
    *device = (struct rf_gpu_static){.index = index};
    snprintf(device->uuid, sizeof device->uuid, "GPU-%u", index);
    leave();
    return 0;
}

static void fake_sample(struct gpu_library *library, uint32_t index, struct rf_gpu_sample *sample)
{
    (void)library;
    enter();
    const bool first = __atomic_add_fetch(&samples_of[index], 1, __ATOMIC_RELAXED) == 1;
    if (index == hangs_in_sample && (!first || hung_before()))
        hang();
    if (!first && index == dies_in_sample)
        raise(SIGSEGV);
    sample->state = RF_GPU_OK;
    sample->busy_percent = index;
    sample->activity = index * 0.1;
    leave();
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

/* What the process beside us does, which is this program with an environment of its own. */
static void tell_process(const char *what, uint32_t device)
{
    char number[16];
    snprintf(number, sizeof number, "%u", device);
    unsetenv("HANGS_IN_SAMPLE");
    unsetenv("HANGS_IN_IDENTIFY");
    unsetenv("DIES_IN_SAMPLE");
    unsetenv("DEVICES");
    unsetenv("HANGS_NOTED_IN");
    if (what != NULL)
        setenv(what, number, 1);
}

static uint32_t told_by(const char *variable)
{
    const char *value = getenv(variable);
    return value == NULL ? NOBODY : (uint32_t)atoi(value);
}

static int be_the_process(void)
{
    hangs_in_sample = told_by("HANGS_IN_SAMPLE");
    hangs_in_identify = told_by("HANGS_IN_IDENTIFY");
    dies_in_sample = told_by("DIES_IN_SAMPLE");
    if (told_by("DEVICES") != NOBODY)
        device_count = told_by("DEVICES");
    hangs_noted_in = getenv("HANGS_NOTED_IN");
    return gpu_sampler_main(&vendor);
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

static uint64_t process_word(const struct rf_writer *writer, uint32_t which)
{
    return ds_load(rf_entry(writer, RF_SECTION_PROCESS, 0) + RF_BLOCK_PAYLOAD + which);
}

static void until_at_least(const struct rf_writer *writer, uint32_t entry, uint32_t which,
                           uint64_t value)
{
    for (int i = 0; i < 12000 && word(writer, entry, which) < value; i++)
        usleep(10000);
    assert_true(word(writer, entry, which) >= value);
}

static void until_process_word(const struct rf_writer *writer, uint32_t which, uint64_t value)
{
    for (int i = 0; i < 12000 && process_word(writer, which) != value; i++)
        usleep(10000);
    assert_int_equal(process_word(writer, which), value);
}

static void until_closed(uint32_t times)
{
    assert_int_equal(__atomic_load_n(&overlaps, __ATOMIC_RELAXED), 0);
    for (int i = 0; i < 12000 && __atomic_load_n(&closed, __ATOMIC_ACQUIRE) < times; i++)
        usleep(10000);
    assert_int_equal(__atomic_load_n(&closed, __ATOMIC_ACQUIRE), times);
}

static int end_at_once(void *nothing)
{
    (void)nothing;
    syscall(SYS_exit, 0);
    return 0;
}

/* A child whose end nobody is told of, as the sampler's first: emulators may have none, and then
 * the sampler is a thread. It has memory of its own: what a sanitizer notes of its functions would
 * be noted of this thread's. */
static bool is_there_a_silent_child(void)
{
    static char stack[16384] __attribute__((aligned(64)));
    static bool asked, there;
    if (asked)
        return there;
    const pid_t pid = clone(end_at_once, stack + sizeof stack, 0, NULL);
    asked = true;
    there = pid > 0 && waitpid(pid, NULL, __WCLONE) == pid;
    return there;
}

static void need_a_process(const char *program)
{
    if (strcmp(program, OURSELVES) == 0 && !is_there_a_silent_child()) {
        print_message("there is no child without a signal here\n");
        skip();
    }
}

static struct gpu_sampler *start(const char *program, struct rf_writer *writer, double interval_s)
{
    need_a_process(program);
    const struct gpu_sampler_options options = {.vendor = strcmp(program, NO_PROGRAM) == 0 ? &vendor
                                                                                           : NULL,
                                                .program = program,
                                                .writer = writer,
                                                .interval_s = interval_s};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    assert_non_null(sampler);
    return sampler;
}

static uint32_t told; /* samples told to on_sample */

static void on_sample(void *context, uint32_t entry, const struct rf_gpu_sample *sample)
{
    assert_ptr_equal(context, &told);
    assert_int_equal(sample->busy_percent, entry);
    told++; /* one call at a time */
}

/* ---- by a thread and by a process ---- */

static void every_device_has_its_entry(void **state)
{
    const char *program = *state;
    need_a_process(program);
    struct rf_writer *writer = writer_in_memory(3); /* one fewer than devices */
    reset(NOBODY, NOBODY);
    tell_process(NULL, 0);
    told = 0;
    const uint64_t begin_ns = ds_now_ns();
    const struct gpu_sampler_options options = {.vendor = &vendor,
                                                .program = program,
                                                .writer = writer,
                                                .interval_s = 0.01,
                                                .on_sample = on_sample,
                                                .context = &told};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    assert_non_null(sampler);
    until_at_least(writer, 2, RF_GPU_SAMPLES, 3);
    gpu_sampler_stop(sampler);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(word(writer, i, RF_GPU_SAMPLES) >= 3);
        assert_int_equal(word(writer, i, RF_GPU_BUSY_PERCENT_MAX), i);
        assert_int_equal(word(writer, i, RF_GPU_CALL_NS), 0);
        assert_int_equal(word(writer, i, RF_GPU_UNANSWERED_NS), 0);
        /* enter() takes some time, and no more than all of it. */
        assert_true(word(writer, i, RF_GPU_CALL_LONGEST_NS) >= 20000);
        assert_true(word(writer, i, RF_GPU_CALL_LONGEST_NS) < ds_now_ns() - begin_ns);
        sum += word(writer, i, RF_GPU_SAMPLES);
    }
    assert_int_equal(told, sum);
    assert_int_equal(samples_of[3], 0); /* nobody would read it */
    assert_int_equal(opened, strcmp(program, OURSELVES) != 0);
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_STATE), RF_GPU_OK);
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_END), 0);
    until_closed(opened);
    rf_writer_destroy(writer);
}

/* How many samples there are at the end; what they observed fits into the time that went by. */
static uint64_t samples_of_a_short_run(void **state)
{
    struct rf_writer *writer = writer_in_memory(1);
    reset(NOBODY, NOBODY);
    tell_process(NULL, 0);
    const uint64_t begin_ns = ds_now_ns();
    struct gpu_sampler *sampler = start(*state, writer, 60.0);
    until_at_least(writer, 0, RF_GPU_SAMPLES, 1);
    usleep(200000);
    gpu_sampler_stop(sampler);
    const uint64_t observed_ns = word(writer, 0, RF_GPU_BUSY_NS) + word(writer, 0, RF_GPU_IDLE_NS);
    const uint64_t samples = word(writer, 0, RF_GPU_SAMPLES);
    assert_true(observed_ns >= (samples - 1) * 200 * MS && observed_ns <= ds_now_ns() - begin_ns);
    rf_writer_destroy(writer);
    return samples;
}

/* The last sample is taken at the end, so that the span since the one before is known. It is waited for
 * for 0.1 s: where others have the CPUs once more, and again. */
static void the_last_span_is_completed(void **state)
{
    uint64_t samples = 0;
    for (int tries = 0; tries < 5 && samples != 2; tries++)
        samples = samples_of_a_short_run(state);
    assert_int_equal(samples, 2);
}

static void start_and_stop_at_once(void **state)
{
    const char *program = *state;
    const bool thread = strcmp(program, NO_PROGRAM) == 0;
    tell_process(NULL, 0);
    for (int i = 0; i < (thread ? 200 : 60); i++) {
        struct rf_writer *writer = writer_in_memory(DEVICES);
        reset(NOBODY, NOBODY);
        struct gpu_sampler *sampler = start(program, writer, 0.05);
        if (i % 2)
            usleep((useconds_t)(i * 50));
        gpu_sampler_stop(sampler);
        until_closed(opened);
        assert_int_equal(process_word(writer, RF_PROCESS_GPU_END), 0);
        rf_writer_destroy(writer);
    }
}

/* ---- by a thread ---- */

/* Since a time and, as of the end of the sampling, for a time that go together. */
static void assert_owing(const struct rf_writer *writer, uint32_t entry)
{
    const uint64_t since_ns = word(writer, entry, RF_GPU_CALL_NS);
    const uint64_t age_ns = word(writer, entry, RF_GPU_UNANSWERED_NS);
    assert_true(since_ns != 0 && age_ns != 0);
    assert_true(since_ns + age_ns <= ds_now_ns() + 1);
}

static void one_hangs(uint32_t in_sample, uint32_t in_identify, uint32_t expected)
{
    struct rf_writer *writer = writer_in_memory(DEVICES);
    reset(in_sample, in_identify);
    struct gpu_sampler *sampler = start(NO_PROGRAM, writer, 0.01);
    for (int i = 0; i < 12000; i++) {
        if (word(writer, 1, RF_GPU_SAMPLES) == expected && word(writer, 1, RF_GPU_CALL_NS) != 0)
            break;
        usleep(10000);
    }
    usleep(50000); /* time to get past a call that does not hang */
    const uint64_t begin_ns = ds_now_ns();
    gpu_sampler_stop(sampler);
    assert_true(ds_now_ns() - begin_ns < 30000 * MS); /* 100 ms, on a machine that has time */
    assert_int_equal(__atomic_load_n(&closed, __ATOMIC_ACQUIRE), 0); /* it is still in use */
    assert_int_equal(word(writer, 1, RF_GPU_SAMPLES), expected);
    assert_owing(writer, 1); /* seen to hang */
    assert_int_equal(word(writer, 0, RF_GPU_CALL_NS), 0);
    assert_int_equal(word(writer, 0, RF_GPU_UNANSWERED_NS), 0);
    /* The driver comes back after the stop: nothing is written any more, all is cleaned up. */
    const uint64_t version = ds_load(rf_entry(writer, RF_SECTION_GPUS, 1));
    let_go();
    until_closed(1);
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

/* However many there are, one at a time is in the library: enter() looks. */
static void several_in_one_process(void **state)
{
    enum { SAMPLERS = 4 };
    struct rf_writer *writers[SAMPLERS];
    struct gpu_sampler *samplers[SAMPLERS];
    (void)state;
    reset(NOBODY, NOBODY);
    for (int i = 0; i < SAMPLERS; i++) {
        writers[i] = writer_in_memory(DEVICES);
        samplers[i] = start(NO_PROGRAM, writers[i], 0.001);
    }
    for (int i = 0; i < SAMPLERS; i++)
        until_at_least(writers[i], DEVICES - 1, RF_GPU_SAMPLES, 50);
    for (int i = 0; i < SAMPLERS; i++)
        gpu_sampler_stop(samplers[i]);
    until_closed(SAMPLERS);
    for (int i = 0; i < SAMPLERS; i++)
        rf_writer_destroy(writers[i]);
}

/* ---- by a process ---- */

static void a_process_that_dies(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory(DEVICES);
    tell_process("DIES_IN_SAMPLE", 2);
    struct gpu_sampler *sampler = start(OURSELVES, writer, 0.01);
    until_process_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_ENDED);
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_END), RF_GPU_END_SIGNAL);
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_END_DETAIL), SIGSEGV);
    gpu_sampler_stop(sampler);
    for (uint32_t i = 0; i < DEVICES; i++) {
        assert_int_equal(word(writer, i, RF_GPU_SAMPLES), i < 2 ? 2 : 1);
        assert_int_equal(word(writer, i, RF_GPU_CALL_NS), 0);
    }
    rf_writer_destroy(writer);
}

static void a_device_that_hangs(const char *where, uint32_t expected)
{
    struct rf_writer *writer = writer_in_memory(DEVICES);
    tell_process(where, 1);
    struct gpu_sampler *sampler = start(OURSELVES, writer, 0.01);
    until_at_least(writer, 3, RF_GPU_SAMPLES, 5); /* sampled by the next process */
    gpu_sampler_stop(sampler);
    for (uint32_t i = 0; i < DEVICES; i++) {
        assert_true(i == 1 ? word(writer, i, RF_GPU_SAMPLES) == expected
                           : word(writer, i, RF_GPU_SAMPLES) >= 4);
        assert_int_equal(word(writer, i, RF_GPU_CALL_NS) != 0, i == 1);
        assert_int_equal(word(writer, i, RF_GPU_UNANSWERED_NS) != 0, i == 1);
    }
    assert_owing(writer, 1);
    assert_true(word(writer, 1, RF_GPU_UNANSWERED_NS) > 3000 * MS); /* it was waited for so long */
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_STATE), RF_GPU_OK);
    rf_writer_destroy(writer);
}

static void a_sample_that_hangs_in_a_process(void **state)
{
    (void)state;
    a_device_that_hangs("HANGS_IN_SAMPLE", 1);
}

static void an_identity_that_hangs_in_a_process(void **state)
{
    (void)state;
    a_device_that_hangs("HANGS_IN_IDENTIFY", 0);
}

/* ---- tried again ---- */

static off_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void until_hung(const char *path, off_t times)
{
    for (int i = 0; i < 12000 && size_of(path) < times; i++)
        usleep(10000);
    assert_true(size_of(path) >= times);
}

static struct gpu_sampler *start_with_retry(struct rf_writer *writer, double first_retry_s)
{
    need_a_process(OURSELVES);
    const struct gpu_sampler_options options = {
        .program = OURSELVES, .writer = writer, .interval_s = 0.01, .first_retry_s = first_retry_s};
    struct gpu_sampler *sampler = gpu_sampler_start(&options);
    assert_non_null(sampler);
    return sampler;
}

/* One of several devices, or all that there are: it is given up, hangs again when it is tried again,
 * owes the answer since it first did, and is there again when it no longer hangs. */
static void is_tried_again(uint32_t devices, uint32_t hangs)
{
    char noted[] = "/tmp/datastall-test-XXXXXX", count[16];
    need_a_process(OURSELVES);
    struct rf_writer *writer = writer_in_memory(devices);
    close(mkstemp(noted));
    tell_process("HANGS_IN_SAMPLE", hangs);
    snprintf(count, sizeof count, "%u", devices);
    setenv("DEVICES", count, 1);
    setenv("HANGS_NOTED_IN", noted, 1);
    struct gpu_sampler *sampler = start_with_retry(writer, 0.01);
    until_hung(noted, 1);
    until_at_least(writer, hangs, RF_GPU_CALL_LONGEST_NS, 1); /* the first call is over */
    until_at_least(writer, hangs, RF_GPU_CALL_NS, 1);
    const uint64_t since_ns = word(writer, hangs, RF_GPU_CALL_NS);
    until_hung(noted, 2);
    assert_int_equal(word(writer, hangs, RF_GPU_CALL_NS), since_ns);
    assert_int_equal(word(writer, hangs, RF_GPU_SAMPLES), 1);
    unlink(noted);
    until_at_least(writer, hangs, RF_GPU_SAMPLES, 5);
    gpu_sampler_stop(sampler);
    assert_int_equal(word(writer, hangs, RF_GPU_CALL_NS), 0);
    assert_int_equal(word(writer, hangs, RF_GPU_UNANSWERED_NS), 0);
    assert_int_equal(process_word(writer, RF_PROCESS_GPU_END), 0);
    rf_writer_destroy(writer);
}

static void one_of_several_is_tried_again(void **state)
{
    (void)state;
    is_tried_again(3, 1);
}

static void the_only_one_is_tried_again(void **state)
{
    (void)state;
    is_tried_again(1, 0);
}

/* Not before its time, while the others are sampled; and the end does not wait for it. */
static void none_is_tried_too_soon(void **state)
{
    (void)state;
    char noted[] = "/tmp/datastall-test-XXXXXX";
    struct rf_writer *writer = writer_in_memory(3);
    close(mkstemp(noted));
    tell_process("HANGS_IN_SAMPLE", 1);
    setenv("DEVICES", "3", 1);
    setenv("HANGS_NOTED_IN", noted, 1);
    struct gpu_sampler *sampler = start_with_retry(writer, 3600);
    until_hung(noted, 1);
    until_at_least(writer, 2, RF_GPU_SAMPLES, 60);
    assert_int_equal(size_of(noted), 1);
    unlink(noted);
    gpu_sampler_stop(sampler);
    assert_int_equal(word(writer, 1, RF_GPU_SAMPLES), 1);
    rf_writer_destroy(writer);
}

static volatile sig_atomic_t children_ended;

static void on_child(int signal_number)
{
    (void)signal_number;
    children_ended = children_ended + 1;
}

/* No child, no signal, in the midst of it and at its end, whether it was told to go or killed. */
static void a_process_is_not_seen(void **state)
{
    (void)state;
    struct sigaction before, action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, &before);
    children_ended = 0;
    for (int i = 0; i < 4; i++) {
        struct rf_writer *writer = writer_in_memory(DEVICES);
        tell_process(i % 2 ? "DIES_IN_SAMPLE" : NULL, 0);
        struct gpu_sampler *sampler = start(OURSELVES, writer, 0.01);
        until_at_least(writer, 0, RF_GPU_SAMPLES, 1);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        if (i % 2)
            until_process_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_ENDED);
        gpu_sampler_stop(sampler);
        rf_writer_destroy(writer);
    }
    assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(children_ended, 0);
    sigaction(SIGCHLD, &before, NULL);
}

/* Without a process and without leave to do it here; and with a program that is another one. */
static void nobody_samples(void **state)
{
    (void)state;
    need_a_process(OURSELVES);
    const struct {
        const char *program;
        uint64_t error;
    } cases[] = {{"/no/such/program/at/all", ENOENT}, {"/bin/false", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rf_writer *writer = writer_in_memory(DEVICES);
        struct gpu_sampler *sampler = start(cases[i].program, writer, 0.01);
        until_process_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_ENDED);
        assert_int_equal(process_word(writer, RF_PROCESS_GPU_END), RF_GPU_END_PROCESS);
        assert_int_equal(process_word(writer, RF_PROCESS_GPU_END_DETAIL), cases[i].error);
        gpu_sampler_stop(sampler);
        rf_writer_destroy(writer);
    }
}

#if !defined(__SANITIZE_THREAD__)
static int socket_of_sampler(void)
{
    struct stat status;
    for (int fd = 3; fd < 1024; fd++) {
        if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            return fd;
    }
    return -1;
}

/* A program that closes all it knows nothing of, and then uses the number for something else. */
static void a_descriptor_that_is_closed(void **state)
{
    (void)state;
    struct rf_writer *writer = writer_in_memory(DEVICES);
    int other[2];
    char text[8] = "";
    tell_process(NULL, 0);
    struct gpu_sampler *sampler = start(OURSELVES, writer, 0.01);
    until_at_least(writer, 0, RF_GPU_SAMPLES, 2);
    const int fd = socket_of_sampler();
    assert_true(fd >= 0);
    assert_int_equal(pipe(other), 0);
    assert_int_equal(write(other[1], "mine", 4), 4);
    assert_int_equal(dup2(other[0], fd), fd);
    until_process_word(writer, RF_PROCESS_GPU_STATE, RF_GPU_ENDED);
    gpu_sampler_stop(sampler);
    assert_int_equal(read(fd, text, sizeof text), 4); /* neither read nor closed by us */
    assert_string_equal(text, "mine");
    close(fd);
    close(other[0]);
    close(other[1]);
    rf_writer_destroy(writer);
}
#endif

/* A message that nobody in his right mind would send. */
static void messages_are_checked(void **state)
{
    (void)state;
    int pair[2];
    struct stat status;
    struct gpu_message message = {.kind = GPU_SAMPLE, .device = GPU_MAX_DEVICES}, got;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(fstat(pair[0], &status), 0);
    const struct gpu_process process = {pair[0], status.st_dev, status.st_ino};
    send(pair[1], &message, sizeof message, 0); /* a device that cannot be */
    message.device = 1;
    message.sample = rf_gpu_nothing_read();
    message.sample.time_ns = UINT64_MAX; /* a time to come */
    send(pair[1], &message, sizeof message, 0);
    message.sample.time_ns = 1;
    message.sample.activity_source = 1000;
    send(pair[1], &message, sizeof message, 0);
    message.sample.activity_source = RF_ACTIVITY_GPM;
    message.sample.activity = -1e300;
    message.sample.gpm[0] = 1e300;
    send(pair[1], &message, sizeof message, 0);
    assert_int_equal(gpu_process_receive(&process, 0, &got), GPU_RECEIVED);
    assert_int_equal(got.sample.activity_source, RF_ACTIVITY_GPM);
    assert_true(got.sample.activity != got.sample.activity); /* not a number: unknown */
    assert_true(got.sample.gpm[0] != got.sample.gpm[0]);
    assert_int_equal(gpu_process_receive(&process, 0, &got), GPU_SILENCE);
    send(pair[1], "short", 5, 0);
    assert_int_equal(gpu_process_receive(&process, 0, &got), GPU_GONE);
    close(pair[0]);
    close(pair[1]);
}

static char by_process[] = OURSELVES, by_thread[] = NO_PROGRAM;

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], GPU_SAMPLER_COMMAND) == 0)
        return be_the_process();
#define BOTH(test)                                                         \
    cmocka_unit_test_prestate_setup_teardown(test, NULL, NULL, by_thread), \
        cmocka_unit_test_prestate_setup_teardown(test, NULL, NULL, by_process)
    const struct CMUnitTest tests[] = {
        BOTH(every_device_has_its_entry),
        BOTH(the_last_span_is_completed),
        BOTH(start_and_stop_at_once),
        cmocka_unit_test(a_sample_that_hangs),
        cmocka_unit_test(an_identity_that_hangs),
        cmocka_unit_test(several_in_one_process),
        cmocka_unit_test(a_process_that_dies),
        cmocka_unit_test(a_sample_that_hangs_in_a_process),
        cmocka_unit_test(an_identity_that_hangs_in_a_process),
        cmocka_unit_test(one_of_several_is_tried_again),
        cmocka_unit_test(the_only_one_is_tried_again),
        cmocka_unit_test(none_is_tried_too_soon),
        cmocka_unit_test(a_process_is_not_seen),
        cmocka_unit_test(nobody_samples),
#if !defined(__SANITIZE_THREAD__) /* it calls this a race, which it is */
        cmocka_unit_test(a_descriptor_that_is_closed),
#endif
        cmocka_unit_test(messages_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
