/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compare_jobs.h"

#include <stdlib.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/job_folder.h"
#include "output/job_comparison.h"
#include "output/json.h"

/* Each with the first. */
static void shape(const void *context, const struct emitter *e)
{
    const struct job_comparisons *all = context;
    if (all->count == 1) {
        output_job_comparison_shape(&all->comparisons[0], NULL, e);
        return;
    }
    e->open_object(e->context, NULL);
    e->open_array(e->context, "comparisons");
    for (uint32_t i = 0; i < all->count; i++)
        output_job_comparison_shape(&all->comparisons[i], NULL, e);
    e->close(e->context);
    e->close(e->context);
}

static int print(const struct compared_jobs *options, struct job_document *const *jobs,
                 struct job_comparisons *all)
{
    const struct card_style style = cli_card_style(stdout);
    int code = CLI_OK;
    for (uint32_t i = 1; i < options->count; i++) {
        struct job_comparison *one = &all->comparisons[all->count++];
        const struct job_side first = output_job_side(jobs[0]), second = output_job_side(jobs[i]);
        *one = (struct job_comparison){.jobs = {jobs[0], jobs[i]}};
        compare_jobs(&first, &second, &one->comparison);
        if (!options->json) {
            fputs(i > 1 ? "\n" : "", stdout);
            output_job_comparison(one, &style, stdout);
        }
        code = compare_worse(code, compare_check_all(&one->comparison, options->conditions,
                                                     options->condition_count));
    }
    if (options->json && output_json_document(shape, all, stdout) != DATASTALL_OK) {
        cli_say_clean(datastall_last_error());
        code = CLI_FAILED;
    }
    return code;
}

int cli_compare_jobs(const struct compared_jobs *options)
{
    struct job_document **jobs = calloc(options->count, sizeof(struct job_document *));
    struct job_comparisons all = {.comparisons =
                                      calloc(options->count, sizeof(struct job_comparison))};
    int code = CLI_OK;
    bool damaged = false;
    if (jobs == NULL || all.comparisons == NULL) {
        ds_say("compare: out of memory");
        code = CLI_FAILED;
    }
    for (uint32_t i = 0; i < options->count && code == CLI_OK; i++) {
        code = job_folder_read(options->jobs[i].folder, options->jobs[i].id, &jobs[i]);
        if (code == CLI_DAMAGED) {
            cli_say_clean(jobs[i]->first_problem);
            damaged = true;
            code = CLI_OK;
        }
    }
    if (code == CLI_OK)
        code = compare_worse(print(options, jobs, &all), damaged ? CLI_DAMAGED : CLI_OK);
    for (uint32_t i = 0; jobs != NULL && i < options->count; i++)
        job_folder_free(jobs[i]);
    free(all.comparisons);
    free(jobs);
    return code;
}
