/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape_job.h"

#include <math.h>

#include "output/put.h"

static void put_cause(out e, const struct job_cause *cause)
{
    e->open_object(e->context, NULL);
    put_integer(e, "rank", cause->rank);
    put_string(e, "node", cause->node);
    put_string(e, "reason", job_reason_name(cause->reason));
    put_real(e, "lost_s", cause->lost_s);
    put_integer(e, "steps_last", cause->steps_last);
    put_string(e, "why", cause->why);
    e->close(e->context);
}

void output_job_shape(const struct job_figures *figures, const struct emitter *e)
{
    if (figures == NULL) {
        e->string(e->context, "job", NULL);
        return;
    }
    char text[640];
    e->open_object(e->context, "job");
    put_string(e, "id", figures->id[0] != '\0' ? figures->id : NULL);
    put_integer(e, "ranks", figures->ranks);
    put_integer(e, "world_size", figures->world_size);
    put_integer(e, "nodes", figures->nodes);
    put_integer(e, "restarts", figures->restarts);
    put_integer(e, "steps", figures->steps);
    put_integer(e, "steps_seen", figures->steps_seen);
    put_integer(e, "batches_per_step",
                figures->batches_per_step > 0 ? figures->batches_per_step : DATASTALL_UNKNOWN);
    put_real(e, "active_s", figures->active_s);
    put_range(e, "lost_s", &figures->lost_s);
    put_range(e, "lost_share", &figures->lost_share);
    put_real(e, "not_input_s", figures->not_input_s);
    put_real(e, "mean_stall_s", figures->mean_stall_s);
    put_real(e, "clock_doubt_s", figures->clock_doubt_s);
    e->boolean(e->context, "in_turns", figures->in_turns);
    e->open_array(e->context, "causes");
    for (uint32_t i = 0; i < figures->cause_count; i++)
        put_cause(e, &figures->causes[i]);
    e->close(e->context);
    job_text(figures, text, sizeof text);
    put_string(e, "text", text[0] != '\0' ? text : NULL);
    put_string(e, "says", figures->says[0] != '\0' ? figures->says : NULL);
    put_string(e, "note", figures->note[0] != '\0' ? figures->note : NULL);
    put_integer(e, "busiest_gpu_rank", figures->busiest_gpu);
    put_string(e, "gpu_text", figures->gpu_text[0] != '\0' ? figures->gpu_text : NULL);
    e->close(e->context);
}
