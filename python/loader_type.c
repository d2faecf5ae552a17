/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "loader_type.h"

#include "convert.h"
#include "errors.h"
#include "types.h"

static PyTypeObject *loader_type;

static PyObject *new_loader(Monitor *owner, const datastall_loader_options *options)
{
    datastall_loader *loader;
    int error = datastall_loader_register(owner->monitor, options, &loader);
    if (error != DATASTALL_OK)
        return errors_raise(error);
    Loader *result = (Loader *)types_new(loader_type);
    if (result == NULL)
        return NULL;
    Py_INCREF(owner);
    result->owner = owner;
    result->loader = loader;
    return (PyObject *)result;
}

PyObject *loader_type_register(Monitor *owner, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "name",       "site",   "dataset_type", "identity", "num_workers", "prefetch_factor",
        "batch_size", "source", "flags",        NULL};
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    PyObject *objects[4] = {NULL}, *bytes[4] = {NULL}, *result = NULL;
    long long numbers[3] = {-1, -1, -1}; /* negative: unknown */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOOLLLII:loader", names, &objects[0],
                                     &objects[1], &objects[2], &objects[3], &numbers[0],
                                     &numbers[1], &numbers[2], &options.source, &options.flags))
        return NULL;
    const char **const texts[4] = {&options.name, &options.site, &options.dataset_type,
                                   &options.identity};
    uint64_t *const counts[3] = {&options.num_workers, &options.prefetch_factor,
                                 &options.batch_size};
    bool ok = true;
    for (int i = 0; i < 4 && ok; i++)
        ok = convert_text(objects[i], &bytes[i], texts[i]);
    for (int i = 0; i < 3; i++)
        *counts[i] = numbers[i] < 0 ? DATASTALL_UNKNOWN : (uint64_t)numbers[i];
    if (ok)
        result = new_loader(owner, &options);
    for (int i = 0; i < 4; i++)
        Py_XDECREF(bytes[i]);
    return result;
}

static void loader_dealloc(Loader *self)
{
    Py_CLEAR(self->owner);
    types_free((PyObject *)self);
}

static PyObject *loader_count_object(Loader *self, PyObject *unused)
{
    (void)unused;
    monitor_count_object(self->loader);
    Py_RETURN_NONE;
}

Loader *loader_type_cast(PyObject *object)
{
    if (Py_TYPE(object) == loader_type)
        return (Loader *)object;
    PyErr_SetString(PyExc_TypeError, "a datastall._core.Loader is needed");
    return NULL;
}

static PyMethodDef loader_methods[] = {
    {"count_object", (PyCFunction)loader_count_object, METH_NOARGS,
     "count_object(): one more object of the program's is iterated over under this loader."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot loader_slots[] = {
    {Py_tp_dealloc, loader_dealloc},
    {Py_tp_methods, loader_methods},
    {Py_tp_doc, "A loader of a Monitor; made by Monitor.loader()."},
    {0, NULL}};
static PyType_Spec loader_spec = {"datastall._core.Loader", sizeof(Loader), 0, Py_TPFLAGS_DEFAULT,
                                  loader_slots};

int loader_type_add(PyObject *module)
{
    return types_add(module, &loader_spec, &loader_type);
}
