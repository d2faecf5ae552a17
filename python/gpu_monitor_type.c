#define PY_SSIZE_T_CLEAN
#include "gpu_monitor_type.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "gpu/gpu_monitor.h"
#include "gpu/sampler_process.h"

#define LOG_EVERY 10
#define LOW_EFFICIENCY_EVERY 100

typedef struct {
    PyObject_HEAD datastall_gpu_monitor *monitor;
    datastall_loader *mirror; /* where waits go as well under `datastall run`; NULL: nowhere */
    PyObject *mirror_owner;   /* keeps it alive; before that, the factory of it */
    bool mirror_asked;
    unsigned in_use;          /* calls under way without the GIL: __init__ must not close it then */
    PyObject *log_batch;      /* called for every 10th batch index */
    PyObject *log_efficiency; /* called for low efficiency at every 100th */
} GpuMonitor;

/* The arguments of record_dataloader_wait(), in order. */
enum { WAIT, INDEX, SEQUENCES, TOKENS, MEAN_LENGTH, MAX_LENGTH, EFFICIENCY, ARGUMENTS };
static const char *const argument_text[ARGUMENTS] = {
    "wait_time_ms",        "batch_idx",           "sequences_in_batch", "tokens_in_batch",
    "avg_sequence_length", "max_sequence_length", "packing_efficiency"};
static PyObject *argument_name[ARGUMENTS];

static PyObject *raise_datastall(int error)
{
    PyObject *type = error == DATASTALL_ERR_ARGUMENT ? PyExc_ValueError
                     : error == DATASTALL_ERR_FORKED ? PyExc_RuntimeError
                     : error == DATASTALL_ERR_MEMORY ? PyExc_MemoryError
                                                     : PyExc_OSError;
    PyErr_SetString(type, datastall_last_error());
    return NULL;
}

/* ---- life ---- */

/* Subclasses may have any arguments: only __init__ reads them. */
static PyObject *monitor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return allocate(type, 0);
}

/* Their number, -1 with an error. More than fit are counted only; opening refuses them. */
static Py_ssize_t take_device_ids(PyObject *ids, int device_ids[GPU_MONITOR_DEVICES])
{
    Py_ssize_t count = PySequence_Size(ids);
    for (Py_ssize_t i = 0; i < count && i < (Py_ssize_t)GPU_MONITOR_DEVICES; i++) {
        PyObject *item = PySequence_GetItem(ids, i);
        PyObject *index = item == NULL ? NULL : PyNumber_Index(item);
        long id = index == NULL ? -1 : PyLong_AsLong(index);
        Py_XDECREF(item);
        Py_XDECREF(index);
        if (PyErr_Occurred())
            return -1;
        device_ids[i] = id < 0 || id > INT32_MAX ? -1 : (int)id;
    }
    return count;
}

/* A second __init__ opens a new monitor in place of the old one. */
static int monitor_init(GpuMonitor *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"device_ids", "log_interval", "log_file", NULL};
    PyObject *ids;
    double interval_s;
    const char *log_file = NULL;
    int device_ids[GPU_MONITOR_DEVICES];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Odz:GpuMonitor", names, &ids, &interval_s,
                                     &log_file))
        return -1;
    const Py_ssize_t count = take_device_ids(ids, device_ids);
    if (count < 0)
        return -1;
    if (self->in_use > 0) {
        PyErr_SetString(PyExc_RuntimeError, "__init__() while another thread uses the monitor");
        return -1;
    }
    datastall_gpu_monitor_options options = DATASTALL_GPU_MONITOR_OPTIONS_INIT;
    options.device_ids = device_ids;
    options.device_count = (uint32_t)count;
    options.log_interval_s = interval_s;
    options.log_file = log_file;
    datastall_gpu_monitor *monitor;
    const int error = datastall_gpu_monitor_open(&options, &monitor);
    if (error != DATASTALL_OK) {
        raise_datastall(error);
        return -1;
    }
    datastall_gpu_monitor *old = self->monitor;
    self->monitor = monitor;
    Py_BEGIN_ALLOW_THREADS
    datastall_gpu_monitor_close(old);
    Py_END_ALLOW_THREADS
    return 0;
}

/* False with RuntimeError before __init__, as in a subclass that forgot to call it. */
static bool is_open(const GpuMonitor *self)
{
    if (self->monitor != NULL)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "the monitor is not initialised: call super().__init__()");
    return false;
}

static PyObject *monitor_check_open(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    if (!is_open(self))
        return NULL;
    Py_RETURN_NONE;
}

static int monitor_traverse(GpuMonitor *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->mirror_owner);
    Py_VISIT(self->log_batch);
    Py_VISIT(self->log_efficiency);
    return 0;
}

static int monitor_clear(GpuMonitor *self)
{
    self->mirror = NULL;
    Py_CLEAR(self->mirror_owner);
    Py_CLEAR(self->log_batch);
    Py_CLEAR(self->log_efficiency);
    return 0;
}

static void monitor_dealloc(GpuMonitor *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    monitor_clear(self);
    Py_BEGIN_ALLOW_THREADS
    datastall_gpu_monitor_close(self->monitor);
    Py_END_ALLOW_THREADS
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *monitor_set_loggers(GpuMonitor *self, PyObject *args)
{
    PyObject *batch, *efficiency;
    if (!PyArg_ParseTuple(args, "OO:set_loggers", &batch, &efficiency))
        return NULL;
    Py_INCREF(batch);
    Py_INCREF(efficiency);
    Py_XDECREF(self->log_batch);
    Py_XDECREF(self->log_efficiency);
    self->log_batch = batch;
    self->log_efficiency = efficiency;
    Py_RETURN_NONE;
}

/* factory() is called at the first wait and returns the Loader in which waits are recorded as well,
 * or None. */
static PyObject *monitor_set_mirror_factory(GpuMonitor *self, PyObject *factory)
{
    Py_INCREF(factory);
    Py_XDECREF(self->mirror_owner);
    self->mirror_owner = factory;
    self->mirror_asked = false;
    Py_RETURN_NONE;
}

static void ask_for_mirror(GpuMonitor *self)
{
    self->mirror_asked = true;
    PyObject *loader = PyObject_CallFunctionObjArgs(self->mirror_owner, NULL);
    datastall_loader *inner = NULL;
    if (loader != NULL && loader != Py_None)
        inner = core_loader_of(loader);
    PyErr_Clear();
    if (inner == NULL) {
        Py_XDECREF(loader);
        return;
    }
    Py_DECREF(self->mirror_owner);
    self->mirror_owner = loader;
    self->mirror = inner;
}

/* ---- record_dataloader_wait ---- */

/* Puts keyword values at their places. False with TypeError. */
static bool place_keywords(PyObject *const *values, PyObject *names, PyObject **placed)
{
    const Py_ssize_t count = PyTuple_Size(names);
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *name = PyTuple_GetItem(names, k);
        int place = 0;
        /* Names written in code are interned, as ours are: the first loop finds them. */
        while (place < ARGUMENTS && name != argument_name[place])
            place++;
        for (int i = 0; place == ARGUMENTS && i < ARGUMENTS; i++) {
            if (PyUnicode_CompareWithASCIIString(name, argument_text[i]) == 0) {
                place = i;
                break;
            }
        }
        if (place == ARGUMENTS || placed[place] != NULL) {
            PyErr_Format(PyExc_TypeError, "record_dataloader_wait() got %s argument '%U'",
                         place == ARGUMENTS ? "an unexpected" : "twice the", name);
            return false;
        }
        placed[place] = values[k];
    }
    return true;
}

/* The value as an integer object: new reference, NULL with TypeError. Sums are often whole floats.
 */
static PyObject *whole_number(PyObject *value, int place)
{
    PyObject *index = PyIndex_Check(value) ? PyNumber_Index(value) : NULL;
    if (index != NULL)
        return index;
    /* Tensors of floats have an __index__ that refuses. */
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError))
        return NULL;
    PyErr_Clear();
    const double real = PyFloat_AsDouble(value);
    if (real == -1.0 && PyErr_Occurred())
        return NULL;
    if (isfinite(real) && real == floor(real))
        return PyLong_FromDouble(real);
    PyErr_Format(PyExc_TypeError, "%s is %R; a count is a whole number", argument_text[place],
                 value);
    return NULL;
}

/* A count that may be a NumPy or torch scalar. */
static bool take_count(PyObject *value, int place, uint64_t *count)
{
    long long number;
    if (PyLong_CheckExact(value)) {
        number = PyLong_AsLongLong(value);
    } else {
        PyObject *whole = whole_number(value, place);
        if (whole == NULL)
            return false;
        number = PyLong_AsLongLong(whole);
        Py_DECREF(whole);
    }
    if (number == -1 && PyErr_Occurred())
        return false;
    if (number < 0) {
        PyErr_Format(PyExc_ValueError, "%s is %lld; a count cannot be negative",
                     argument_text[place], number);
        return false;
    }
    *count = (uint64_t)number;
    return true;
}

/* A figure that must not be negative or infinite; NaN means unknown. */
static bool take_real(PyObject *value, int place, double *real)
{
    *real = PyFloat_AsDouble(value);
    if (*real == -1.0 && PyErr_Occurred())
        return false;
    if (isinf(*real) || *real < 0) {
        PyErr_Format(PyExc_ValueError, "%s must be finite and not negative", argument_text[place]);
        return false;
    }
    return true;
}

static bool take_batch(PyObject *const *given, datastall_batch *batch)
{
    uint64_t longest = 0;
    double mean_length = 0.0;
    if (!take_count(given[INDEX], INDEX, &batch->batch_index) ||
        !take_count(given[SEQUENCES], SEQUENCES, &batch->samples))
        return false;
    batch->tokens = 0;
    if ((given[TOKENS] != NULL && !take_count(given[TOKENS], TOKENS, &batch->tokens)) ||
        (given[MEAN_LENGTH] != NULL && !take_real(given[MEAN_LENGTH], MEAN_LENGTH, &mean_length)) ||
        (given[MAX_LENGTH] != NULL && !take_count(given[MAX_LENGTH], MAX_LENGTH, &longest)))
        return false;
    if (given[EFFICIENCY] != NULL && given[EFFICIENCY] != Py_None &&
        !take_real(given[EFFICIENCY], EFFICIENCY, &batch->packing_efficiency))
        return false;
    /* The defaults mean "not given": no length, no tokens. */
    batch->mean_sequence_length = mean_length > 0 ? mean_length : NAN;
    batch->longest_sequence = longest > 0 ? longest : DATASTALL_UNKNOWN;
    if (batch->tokens == 0)
        batch->tokens = DATASTALL_UNKNOWN;
    return true;
}

static const char *state_name(enum datastall_queue_state state)
{
    static const char *const names[] = {"unknown", "full", "normal", "starved"};
    return names[state];
}

static PyObject *log_wait(GpuMonitor *self, double wait_ms, const datastall_batch *batch,
                          enum datastall_queue_state state)
{
    PyObject *answer = Py_None;
    Py_INCREF(answer);
    if (batch->batch_index % LOG_EVERY == 0 && self->log_batch != NULL) {
        Py_DECREF(answer);
        answer = PyObject_CallFunction(
            self->log_batch, "KdKKs", (unsigned long long)batch->batch_index, wait_ms,
            (unsigned long long)batch->samples,
            (unsigned long long)(batch->tokens == DATASTALL_UNKNOWN ? 0 : batch->tokens),
            state_name(state));
    }
    if (answer != NULL && batch->batch_index % LOW_EFFICIENCY_EVERY == 0 &&
        batch->packing_efficiency < GPU_MONITOR_LOW_EFFICIENCY && self->log_efficiency != NULL) {
        Py_DECREF(answer);
        answer = PyObject_CallFunction(self->log_efficiency, "Kd",
                                       (unsigned long long)batch->batch_index,
                                       batch->packing_efficiency);
    }
    Py_XDECREF(answer);
    if (answer == NULL)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *monitor_record(GpuMonitor *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names)
{
    PyObject *given[ARGUMENTS] = {NULL};
    if (count > ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "record_dataloader_wait() takes at most %d arguments",
                     ARGUMENTS);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    if (names != NULL && !place_keywords(args + count, names, given))
        return NULL;
    for (int i = WAIT; i <= SEQUENCES; i++) {
        if (given[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "record_dataloader_wait() needs '%s'", argument_text[i]);
            return NULL;
        }
    }
    datastall_batch batch = DATASTALL_BATCH_INIT;
    double wait_ms = PyFloat_AsDouble(given[WAIT]);
    if ((wait_ms == -1.0 && PyErr_Occurred()) || !take_batch(given, &batch))
        return NULL;
    if (!is_open(self)) /* after the conversions, which may call Python */
        return NULL;
    enum datastall_queue_state state;
    int error =
        datastall_gpu_monitor_record_dataloader_wait(self->monitor, wait_ms, &batch, &state);
    if (error != DATASTALL_OK && error != DATASTALL_ERR_FORKED)
        return raise_datastall(error);
    if (self->mirror_owner != NULL && !self->mirror_asked)
        ask_for_mirror(self);
    if (self->mirror != NULL) {
        const uint64_t now = datastall_clock_ns();
        datastall_wait_record(self->mirror, now, gpu_monitor_wait_ns(wait_ms, now),
                              DATASTALL_WAIT_STEADY, &batch);
    }
    if (batch.batch_index % LOG_EVERY == 0)
        return log_wait(self, wait_ms, &batch, state);
    Py_RETURN_NONE;
}

/* ---- the rest ---- */

static PyObject *monitor_start(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    if (!is_open(self))
        return NULL;
    int error = datastall_gpu_monitor_start_monitoring(self->monitor);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    Py_RETURN_NONE;
}

static PyObject *monitor_stop(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    int ran;
    if (!is_open(self))
        return NULL;
    self->in_use++;
    Py_BEGIN_ALLOW_THREADS
    ran = datastall_gpu_monitor_stop_monitoring(self->monitor);
    Py_END_ALLOW_THREADS
    self->in_use--;
    return PyBool_FromLong(ran == 1);
}

static PyObject *monitor_set_stage(GpuMonitor *self, PyObject *arg)
{
    const char *name = arg == Py_None ? NULL : PyUnicode_AsUTF8AndSize(arg, NULL);
    if (name == NULL && PyErr_Occurred())
        return NULL;
    if (!is_open(self))
        return NULL;
    datastall_gpu_monitor_set_stage(self->monitor, name);
    Py_RETURN_NONE;
}

static PyObject *monitor_check_bottleneck(GpuMonitor *self, PyObject *arg)
{
    datastall_bottleneck bottleneck = DATASTALL_BOTTLENECK_INIT;
    PyObject *index = PyNumber_Index(arg);
    long long recent = index == NULL ? -1 : PyLong_AsLongLong(index);
    Py_XDECREF(index);
    if (PyErr_Occurred())
        return NULL;
    if (recent < 1) {
        PyErr_Format(PyExc_ValueError, "recent_samples is %lld; at least 1", recent);
        return NULL;
    }
    if (!is_open(self))
        return NULL;
    int error = datastall_gpu_monitor_check_bottleneck(
        self->monitor, recent > UINT32_MAX ? UINT32_MAX : (uint32_t)recent, &bottleneck);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    static const char *const names[] = {"none", "mild", "critical"};
    return Py_BuildValue("(Osd)",
                         bottleneck.level == DATASTALL_BOTTLENECK_NONE ? Py_False : Py_True,
                         names[bottleneck.level], bottleneck.average_utilization);
}

static PyObject *monitor_dataloader_statistics(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    datastall_statistics statistics = DATASTALL_STATISTICS_INIT;
    if (!is_open(self))
        return NULL;
    int error = datastall_gpu_monitor_dataloader_statistics(self->monitor, &statistics);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    if (statistics.batches == 0)
        return PyDict_New();
    return document_build(gpu_report_dataloader, &statistics, true);
}

static PyObject *monitor_device_statistics(GpuMonitor *self, PyObject *arg)
{
    long id = PyLong_AsLong(arg);
    if (id == -1 && PyErr_Occurred())
        return NULL;
    datastall_device_statistics statistics = DATASTALL_DEVICE_STATISTICS_INIT;
    if (!is_open(self))
        return NULL;
    int error = datastall_gpu_monitor_device_statistics(self->monitor, (int)id, &statistics);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    const struct gpu_report_device device = {self->monitor, (int)id};
    return document_build(gpu_report_device, &device, true);
}

static PyObject *monitor_start_timer(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    if (!is_open(self))
        return NULL;
    datastall_gpu_monitor_start_inference_timer(self->monitor);
    Py_RETURN_NONE;
}

static PyObject *monitor_throughput(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    datastall_throughput throughput = DATASTALL_THROUGHPUT_INIT;
    if (!is_open(self))
        return NULL;
    int error = datastall_gpu_monitor_throughput(self->monitor, &throughput);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    return document_build(gpu_report_throughput, &throughput, true);
}

static PyObject *monitor_average_utilization(GpuMonitor *self, PyObject *arg)
{
    long id = PyLong_AsLong(arg);
    if (id == -1 && PyErr_Occurred())
        return NULL;
    if (!is_open(self))
        return NULL;
    return PyFloat_FromDouble(datastall_gpu_monitor_average_utilization(self->monitor, (int)id));
}

static PyObject *monitor_peak_memory(GpuMonitor *self, PyObject *arg)
{
    long id = PyLong_AsLong(arg);
    if (id == -1 && PyErr_Occurred())
        return NULL;
    if (!is_open(self))
        return NULL;
    uint64_t peak = datastall_gpu_monitor_peak_memory_usage(self->monitor, (int)id);
    return peak == DATASTALL_UNKNOWN ? PyFloat_FromDouble(NAN) : PyLong_FromUnsignedLongLong(peak);
}

/* A number, or None where it is not known. */
static PyObject *real_or_none(double value)
{
    if (isfinite(value))
        return PyFloat_FromDouble(value);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *count_or_none(uint64_t value)
{
    if (value != DATASTALL_UNKNOWN)
        return PyLong_FromUnsignedLongLong(value);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *monitor_current(GpuMonitor *self, PyObject *arg)
{
    datastall_gpu_metrics m = DATASTALL_GPU_METRICS_INIT;
    long id = PyLong_AsLong(arg);
    if (id == -1 && PyErr_Occurred())
        return NULL;
    if (!is_open(self))
        return NULL;
    if (datastall_gpu_monitor_current(self->monitor, (int)id, &m) != DATASTALL_OK)
        Py_RETURN_NONE;
    return Py_BuildValue("(diNNNNNNs)", m.timestamp, m.device_id, real_or_none(m.gpu_util),
                         count_or_none(m.mem_used), count_or_none(m.mem_total),
                         real_or_none(m.mem_percent), real_or_none(m.temperature),
                         real_or_none(m.power_draw), m.stage);
}

static PyObject *monitor_export(GpuMonitor *self, PyObject *args)
{
    PyObject *path;
    int csv, error;
    if (!PyArg_ParseTuple(args, "O&p:export", PyUnicode_FSConverter, &path, &csv))
        return NULL;
    if (!is_open(self)) {
        Py_DECREF(path);
        return NULL;
    }
    const char *text = PyBytes_AsString(path);
    self->in_use++;
    Py_BEGIN_ALLOW_THREADS
    error = datastall_gpu_monitor_export_metrics(
        self->monitor, text, csv ? DATASTALL_EXPORT_CSV : DATASTALL_EXPORT_JSON);
    Py_END_ALLOW_THREADS
    self->in_use--;
    Py_DECREF(path);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    Py_RETURN_NONE;
}

static PyObject *monitor_save_logs(GpuMonitor *self, PyObject *unused)
{
    (void)unused;
    int error;
    if (!is_open(self))
        return NULL;
    self->in_use++;
    Py_BEGIN_ALLOW_THREADS
    error = datastall_gpu_monitor_save_logs(self->monitor);
    Py_END_ALLOW_THREADS
    self->in_use--;
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    Py_RETURN_NONE;
}

static PyObject *infer_queue_state(PyObject *module, PyObject *arg)
{
    (void)module;
    double wait_ms = PyFloat_AsDouble(arg);
    if (wait_ms == -1.0 && PyErr_Occurred())
        return NULL;
    return PyUnicode_FromString(state_name(datastall_infer_queue_state_ms(wait_ms)));
}

#define NO_ARGUMENTS(name, function, doc) {name, (PyCFunction)function, METH_NOARGS, doc}
#define ONE_ARGUMENT(name, function, doc) {name, (PyCFunction)function, METH_O, doc}
static PyMethodDef monitor_methods[] = {
    {"record_dataloader_wait", (PyCFunction)(void (*)(void))monitor_record,
     METH_FASTCALL | METH_KEYWORDS,
     "record_dataloader_wait(wait_time_ms, batch_idx, sequences_in_batch, tokens_in_batch=0,\n"
     "                       avg_sequence_length=0.0, max_sequence_length=0,\n"
     "                       packing_efficiency=None)\n\n"
     "Record that one batch was waited for. A wait that is negative, not finite or longer than "
     "the\n"
     "machine has been up makes the batch count with an unknown wait; negative counts raise "
     "ValueError. Any thread. Logs every 10th\n"
     "batch index at INFO, and at WARNING a given efficiency under 0.80 at every 100th."},
    NO_ARGUMENTS("_check_open", monitor_check_open, "RuntimeError before __init__."),
    ONE_ARGUMENT("_set_mirror_factory", monitor_set_mirror_factory, NULL),
    {"_set_loggers", (PyCFunction)monitor_set_loggers, METH_VARARGS, NULL},
    NO_ARGUMENTS("_start", monitor_start, NULL),
    NO_ARGUMENTS("_stop", monitor_stop, "True if it ran."),
    ONE_ARGUMENT("_set_stage", monitor_set_stage, NULL),
    ONE_ARGUMENT("_check_bottleneck", monitor_check_bottleneck, "(is_bottleneck, level, mean)"),
    NO_ARGUMENTS("_dataloader_statistics", monitor_dataloader_statistics, NULL),
    ONE_ARGUMENT("_device_statistics", monitor_device_statistics, NULL),
    NO_ARGUMENTS("start_inference_timer", monitor_start_timer,
                 "Start the clock of get_throughput(), or start it again."),
    NO_ARGUMENTS("_throughput", monitor_throughput, NULL),
    ONE_ARGUMENT("_average_utilization", monitor_average_utilization, NULL),
    ONE_ARGUMENT("_peak_memory", monitor_peak_memory, NULL),
    ONE_ARGUMENT("_current", monitor_current, "The newest sample as a tuple, or None."),
    {"_export", (PyCFunction)monitor_export, METH_VARARGS, "_export(path, csv)"},
    NO_ARGUMENTS("_save_logs", monitor_save_logs, NULL),
    {NULL, NULL, 0, NULL}};

static PyType_Slot monitor_slots[] = {
    {Py_tp_new, monitor_new},
    {Py_tp_init, monitor_init},
    {Py_tp_dealloc, monitor_dealloc},
    {Py_tp_traverse, monitor_traverse},
    {Py_tp_clear, monitor_clear},
    {Py_tp_methods, monitor_methods},
    {Py_tp_doc, "Samples GPUs and records waits; see datastall.gpu_monitor."},
    {0, NULL}};
static PyType_Spec monitor_spec = {"datastall._core.GpuMonitor", sizeof(GpuMonitor), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                   monitor_slots};
/* Opens the driver for one question. The GIL is released, since a driver may take its time. */
static PyObject *visible_gpus(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct rf_gpu_sample samples[GPU_MONITOR_DEVICES];
    uint32_t count;
    char program[PATH_MAX];
    const bool found = gpu_program_find(program);
    /* Copied while no other thread can change os.environ. */
    const char *variables[2] = {getenv("CUDA_VISIBLE_DEVICES"), getenv("CUDA_DEVICE_ORDER")};
    char *copies[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        if (variables[i] != NULL && (copies[i] = strdup(variables[i])) == NULL) {
            free(copies[0]);
            return PyErr_NoMemory();
        }
    }
    char **environment = found ? gpu_environment_copy() : NULL;
    Py_BEGIN_ALLOW_THREADS
    count = gpu_read_visible(&gpu_nvml, environment != NULL ? program : NULL, environment,
                             copies[0], copies[1], samples, GPU_MONITOR_DEVICES);
    Py_END_ALLOW_THREADS
    free(environment);
    free(copies[0]);
    free(copies[1]);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *memory = Py_BuildValue("(NNN)", count_or_none(samples[i].memory_used),
                                         count_or_none(samples[i].memory_total),
                                         count_or_none(samples[i].memory_free));
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
     "without "
     "any."},
    {"infer_queue_state", infer_queue_state, METH_O,
     "'full' (< 1 ms), 'starved' (> 50 ms), 'normal', or 'unknown' (negative, not finite)."},
    {NULL, NULL, 0, NULL}};

int gpu_monitor_type_add(PyObject *module)
{
    for (int i = 0; i < ARGUMENTS; i++) {
        argument_name[i] = PyUnicode_InternFromString(argument_text[i]);
        if (argument_name[i] == NULL)
            return -1;
    }
    PyObject *type = PyType_FromSpec(&monitor_spec);
    if (type == NULL)
        return -1;
    return PyModule_AddFunctions(module, functions) < 0
               ? -1
               : PyModule_AddObject(module, "GpuMonitor", type);
}
