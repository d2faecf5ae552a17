/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "fingerprint.h"

#include "base/hash.h"
#include "errors.h"
#include "tensor.h"

#define MOST_BYTES 4096u /* of one tensor or text */
#define MOST_VALUES 64
#define MOST_DEPTH 4

struct reading {
    uint64_t hash;
    int values; /* that were read */
    struct tensor_questions questions;
};

static void add(struct reading *reading, const void *bytes, size_t count)
{
    reading->hash = ds_hash(reading->hash, bytes, count > MOST_BYTES ? MOST_BYTES : count);
    reading->values++;
}

static void add_tensor(struct reading *reading, PyObject *tensor)
{
    struct tensor_memory memory;
    const struct tensor_shape shape = tensor_shape(&reading->questions, tensor);
    if (shape.dimensions >= 0 && shape.elements > 0 && shape.elements != DATASTALL_UNKNOWN &&
        tensor_memory(&reading->questions, tensor, &shape, NULL, &memory))
        add(reading, memory.address,
            shape.elements > MOST_BYTES ? MOST_BYTES : shape.elements * memory.element_bytes);
}

static void add_number(struct reading *reading, PyObject *number)
{
    if (PyFloat_CheckExact(number)) {
        const double value = PyFloat_AsDouble(number);
        add(reading, &value, sizeof value);
    } else {
        const unsigned long long value = PyLong_AsUnsignedLongLongMask(number);
        add(reading, &value, sizeof value);
    }
}

static void add_text(struct reading *reading, PyObject *text)
{
    Py_ssize_t size = 0;
    const char *bytes;
    if (PyUnicode_CheckExact(text))
        bytes = PyUnicode_AsUTF8AndSize(text, &size);
    else if (PyBytes_AsStringAndSize(text, (char **)&bytes, &size) < 0)
        bytes = NULL;
    if (bytes != NULL)
        add(reading, bytes, (size_t)size);
    errors_forget();
}

static void add_object(struct reading *reading, PyObject *object, int depth)
{
    if (reading->values >= MOST_VALUES || depth > MOST_DEPTH)
        return;
    if (tensor_is_plain(object)) {
        add_tensor(reading, object);
    } else if (PyFloat_CheckExact(object) || PyLong_CheckExact(object)) {
        add_number(reading, object);
    } else if (PyUnicode_CheckExact(object) || PyBytes_CheckExact(object)) {
        add_text(reading, object);
    } else if (PyList_CheckExact(object)) {
        for (Py_ssize_t i = 0; i < PyList_Size(object) && reading->values < MOST_VALUES; i++)
            add_object(reading, PyList_GetItem(object, i), depth + 1);
    } else if (PyTuple_CheckExact(object)) {
        for (Py_ssize_t i = 0; i < PyTuple_Size(object) && reading->values < MOST_VALUES; i++)
            add_object(reading, PyTuple_GetItem(object, i), depth + 1);
    } else if (PyDict_CheckExact(object)) {
        PyObject *key, *value;
        Py_ssize_t place = 0;
        while (PyDict_Next(object, &place, &key, &value))
            add_object(reading, value, depth + 1);
    }
}

uint64_t fingerprint_of(PyObject *batch)
{
    struct reading reading = {.hash = DS_HASH_OF_NOTHING};
    add_object(&reading, batch, 0);
    tensor_questions_end(&reading.questions);
    errors_forget();
    if (reading.values == 0)
        return 0;
    return reading.hash == 0 ? 1 : reading.hash;
}
