/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "gpu_driver.h"

#include <dirent.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "gpu/gpu_monitor.h"
#include "gpu/sampler_process.h"

/* Looks at the names of what is loaded: dlopen(RTLD_NOLOAD) would search the disk for what is not.
 */
static int is_gpu_driver(struct dl_phdr_info *object, size_t size, void *context)
{
    static const char *const drivers[] = {"libcuda.so", "libamdhip64.so", "libze_loader.so"};
    (void)size;
    (void)context;
    const char *slash = strrchr(object->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : object->dlpi_name;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (strncmp(name, drivers[i], strlen(drivers[i])) == 0)
            return 1;
    }
    return 0;
}

static PyObject *gpu_driver_is_loaded(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(dl_iterate_phdr(is_gpu_driver, NULL));
}

/* Whether a link below /proc/self/fd leads to a GPU, of any vendor, a virtual machine's or a board's. */
static bool leads_to_gpu(int folder, const char *name)
{
    static const char *const devices[] = {"/dev/nvidia", "/dev/nvhost", "/dev/nvmap", "/dev/dxg",
                                          "/dev/kfd",    "/dev/dri/",   "/dev/accel"};
    char target[64];
    const ssize_t length = readlinkat(folder, name, target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (strncmp(target, devices[i], strlen(devices[i])) == 0)
            return true;
    }
    return false;
}

/* PyTorch's CUDA builds load the driver's library when they are imported, and who only reads data
 * never goes further: as long as it was not entered, no device is open. Seen so with CUDA 13; a
 * context keeps some twenty open. */
static PyObject *gpu_is_open(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        Py_RETURN_TRUE; /* it cannot be ruled out */
    bool open = false;
    const struct dirent *entry;
    while (!open && (entry = readdir(folder)) != NULL)
        open = leads_to_gpu(dirfd(folder), entry->d_name);
    closedir(folder);
    return PyBool_FromLong(open);
}

/* Opens the driver for one question, in a process of its own. The GIL is released, since a driver may
 * take its time. */
static uint32_t read_visible(const char *devices, const char *order, struct rf_gpu_sample *samples)
{
    uint32_t count;
    char program[PATH_MAX];
    const bool found = gpu_program_find(program);
    char **environment = found ? gpu_environment_copy() : NULL;
    Py_BEGIN_ALLOW_THREADS
    count = gpu_read_visible(&gpu_nvml, environment != NULL ? program : NULL, environment, devices,
                             order, samples, GPU_MONITOR_DEVICES);
    Py_END_ALLOW_THREADS
    free(environment);
    return count;
}

static PyObject *memory_of(const struct rf_gpu_sample *sample)
{
    return Py_BuildValue("(NNN)", convert_count(sample->memory_used),
                         convert_count(sample->memory_total), convert_count(sample->memory_free));
}

static PyObject *visible_gpus(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct rf_gpu_sample samples[GPU_MONITOR_DEVICES];
    /* Copied while no other thread can change os.environ. */
    const char *variables[2] = {getenv("CUDA_VISIBLE_DEVICES"), getenv("CUDA_DEVICE_ORDER")};
    char *copies[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        if (variables[i] != NULL && (copies[i] = strdup(variables[i])) == NULL) {
            free(copies[0]);
            return PyErr_NoMemory();
        }
    }
    const uint32_t count = read_visible(copies[0], copies[1], samples);
    free(copies[0]);
    free(copies[1]);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *memory = memory_of(&samples[i]);
        if (memory == NULL || PyList_Append(list, memory) < 0)
            Py_CLEAR(list);
        Py_XDECREF(memory);
    }
    return list;
}

static PyObject *set_program(PyObject *module, PyObject *path)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(path, NULL);
    if (text == NULL)
        return NULL;
    gpu_program_set(text);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_program", set_program, METH_O,
     "Where the program `datastall` lies, which samples GPUs for this process."},
    {"visible_gpus", visible_gpus, METH_NOARGS,
     "[(memory used, total, free) in bytes] of the devices that CUDA shows this process; [] "
     "without any."},
    {"gpu_driver_is_loaded", gpu_driver_is_loaded, METH_NOARGS,
     "Whether the process has loaded a CUDA, ROCm or Level Zero driver."},
    {"gpu_is_open", gpu_is_open, METH_NOARGS,
     "Whether the process has a GPU's device file open, or that cannot be told."},
    {NULL, NULL, 0, NULL}};

int gpu_driver_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
