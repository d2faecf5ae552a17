/* SPDX-License-Identifier: Apache-2.0 */
/* A job that was put together from the runs of its machines: on a card, and as JSON. */
#ifndef DATASTALL_OUTPUT_JOB_CARD_H
#define DATASTALL_OUTPUT_JOB_CARD_H

#include "base/emitter.h"
#include "diagnose/job_compare.h"
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
    bool is_none; /* no two ranks recorded anything: there are no figures */
    struct job_figures figures;
    struct job_details details;
    struct throughput throughput; /* of all ranks together */
    struct rates rates;           /* the same over time */
    uint64_t batch_size;          /* of all loaders; DATASTALL_UNKNOWN: not told, or several */
    double window_s;              /* of the run that took longest, first wait to last; NaN */
    enum summary_severity severity;
    struct summary_others others; /* of all its runs */
    double for_others_share;      /* of its time, lost and not charged: others had the CPUs; or 0 */
    uint32_t run_count, problems;
    struct job_run *runs;
    char first_problem[512];
};

/* Sets what follows from its figures and what others explain: for_others_share, the severity. */
void job_card_judge(struct job_document *job);

void output_job_card(const struct job_document *job, const struct card_style *style, FILE *file);

/* For output_json_document(): {"schema", "datastall_version", "job", "verdict", "runs"}. */
void output_job_document(const void *job, const struct emitter *e);
/* The same as a part of another document; key NULL for an element. */
void output_job_parts(const struct job_document *job, const char *key, const struct emitter *e);
struct job_side output_job_side(const struct job_document *job); /* for compare_jobs() */

#endif
