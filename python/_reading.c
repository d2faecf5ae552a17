/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._reading: what reads runs, for a program that asks for its summary. A module of its own, so
 * that one that is only recorded does not carry it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>

#include "base/clock.h"
#include "convert.h"
#include "datastall.h"
#include "document.h"
#include "output/card.h"
#include "output/shape.h"

static void tell_run(const void *subject, const struct emitter *emitter)
{
    output_shape(subject, emitter);
}

/* What a run's folder says, made by `make` while the program goes on; an error is set where it is NULL. */
static PyObject *of_run(PyObject *folder, PyObject *(*make)(const struct summary *summary))
{
    PyObject *bytes, *made = NULL;
    struct run_data *data = NULL;
    struct summary *summary = NULL;
    int error;
    if (!PyUnicode_FSConverter(folder, &bytes))
        return NULL;
    const char *path = PyBytes_AsString(bytes);
    Py_BEGIN_ALLOW_THREADS
    error = run_data_read(path, &data);
    if (error == DATASTALL_OK)
        error = summary_make(data, ds_now_ns(), &summary);
    Py_END_ALLOW_THREADS
    if (error != DATASTALL_OK)
        PyErr_SetString(PyExc_OSError, datastall_last_error());
    else
        made = make(summary);
    summary_free(summary);
    run_data_free(data);
    Py_DECREF(bytes);
    return made;
}

static PyObject *document_of(const struct summary *summary)
{
    return document_build(tell_run, summary, false);
}

/* As text of 80 columns, without colour. */
static PyObject *card_of(const struct summary *summary)
{
    const struct card_style style = {.width = CARD_LEAST_WIDTH};
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL)
        return PyErr_NoMemory();
    output_card(summary, &style, file);
    fclose(file);
    PyObject *card = convert_str(text);
    free(text);
    return card;
}

static PyObject *reading_summary(PyObject *module, PyObject *arg)
{
    (void)module;
    return of_run(arg, document_of);
}

static PyObject *reading_card(PyObject *module, PyObject *arg)
{
    (void)module;
    return of_run(arg, card_of);
}

static PyMethodDef functions[] = {
    {"summary", reading_summary, METH_O,
     "The document of a run folder (`datastall help json`) as a dict."},
    {"card", reading_card, METH_O, "The card of a run folder, as text."},
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
