/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "gpu_monitor_wait.h"

#include <math.h>

/* The arguments of record_dataloader_wait(), in order. */
enum { WAIT, INDEX, SEQUENCES, TOKENS, MEAN_LENGTH, MAX_LENGTH, EFFICIENCY, ARGUMENTS };
static const char *const argument_text[ARGUMENTS] = {
    "wait_time_ms",        "batch_idx",           "sequences_in_batch", "tokens_in_batch",
    "avg_sequence_length", "max_sequence_length", "packing_efficiency"};
static PyObject *argument_name[ARGUMENTS];

bool gpu_monitor_wait_prepare(void)
{
    for (int i = 0; i < ARGUMENTS; i++) {
        argument_name[i] = PyUnicode_InternFromString(argument_text[i]);
        if (argument_name[i] == NULL)
            return false;
    }
    return true;
}

/* Which argument a keyword names; ARGUMENTS: none. */
static int place_of(PyObject *name)
{
    /* Names written in code are interned, as ours are: the first loop finds them. */
    for (int i = 0; i < ARGUMENTS; i++) {
        if (name == argument_name[i])
            return i;
    }
    for (int i = 0; i < ARGUMENTS; i++) {
        if (PyUnicode_CompareWithASCIIString(name, argument_text[i]) == 0)
            return i;
    }
    return ARGUMENTS;
}

/* Puts keyword values at their places. False with TypeError. */
static bool place_keywords(PyObject *const *values, PyObject *names, PyObject **placed)
{
    const Py_ssize_t count = PyTuple_Size(names);
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *name = PyTuple_GetItem(names, k);
        const int place = place_of(name);
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

/* Positional and keyword arguments at their places. False with TypeError. */
static bool place_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names,
                            PyObject *given[ARGUMENTS])
{
    if (count > ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "record_dataloader_wait() takes at most %d arguments",
                     ARGUMENTS);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    if (names != NULL && !place_keywords(args + count, names, given))
        return false;
    for (int i = WAIT; i <= SEQUENCES; i++) {
        if (given[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "record_dataloader_wait() needs '%s'", argument_text[i]);
            return false;
        }
    }
    return true;
}

bool gpu_monitor_wait_take(PyObject *const *args, Py_ssize_t count, PyObject *names,
                           double *wait_ms, datastall_batch *batch)
{
    PyObject *given[ARGUMENTS] = {NULL};
    if (!place_arguments(args, count, names, given))
        return false;
    *wait_ms = PyFloat_AsDouble(given[WAIT]);
    return !(*wait_ms == -1.0 && PyErr_Occurred()) && take_batch(given, batch);
}
