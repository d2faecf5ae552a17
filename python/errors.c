/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "errors.h"

#include "base/hot.h"
#include "datastall.h"

static _Thread_local PyObject *kept_type, *kept_value, *kept_traceback;

DS_COLD void errors_set_aside(struct errors_raised *raised)
{
    PyErr_Fetch(&raised->type, &raised->value, &raised->traceback);
}

DS_COLD void errors_put_back(struct errors_raised *raised)
{
    PyErr_Restore(raised->type, raised->value, raised->traceback);
    *raised = (struct errors_raised)ERRORS_NONE_RAISED;
}

DS_HOT void errors_forget(void)
{
    if (!PyErr_Occurred())
        return;
    if (PyErr_ExceptionMatches(PyExc_Exception) || kept_type != NULL) {
        PyErr_Clear();
        return;
    }
    PyErr_Fetch(&kept_type, &kept_value, &kept_traceback);
}

DS_HOT bool errors_raise_kept(void)
{
    if (kept_type == NULL)
        return false;
    PyErr_Restore(kept_type, kept_value, kept_traceback);
    kept_type = kept_value = kept_traceback = NULL;
    return true;
}

PyObject *errors_raise(int error)
{
    PyObject *type = error == DATASTALL_ERR_ARGUMENT ? PyExc_ValueError
                     : error == DATASTALL_ERR_FORKED ? PyExc_RuntimeError
                     : error == DATASTALL_ERR_MEMORY ? PyExc_MemoryError
                                                     : PyExc_OSError;
    PyErr_SetString(type, datastall_last_error());
    return NULL;
}
