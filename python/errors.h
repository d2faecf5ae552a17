/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of Python: ours, the program's, and what the C library says. None is mixed up with another.
 *
 * While we look at a program's objects an ordinary error is ours and is dropped. One that is no
 * Exception (KeyboardInterrupt, SystemExit, raised by a signal handler that happened to run here) is
 * the program's: it is kept and raised when we are done. */
#ifndef DATASTALL_PYTHON_ERRORS_H
#define DATASTALL_PYTHON_ERRORS_H

#include <Python.h>
#include <stdbool.h>

#include "thread.h"

/* An error that the program's own call raised, while we go on to record it. */
#define ERRORS_NONE_RAISED {NULL, NULL, NULL}
void errors_set_aside(struct errors_raised *raised);
void errors_put_back(struct errors_raised *raised);

/* Clears the error that is set, if any. */
void errors_forget(void);

/* Raises what was kept in this thread. True: an error is set now. */
void errors_raise_the_kept(void);
static inline bool errors_raise_kept(void)
{
    if (DS_MOSTLY(thread.kept.type == NULL))
        return false;
    errors_raise_the_kept();
    return true;
}

/* Raises what a function of datastall.h returned, with datastall_last_error(). Always NULL. */
PyObject *errors_raise(int error);

#endif
