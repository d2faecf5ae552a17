/* SPDX-License-Identifier: Apache-2.0 */
/* Where a document goes: the rooms that know a shape tell it to an emitter, which builds JSON or a
 * Python dict from it. Unknown figures are passed as they are (DATASTALL_UNKNOWN, NaN, NULL); what
 * they become is the builder's choice: null, None or nan. */
#ifndef DATASTALL_BASE_EMITTER_H
#define DATASTALL_BASE_EMITTER_H

#include <stdbool.h>
#include <stdint.h>

/* key is NULL for elements of an array and for the outermost object. */
struct emitter {
    void *context;
    void (*open_object)(void *context, const char *key);
    void (*open_array)(void *context, const char *key);
    void (*close)(void *context); /* the innermost object or array */
    void (*integer)(void *context, const char *key, uint64_t value);
    void (*real)(void *context, const char *key, double value);
    void (*boolean)(void *context, const char *key, bool value);
    void (*string)(void *context, const char *key, const char *value); /* maybe no valid UTF-8 */
};

#endif
