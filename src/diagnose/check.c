/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

struct figure {
    const char *name;
    const char *unit;
    const char *what;
    double (*value)(const struct summary *summary, const char *name);
};

static double idle_percent(const struct summary *summary, const char *name)
{
    (void)name;
    double worst = NAN, worst_used = NAN;
    for (uint32_t i = 0; i < summary->gpu_count; i++) {
        double idle = 100.0 * (1.0 - summary->gpus[i].busy_share);
        if (isnan(idle))
            continue;
        worst = fmax(idle, worst);
        if (summary->gpus[i].data->words[RF_GPU_BUSY_PERCENT_MAX] > 0)
            worst_used = fmax(idle, worst_used);
    }
    /* Devices that did nothing at all belong to somebody else, unless all did nothing. */
    return isnan(worst_used) ? worst : worst_used;
}

static double stall_percent(const struct summary *summary, const char *name)
{
    (void)name;
    if (summary->worst == UINT32_MAX)
        return NAN;
    const struct summary_process *worst = &summary->processes[summary->worst];
    /* A short stall is of all that the process did; of a bound only what is known counts. What the
     * verdict does not charge, since others used the CPUs, no check does. */
    if (worst->is_brief && worst->life_ns != DATASTALL_UNKNOWN)
        return 100.0 * (double)worst->exposed.lower_ns / (double)worst->life_ns;
    return 100.0 * fmax(0.0, worst->stall_share_lower - worst->for_others_share);
}

/* "at least" where a figure is the known part of more; "": it is all. */
static const char *least_of(const struct summary *summary, const struct figure *figure)
{
    const bool is_stall = figure->value == stall_percent;
    return is_stall && summary->processes[summary->worst].upper_bound ? "at least " : "";
}

/* "": all of it. */
static const char *left_out(const struct summary *summary, const struct figure *figure)
{
    const bool is_stall = figure->value == stall_percent;
    return is_stall && summary->processes[summary->worst].for_others_share > 0
               ? " beside what CPUs that others used explain"
               : "";
}

static double wait_ms(const struct summary *summary, const char *name)
{
    double worst = NAN;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const datastall_distribution *waits = &summary->loaders[i].figures.steady;
        if (!summary->loaders[i].in_verdict || waits->count == 0)
            continue;
        double ns = strcmp(name, "p50") == 0   ? (double)waits->p50_ns
                    : strcmp(name, "p95") == 0 ? (double)waits->p95_ns
                    : strcmp(name, "p99") == 0 ? (double)waits->p99_ns
                    : strcmp(name, "max") == 0 ? (double)waits->max_ns
                                               : waits->mean_ns;
        worst = fmax(ns * 1e-6, worst);
    }
    return worst;
}

static const struct figure figures[] = {
    {"idle", "%", "GPU idle", idle_percent},        {"stall", "%", "input stall", stall_percent},
    {"p50", "ms", "median wait", wait_ms},          {"p95", "ms", "95th percentile wait", wait_ms},
    {"p99", "ms", "99th percentile wait", wait_ms}, {"max", "ms", "longest wait", wait_ms},
    {"mean", "ms", "mean wait", wait_ms},
};

static const char *skip_spaces(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

static const struct figure *find_figure(const char *condition, const char **rest)
{
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        size_t length = strlen(figures[i].name);
        if (strncmp(condition, figures[i].name, length) == 0 &&
            strchr(" <>", condition[length]) != NULL && condition[length] != '\0') {
            *rest = skip_spaces(condition + length);
            return &figures[i];
        }
    }
    return NULL;
}

/* " (did you mean 'stall'?)" for a figure that there is not. */
static const char *hint_for(const char *condition, char *text, size_t size)
{
    char name[32];
    const char *begin = skip_spaces(condition);
    const size_t length = strcspn(begin, " <>=");
    struct nearest nearest = {.word = name};
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), begin);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        nearest_offer(&nearest, figures[i].name, figures[i].name);
    if (nearest.best != NULL && strcmp(nearest.best, name) == 0)
        nearest.best = NULL; /* what is wrong is the rest */
    return nearest_hint(&nearest, "", text, size);
}

enum check_result check_condition(const struct summary *summary, const char *condition,
                                  char *sentence, size_t size)
{
    const char *rest;
    char *end = NULL;
    const struct figure *figure = find_figure(skip_spaces(condition), &rest);
    bool less = figure != NULL && *rest == '<', more = figure != NULL && *rest == '>';
    bool equal = (less || more) && rest[1] == '=';
    double limit = less || more ? strtod(rest + 1 + equal, &end) : NAN;
    if (end != NULL && end != rest + 1 + equal) {
        const char *tail = skip_spaces(end);
        if (strncmp(tail, figure->unit, strlen(figure->unit)) == 0)
            tail += strlen(figure->unit);
        if (*skip_spaces(tail) != '\0')
            limit = NAN;
    } else {
        limit = NAN;
    }
    if (!isfinite(limit)) {
        char hint[64];
        snprintf(sentence, size,
                 "'%s' is not a condition%s; write for example 'idle<5', 'stall<10' (percent) or "
                 "'p95<50' (ms)",
                 condition, hint_for(condition, hint, sizeof hint));
        return CHECK_INVALID;
    }
    const double value = figure->value(summary, figure->name);
    const char *relation = less ? (equal ? "<=" : "<") : (equal ? ">=" : ">");
    if (isnan(value)) {
        snprintf(sentence, size, "check unknown: %s was not measured, so '%s %s %g %s' cannot hold",
                 figure->what, figure->name, relation, limit, figure->unit);
        return CHECK_UNKNOWN;
    }
    const bool holds =
        less ? (equal ? value <= limit : value < limit) : (equal ? value >= limit : value > limit);
    snprintf(sentence, size, "check %s: %s is %s%.2f %s%s, wanted %s %g %s",
             holds ? "ok" : "failed", figure->what, least_of(summary, figure), value, figure->unit,
             left_out(summary, figure), relation, limit, figure->unit);
    return holds ? CHECK_HOLDS : CHECK_FAILS;
}
