/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "looks.h"

#include "base/clock.h"
#include "gpu/probe.h"
#include "record/step_lines.h"
#include "standin.h"

#define MOST_FRAMES 48
/* Who waits so long for the interpreter's lock was given it by a thread that ran: that is at whatever
 * call it made last, which is over, so it waits for nothing. */
#define AT_ONCE_NS UINT64_C(1000000)

/* sys._current_frames; and of the package: (stack, given at once) -> None, or (what, where). */
static PyObject *current_frames, *reader;

static PyObject *frame_of(uint64_t python_thread)
{
    PyObject *frames = PyObject_CallFunctionObjArgs(current_frames, NULL);
    PyObject *key = frames == NULL ? NULL : PyLong_FromUnsignedLongLong(python_thread);
    PyObject *frame = key == NULL ? NULL : PyDict_GetItemWithError(frames, key);
    Py_XINCREF(frame);
    Py_XDECREF(key);
    Py_XDECREF(frames);
    return frame;
}

/* (code, line, place in the code) of a frame. */
static PyObject *place_of(PyObject *frame)
{
    PyObject *code = PyObject_GetAttrString(frame, "f_code");
    PyObject *line = code == NULL ? NULL : PyObject_GetAttrString(frame, "f_lineno");
    PyObject *place = line == NULL ? NULL : PyObject_GetAttrString(frame, "f_lasti");
    PyObject *answer = place == NULL ? NULL : PyTuple_Pack(3, code, line, place);
    Py_XDECREF(code);
    Py_XDECREF(line);
    Py_XDECREF(place);
    return answer;
}

/* The innermost frames, innermost first. No code of Python runs here, so the thread that they are of does
 * not go on meanwhile; they are let go before any does: nothing of the program's lives longer for it. */
static PyObject *stack_of(uint64_t python_thread)
{
    PyObject *stack = PyList_New(0), *frame = stack == NULL ? NULL : frame_of(python_thread);
    for (int i = 0; i < MOST_FRAMES && frame != NULL && frame != Py_None; i++) {
        PyObject *place = place_of(frame), *back = PyObject_GetAttrString(frame, "f_back");
        if (place != NULL)
            PyList_Append(stack, place);
        Py_XDECREF(place);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    PyErr_Clear();
    return stack;
}

static void take_answer(struct steps *steps, uint64_t interval, bool empty, PyObject *answer)
{
    const char *what, *where;
    if (answer != NULL && answer != Py_None && PyArg_ParseTuple(answer, "zs", &what, &where))
        step_lines_seen(steps, interval, what == NULL ? RF_STEP_LINE_WORKS : RF_STEP_LINE_WAITS,
                        what == NULL ? "" : what, where, empty);
    PyErr_Clear();
}

static void look_inside(struct steps *steps, uint64_t interval, bool empty, bool at_once)
{
    PyObject *stack = stack_of(steps->python_thread);
    if (stack == NULL || PyList_Size(stack) == 0 || ds_load(&steps->interval) != interval) {
        Py_XDECREF(stack);
        return;
    }
    steps_answer(steps, interval, STEPS_LOOKED);
    standin_hide();
    PyObject *answer =
        PyObject_CallFunctionObjArgs(reader, stack, at_once ? Py_True : Py_False, NULL);
    standin_show();
    take_answer(steps, interval, empty, answer);
    Py_XDECREF(answer);
    Py_DECREF(stack);
}

/* Called by the asking thread, which has no interpreter's lock. */
static void look(struct steps *steps, uint64_t interval, bool empty)
{
    step_lines_settle(steps);
    if (steps->python_thread == 0 || !Py_IsInitialized())
        return;
    const uint64_t begin_ns = ds_now_ns();
    PyGILState_STATE state = PyGILState_Ensure();
    look_inside(steps, interval, empty, ds_now_ns() - begin_ns < AT_ONCE_NS);
    PyErr_Clear();
    PyGILState_Release(state);
}

static PyObject *set_line_reader(PyObject *module, PyObject *args)
{
    PyObject *frames, *lines;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:set_line_reader", &frames, &lines))
        return NULL;
    Py_INCREF(frames);
    Py_INCREF(lines);
    Py_XDECREF(current_frames);
    Py_XDECREF(reader);
    current_frames = frames;
    reader = lines;
    probe_set_look(look);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_line_reader", set_line_reader, METH_VARARGS,
     "set_line_reader(current_frames, reader): sys._current_frames, and what says of a stack of "
     "(code, line, place), innermost first, and of whether the lock was given at once: (what, "
     "where) of the call that waits, (None, where) of a line of the program that works, or None."},
    {NULL, NULL, 0, NULL}};

int looks_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
