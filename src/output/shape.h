/* The JSON document of a run (docs/json.md), told to an emitter: the program builds it with
 * jansson, the Python extension as a dict. One shape, whoever asks. Uses libc only. */
#ifndef DATASTALL_OUTPUT_SHAPE_H
#define DATASTALL_OUTPUT_SHAPE_H

#include "diagnose/summary.h"

#define OUTPUT_SCHEMA 1

/* key is NULL for elements of an array and for the outermost object. */
struct emitter {
    void *context;
    void (*open_object)(void *context, const char *key);
    void (*open_array)(void *context, const char *key);
    void (*close)(void *context); /* the innermost object or array */
    void (*integer)(void *context, const char *key, uint64_t value);
    void (*real)(void *context, const char *key, double value);
    void (*boolean)(void *context, const char *key, bool value);
    void (*string)(void *context, const char *key, const char *value); /* any bytes, see below */
    void (*null)(void *context, const char *key);
};

/* Emits the whole document. Strings come from the run file and may be no valid UTF-8: the emitter
 * replaces what it cannot take. */
void output_shape(const struct summary *summary, const struct emitter *emitter);

#endif
