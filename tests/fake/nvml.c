/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for libnvidia-ml.so.1 that says what a script tells it to, for tests without a GPU.
 *
 * The script is the file named by $FAKE_NVML, one statement a line ('#' begins a comment):
 *
 *   devices 2
 *   name 0 Fake H100                  the rest of the line
 *   uuid 0 GPU-...
 *   utilization 0 10 20 30            the answers of successive calls; the last one stays
 *   memory_used 0 ...                 bytes, as are memory_total and memory_reserved (none: 0)
 *   power_mw 0 ...                    also temperature, sm_clock, mem_clock
 *   held 0 4                          what holds the clocks back, NVML's bits
 *   gpm_activity 0 12500 30000        thousandths of a percent of successive spans; makes a device
 *                                     that has GPM. Also gpm_sm, gpm_tensor, gpm_dram, and
 *                                     gpm_pcie_rx in thousandths of a MiB/s; a device with GPM
 *                                     answers "not a number" to what is not given
 *   mig_of 2 0 3 1                    "device" 2, not counted, is a MIG instance of device 0, with
 *                                     GPU instance 3 and compute instance 1
 *   fail init 9                       the code that a call returns; also identity, gpm_sample
 *   fail utilization 0 15 [CALL]      device, code, and the first call (1 ..) that fails
 *   hang init                         the call never returns
 *   hang utilization 0 [CALL]
 *   delay_us utilization 500          every call takes that much longer
 *   slow utilization 0 300000 [CALL]  one call of a device takes so many microseconds longer; SCRIPT.slow
 *                                     is made when it begins
 *   die nvmlGpmSampleGet 3 11         the third call (of all devices) ends the process by signal 11;
 *   leave nvmlInit 1 5                ... by exit(5);
 *   stick nvmlDeviceGetName 2         ... never returns, nor do those after it; SCRIPT.stuck is made.
 *                                     The function by its name without _v2, or `any` for the n-th
 *                                     call of all
 *
 * As the real one, it dies when two threads of a process are in its GPM functions at once.
 * What the script does not mention is "not supported"; without a script there are no devices.
 * -DFAKE_NVML_OLD makes an old driver: no _v2 names, no power, no GPM, no MIG.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEVICES 16
#define MAX_VALUES 64
#define MAX_FAULTS 16

#define SUCCESS 0u
#define INVALID_ARGUMENT 2u
#define NOT_SUPPORTED 3u
#define NOT_FOUND 6u
#define VERSION_MISMATCH 25u
#define UNKNOWN_ERROR 999u

enum figure {
    INIT, /* a call without a device */
    UTILIZATION,
    MEMORY_USED,
    MEMORY_TOTAL,
    MEMORY_RESERVED, /* not told apart by old drivers: used */
    POWER,
    TEMPERATURE,
    SM_CLOCK,
    MEM_CLOCK,
    HELD,
    IDENTITY,
    GPM_SAMPLE,
    GPM_ACTIVITY,
    GPM_SM,
    GPM_TENSOR,
    GPM_DRAM,
    GPM_PCIE_RX,
    FIGURES
};
static const char *const figure_names[FIGURES] = {
    "init",         "utilization", "memory_used", "memory_total", "memory_reserved", "power_mw",
    "temperature",  "sm_clock",    "mem_clock",   "held",         "identity",        "gpm_sample",
    "gpm_activity", "gpm_sm",      "gpm_tensor",  "gpm_dram",     "gpm_pcie_rx"};

struct device {
    int index;
    struct device *mig_parent; /* NULL: a GPU */
    unsigned gpu_instance, compute_instance;
    char name[96], uuid[96];
    unsigned long long values[FIGURES][MAX_VALUES];
    int value_count[FIGURES];
    int calls[FIGURES];
};

struct fault {
    enum figure figure;
    int device;
    unsigned code;    /* 0: hang */
    unsigned slow_us; /* else: that call is late and well */
    int from_call;
};

/* What happens in a function of NVML, whatever it is asked. */
struct mishap {
    char verb; /* 'd'ie, 'l'eave, 's'tick */
    char function[64];
    int at_call, detail; /* signal or exit code */
    int calls;           /* so far */
};

static struct device devices[MAX_DEVICES];
static struct fault faults[MAX_FAULTS];
static struct mishap mishaps[MAX_FAULTS];
static int device_count, fault_count, mishap_count;
static unsigned delay_us[FIGURES];
static bool read_already;

static int figure_of(const char *name)
{
    for (int i = 0; i < FIGURES; i++) {
        if (strcmp(name, figure_names[i]) == 0)
            return i;
    }
    return -1;
}

static void give_up(const char *line)
{
    fprintf(stderr, "fake nvml: cannot read '%s'\n", line);
    abort();
}

static void read_values(struct device *device, int figure, char *text)
{
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        if (device->value_count[figure] < MAX_VALUES)
            device->values[figure][device->value_count[figure]++] = strtoull(word, NULL, 10);
    }
}

static void read_fault(const char *line, int figure, const char *rest)
{
    const bool hang = line[0] == 'h', slow = line[0] == 's';
    int numbers[3] = {0, 0, 0};
    int count = sscanf(rest, "%d %d %d", &numbers[0], &numbers[1], &numbers[2]);
    count = count < 0 ? 0 : count; /* nothing there */
    int *next = numbers;
    struct fault fault = {.figure = (enum figure)figure, .from_call = 1};
    if (figure != INIT) {
        fault.device = *next++;
        count--;
    }
    if (!hang) {
        *(slow ? &fault.slow_us : &fault.code) = (unsigned)*next++;
        count--;
    }
    if (count < 0 || (!hang && fault.code + fault.slow_us == 0) || fault_count == MAX_FAULTS)
        give_up(line);
    if (count > 0)
        fault.from_call = *next;
    faults[fault_count++] = fault;
}

static void read_mishap(const char *line, char verb, const char *function, const char *rest)
{
    struct mishap mishap = {.verb = verb, .at_call = 1};
    snprintf(mishap.function, sizeof mishap.function, "%s", function);
    const int count = sscanf(rest, "%d %d", &mishap.at_call, &mishap.detail);
    if (count < (verb == 's' ? 1 : 2) || mishap_count == MAX_FAULTS)
        give_up(line);
    mishaps[mishap_count++] = mishap;
}

static void read_mig(const char *line, struct device *device, const char *rest)
{
    unsigned parent;
    if (sscanf(rest, "%u %u %u", &parent, &device->gpu_instance, &device->compute_instance) != 3 ||
        parent >= MAX_DEVICES)
        give_up(line);
    device->mig_parent = &devices[parent];
}

static void read_line(char *line)
{
    char verb[32], subject[64];
    int at = 0;
    line[strcspn(line, "#\n")] = '\0';
    if (sscanf(line, "%31s %63s %n", verb, subject, &at) != 2) {
        if (strspn(line, " ") != strlen(line))
            give_up(line);
        return;
    }
    char *rest = line + at;
    const int of_verb = figure_of(verb), of_subject = figure_of(subject);
    const int index = atoi(subject);
    struct device *device = &devices[index >= 0 && index < MAX_DEVICES ? index : 0];
    if (strcmp(verb, "devices") == 0 && index <= MAX_DEVICES)
        device_count = index;
    else if (strcmp(verb, "mig_of") == 0)
        read_mig(line, device, rest);
    else if (strcmp(verb, "name") == 0)
        snprintf(device->name, sizeof device->name, "%s", rest);
    else if (strcmp(verb, "uuid") == 0)
        snprintf(device->uuid, sizeof device->uuid, "%s", rest);
    else if (strcmp(verb, "delay_us") == 0 && of_subject >= 0)
        delay_us[of_subject] = (unsigned)atoi(rest);
    else if ((strcmp(verb, "fail") == 0 || strcmp(verb, "hang") == 0 ||
              strcmp(verb, "slow") == 0) &&
             of_subject >= 0)
        read_fault(line, of_subject, rest);
    else if (strcmp(verb, "die") == 0 || strcmp(verb, "leave") == 0 || strcmp(verb, "stick") == 0)
        read_mishap(line, verb[0], subject, rest);
    else if (of_verb > INIT)
        read_values(device, of_verb, rest);
    else
        give_up(line);
}

static void read_script(void)
{
    if (read_already)
        return;
    read_already = true;
    for (int i = 0; i < MAX_DEVICES; i++) {
        devices[i].index = i;
        snprintf(devices[i].name, sizeof devices[i].name, "Fake GPU");
        snprintf(devices[i].uuid, sizeof devices[i].uuid, "GPU-fake-%d", i);
    }
    const char *path = getenv("FAKE_NVML");
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    char line[1024];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        read_line(line);
    if (file != NULL)
        fclose(file);
}

static bool is_meant(const struct mishap *mishap, const char *function)
{
    const size_t length = strlen(mishap->function);
    return strcmp(mishap->function, "any") == 0 ||
           (strncmp(mishap->function, function, length) == 0 &&
            (function[length] == '\0' || strcmp(function + length, "_v2") == 0));
}

/* A file beside the script, for who waits for it. */
static void leave_word(const char *word)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("FAKE_NVML"), word);
    FILE *file = fopen(path, "w");
    if (file != NULL)
        fclose(file);
}

/* For ever. */
static void stick(void)
{
    leave_word("stuck");
    for (;;)
        pause();
}

/* At the beginning of every function. */
static void begin(const char *function)
{
    read_script();
    for (int i = 0; i < mishap_count; i++) {
        struct mishap *mishap = &mishaps[i];
        if (!is_meant(mishap, function))
            continue;
        const int call = __atomic_add_fetch(&mishap->calls, 1, __ATOMIC_RELAXED);
        if (mishap->verb == 's' && call >= mishap->at_call)
            stick();
        if (call != mishap->at_call)
            continue;
        if (mishap->verb == 'l')
            exit(mishap->detail);
        raise(mishap->detail);
    }
}

#ifndef FAKE_NVML_OLD
/* Two threads in GPM: NVML dies of it, so this does. */
static int in_gpm;

static void enter_gpm(const char *function)
{
    const bool once = strcmp(function, "nvmlGpmSampleAlloc") == 0;
    begin(function);
    if (__atomic_add_fetch(&in_gpm, 1, __ATOMIC_SEQ_CST) > 1)
        raise(SIGSEGV);
    if (once)
        usleep(500); /* long enough for another one to come, and in no span that is measured */
}

static unsigned leave_gpm(unsigned code)
{
    __atomic_sub_fetch(&in_gpm, 1, __ATOMIC_SEQ_CST);
    return code;
}
#endif

/* Delays, hangs or fails as the script says; the code to return. */
static unsigned suffer(enum figure figure, int device, int call)
{
    if (delay_us[figure] > 0)
        usleep(delay_us[figure]);
    for (int i = 0; i < fault_count; i++) {
        if (faults[i].figure != figure || faults[i].device != device || call < faults[i].from_call)
            continue;
        if (faults[i].slow_us > 0) {
            if (call == faults[i].from_call) {
                leave_word("slow");
                usleep(faults[i].slow_us);
            }
            continue;
        }
        while (faults[i].code == 0)
            pause();
        return faults[i].code;
    }
    return SUCCESS;
}

static unsigned answer(struct device *device, enum figure figure, unsigned long long *value)
{
    if (device == NULL)
        return INVALID_ARGUMENT;
    const int call = ++device->calls[figure], count = device->value_count[figure];
    const unsigned error = suffer(figure, device->index, call);
    if (error != SUCCESS)
        return error;
    if (count == 0)
        return NOT_SUPPORTED;
    *value = device->values[figure][call <= count ? call - 1 : count - 1];
    return SUCCESS;
}

static unsigned answer_narrow(struct device *device, enum figure figure, unsigned *value)
{
    unsigned long long wide = 0;
    const unsigned error = answer(device, figure, &wide);
    if (error == SUCCESS)
        *value = (unsigned)wide;
    return error;
}

/* ---- what NVML exports ---- */

/* Declares, then defines: no header does. */
#define EXPORT(name, ...)       \
    unsigned name(__VA_ARGS__); \
    unsigned name(__VA_ARGS__)

#ifdef FAKE_NVML_OLD
#define VERSIONED(name) name
#else
#define VERSIONED(name) name##_v2
#endif

EXPORT(VERSIONED(nvmlInit), void)
{
    begin(__func__);
    return suffer(INIT, 0, 1);
}

EXPORT(nvmlShutdown, void)
{
    begin(__func__);
    return SUCCESS;
}

EXPORT(VERSIONED(nvmlDeviceGetCount), unsigned *count)
{
    begin(__func__);
    *count = (unsigned)device_count;
    return SUCCESS;
}

EXPORT(VERSIONED(nvmlDeviceGetHandleByIndex), unsigned index, struct device **device)
{
    begin(__func__);
    if (index >= (unsigned)device_count)
        return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

EXPORT(nvmlDeviceGetUUID, struct device *device, char *text, unsigned size)
{
    begin(__func__);
    const unsigned error = suffer(IDENTITY, device->index, 1);
    if (error == SUCCESS)
        snprintf(text, size, "%s", device->uuid);
    return error;
}

EXPORT(nvmlDeviceGetName, struct device *device, char *text, unsigned size)
{
    begin(__func__);
    snprintf(text, size, "%s", device->name);
    return SUCCESS;
}

struct utilization {
    unsigned gpu, memory;
};

EXPORT(nvmlDeviceGetUtilizationRates, struct device *device, struct utilization *rates)
{
    begin(__func__);
    rates->memory = 0;
    return answer_narrow(device, UTILIZATION, &rates->gpu);
}

static unsigned answer_memory(struct device *device, unsigned long long *total,
                              unsigned long long *used, unsigned long long *reserved)
{
    unsigned error = answer(device, MEMORY_TOTAL, total);
    if (error == SUCCESS)
        error = answer(device, MEMORY_USED, used);
    *reserved = 0;
    if (error == SUCCESS && device->value_count[MEMORY_RESERVED] > 0)
        error = answer(device, MEMORY_RESERVED, reserved);
    return error;
}

struct memory {
    unsigned long long total, free, used;
};

EXPORT(nvmlDeviceGetMemoryInfo, struct device *device, struct memory *memory)
{
    begin(__func__);
    unsigned long long reserved = 0;
    *memory = (struct memory){0};
    unsigned error = answer_memory(device, &memory->total, &memory->used, &reserved);
    memory->used += reserved;
    memory->free = memory->total - memory->used;
    return error;
}

#ifndef FAKE_NVML_OLD
struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};

EXPORT(nvmlDeviceGetMemoryInfo_v2, struct device *device, struct memory_v2 *memory)
{
    begin(__func__);
    if (memory->version != (sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    *memory = (struct memory_v2){.version = memory->version};
    unsigned error = answer_memory(device, &memory->total, &memory->used, &memory->reserved);
    memory->free = memory->total - memory->used - memory->reserved;
    return error;
}

EXPORT(nvmlDeviceGetPowerUsage, struct device *device, unsigned *milliwatts)
{
    begin(__func__);
    return answer_narrow(device, POWER, milliwatts);
}
#endif

EXPORT(nvmlDeviceGetTemperature, struct device *device, int sensor, unsigned *celsius)
{
    begin(__func__);
    return sensor == 0 ? answer_narrow(device, TEMPERATURE, celsius) : INVALID_ARGUMENT;
}

EXPORT(nvmlDeviceGetClockInfo, struct device *device, int clock, unsigned *mhz)
{
    begin(__func__);
    if (clock != 1 && clock != 2)
        return INVALID_ARGUMENT;
    return answer_narrow(device, clock == 1 ? SM_CLOCK : MEM_CLOCK, mhz);
}

#ifndef FAKE_NVML_OLD
EXPORT(nvmlDeviceGetCurrentClocksEventReasons, struct device *device, unsigned long long *reasons)
{
    begin(__func__);
    return answer(device, HELD, reasons);
}

/* ---- MIG ---- */

static struct device *instance(const struct device *parent, unsigned index)
{
    for (int i = 0; i < MAX_DEVICES; i++) {
        if (devices[i].mig_parent == parent && index-- == 0)
            return &devices[i];
    }
    return NULL;
}

EXPORT(nvmlDeviceGetMigMode, struct device *device, unsigned *current, unsigned *pending)
{
    begin(__func__);
    *current = *pending = instance(device, 0) != NULL;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetMaxMigDeviceCount, struct device *device, unsigned *count)
{
    begin(__func__);
    (void)device;
    *count = 7;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetMigDeviceHandleByIndex, struct device *device, unsigned index,
       struct device **found)
{
    begin(__func__);
    *found = instance(device, index);
    return *found != NULL ? SUCCESS : NOT_FOUND;
}

EXPORT(nvmlDeviceGetGpuInstanceId, struct device *device, unsigned *id)
{
    begin(__func__);
    *id = device->gpu_instance;
    return device->mig_parent != NULL ? SUCCESS : NOT_SUPPORTED;
}

EXPORT(nvmlDeviceGetComputeInstanceId, struct device *device, unsigned *id)
{
    begin(__func__);
    *id = device->compute_instance;
    return device->mig_parent != NULL ? SUCCESS : NOT_SUPPORTED;
}

/* ---- GPM ---- */

struct gpm_support {
    unsigned version, is_supported;
};
struct gpm_sample {
    struct device *device;
    struct timespec time;
};
struct gpm_metric {
    unsigned id, result;
    double value;
    char *names[3];
};
struct gpm_metrics {
    unsigned version, count;
    struct gpm_sample *sample1, *sample2;
    struct gpm_metric metrics[1];
};

EXPORT(nvmlGpmQueryDeviceSupport, struct device *device, struct gpm_support *support)
{
    enter_gpm(__func__);
    support->is_supported = device->value_count[GPM_ACTIVITY] > 0;
    return leave_gpm(support->version == 1 ? SUCCESS : VERSION_MISMATCH);
}

EXPORT(nvmlGpmSampleAlloc, struct gpm_sample **sample)
{
    enter_gpm(__func__);
    *sample = calloc(1, sizeof **sample);
    return leave_gpm(*sample != NULL ? SUCCESS : UNKNOWN_ERROR);
}

EXPORT(nvmlGpmSampleFree, struct gpm_sample *sample)
{
    enter_gpm(__func__);
    free(sample);
    return leave_gpm(SUCCESS);
}

static unsigned fill(struct device *device, struct gpm_sample *sample)
{
    sample->device = device;
    clock_gettime(CLOCK_MONOTONIC, &sample->time);
    return suffer(GPM_SAMPLE, device->index, ++device->calls[GPM_SAMPLE]);
}

EXPORT(nvmlGpmSampleGet, struct device *device, struct gpm_sample *sample)
{
    enter_gpm(__func__);
    return leave_gpm(device->mig_parent != NULL ? INVALID_ARGUMENT : fill(device, sample));
}

EXPORT(nvmlGpmMigSampleGet, struct device *parent, unsigned gpu_instance, struct gpm_sample *sample)
{
    enter_gpm(__func__);
    for (int i = 0; i < MAX_DEVICES; i++) {
        if (devices[i].mig_parent == parent && devices[i].gpu_instance == gpu_instance)
            return leave_gpm(fill(&devices[i], sample));
    }
    return leave_gpm(INVALID_ARGUMENT);
}

EXPORT(nvmlGpmMetricsGet, struct gpm_metrics *get)
{
    enter_gpm(__func__);
    static const struct {
        unsigned id;
        enum figure figure;
    } known[] = {
        {1, GPM_ACTIVITY}, {2, GPM_SM}, {5, GPM_TENSOR}, {10, GPM_DRAM}, {21, GPM_PCIE_RX}};
    const struct timespec *from = &get->sample1->time, *to = &get->sample2->time;
    const double span_s =
        (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) * 1e-9;
    if (get->version != 1)
        return leave_gpm(VERSION_MISMATCH);
    if (get->sample1->device != get->sample2->device || span_s < 0.099)
        return leave_gpm(INVALID_ARGUMENT); /* as NVML asks for */
    for (unsigned i = 0; i < get->count; i++) {
        struct gpm_metric *metric = &get->metrics[i];
        unsigned long long thousandths;
        metric->result = SUCCESS;
        metric->value = strtod("nan", NULL);
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            if (metric->id == known[k].id &&
                answer(get->sample2->device, known[k].figure, &thousandths) == SUCCESS)
                metric->value = (double)thousandths / 1000.0;
        }
    }
    return leave_gpm(SUCCESS);
}
#endif
