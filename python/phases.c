/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "phases.h"

#include "base/clock.h"
#include "base/hot.h"
#include "errors.h"
#include "gpu/probe.h"
#include "monitor_type.h"
#include "standin.h"
#include "types.h"

datastall_monitor *phases_monitor DS_HOT_DATA;

static bool asks_gpu;

/* ---- memory ---- */

#define MEMORY_NS DS_NS_PER_S

/* () -> (allocated, its peak, reserved, its peak, retries); or None, once and for all. */
static PyObject *memory_reader;

DS_COLD static void read_memory(void)
{
    unsigned long long a, ap, r, rp, retries;
    standin_hide();
    PyObject *answer = PyObject_CallFunctionObjArgs(memory_reader, NULL);
    standin_show();
    if (answer != NULL && answer != Py_None &&
        PyArg_ParseTuple(answer, "KKKKK", &a, &ap, &r, &rp, &retries))
        steps_memory(phases_monitor, &(struct steps_memory){a, ap, r, rp, retries});
    else
        Py_CLEAR(memory_reader);
    Py_XDECREF(answer);
    errors_forget();
}

static void read_memory_now_and_then(uint64_t now_ns)
{
    static uint64_t read_ns;
    if (memory_reader == NULL || now_ns - read_ns < MEMORY_NS)
        return;
    read_ns = now_ns;
    read_memory();
}

/* ---- where the work goes ---- */

void phases_stream(const struct exposed_stall *asked, uint64_t now_ns)
{
    struct steps *steps = asks_gpu ? steps_of_this_thread(phases_monitor) : NULL;
    if (steps == NULL || asked->mark.context == NULL)
        return;
    if (steps->python_thread == 0)
        steps->python_thread = PyThread_get_thread_ident();
    probe_follow(steps, asked->mark.context, asked->stream);
    read_memory_now_and_then(now_ns);
}

/* Where no wait knows it: at backwards and steps 1, 2, 4, 8 ... of the process, since a program may
 * start to use the GPU at any of them. */
DS_COLD static void look_for_stream(void)
{
    struct exposed_stall asked = {0};
    struct steps *steps = steps_of_this_thread(phases_monitor);
    if (asks_gpu && steps != NULL && steps->context == NULL &&
        exposed_stall_place(&asked.mark.context, &asked.stream))
        phases_stream(&asked, ds_now_ns());
}

static void look_now_and_then(void)
{
    static uint64_t times;
    times++;
    if ((times & (times - 1)) == 0)
        look_for_stream();
}

/* Inside a wait nothing is a phase: what a data set computes belongs to the wait. */
DS_HOT static datastall_monitor *followed(void)
{
    return thread.timed_depth == 0 ? phases_monitor : NULL;
}

DS_HOT static PyObject *backward_call(PyObject *callable, PyObject *const *args,
                                      size_t flagged_count, PyObject *names)
{
    datastall_monitor *monitor = followed();
    steps_enter(monitor, STEP_IN_BACKWARD);
    look_now_and_then();
    PyObject *result = standin_call_function_row((Standin *)callable, args, flagged_count, names);
    steps_leave(monitor, STEP_IN_BACKWARD);
    return result;
}

static PyObject *checkpoint_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    datastall_monitor *monitor = followed();
    steps_enter(monitor, STEP_IN_CHECKPOINT);
    PyObject *result = PyObject_Call(self->original, args, kwargs);
    steps_leave(monitor, STEP_IN_CHECKPOINT);
    return result;
}

static PyObject *replay_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    steps_replay(followed());
    return standin_call_method(self, args, kwargs);
}

/* Hooks around an optimizer's step, which torch calls in a loop. The original is a function of Python
 * that does nothing: what torch.compile takes for them. */
DS_HOT static PyObject *optimizer_begins_call(PyObject *callable, PyObject *const *args,
                                              size_t flagged_count, PyObject *names)
{
    (void)callable;
    (void)args;
    (void)flagged_count;
    (void)names;
    steps_enter(followed(), STEP_IN_OPTIMIZER);
    Py_RETURN_NONE;
}

DS_HOT static PyObject *optimizer_ends_call(PyObject *callable, PyObject *const *args,
                                            size_t flagged_count, PyObject *names)
{
    (void)callable;
    (void)args;
    (void)flagged_count;
    (void)names;
    steps_leave(followed(), STEP_IN_OPTIMIZER);
    Py_RETURN_NONE;
}

STANDIN_ROW_NEW(backward_new, backward_call)
STANDIN_ROW_NEW(begins_new, optimizer_begins_call)
STANDIN_ROW_NEW(ends_new, optimizer_ends_call)
static PyType_Slot backward_slots[] =
    STANDIN_ROW_SLOTS(backward_new, "Stands in for what enters torch's autograd engine.");
static PyType_Slot checkpoint_slots[] =
    STANDIN_SLOTS(checkpoint_call, "Stands in for a function that writes a checkpoint.");
static PyType_Slot replay_slots[] =
    STANDIN_SLOTS(replay_call, "Stands in for a function that replays a CUDA graph.");
static PyType_Slot begins_slots[] =
    STANDIN_ROW_SLOTS(begins_new, "Called before each step of an optimizer.");
static PyType_Slot ends_slots[] =
    STANDIN_ROW_SLOTS(ends_new, "Called after each step of an optimizer.");
static PyType_Spec specs[] = {
    STANDIN_ROW_SPEC("TimedBackward", backward_slots),
    STANDIN_SPEC("TimedCheckpoint", checkpoint_slots),
    STANDIN_SPEC("CountedReplay", replay_slots),
    STANDIN_ROW_SPEC("OptimizerBegins", begins_slots),
    STANDIN_ROW_SPEC("OptimizerEnds", ends_slots),
};

/* ---- functions of the module ---- */

static PyObject *follow_steps(PyObject *module, PyObject *args)
{
    PyObject *monitor;
    int gpu;
    (void)module;
    if (!PyArg_ParseTuple(args, "Op:follow_steps", &monitor, &gpu))
        return NULL;
    datastall_monitor *before = phases_monitor;
    phases_monitor = monitor_type_inner(monitor);
    if (before != NULL && phases_monitor == NULL) {
        Py_BEGIN_ALLOW_THREADS
        probe_stop(before);
        Py_END_ALLOW_THREADS
    }
    asks_gpu = gpu != 0;
    Py_RETURN_NONE;
}

static PyObject *set_memory_reader(PyObject *module, PyObject *reader)
{
    PyObject *before = memory_reader;
    (void)module;
    Py_INCREF(reader);
    memory_reader = reader;
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyObject *mark_step(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    datastall_monitor *monitor = followed();
    steps_mark(monitor);
    look_now_and_then();
    const struct steps *steps = steps_of_this_thread(monitor);
    if (steps != NULL && steps->context != NULL)
        read_memory_now_and_then(ds_now_ns());
    Py_RETURN_NONE;
}

static PyObject *finish_steps(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    steps_finish(phases_monitor);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"follow_steps", follow_steps, METH_VARARGS,
     "follow_steps(monitor, asks_gpu): whose steps are followed; None: nobody's."},
    {"set_memory_reader", set_memory_reader, METH_O,
     "set_memory_reader(reader): () -> (allocated, its peak, reserved, its peak, retries)."},
    {"mark_step", mark_step, METH_NOARGS, "The program says that a step begins here."},
    {"finish_steps", finish_steps, METH_NOARGS,
     "Publish what is known of this thread's steps up to now."},
    {NULL, NULL, 0, NULL}};

int phases_add(PyObject *module)
{
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        if (types_add(module, &specs[i], NULL) < 0)
            return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
