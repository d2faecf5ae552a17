/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape_steps.h"

#include "diagnose/steps.h"
#include "output/put.h"

static void put_real_ns(out e, const char *key, double ns)
{
    put_real(e, key, ns * 1e-9);
}

static void put_phases(out e, const struct summary_steps *steps)
{
    e->open_array(e->context, "phases");
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        const struct summary_phase *phase = &steps->phases[i];
        e->open_object(e->context, NULL);
        put_string(e, "name", phase->name);
        put_integer(e, "count", phase->count);
        put_seconds(e, "host_s", phase->host_ns);
        put_real(e, "share", phase->share);
        put_seconds(e, "longest_s", phase->longest_ns);
        put_real_ns(e, "gpu_s", phase->gpu_ns);
        put_real_ns(e, "starved_s", phase->starved_ns);
        put_real_ns(e, "starved_error_s", phase->starved_error_ns);
        put_real_ns(e, "blocked_s", phase->blocked_ns);
        e->close(e->context);
    }
    e->close(e->context);
}

static void put_lines(out e, const char *key, bool calls, const struct summary_steps *steps,
                      const struct summary_line *lines, uint32_t count)
{
    e->open_array(e->context, key);
    for (uint32_t i = 0; i < count; i++) {
        const struct summary_line *line = &lines[i];
        e->open_object(e->context, NULL);
        if (calls)
            put_string(e, "what", line->what);
        put_string(e, "where", line->where);
        put_string(e, "phase", steps->phases[line->phase].name);
        if (calls)
            put_integer(e, "count", DATASTALL_UNKNOWN); /* looks do not tell */
        put_integer(e, "seen", line->seen);
        put_real_ns(e, "s", line->ns);
        put_real_ns(e, "starved_s", line->starved_ns);
        e->close(e->context);
    }
    e->close(e->context);
}

static void put_copies(out e, const struct summary_steps *steps)
{
    e->open_object(e->context, "copies");
    put_integer(e, "bytes", steps->received_bytes);
    put_real_ns(e, "s", steps->copies_ns);
    put_real(e, "pinned_share", steps->pinned_share);
    put_real(e, "hidden_s", NAN);
    e->close(e->context);
}

static void put_memory(out e, const struct summary_steps *steps)
{
    e->open_object(e->context, "memory");
    put_integer(e, "allocated_peak_bytes", steps->allocated_peak_bytes);
    put_integer(e, "reserved_peak_bytes", steps->reserved_peak_bytes);
    put_integer(e, "allocation_retries", steps->allocation_retries);
    put_integer(e, "creep_bytes",
                steps->allocated_peak_bytes == DATASTALL_UNKNOWN ? DATASTALL_UNKNOWN
                                                                 : steps->creep_bytes);
    e->close(e->context);
}

static void put_try(out e, const struct summary_steps *steps)
{
    char text[512];
    e->open_array(e->context, "try");
    for (uint32_t i = 0; summary_steps_advice(steps, i, text, sizeof text); i++)
        put_string(e, NULL, text);
    e->close(e->context);
}

void output_steps_shape(const struct summary *s, out e)
{
    uint32_t process = 0;
    char text[512];
    const struct summary_steps *steps = summary_steps_of_run(s, &process);
    if (steps == NULL)
        return;
    e->open_object(e->context, "steps");
    put_integer(e, "rank", summary_rank(&s->processes[process]));
    put_integer(e, "pid", s->processes[process].data->view.fixed.pid);
    put_integer(e, "count", steps->count);
    put_string(e, "counted_by", steps->counted_by);
    put_integer(e, "graph_replays", steps->replays);
    put_seconds(e, "window_s", steps->window_ns);
    put_string(e, "method", summary_steps_method_name(steps->method));
    put_string(e, "says", summary_steps_says(steps));
    put_phases(e, steps);
    put_lines(e, "blocking_calls", true, steps, steps->blocking, steps->blocking_count);
    put_lines(e, "working_lines", false, steps, steps->working, steps->working_count);
    put_copies(e, steps);
    put_memory(e, steps);
    summary_steps_text(s, text, sizeof text);
    put_string(e, "text", text);
    put_try(e, steps);
    e->close(e->context);
}

void output_idle_shape(const struct summary *s, uint32_t gpu, out e)
{
    e->open_array(e->context, "idle");
    for (uint32_t i = 0; s->steps != NULL && i < s->process_count && s->gpus[gpu].processes < 2;
         i++) {
        const struct summary_steps *steps = &s->steps[i];
        for (uint32_t k = 0; s->processes[i].gpu == gpu && k < steps->idle_count; k++) {
            e->open_object(e->context, NULL);
            put_string(e, "what", steps->idle[k].what);
            put_string(e, "where", steps->idle[k].where);
            put_real(e, "s", steps->idle[k].ns * 1e-9);
            put_real(e, "share", steps->idle[k].share);
            e->close(e->context);
        }
    }
    e->close(e->context);
}
