/* SPDX-License-Identifier: Apache-2.0 */
/* `job` of the JSON: docs/jobs.md. */
#ifndef DATASTALL_OUTPUT_SHAPE_JOB_H
#define DATASTALL_OUTPUT_SHAPE_JOB_H

#include "base/emitter.h"
#include "diagnose/job.h"

/* figures NULL: null. */
void output_job_shape(const struct job_figures *figures, const struct emitter *e);

#endif
