/* A run's document (output/shape.h) as a Python dict. */
#ifndef DATASTALL_PYTHON_DOCUMENT_H
#define DATASTALL_PYTHON_DOCUMENT_H

#include <Python.h>

/* New reference, or NULL with OSError. */
PyObject *document_of_run(const char *folder);

#endif
