/* A run file as anybody finds it: opened and its header checked, and who wrote it. Enough for a
 * process that asks whether another one still writes; all the rest of a file is read in run/.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_OPENED_H
#define DATASTALL_RUNFILE_OPENED_H

#include "runfile/view.h"

struct rf_file {
    struct rf_header header; /* its sections lie inside file_bytes */
    struct rf_source source; /* may end before file_bytes: the file was cut short */
};

/* Opens a file for reading while its writer may go on. Links are not followed; anything but a
 * regular file is refused. Returns 0 or DATASTALL_ERR_NOT_FOUND, _PERMISSION, _FOREIGN, _NEWER,
 * _DAMAGED, with the sentence in datastall_last_error(). */
int rf_file_open(const char *path, struct rf_file *file);
void rf_file_close(struct rf_file *file);

/* First word of an entry of a section, UINT64_MAX if there is none. */
uint64_t rf_file_entry(const struct rf_file *file, uint32_t section_type, uint64_t index);

/* A process block: the words of enum rf_process_word and the static part. */
struct rf_process_view {
    uint64_t words[RF_PROCESS_STATIC];
    struct rf_process_static fixed; /* strings end with NUL */
};
/* False: it cannot be read. */
bool rf_file_process(const struct rf_file *file, struct rf_process_view *view);

#endif
