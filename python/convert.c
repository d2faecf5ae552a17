/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "convert.h"

#include <math.h>
#include <string.h>

#include "datastall.h"

bool convert_text(PyObject *object, PyObject **bytes, const char **text)
{
    *bytes = NULL;
    *text = NULL;
    if (object == NULL || object == Py_None)
        return true;
    *bytes = PyUnicode_AsEncodedString(object, "utf-8", "replace");
    if (*bytes != NULL)
        *text = PyBytes_AsString(*bytes);
    return *text != NULL;
}

PyObject *convert_str(const char *text)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

PyObject *convert_real(double value)
{
    if (isfinite(value))
        return PyFloat_FromDouble(value);
    Py_INCREF(Py_None);
    return Py_None;
}

PyObject *convert_count(uint64_t value)
{
    if (value != DATASTALL_UNKNOWN)
        return PyLong_FromUnsignedLongLong(value);
    Py_INCREF(Py_None);
    return Py_None;
}
