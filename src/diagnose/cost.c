/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (3600.0 * DS_NS_PER_S)
#define CAUSES_TOLD 3u
#define LEAST_TOLD 0.05

static void add(struct cost_range *sum, double lower, double upper)
{
    if (isnan(lower) || isnan(upper))
        return;
    sum->lower = (isnan(sum->lower) ? 0 : sum->lower) + lower;
    sum->upper = (isnan(sum->upper) ? 0 : sum->upper) + upper;
}

/* Devices that processes consumed, in the devices' own time: one that several share is lost once. */
static void add_devices(const struct summary *summary, struct cost *cost)
{
    for (uint32_t i = 0; i < summary->gpu_count; i++) {
        const struct summary_gpu *gpu = &summary->gpus[i];
        if (gpu->processes == 0)
            continue;
        cost->gpus++;
        add(&cost->stalled_gpu_hours, (double)gpu->stall.lower_ns / HOUR_NS,
            (double)stall_most_ns(&gpu->stall) / HOUR_NS);
    }
}

/* Where no device tells whose it was: processes that use a GPU, each of its own. */
static void add_processes(const struct summary *summary, struct cost *cost)
{
    for (uint32_t i = 0; i < summary->process_count; i++) {
        const struct summary_process *process = &summary->processes[i];
        if (process->data->view.words[RF_PROCESS_ACCELERATOR] != RF_ACCELERATOR_USED ||
            process->begin_ns == DATASTALL_UNKNOWN)
            continue;
        cost->gpus++;
        add(&cost->stalled_gpu_hours, (double)process->exposed.lower_ns / HOUR_NS,
            (double)process->exposed.upper_ns / HOUR_NS);
    }
}

static void add_energy(const struct summary *summary, struct cost *cost)
{
    for (uint32_t i = 0; i < summary->gpu_count; i++) {
        const struct summary_gpu *gpu = &summary->gpus[i];
        if (gpu->energy_uj != DATASTALL_UNKNOWN)
            cost->energy_j =
                (isnan(cost->energy_j) ? 0 : cost->energy_j) + (double)gpu->energy_uj * 1e-6;
        add(&cost->stalled_energy_j, gpu->stalled_energy_lower_j, gpu->stalled_energy_upper_j);
    }
}

static void share_causes(const struct summary *summary, struct cost *cost)
{
    double sums[CAUSE_STATES] = {0}, whole = 0;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct summary_loader *loader = &summary->loaders[i];
        for (uint32_t c = 0; loader->in_verdict && c < CAUSE_STATES; c++) {
            sums[c] += (double)loader->why.states_ns[c];
            whole += (double)loader->why.states_ns[c];
        }
    }
    for (uint32_t c = 0; c < CAUSE_STATES; c++)
        cost->shares[c] = whole > 0 ? sums[c] / whole : NAN;
}

void cost_of(const struct summary *summary, struct cost *cost)
{
    *cost = (struct cost){.gpu_hours = NAN,
                          .stalled_gpu_hours = {NAN, NAN},
                          .energy_j = NAN,
                          .stalled_energy_j = {NAN, NAN},
                          .price_per_gpu_hour = summary->price_per_gpu_hour};
    add_devices(summary, cost);
    if (cost->gpus == 0)
        add_processes(summary, cost);
    const double window_ns =
        summary->begin_ns == DATASTALL_UNKNOWN ? 0 : (double)(summary->end_ns - summary->begin_ns);
    if (cost->gpus > 0 && summary->duration_ns != DATASTALL_UNKNOWN)
        cost->gpu_hours = cost->gpus * fmax(window_ns, (double)summary->duration_ns) / HOUR_NS;
    add_energy(summary, cost);
    share_causes(summary, cost);
}

/* ---- words ---- */

static void range_text(const struct cost_range *range, double factor, char *text, size_t size)
{
    char lower[24], upper[24];
    const double most = range->upper * factor;
    const int digits = most >= 1000 ? 0 : most >= 1 ? 2 : 4;
    snprintf(lower, sizeof lower, "%.*f", digits, range->lower * factor);
    snprintf(upper, sizeof upper, "%.*f", digits, most);
    if (strcmp(lower, upper) == 0)
        snprintf(text, size, "%s", upper);
    else
        snprintf(text, size, "%s to %s", lower, upper);
}

/* The largest shares: ": compute 61 %, blocked 30 %". */
static void causes_text(const struct cost *cost, char *text, size_t size)
{
    bool told[CAUSE_STATES] = {false};
    text[0] = '\0';
    for (uint32_t n = 0; n < CAUSES_TOLD; n++) {
        uint32_t most = CAUSE_STATES;
        for (uint32_t c = 0; c < CAUSE_STATES; c++) {
            if (!told[c] && c != CAUSE_UNKNOWN && cost->shares[c] >= LEAST_TOLD &&
                (most == CAUSE_STATES || cost->shares[c] > cost->shares[most]))
                most = c;
        }
        if (most == CAUSE_STATES)
            return;
        told[most] = true;
        const size_t length = strlen(text);
        snprintf(text + length, size - length, "%s%s %.0f %%", n == 0 ? ": " : ", ", why_name(most),
                 100 * cost->shares[most]);
    }
}

void cost_text(const struct cost *cost, char *text, size_t size)
{
    char stalled[64], causes[128], energy[96] = "";
    const double price = cost->price_per_gpu_hour;
    text[0] = '\0';
    if (!isnan(cost->stalled_energy_j.upper) && cost->stalled_energy_j.upper > 0) {
        char joules[64];
        const bool large = cost->stalled_energy_j.upper >= 36000;
        range_text(&cost->stalled_energy_j, large ? 1 / 3.6e6 : 1, joules, sizeof joules);
        snprintf(energy, sizeof energy, "; energy while stalled %s %s", joules,
                 large ? "kWh" : "J");
    }
    if (cost->gpus == 0) {
        if (!isnan(price))
            snprintf(text, size, "unknown: no GPU was seen in use");
        return;
    }
    if (isnan(cost->stalled_gpu_hours.upper) || isnan(cost->gpu_hours))
        return;
    causes_text(cost, causes, sizeof causes);
    range_text(&cost->stalled_gpu_hours, isnan(price) ? 1 : price, stalled, sizeof stalled);
    if (isnan(price))
        snprintf(text, size, "%s of %.4g GPU hours (%u GPU%s) went by without input%s%s", stalled,
                 cost->gpu_hours, cost->gpus, cost->gpus == 1 ? "" : "s", causes, energy);
    else
        snprintf(text, size, "the stall cost %s of %.*f (%u GPU%s at %.4g an hour)%s%s", stalled,
                 cost->gpu_hours * price >= 1 ? 2 : 4, cost->gpu_hours * price, cost->gpus,
                 cost->gpus == 1 ? "" : "s", price, causes, energy);
}

double cost_price(const char *text)
{
    char *end;
    const double price = strtod(text, &end);
    return end == text || *end != '\0' || !isfinite(price) || price <= 0 || price > 1e6 ? NAN
                                                                                        : price;
}
