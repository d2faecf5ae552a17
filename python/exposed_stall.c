/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "exposed_stall.h"

#include "base/hot.h"
#include "errors.h"
#include "standin.h"

/* torch._C._cuda_getCurrentRawStream(device), and whether torch uses CUDA: asked before an iterator
 * is made, until it does. */
static PyObject *stream_getter, *cuda_is_up;

static bool can_be_told(void)
{
    if (stall_is_enabled())
        return true;
    if (cuda_is_up == NULL)
        return false;
    standin_hide();
    PyObject *used = PyObject_CallFunctionObjArgs(cuda_is_up, NULL);
    standin_show();
    bool yes = used == Py_True;
    Py_XDECREF(used);
    errors_forget();
    return yes && stall_enable();
}

/* The thread's device and stream; false when it cannot be told, for an event on a wrong one could
 * hold others. */
static bool current_stream(uint64_t *stream, int *on_device)
{
    const int device = *on_device = stall_current_device();
    if (device < 0 || stream_getter == NULL)
        return false;
    PyObject *answer = PyObject_CallFunction(stream_getter, "i", device);
    unsigned long long value = answer != NULL ? PyLong_AsUnsignedLongLong(answer) : 0;
    Py_XDECREF(answer);
    *stream = value;
    if (PyErr_Occurred()) {
        errors_forget();
        return false;
    }
    return true;
}

bool exposed_stall_place(void **context, uint64_t *stream)
{
    int device;
    if (!can_be_told() || !current_stream(stream, &device))
        return false;
    *context = stall_current_context();
    return *context != NULL;
}

bool exposed_stall_begin_iter(struct stall_mark *mark, int *device)
{
    uint64_t stream;
    if (!can_be_told() || !current_stream(&stream, device))
        return false;
    stall_probe_begin(stream, mark);
    return true;
}

void exposed_stall_ask(datastall_wait *wait, struct exposed_stall *asked)
{
    int device;
    if (!current_stream(&asked->stream, &device) || !monitor_wait_on_device(wait, device))
        return;
    asked->slot = wait->slot;
    stall_begin(asked->slot, asked->stream, &asked->mark);
}

DS_WAIT_END bool exposed_stall_end(struct exposed_stall *asked, const datastall_wait *wait,
                                   uint64_t end_ns, struct stall_bounds *stall)
{
    *stall = (struct stall_bounds)STALL_BOUNDS_UNKNOWN;
    if ((asked->slot == NULL && !asked->carries) || wait->loader == NULL)
        return false;
    const datastall_monitor *monitor = wait->loader->monitor;
    const uint64_t wait_ns = ds_subtract(end_ns, wait->begin_ns);
    if (!monitor_is_recording(monitor)) /* forked while it waited */
        return false;
    if (asked->carries) {
        stall_carried(wait->slot, wait_ns, stall);
        return false;
    }
    return stall_end(asked->slot, asked->stream, &asked->mark, wait_ns, asked->slot->writer.head,
                     (uint32_t)ds_load(&monitor->current_stage), stall);
}

/* ---- functions of the module ---- */

static PyObject *set_gpu_questions(PyObject *module, PyObject *args)
{
    PyObject *streams, *is_up;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:set_gpu_questions", &streams, &is_up))
        return NULL;
    Py_INCREF(streams);
    Py_INCREF(is_up);
    Py_XDECREF(stream_getter);
    Py_XDECREF(cuda_is_up);
    stream_getter = streams;
    cuda_is_up = is_up;
    Py_RETURN_NONE;
}

static PyObject *note_side_stream(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    stall_note_side_stream();
    Py_RETURN_NONE;
}

/* For `datastall doctor`: "ok", or why no stall events can be had in this thread's CUDA context. */
static PyObject *try_stall_events(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct stall_mark mark;
    struct stall_bounds stall;
    if (!stall_enable())
        return PyUnicode_FromString("the CUDA driver library lacks a function");
    if (stall_current_device() < 0)
        return PyUnicode_FromString("this thread has no CUDA context");
    stall_probe_begin(0, &mark);
    stall_probe_end(&mark, 1, &stall);
    return PyUnicode_FromString(stall.upper_ns == RF_UNKNOWN ? "a call of the driver failed"
                                                             : "ok");
}

static PyMethodDef functions[] = {
    {"try_stall_events", try_stall_events, METH_NOARGS,
     "'ok', or why the GPU cannot be asked what a wait cost it."},
    {"set_gpu_questions", set_gpu_questions, METH_VARARGS,
     "set_gpu_questions(stream_getter, cuda_is_up): the current CUDA stream of a device; does "
     "torch "
     "use CUDA?"},
    {"note_side_stream", note_side_stream, METH_NOARGS,
     "The program has GPU work on streams of its own: stalls are upper bounds from now on."},
    {NULL, NULL, 0, NULL}};

int exposed_stall_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
