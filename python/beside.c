/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "beside.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hot.h"
#include "errors.h"

#define SMALLEST 64u

/* Open addressing with linear probing; object NULL: free. Each in one cache line. */
struct entry {
    PyObject *object; /* borrowed: the weak reference tells when it goes */
    PyObject *reference, *value;
} __attribute__((aligned(DS_LINE_BYTES / 2)));
static struct entry *entries;
static size_t capacity, used;

static size_t place_of(const PyObject *object)
{
    return (size_t)(((uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (capacity - 1);
}

/* The object's entry, or the free one where it would be. */
DS_EACH_WAIT static struct entry *find(const PyObject *object)
{
    size_t place = place_of(object);
    while (entries[place].object != NULL && entries[place].object != object)
        place = (place + 1) & (capacity - 1);
    return &entries[place];
}

static bool make_room(void)
{
    if (used * 2 < capacity)
        return true;
    struct entry *const old = entries;
    const size_t old_capacity = capacity, wanted = capacity == 0 ? SMALLEST : capacity * 2;
    struct entry *fresh = aligned_alloc(DS_LINE_BYTES, wanted * sizeof *fresh);
    if (fresh == NULL) {
        PyErr_NoMemory();
        return false;
    }
    memset(fresh, 0, wanted * sizeof *fresh);
    entries = fresh;
    capacity = wanted;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].object != NULL)
            *find(old[i].object) = old[i];
    }
    free(old);
    return true;
}

/* Closes the gap, so that what was put further on because of it is found again. */
static void take_out(struct entry *gap)
{
    size_t hole = (size_t)(gap - entries), place = hole;
    for (;;) {
        place = (place + 1) & (capacity - 1);
        if (entries[place].object == NULL)
            break;
        const size_t home = place_of(entries[place].object);
        if (((place - home) & (capacity - 1)) >= ((place - hole) & (capacity - 1))) {
            entries[hole] = entries[place];
            hole = place;
        }
    }
    entries[hole] = (struct entry){NULL, NULL, NULL};
    used--;
}

/* The weak reference's callback; self: the address of what went. */
static PyObject *forget(PyObject *self, PyObject *reference)
{
    const PyObject *object = PyLong_AsVoidPtr(self);
    struct entry *entry = object == NULL || capacity == 0 ? NULL : find(object);
    if (entry != NULL && entry->object != NULL && entry->reference == reference) {
        PyObject *value = entry->value;
        take_out(entry);
        Py_DECREF(reference);
        Py_DECREF(value); /* last: it may run whatever */
    }
    Py_RETURN_NONE;
}

static PyObject *refer_to(PyObject *object)
{
    static PyMethodDef definition = {"forget", forget, METH_O, NULL};
    PyObject *address = PyLong_FromVoidPtr(object);
    PyObject *callback = address == NULL ? NULL : PyCFunction_New(&definition, address);
    PyObject *reference = callback == NULL ? NULL : PyWeakref_NewRef(object, callback);
    Py_XDECREF(callback);
    Py_XDECREF(address);
    return reference;
}

bool beside_put(PyObject *object, PyObject *value)
{
    PyObject *reference = NULL;
    struct entry *entry = capacity == 0 ? NULL : find(object);
    if (entry == NULL || entry->object == NULL) {
        reference = refer_to(object); /* may collect garbage, and with it entries */
        if (reference == NULL || !make_room()) {
            Py_XDECREF(reference);
            return false;
        }
        entry = find(object);
        entry->object = object;
        entry->reference = reference;
        used++;
    }
    PyObject *before = entry->value;
    Py_INCREF(value);
    entry->value = value;
    Py_XDECREF(before);
    return true;
}

DS_EACH_WAIT PyObject *beside_get(PyObject *object)
{
    return capacity == 0 ? NULL : find(object)->value;
}

DS_EACH_WAIT PyObject *beside_attributes(PyObject *object)
{
    PyObject *attributes = PyObject_GenericGetDict(object, NULL);
    if (attributes == NULL)
        errors_forget();
    Py_XDECREF(attributes); /* the object has it as long as it lives */
    return attributes;
}

DS_EACH_WAIT PyObject *beside_held(PyObject *object, PyObject *name)
{
    PyObject *attributes = beside_attributes(object);
    PyObject *value = attributes == NULL ? NULL : PyDict_GetItemWithError(attributes, name);
    errors_forget();
    return value;
}

/* ---- for the hooks in Python ---- */

static PyObject *beside_remember(PyObject *module, PyObject *args)
{
    PyObject *object, *value;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:remember", &object, &value) || !beside_put(object, value))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *new_or_none(PyObject *borrowed)
{
    PyObject *result = borrowed != NULL ? borrowed : Py_None;
    Py_INCREF(result);
    return result;
}

static PyObject *beside_recall(PyObject *module, PyObject *object)
{
    (void)module;
    return new_or_none(beside_get(object));
}

static PyObject *beside_attributes_of(PyObject *module, PyObject *object)
{
    (void)module;
    return new_or_none(beside_attributes(object));
}

static PyMethodDef functions[] = {
    {"remember", beside_remember, METH_VARARGS,
     "remember(object, value): keeps value for as long as the object lives; TypeError for one "
     "that cannot be referred to weakly."},
    {"recall", beside_recall, METH_O, "What remember() kept for this object; None: nothing."},
    {"attributes", beside_attributes_of, METH_O,
     "The object's own dictionary; None where it has none. Runs no code of its class."},
    {NULL, NULL, 0, NULL}};

int beside_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
