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
 *   fail init 9                       the code that a call returns
 *   fail utilization 0 15 [CALL]      device, code, and the first call (1 ..) that fails
 *   hang init                         the call never returns
 *   hang utilization 0 [CALL]
 *   delay_us utilization 500          every call takes that much longer
 *
 * What the script does not mention is "not supported"; without a script there are no devices.
 * -DFAKE_NVML_OLD makes an old driver: no _v2 names and no power.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEVICES 16
#define MAX_VALUES 64
#define MAX_FAULTS 16

#define SUCCESS 0u
#define INVALID_ARGUMENT 2u
#define NOT_SUPPORTED 3u
#define VERSION_MISMATCH 25u

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
    FIGURES
};
static const char *const figure_names[FIGURES] = {"init",         "utilization",     "memory_used",
                                                  "memory_total", "memory_reserved", "power_mw",
                                                  "temperature",  "sm_clock",        "mem_clock"};

struct device {
    int index;
    char name[96], uuid[96];
    unsigned long long values[FIGURES][MAX_VALUES];
    int value_count[FIGURES];
    int calls[FIGURES];
};

struct fault {
    enum figure figure;
    int device;
    unsigned code; /* 0: hang */
    int from_call;
};

static struct device devices[MAX_DEVICES];
static struct fault faults[MAX_FAULTS];
static int device_count, fault_count;
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

static void read_fault(const char *line, bool hang, int figure, const char *rest)
{
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
        fault.code = (unsigned)*next++;
        count--;
    }
    if (count < 0 || (!hang && fault.code == 0) || fault_count == MAX_FAULTS)
        give_up(line);
    if (count > 0)
        fault.from_call = *next;
    faults[fault_count++] = fault;
}

static void read_line(char *line)
{
    char verb[32], subject[32];
    int at = 0;
    line[strcspn(line, "#\n")] = '\0';
    if (sscanf(line, "%31s %31s %n", verb, subject, &at) != 2) {
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
    else if (strcmp(verb, "name") == 0)
        snprintf(device->name, sizeof device->name, "%s", rest);
    else if (strcmp(verb, "uuid") == 0)
        snprintf(device->uuid, sizeof device->uuid, "%s", rest);
    else if (strcmp(verb, "delay_us") == 0 && of_subject >= 0)
        delay_us[of_subject] = (unsigned)atoi(rest);
    else if ((strcmp(verb, "fail") == 0 || strcmp(verb, "hang") == 0) && of_subject >= 0)
        read_fault(line, verb[0] == 'h', of_subject, rest);
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

/* Delays, hangs or fails as the script says; the code to return. */
static unsigned suffer(enum figure figure, int device, int call)
{
    if (delay_us[figure] > 0)
        usleep(delay_us[figure]);
    for (int i = 0; i < fault_count; i++) {
        if (faults[i].figure != figure || faults[i].device != device || call < faults[i].from_call)
            continue;
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
    read_script();
    return suffer(INIT, 0, 1);
}

EXPORT(nvmlShutdown, void)
{
    return SUCCESS;
}

EXPORT(VERSIONED(nvmlDeviceGetCount), unsigned *count)
{
    *count = (unsigned)device_count;
    return SUCCESS;
}

EXPORT(VERSIONED(nvmlDeviceGetHandleByIndex), unsigned index, struct device **device)
{
    if (index >= (unsigned)device_count)
        return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

EXPORT(nvmlDeviceGetUUID, struct device *device, char *text, unsigned size)
{
    snprintf(text, size, "%s", device->uuid);
    return SUCCESS;
}

EXPORT(nvmlDeviceGetName, struct device *device, char *text, unsigned size)
{
    snprintf(text, size, "%s", device->name);
    return SUCCESS;
}

struct utilization {
    unsigned gpu, memory;
};

EXPORT(nvmlDeviceGetUtilizationRates, struct device *device, struct utilization *rates)
{
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
    if (memory->version != (sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    *memory = (struct memory_v2){.version = memory->version};
    unsigned error = answer_memory(device, &memory->total, &memory->used, &memory->reserved);
    memory->free = memory->total - memory->used - memory->reserved;
    return error;
}

EXPORT(nvmlDeviceGetPowerUsage, struct device *device, unsigned *milliwatts)
{
    return answer_narrow(device, POWER, milliwatts);
}
#endif

EXPORT(nvmlDeviceGetTemperature, struct device *device, int sensor, unsigned *celsius)
{
    return sensor == 0 ? answer_narrow(device, TEMPERATURE, celsius) : INVALID_ARGUMENT;
}

EXPORT(nvmlDeviceGetClockInfo, struct device *device, int clock, unsigned *mhz)
{
    if (clock != 1 && clock != 2)
        return INVALID_ARGUMENT;
    return answer_narrow(device, clock == 1 ? SM_CLOCK : MEM_CLOCK, mhz);
}
