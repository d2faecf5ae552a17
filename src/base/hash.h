/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bit: catches accidents, not attackers. */
#ifndef DATASTALL_BASE_HASH_H
#define DATASTALL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define DS_HASH_OF_NOTHING UINT64_C(0xcbf29ce484222325)

/* Goes on from the hash of what came before. */
static inline uint64_t ds_hash(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *cursor = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ cursor[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
