/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "gpu_monitor_type.h"

#include <math.h>

#include "convert.h"
#include "document.h"
#include "errors.h"
#include "gpu/gpu_monitor.h"
#include "gpu_monitor_wait.h"
#include "loader_type.h"
#include "types.h"

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

/* ---- life ---- */

/* Subclasses may have any arguments: only __init__ reads them. */
static PyObject *monitor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return types_new(type);
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
    if (interval_s == 0.0) { /* which means the default in C; here somebody wrote it */
        PyErr_SetString(PyExc_ValueError, "the interval is 0 s; 0.05 to 86400");
        return -1;
    }
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
        errors_raise(error);
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
    PyObject_GC_UnTrack(self);
    monitor_clear(self);
    Py_BEGIN_ALLOW_THREADS
    datastall_gpu_monitor_close(self->monitor);
    Py_END_ALLOW_THREADS
    types_free((PyObject *)self);
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
    const Loader *known = NULL;
    if (loader != NULL && loader != Py_None)
        known = loader_type_cast(loader);
    PyErr_Clear();
    if (known == NULL) {
        Py_XDECREF(loader);
        return;
    }
    Py_DECREF(self->mirror_owner);
    self->mirror_owner = loader;
    self->mirror = known->loader;
}

/* ---- record_dataloader_wait ---- */

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

/* Under `datastall run` a wait is in the run as well. */
static void mirror(GpuMonitor *self, double wait_ms, const datastall_batch *batch)
{
    if (self->mirror_owner != NULL && !self->mirror_asked)
        ask_for_mirror(self);
    if (self->mirror == NULL)
        return;
    const uint64_t now_ns = datastall_clock_ns();
    datastall_wait_record(self->mirror, now_ns, gpu_monitor_wait_ns(wait_ms, now_ns),
                          DATASTALL_WAIT_STEADY, batch);
}

static PyObject *monitor_record(GpuMonitor *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names)
{
    datastall_batch batch = DATASTALL_BATCH_INIT;
    double wait_ms;
    if (!gpu_monitor_wait_take(args, count, names, &wait_ms, &batch))
        return NULL;
    if (!is_open(self)) /* after the conversions, which may call Python */
        return NULL;
    enum datastall_queue_state state;
    int error =
        datastall_gpu_monitor_record_dataloader_wait(self->monitor, wait_ms, &batch, &state);
    if (error != DATASTALL_OK && error != DATASTALL_ERR_FORKED)
        return errors_raise(error);
    mirror(self, wait_ms, &batch);
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
        return errors_raise(error);
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
        return errors_raise(error);
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
        return errors_raise(error);
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
        return errors_raise(error);
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
        return errors_raise(error);
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
    return Py_BuildValue("(diNNNNNNs)", m.timestamp, m.device_id, convert_real(m.gpu_util),
                         convert_count(m.mem_used), convert_count(m.mem_total),
                         convert_real(m.mem_percent), convert_real(m.temperature),
                         convert_real(m.power_draw), m.stage);
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
        return errors_raise(error);
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
        return errors_raise(error);
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
     /* As inspect.signature() reads it. */
     "record_dataloader_wait($self, wait_time_ms, batch_idx, sequences_in_batch, "
     "tokens_in_batch=0, "
     "avg_sequence_length=0.0, max_sequence_length=0, packing_efficiency=None)\n--\n\n"
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
                 "start_inference_timer($self)\n--\n\n"
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
static PyMethodDef functions[] = {
    {"infer_queue_state", infer_queue_state, METH_O,
     "'full' (< 1 ms), 'starved' (> 50 ms), 'normal', or 'unknown' (negative, not finite)."},
    {NULL, NULL, 0, NULL}};

int gpu_monitor_type_add(PyObject *module)
{
    if (!gpu_monitor_wait_prepare() || PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return types_add(module, &monitor_spec, NULL);
}
