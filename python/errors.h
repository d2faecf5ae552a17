/* Errors while we look at a program's objects. An ordinary one is ours and is dropped. One that is no
 * Exception (KeyboardInterrupt, SystemExit, raised by a signal handler that happened to run here) is the
 * program's: it is kept and raised when we are done. */
#ifndef DATASTALL_PYTHON_ERRORS_H
#define DATASTALL_PYTHON_ERRORS_H

#include <Python.h>
#include <stdbool.h>

/* Clears the error that is set, if any. */
void errors_forget(void);

/* Raises what was kept in this thread. True: an error is set now. */
bool errors_raise_kept(void);

#endif
