/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "monitor_type.h"

#include <string.h>

#include "base/clock.h"
#include "base/hot.h"
#include "convert.h"
#include "errors.h"
#include "gpu/probe.h"
#include "gpu/stall.h"
#include "loader_type.h"
#include "standin.h"
#include "types.h"

static PyTypeObject *monitor_type;

static int open_with(PyObject *args, PyObject *kwargs, PyObject **uses_gpu,
                     datastall_monitor **monitor)
{
    static char *names[] = {"directory", "run_name", "memory_only", "uses_gpu", NULL};
    datastall_options options = DATASTALL_OPTIONS_INIT;
    int memory_only = 0, error;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zzpO:Monitor", names, &options.directory,
                                     &options.run_name, &memory_only, uses_gpu))
        return -1;
    options.flags = memory_only ? DATASTALL_MEMORY_ONLY : 0;
    Py_BEGIN_ALLOW_THREADS
    error = datastall_open(&options, monitor);
    Py_END_ALLOW_THREADS
    if (error == DATASTALL_OK)
        return 0;
    errors_raise(error);
    return -1;
}

static PyObject *monitor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *uses_gpu = NULL;
    datastall_monitor *monitor;
    if (open_with(args, kwargs, &uses_gpu, &monitor) < 0)
        return NULL;
    Monitor *self = (Monitor *)types_new(type);
    if (self == NULL) {
        datastall_close(monitor);
        return NULL;
    }
    self->monitor = monitor;
    monitor_note_host(monitor, ds_now_ns(), true);
    if (uses_gpu != NULL && uses_gpu != Py_None) {
        Py_INCREF(uses_gpu);
        self->uses_gpu = uses_gpu;
    }
    return (PyObject *)self;
}

/* The asking thread may be in a look, for which it waits for what this thread holds. */
static void stop_probe(datastall_monitor *monitor)
{
    if (monitor == NULL)
        return;
    Py_BEGIN_ALLOW_THREADS
    probe_stop(monitor);
    Py_END_ALLOW_THREADS
}

static void monitor_dealloc(Monitor *self)
{
    stop_probe(self->monitor);
    datastall_close(self->monitor);
    Py_CLEAR(self->uses_gpu);
    types_free((PyObject *)self);
}

/* The C monitor stays: consumers in other threads may still hold loaders. */
static PyObject *monitor_finish(Monitor *self, PyObject *unused)
{
    (void)unused;
    stop_probe(self->monitor);
    stall_finish(self->monitor);
    if (self->monitor != NULL)
        monitor_note_host(self->monitor, ds_now_ns(), true);
    Py_BEGIN_ALLOW_THREADS
    monitor_end(self->monitor);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *monitor_loader(Monitor *self, PyObject *args, PyObject *kwargs)
{
    return loader_type_register(self, args, kwargs);
}

static PyObject *monitor_stage(Monitor *self, PyObject *arg)
{
    PyObject *bytes;
    const char *name, *previous = "";
    if (!convert_text(arg, &bytes, &name))
        return NULL;
    int error = datastall_stage_set(self->monitor, name, &previous);
    Py_XDECREF(bytes);
    return convert_str(error == DATASTALL_OK ? previous : "");
}

static PyObject *monitor_state(Monitor *self, PyObject *unused)
{
    (void)unused;
    int state = datastall_monitor_state(self->monitor);
    return PyUnicode_FromString(state == DATASTALL_OK           ? "recording"
                                : state == DATASTALL_ERR_FORKED ? "forked"
                                                                : "off");
}

static PyObject *monitor_path(Monitor *self, PyObject *unused)
{
    (void)unused;
    return PyUnicode_DecodeFSDefault(datastall_run_file(self->monitor));
}

static void note_gpu(const Monitor *self, bool used)
{
    monitor_note_accelerator(self->monitor, used ? RF_ACCELERATOR_USED : RF_ACCELERATOR_NONE);
    if (used)
        stall_enable();
}

static PyObject *monitor_accelerator(Monitor *self, PyObject *arg)
{
    int used = PyObject_IsTrue(arg);
    if (used < 0)
        return NULL;
    note_gpu(self, used == 1);
    Py_RETURN_NONE;
}

static PyObject *monitor_count_refused(Monitor *self, PyObject *args)
{
    int reason, times;
    if (!PyArg_ParseTuple(args, "ii", &reason, &times))
        return NULL;
    if (reason < 0 || reason >= RF_REFUSAL_KINDS) {
        PyErr_SetString(PyExc_ValueError, "no reason of enum rf_refusal");
        return NULL;
    }
    monitor_refuse(self->monitor, (enum rf_refusal)reason, times < 0 ? 0 : (uint64_t)times);
    Py_RETURN_NONE;
}

static PyObject *monitor_sample_gpus(Monitor *self, PyObject *arg)
{
    double interval_s = PyFloat_AsDouble(arg);
    if (interval_s == -1.0 && PyErr_Occurred())
        return NULL;
    int error = datastall_gpu_sampling_start(self->monitor, interval_s);
    if (error != DATASTALL_OK)
        return errors_raise(error);
    Py_RETURN_NONE;
}

/* ---- for the other types ---- */

datastall_monitor *monitor_type_inner(PyObject *object)
{
    return Py_TYPE(object) == monitor_type ? ((Monitor *)object)->monitor : NULL;
}

DS_COLD void monitor_type_ask_gpu(const Monitor *self)
{
    if (self->uses_gpu == NULL)
        return;
    standin_hide();
    PyObject *used = PyObject_CallFunctionObjArgs(self->uses_gpu, NULL);
    standin_show();
    if (used != NULL && used != Py_None) /* None: not told yet */
        note_gpu(self, PyObject_IsTrue(used) == 1);
    Py_XDECREF(used);
    errors_forget();
}

static PyMethodDef monitor_methods[] = {
    {"loader", (PyCFunction)(void (*)(void))monitor_loader, METH_VARARGS | METH_KEYWORDS,
     "The Loader with this identity, made on the first call."},
    {"stage", (PyCFunction)monitor_stage, METH_O,
     "Set the stage (None: none); returns the one before."},
    {"state", (PyCFunction)monitor_state, METH_NOARGS, "'recording', 'forked' or 'off'."},
    {"path", (PyCFunction)monitor_path, METH_NOARGS, "Path of the run file, '' in memory."},
    {"note_accelerator", (PyCFunction)monitor_accelerator, METH_O,
     "Say whether this process uses a GPU."},
    {"count_refused", (PyCFunction)monitor_count_refused, METH_VARARGS,
     "count_refused(reason, times): count what the hooks had to leave out (enum rf_refusal)."},
    {"sample_gpus", (PyCFunction)monitor_sample_gpus, METH_O,
     "Sample the GPUs every given number of seconds."},
    {"finish", (PyCFunction)monitor_finish, METH_NOARGS,
     "Complete the run file; what is recorded later is ignored."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot monitor_slots[] = {
    {Py_tp_new, monitor_new},
    {Py_tp_dealloc, monitor_dealloc},
    {Py_tp_methods, monitor_methods},
    {Py_tp_doc, "A recording: one run file, or memory only. Raises OSError if it cannot be made."},
    {0, NULL}};
static PyType_Spec monitor_spec = {"datastall._core.Monitor", sizeof(Monitor), 0,
                                   Py_TPFLAGS_DEFAULT, monitor_slots};

static PyObject *leave_run(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    process_run_leave();
    Py_RETURN_NONE;
}

static PyMethodDef monitor_functions[] = {
    {"leave_run", leave_run, METH_NOARGS,
     "leave_run(): the next Monitor makes a run folder of its own."},
    {NULL, NULL, 0, NULL}};

int monitor_type_add(PyObject *module)
{
    return PyModule_AddFunctions(module, monitor_functions) < 0
               ? -1
               : types_add(module, &monitor_spec, &monitor_type);
}
