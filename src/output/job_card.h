/* SPDX-License-Identifier: Apache-2.0 */
/* A job that was put together from the runs of its machines: on a card, and as JSON. */
#ifndef DATASTALL_OUTPUT_JOB_CARD_H
#define DATASTALL_OUTPUT_JOB_CARD_H

#include "base/emitter.h"
#include "diagnose/job.h"
#include "diagnose/throughput.h"
#include "output/card.h"

struct job_run {
    char id[NAME_MAX + 1];
    char node[JOB_NAME_BYTES];
    uint32_t processes;
    enum summary_state state;
    uint64_t duration_ns;
};

struct job_document {
    struct job_figures figures;
    struct throughput throughput; /* of all ranks together */
    enum summary_severity severity;
    uint32_t run_count, problems;
    struct job_run *runs;
    char first_problem[512];
};

void output_job_card(const struct job_document *job, const struct card_style *style, FILE *file);

/* For output_json_document(): {"schema", "datastall_version", "job", "verdict", "runs"}. */
void output_job_document(const void *job, const struct emitter *e);

#endif
