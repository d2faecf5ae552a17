/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of datastall.h that come from programs with an older or a newer header: each begins with
 * its size in that header. */
#ifndef DATASTALL_BASE_VERSIONED_H
#define DATASTALL_BASE_VERSIONED_H

#include <stdbool.h>
#include <stddef.h>

/* The size and the smallest first field; less means that struct_size was not set. More than the
 * largest is no size but what stood on the stack. */
#define DS_LEAST_STRUCT (sizeof(size_t) + 4)
#define DS_LARGEST_STRUCT 4096u

static inline bool ds_is_struct_size(size_t size)
{
    return size >= DS_LEAST_STRUCT && size <= DS_LARGEST_STRUCT;
}

/* Takes a caller's options over `known`, which holds the defaults. Options that only the caller
 * knows must be at theirs, zero or unknown (all ones): to ignore what somebody asks for would be a
 * lie. given NULL: the defaults. `name` is what the sentence calls them. */
int ds_take_struct(void *known, size_t known_size, const void *given, const char *name);

/* Gives a caller's struct what both know; its struct_size stays, as do fields that only the caller
 * knows. */
int ds_give_struct(void *result, const void *known, size_t known_size, const char *name);

#endif
