/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "document.h"

#include <math.h>
#include <string.h>

#include "convert.h"
#include "datastall.h"

#define MAX_DEPTH 8

struct builder {
    PyObject *open[MAX_DEPTH]; /* borrowed from their parents; [0] is the document */
    int depth;
    PyObject *root;
    bool unknown_is_nan; /* else None */
};

static PyObject *unknown_number(const struct builder *builder)
{
    if (builder->unknown_is_nan)
        return PyFloat_FromDouble(NAN);
    Py_INCREF(Py_None);
    return Py_None;
}

/* Keys may come from a file or a program: names of stages. */
static void set_item(PyObject *dict, const char *key, PyObject *value)
{
    PyObject *text = convert_str(key);
    if (text != NULL)
        PyDict_SetItem(dict, text, value);
    Py_XDECREF(text);
}

/* Takes over the reference to value. After the first error nothing more is built. */
static void put(struct builder *builder, const char *key, PyObject *value)
{
    if (value == NULL || PyErr_Occurred()) {
        Py_XDECREF(value);
        return;
    }
    if (builder->depth == 0) {
        builder->root = value;
        return;
    }
    PyObject *parent = builder->open[builder->depth - 1];
    if (PyList_Check(parent))
        PyList_Append(parent, value);
    else
        set_item(parent, key, value);
    Py_DECREF(value);
}

static void open_container(struct builder *builder, const char *key, PyObject *container)
{
    put(builder, key, container);
    if (builder->depth < MAX_DEPTH)
        builder->open[builder->depth] = container;
    builder->depth++;
}

static void open_object(void *context, const char *key)
{
    if (!PyErr_Occurred())
        open_container(context, key, PyDict_New());
}

static void open_array(void *context, const char *key)
{
    if (!PyErr_Occurred())
        open_container(context, key, PyList_New(0));
}

static void close_container(void *context)
{
    struct builder *builder = context;
    if (builder->depth > 0)
        builder->depth--;
}

static void integer(void *context, const char *key, uint64_t value)
{
    put(context, key,
        value == DATASTALL_UNKNOWN ? unknown_number(context) : PyLong_FromUnsignedLongLong(value));
}

static void real(void *context, const char *key, double value)
{
    put(context, key, isfinite(value) ? PyFloat_FromDouble(value) : unknown_number(context));
}

static void boolean(void *context, const char *key, bool value)
{
    put(context, key, PyBool_FromLong(value));
}

static void string(void *context, const char *key, const char *value)
{
    if (value != NULL) {
        put(context, key, convert_str(value));
        return;
    }
    Py_INCREF(Py_None);
    put(context, key, Py_None);
}

PyObject *document_build(void (*tell)(const void *subject, const struct emitter *emitter),
                         const void *subject, bool unknown_is_nan)
{
    struct builder builder = {.unknown_is_nan = unknown_is_nan};
    const struct emitter emitter = {&builder, open_object, open_array, close_container,
                                    integer,  real,        boolean,    string};
    tell(subject, &emitter);
    if (PyErr_Occurred())
        Py_CLEAR(builder.root);
    return builder.root;
}
