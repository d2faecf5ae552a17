/* SPDX-License-Identifier: Apache-2.0 */
/* Whose waits stop the program: those of the main thread, and of the one that trains where it is another
 * (train functions of Ray, programs with a window). */
#include "run/run_data.h"

static bool trains(const struct run_steps *steps)
{
    return steps->totals[RF_STEP_TOTAL_TIMES + STEP_BACKWARD] > 0 ||
           steps->totals[RF_STEP_TOTAL_TIMES + STEP_OPTIMIZER] > 0;
}

/* The only one that trains, if it isn't the main one; 0: there is none. */
static uint64_t training_thread(const struct run_process *process)
{
    const struct run_steps *found = NULL;
    for (uint32_t i = 0; i < process->steps_count; i++) {
        if (!trains(&process->steps[i]))
            continue;
        if (found != NULL)
            return 0;
        found = &process->steps[i];
    }
    return found == NULL || found->head[RF_STEPS_IS_MAIN] != 0 ? 0 : found->head[RF_STEPS_THREAD];
}

void run_find_background(struct run_process *process)
{
    const uint64_t thread = training_thread(process);
    bool alone = thread != 0;
    for (uint32_t i = 0; i < process->loader_count && alone; i++) {
        const struct run_loader *loader = &process->loaders[i];
        alone = !loader->passed_on && loader->threads == 1 && loader->thread_ids[0] == thread;
    }
    for (uint32_t i = 0; i < process->loader_count && alone; i++)
        process->loaders[i].background = false;
}
