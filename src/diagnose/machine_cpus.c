/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/machine_cpus.h"

#include <math.h>
#include <string.h>

#define NOBODY UINT32_MAX

void cpus_begin(struct cpus *cpus, double usable, double speed, double slice, uint32_t tasks)
{
    const double count = fmax(usable, CPUS_LEAST);
    memset(cpus, 0, sizeof *cpus);
    cpus->count = (uint32_t)fmin(ceil(count - 1e-6), CPUS_MOST);
    cpus->idle = cpus->count;
    cpus->speed = speed * fmin(1.0, count / cpus->count);
    cpus->slice = slice;
    cpus->tasks = tasks;
    for (uint32_t i = 0; i < tasks; i++)
        cpus->task[i] = (struct task){.state = TASK_IDLE, .cpu = i % cpus->count, .threads = 1};
}

/* ---- who runs where ---- */

/* Whose turn is next on a CPU: who has waited the longest. */
static void begin_turn(struct cpus *cpus, uint32_t cpu)
{
    uint32_t next = NOBODY;
    for (uint32_t i = 0; i < cpus->tasks; i++) {
        const struct task *task = &cpus->task[i];
        if (task->state == TASK_RUNNING && task->cpu == cpu &&
            (next == NOBODY || task->turn < cpus->task[next].turn))
            next = i;
    }
    cpus->current[cpu] = next;
    cpus->slice_left[cpu] = cpus->slice;
}

static void occupy(struct cpus *cpus, uint32_t cpu)
{
    cpus->idle -= cpus->running[cpu]++ == 0;
    if (cpus->slice > 0 && cpus->running[cpu] == 1)
        begin_turn(cpus, cpu);
}

/* An idle CPU, its own if it is; else that with the fewest. */
static uint32_t cpu_for(const struct cpus *cpus, uint32_t own)
{
    uint32_t best = own;
    for (uint32_t i = 0; i < cpus->count && cpus->running[best] > 0; i++) {
        if (cpus->running[i] < cpus->running[best])
            best = i;
    }
    return best;
}

/* The CPU becomes idle: it takes one from where the most are, who is not running right now. */
static void take_over(struct cpus *cpus, uint32_t cpu)
{
    uint32_t most = cpu;
    for (uint32_t i = 0; i < cpus->count; i++) {
        if (cpus->running[i] > cpus->running[most])
            most = i;
    }
    if (cpus->running[most] < 2)
        return;
    for (uint32_t i = 0; i < cpus->tasks; i++) {
        struct task *task = &cpus->task[i];
        if (task->state == TASK_RUNNING && task->cpu == most &&
            !(cpus->slice > 0 && cpus->current[most] == i)) {
            cpus->running[most]--;
            task->cpu = cpu;
            occupy(cpus, cpu);
            return;
        }
    }
}

void cpus_run(struct cpus *cpus, uint32_t number, double work)
{
    struct task *task = &cpus->task[number];
    task->left = work;
    if (task->state == TASK_RUNNING)
        return;
    task->state = TASK_RUNNING;
    task->turn = ++cpus->turns;
    if (cpus->slice <= 0)
        task->cpu = cpu_for(cpus, task->cpu);
    occupy(cpus, task->cpu);
}

static void end_running(struct cpus *cpus, uint32_t number, enum task_state state)
{
    struct task *task = &cpus->task[number];
    const bool ran = task->state == TASK_RUNNING;
    task->state = state;
    if (!ran)
        return;
    if (--cpus->running[task->cpu] == 0) {
        cpus->idle++;
        take_over(cpus, task->cpu);
    } else if (cpus->slice > 0 && cpus->current[task->cpu] == number) {
        begin_turn(cpus, task->cpu);
    }
}

void cpus_stop(struct cpus *cpus, uint32_t task)
{
    end_running(cpus, task, TASK_IDLE);
}

void cpus_sleep(struct cpus *cpus, uint32_t task, double time)
{
    end_running(cpus, task, TASK_SLEEPING);
    cpus->task[task].until = cpus->now + time;
}

void cpus_woken_by(struct cpus *cpus, uint32_t task, uint32_t by)
{
    if (cpus->slice > 0 && cpus->task[task].state == TASK_IDLE)
        cpus->task[task].cpu = cpus->task[by].cpu;
}

/* How fast a running task goes. One of several threads also has CPUs that are idle. */
static double speed_of(const struct cpus *cpus, uint32_t number)
{
    const struct task *task = &cpus->task[number];
    const double others =
        task->threads <= 1 ? 0 : fmin(task->threads - 1, cpus->idle) * cpus->speed;
    if (cpus->slice > 0)
        return (cpus->current[task->cpu] == number ? cpus->speed : 0) + others;
    return cpus->speed / cpus->running[task->cpu] + others;
}

/* ---- time ---- */

static double next_moment(const struct cpus *cpus)
{
    double step = INFINITY;
    for (uint32_t i = 0; i < cpus->tasks; i++) {
        const struct task *task = &cpus->task[i];
        const double speed = task->state == TASK_RUNNING ? speed_of(cpus, i) : 0;
        if (speed > 0)
            step = fmin(step, task->left / speed);
        else if (task->state == TASK_SLEEPING)
            step = fmin(step, task->until - cpus->now);
    }
    for (uint32_t i = 0; i < cpus->count && cpus->slice > 0; i++) {
        if (cpus->running[i] > 1)
            step = fmin(step, cpus->slice_left[i]);
    }
    return step;
}

/* Slices that are over by now: the next one has its turn, and another an idle CPU. */
static void end_slices(struct cpus *cpus, double step)
{
    for (uint32_t i = 0; i < cpus->count; i++) {
        cpus->slice_left[i] -= step;
        if (cpus->slice_left[i] > CPUS_SOON)
            continue;
        if (cpus->running[i] < 2) { /* who is alone has another slice */
            cpus->slice_left[i] += cpus->slice * (1 + floor(-cpus->slice_left[i] / cpus->slice));
            continue;
        }
        cpus->task[cpus->current[i]].turn = ++cpus->turns;
        begin_turn(cpus, i);
        for (uint32_t k = 0; k < cpus->count; k++) {
            if (cpus->running[k] == 0) {
                take_over(cpus, k);
                break;
            }
        }
    }
}

bool cpus_go_on(struct cpus *cpus)
{
    const double next = next_moment(cpus);
    if (next == INFINITY)
        return false;
    const double step = fmax(next, 0);
    for (uint32_t i = 0; i < cpus->tasks; i++) {
        if (cpus->task[i].state != TASK_RUNNING)
            continue;
        const double done = step * speed_of(cpus, i);
        cpus->task[i].left -= done;
        cpus->ran += done;
    }
    cpus->now += step;
    if (cpus->slice > 0)
        end_slices(cpus, step);
    return true;
}

bool cpus_is_over(const struct cpus *cpus, uint32_t number)
{
    const struct task *task = &cpus->task[number];
    return (task->state == TASK_RUNNING && task->left <= CPUS_SOON) ||
           (task->state == TASK_SLEEPING && task->until <= cpus->now + CPUS_SOON);
}
