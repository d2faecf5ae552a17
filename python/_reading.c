/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._reading: what reads runs, for a program that asks for its summary. A module of its own, so
 * that one that is only recorded does not carry it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base/clock.h"
#include "datastall.h"
#include "document.h"
#include "output/shape.h"

static void tell_run(const void *subject, const struct emitter *emitter)
{
    output_shape(subject, emitter);
}

static PyObject *document_of_run(const char *folder)
{
    struct run_data *data = NULL;
    struct summary *summary = NULL;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = run_data_read(folder, &data);
    if (error == DATASTALL_OK)
        error = summary_make(data, ds_now_ns(), &summary);
    Py_END_ALLOW_THREADS
    PyObject *document = NULL;
    if (error != DATASTALL_OK)
        PyErr_SetString(PyExc_OSError, datastall_last_error());
    else
        document = document_build(tell_run, summary, false);
    summary_free(summary);
    run_data_free(data);
    return document;
}

static PyObject *reading_summary(PyObject *module, PyObject *arg)
{
    (void)module;
    PyObject *bytes;
    if (!PyUnicode_FSConverter(arg, &bytes))
        return NULL;
    PyObject *document = document_of_run(PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    return document;
}

static PyMethodDef functions[] = {
    {"summary", reading_summary, METH_O, "The document of a run folder (docs/json.md) as a dict."},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "datastall._reading",
                                        "What reads the runs of datastall.",
                                        -1,
                                        functions,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__reading(void); /* no header declares it */

PyMODINIT_FUNC PyInit__reading(void)
{
    return PyModule_Create(&definition);
}
