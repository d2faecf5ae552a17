/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as folders of runs: what `merge` makes, and any folder on a shared file system in which every
 * machine of a job wrote its own run. */
#ifndef DATASTALL_CLI_JOB_FOLDER_H
#define DATASTALL_CLI_JOB_FOLDER_H

#include "output/job_card.h"

/* Whether a folder is no run itself but holds some. */
bool job_folder_is(const char *folder);

/* Reads the runs of a folder, one after the other: of those of the job `id`, or of all where it is NULL
 * and they are of one job; or one run, as a job of its own. Says what is wrong and returns a code other than CLI_OK; CLI_DAMAGED with
 * a document that can be shown, CLI_NOT_COMPARABLE where no two ranks recorded anything. Free it with job_folder_free(). */
int job_folder_read(const char *folder, const char *id, struct job_document **document);
void job_folder_free(struct job_document *document);

#endif
