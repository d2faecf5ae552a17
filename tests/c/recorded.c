/* SPDX-License-Identifier: Apache-2.0 */
#include "recorded.h"

#include <math.h>
#include <string.h>

struct recorded recorded;

static double most(double one, double other)
{
    return one > other ? one : other;
}

static void set_row(const struct recorded_plan *plan, uint32_t i, bool first, bool waits,
                    bool made_first, const double at[4])
{
    struct rf_stretch_batch *row = &recorded.batches[i];
    enum { BEGUN, MADE, ASKED, GOT };
    *row = (struct rf_stretch_batch){.batch = i,
                                     .flags = first ? RF_BATCH_IS_FIRST : 0,
                                     .worker = plan->workers == 0 ? 0xffff : i % plan->workers};
    for (uint32_t t = 0; t < RF_BATCH_TIMES; t++)
        row->times[t] = RF_STRETCH_UNKNOWN;
    const struct {
        enum rf_stretch_time time;
        double ticks;
        bool told;
    } told[] = {
        {RF_BATCH_CONSUMED, plan->consumed, true},
        {RF_BATCH_WAITED, at[GOT] - at[ASKED], true},
        {RF_BATCH_BEGUN, at[GOT] - at[BEGUN], true},
        {RF_BATCH_ITEMS, plan->items + (made_first ? plan->first_items : 0), true},
        {RF_BATCH_CPU, plan->cpu, true},
        {RF_BATCH_THREADS, plan->threads, true},
        {RF_BATCH_DELAY, plan->delay, true},
        {RF_BATCH_COLLATE, plan->collate, true},
        {RF_BATCH_COLLATE_CPU, plan->collate_cpu, true},
        {RF_BATCH_COLLATE_DELAY, plan->collate_delay, true},
        {RF_BATCH_HANDOVER, at[GOT] - plan->tail - at[MADE], waits && plan->workers > 0},
        {RF_BATCH_PICKLE_CPU, plan->send, plan->workers > 0},
        {RF_BATCH_GET_CPU, plan->get, plan->workers > 0},
        {RF_BATCH_PIN, plan->pin, plan->workers > 0 && plan->pin > 0},
        {RF_BATCH_TAIL, plan->tail, plan->workers > 0},
    };
    for (uint32_t t = 0; t < sizeof told / sizeof *told; t++) {
        if (told[t].told)
            row->times[told[t].time] = (uint32_t)told[t].ticks * TICK_UNITS;
    }
}

static double play(const struct recorded_plan *plan)
{
    double got[RECORDED_BATCHES] = {0}, made[RECORDED_BATCHES] = {0};
    double now = 0, epoch_began = 0;
    const uint32_t window = plan->workers * plan->prefetch;
    for (uint32_t i = 0; i < plan->batches * plan->epochs; i++) {
        const uint32_t k = i % plan->batches;
        const bool once =
            k < (plan->workers > 0 ? plan->workers : 1) && (k == i || !plan->persistent);
        const double asked = now + (k == 0 ? 0 : plan->consumed);
        epoch_began = k == 0 ? now : epoch_began;
        double begun = asked;
        if (plan->workers > 0) {
            const double given = k < window ? epoch_began : got[i - window];
            begun = k < plan->workers ? given : most(given, made[i - plan->workers] + plan->gap);
        }
        made[i] = begun + plan->items + (once ? plan->first_items : 0) + plan->collate;
        const double came = made[i] + plan->send + plan->latency + plan->get + plan->pin +
                            (once ? plan->first_handover : 0);
        const bool waits = made[i] >= asked;
        const double usual = plan->ready > 0 ? plan->ready : plan->get + plan->tail;
        got[i] = plan->workers == 0 ? made[i] + plan->tail : most(came + plan->tail, asked + usual);
        recorded.waited += (got[i] - asked) * TICK;
        const double at[4] = {begun, made[i], asked, got[i]};
        set_row(plan, i, k == 0, waits, once, at);
        now = got[i];
    }
    return now * TICK;
}

void record_plan(const struct recorded_plan *plan)
{
    struct recorded *r = &recorded;
    const uint32_t count = plan->batches * plan->epochs;
    memset(r, 0, sizeof *r);
    r->took = play(plan);
    for (uint32_t i = 0; i < count; i += RF_STRETCH_ROWS) {
        struct run_stretch *stretch = &r->stretch[r->stretches.count++];
        stretch->first = i;
        stretch->count = count - i < RF_STRETCH_ROWS ? count - i : RF_STRETCH_ROWS;
        stretch->words[RF_STRETCH_NUMBER] = r->stretches.count;
        stretch->words[RF_STRETCH_END_NS] = 1;
        stretch->words[RF_STRETCH_BEGIN_CPU_NS] = 1000;
        stretch->words[RF_STRETCH_END_CPU_NS] =
            1000 + stretch->count * plan->loop_cpu * (uint64_t)TICK;
    }
    r->stretches.stretches = r->stretch;
    r->stretches.batches = r->batches;
    r->stretches.batch_count = count;
    r->stretches.head[RF_STRETCH_BATCHES] = count;
    r->process.stretches = &r->stretches;
    r->process.stretches_count = 1;
    r->loader.entry.num_workers = plan->workers;
    r->loader.entry.prefetch_factor = plan->prefetch;
    r->loader.entry.flags = (plan->pin > 0 ? DATASTALL_LOADER_PIN_MEMORY : 0) |
                            (plan->persistent ? DATASTALL_LOADER_PERSISTENT_WORKERS : 0);
    uint64_t *c = r->loader.totals.counters;
    c[RF_COUNT_BATCHES] = c[RF_COUNT_SAMPLES_BATCHES] = count;
    c[RF_COUNT_SAMPLES] = 4 * (uint64_t)count;
    c[RF_COUNT_ITERATORS] = plan->epochs;
    r->why.active_ns = (uint64_t)r->took;
    r->why.stall_ns = (uint64_t)r->waited;
    r->why.host.cpus_usable = 8;
    r->why.host.idle_cpus = 8;
    r->why.host.loop_cpus = 0;
    r->why.work.workers = plan->workers;
    r->why.work.batches = count;
    r->why.work.items = count;
    r->why.work.running_cpus = 0;
}
