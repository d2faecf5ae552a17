/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "output/comparison.h"
#include "output/put.h"

static void put_run(out e, const struct summary *run)
{
    e->open_object(e->context, NULL);
    put_string(e, "id", run->data->id);
    put_string(e, "name", run->name);
    put_string(e, "command", run->command);
    put_string(e, "state", summary_state_name(run->state));
    put_string(e, "severity", summary_severity_name(run->severity));
    put_string(e, "cause", compare_cause(run));
    e->close(e->context);
}

static const char *name_of(const struct compared_loader *loader)
{
    return loader->first == NULL ? NULL : loader->first->data->entry.name;
}
static const char *cause_of(const struct compared_loader *loader)
{
    return loader->first == NULL ? NULL : why_name(loader->first->why.primary);
}
static double rate_of(const struct compared_loader *loader, bool samples)
{
    return loader->first == NULL ? NAN : samples ? loader->samples_per_s : loader->batches_per_s;
}
static double share_of(const struct compared_loader *loader)
{
    return loader->first == NULL ? NAN : loader->stall_share;
}

static void put_strings(out e, const char *key, const char *first, const char *second)
{
    e->open_array(e->context, key);
    put_string(e, NULL, first);
    put_string(e, NULL, second);
    e->close(e->context);
}

static void put_promise(out e, const struct compared_promise *promise)
{
    const struct compared_setting *setting = &promise->settings[1];
    if (!promise->is_one) {
        e->string(e->context, "predicted", NULL);
        return;
    }
    e->open_object(e->context, "predicted");
    put_string(e, "says", promise->says);
    put_integer(e, "num_workers", setting->num_workers);
    put_integer(e, "prefetch_factor",
                setting->num_workers == 0 ? DATASTALL_UNKNOWN : setting->prefetch_factor);
    e->boolean(e->context, "persistent_workers", setting->persistent_workers);
    put_range(e, "throughput_ratio", &promise->faster);
    put_real(e, "measured_ratio", promise->measured);
    e->close(e->context);
}

static void put_loader(out e, const struct compared_loader pair[2],
                       const struct compared_promise *promise)
{
    e->open_object(e->context, NULL);
    put_strings(e, "name", name_of(&pair[0]), name_of(&pair[1]));
    put_pair(e, "samples_per_s", rate_of(&pair[0], true), rate_of(&pair[1], true));
    put_pair(e, "batches_per_s", rate_of(&pair[0], false), rate_of(&pair[1], false));
    put_pair(e, "stall_share", share_of(&pair[0]), share_of(&pair[1]));
    put_strings(e, "cause", cause_of(&pair[0]), cause_of(&pair[1]));
    put_promise(e, promise);
    e->close(e->context);
}

static void put_ranks(out e, const struct comparison *c)
{
    e->open_array(e->context, "ranks");
    for (uint32_t i = 0; i < c->rank_count; i++) {
        e->open_object(e->context, NULL);
        put_integer(e, "rank", c->ranks[i].rank);
        const struct compared_rank *rank = &c->ranks[i];
        put_pair(e, "samples_per_s", rank->samples_per_s[0], rank->samples_per_s[1]);
        put_pair(e, "batches_per_s", rank->batches_per_s[0], rank->batches_per_s[1]);
        put_pair(e, "stall_share", rank->stall_share[0], rank->stall_share[1]);
        e->close(e->context);
    }
    e->close(e->context);
}

void output_comparison_result_shape(const struct comparison *c, out e)
{
    put_string(e, "result", compare_result_name(c->result));
    put_string(e, "reason", c->reason);
    e->open_object(e->context, "throughput_ratio");
    put_real(e, "mean", c->throughput_ratio.mean);
    put_real(e, "lower", c->throughput_ratio.lower);
    put_real(e, "upper", c->throughput_ratio.upper);
    e->close(e->context);
    put_string(e, "throughput_unit", c->by_samples ? "samples/s" : "batches/s");
    put_pair(e, "throughput", c->throughput[0], c->throughput[1]);
    put_real(e, "window_ratio", c->window_ratio);
    put_pair(e, "window_s", c->window_s[0], c->window_s[1]);
}

void output_comparison_text_shape(const struct comparison *c, out e)
{
    char text[320];
    compare_result_text(c, text, sizeof text);
    put_string(e, "comparison_text", text);
}

void output_comparison_shape(const struct comparison *c, const char *key, out e)
{
    e->open_object(e->context, key);
    output_comparison_result_shape(c, e);
    put_pair(e, "stall_share", c->stall_share[0], c->stall_share[1]);
    put_pair(e, "startup_s", c->startup_s[0], c->startup_s[1]);
    e->open_array(e->context, "runs");
    put_run(e, c->runs[0]);
    put_run(e, c->runs[1]);
    e->close(e->context);
    e->open_array(e->context, "loaders");
    for (uint32_t i = 0; i < c->loader_count; i++)
        put_loader(e, c->loaders[i], &c->promises[i]);
    e->close(e->context);
    put_ranks(e, c);
    e->close(e->context);
}
