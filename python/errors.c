/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "errors.h"

#include "base/hot.h"
#include "datastall.h"

DS_COLD void errors_set_aside(struct errors_raised *raised)
{
    PyErr_Fetch(&raised->type, &raised->value, &raised->traceback);
}

DS_COLD void errors_put_back(struct errors_raised *raised)
{
    PyErr_Restore(raised->type, raised->value, raised->traceback);
    *raised = (struct errors_raised)ERRORS_NONE_RAISED;
}

DS_WAIT_END void errors_forget(void)
{
    if (!PyErr_Occurred())
        return;
    if (PyErr_ExceptionMatches(PyExc_Exception) || thread.kept.type != NULL) {
        PyErr_Clear();
        return;
    }
    errors_set_aside(&thread.kept);
}

DS_COLD void errors_raise_the_kept(void)
{
    errors_put_back(&thread.kept);
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
