#define PY_SSIZE_T_CLEAN
#include "document.h"

#include <string.h>

#include "base/clock.h"
#include "output/shape.h"

#define MAX_DEPTH 8

struct builder {
    PyObject *open[MAX_DEPTH]; /* borrowed from their parents; [0] is the document */
    int depth;
    PyObject *root;
};

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
        PyDict_SetItemString(parent, key, value);
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
    put(context, key, PyLong_FromUnsignedLongLong(value));
}

static void real(void *context, const char *key, double value)
{
    put(context, key, PyFloat_FromDouble(value));
}

static void boolean(void *context, const char *key, bool value)
{
    put(context, key, PyBool_FromLong(value));
}

static void string(void *context, const char *key, const char *value)
{
    put(context, key, PyUnicode_DecodeUTF8(value, (Py_ssize_t)strlen(value), "replace"));
}

static void null(void *context, const char *key)
{
    Py_INCREF(Py_None);
    put(context, key, Py_None);
}

PyObject *document_of_run(const char *folder)
{
    struct run_data *data = NULL;
    struct summary *summary = NULL;
    int error;
    Py_BEGIN_ALLOW_THREADS error = run_data_read(folder, &data);
    if (error == DATASTALL_OK)
        error = summary_make(data, ds_now_ns(), &summary);
    Py_END_ALLOW_THREADS struct builder builder = {.depth = 0};
    if (error != DATASTALL_OK) {
        PyErr_SetString(PyExc_OSError, datastall_last_error());
    } else {
        const struct emitter emitter = {&builder,        open_object, open_array,
                                        close_container, integer,     real,
                                        boolean,         string,      null};
        output_shape(summary, &emitter);
    }
    summary_free(summary);
    run_data_free(data);
    if (PyErr_Occurred())
        Py_CLEAR(builder.root);
    return builder.root;
}
