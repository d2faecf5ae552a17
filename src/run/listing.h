/* Which runs a folder of runs holds.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUN_LISTING_H
#define DATASTALL_RUN_LISTING_H

#include <stddef.h>
#include <stdint.h>

/* Why a run folder holds nothing, as far as it tells: sentence is "" where it does not. */
void run_explain_absence(const char *folder, char *sentence, size_t size);

struct run_entry {
    char *id;            /* folder name */
    uint64_t created_ns; /* real time of its oldest file, 0: none is readable */
};
/* The runs of a base folder, oldest first; *runs is to be freed with run_list_free(). An absent
 * folder is an empty list. */
int run_list(const char *base, struct run_entry **runs, uint32_t *count);
void run_list_free(struct run_entry *runs, uint32_t count);

#endif
