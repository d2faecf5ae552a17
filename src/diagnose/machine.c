/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- who runs where ---- */

enum { LOOP, PIN, FIRST_WORKER }; /* tasks; behind the workers their senders */
#define TASKS (FIRST_WORKER + 2u * MACHINE_WORKERS)
#define SOON 1e-3 /* nanoseconds: the same moment */
#define LEAST_CPUS 0.25

enum state { IDLE, RUNNING, SLEEPING };

struct task {
    enum state state;
    double left;  /* RUNNING: on a CPU of its own */
    double until; /* SLEEPING */
    uint32_t cpu; /* where it runs, or ran last */
    double threads;
};

struct cpus {
    uint32_t count, idle;
    double speed;
    uint32_t running[MACHINE_CPUS];
};

struct worker {
    uint32_t next;  /* batch of the epoch that it makes, or will make */
    uint32_t given; /* batches below this were handed out to it (as batch numbers of its own) */
    uint32_t piece; /* of the batch: items, then collation */
    bool is_first;
    /* its sender */
    uint32_t sent, to_send;
    bool is_on_its_way; /* the sender's message waits for its latency */
};

struct machine {
    const struct machine_costs *costs;
    struct machine_setting setting;
    const struct machine_load *load;
    double now;
    struct cpus cpus;
    uint32_t tasks; /* that there are */
    struct task task[TASKS];
    struct worker worker[MACHINE_WORKERS];
    uint64_t first;       /* number in the load of the epoch's first batch */
    uint32_t epoch;       /* its batches */
    uint32_t handed, got; /* batches of the epoch */
    /* on the queue to the loop, and on that to the pin thread */
    uint32_t queue[MACHINE_WINDOW], queue_from, queue_to;
    uint32_t pins[MACHINE_WINDOW], pins_from, pins_to;
    bool taken[MACHINE_WINDOW]; /* off the queue, before its turn */
    enum { FORKS, CONSUMES, RESTS, WAITS, GETS, ENDS, DONE } loop;
    uint32_t forked; /* workers */
    double iter;     /* it took so long */
    double asked;
    double waited, running, first_wait;
    double time_half, waited_half, running_half; /* when half of the epoch was taken and consumed */
    double time_end, waited_end;                 /* when all of it was, and its workers not ended */
};

static void occupy(struct cpus *cpus, uint32_t cpu)
{
    cpus->idle -= cpus->running[cpu]++ == 0;
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

static void run_for(struct machine *m, uint32_t number, double work)
{
    struct task *task = &m->task[number];
    task->left = work;
    if (task->state == RUNNING)
        return;
    task->state = RUNNING;
    task->cpu = cpu_for(&m->cpus, task->cpu);
    occupy(&m->cpus, task->cpu);
}

/* The CPU becomes idle: it takes one from where the most are. */
static void take_over(struct machine *m, uint32_t cpu)
{
    struct cpus *cpus = &m->cpus;
    uint32_t most = cpu;
    for (uint32_t i = 0; i < cpus->count; i++) {
        if (cpus->running[i] > cpus->running[most])
            most = i;
    }
    if (cpus->running[most] < 2)
        return;
    for (uint32_t i = 0; i < m->tasks; i++) {
        if (m->task[i].state == RUNNING && m->task[i].cpu == most) {
            cpus->running[most]--;
            occupy(cpus, cpu);
            m->task[i].cpu = cpu;
            return;
        }
    }
}

static void stop(struct machine *m, uint32_t number, enum state state, double until)
{
    struct task *task = &m->task[number];
    const bool ran = task->state == RUNNING;
    task->state = state;
    task->until = until;
    if (ran && --m->cpus.running[task->cpu] == 0) {
        m->cpus.idle++;
        take_over(m, task->cpu);
    }
}

static void sleep_for(struct machine *m, uint32_t number, double time)
{
    stop(m, number, SLEEPING, m->now + time);
}

/* How fast a running task goes. One of several threads also has CPUs that are idle. */
static double speed_of(const struct machine *m, const struct task *task)
{
    const double shared = m->cpus.speed / m->cpus.running[task->cpu];
    return task->threads <= 1 ? shared
                              : shared + fmin(task->threads - 1, m->cpus.idle) * m->cpus.speed;
}

/* ---- batches ---- */

static const struct machine_batch *batch_of(const struct machine *m, uint32_t batch)
{
    return &m->load->batches[(m->first + batch) % m->load->count];
}

static uint32_t worker_task(uint32_t worker)
{
    return FIRST_WORKER + worker;
}

static uint32_t sender_task(const struct machine *m, uint32_t worker)
{
    return FIRST_WORKER + m->setting.workers + worker;
}

/* One piece of a batch's items; of a worker's first batch with what it does only once. */
static double items_of(const struct machine *m, const struct machine_batch *batch, bool blocked,
                       bool first)
{
    const struct machine_load *load = m->load;
    const double once = !first ? 0 : blocked ? m->costs->first_blocked : m->costs->first_running;
    const double each =
        blocked ? batch->blocked * load->blocked_times + batch->delayed * load->delay_times
                : batch->running * load->running_times;
    return (each + once) / load->pieces;
}

/* What of a batch comes next: its items piece by piece, blocked and running; then its collation,
 * likewise. False: there is no more of it. `task` is a worker's, or the loop's. */
static bool go_on_making(struct machine *m, uint32_t number, const struct machine_batch *batch,
                         bool first, uint32_t *piece)
{
    const uint32_t pieces = m->load->pieces;
    for (; *piece < 2 * pieces + 2; ++*piece) {
        const bool items = *piece < 2 * pieces, blocked = *piece % 2 == 0;
        const double work =
            items ? items_of(m, batch, blocked, first)
                  : (blocked ? batch->collate_blocked : batch->collate) * m->load->collate_times;
        if (work < SOON)
            continue;
        ++*piece;
        m->task[number].threads = items ? m->costs->parallel : 1;
        if (blocked)
            sleep_for(m, number, work);
        else
            run_for(m, number, work);
        return true;
    }
    return false;
}

/* ---- workers ---- */

#define MAKES_NOTHING UINT32_MAX

static void begin_batch(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    worker->piece = 0;
    if (worker->next >= worker->given)
        stop(m, worker_task(number), IDLE, 0);
    else if (!go_on_making(m, worker_task(number), batch_of(m, worker->next),
                           worker->is_first && worker->next == number, &worker->piece))
        run_for(m, worker_task(number), SOON);
}

static void send_next(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    if (worker->sent < worker->to_send)
        run_for(m, sender_task(m, number), fmax(m->costs->send, SOON));
    else
        stop(m, sender_task(m, number), IDLE, 0);
}

/* Its items, its collation, then the gap before the next one. */
static void worker_goes_on(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    const uint32_t task = worker_task(number), made = 2 * m->load->pieces + 3;
    if (worker->piece == made || worker->next >= worker->given) {
        begin_batch(m, number);
        return;
    }
    if (go_on_making(m, task, batch_of(m, worker->next), worker->is_first && worker->next == number,
                     &worker->piece))
        return;
    worker->piece = made;
    worker->next += m->setting.workers;
    worker->to_send++;
    if (worker->to_send == worker->sent + 1)
        send_next(m, number);
    m->task[task].threads = 1;
    run_for(m, task, fmax(m->costs->gap, SOON));
}

static void hand_out(struct machine *m)
{
    if (m->handed >= m->epoch)
        return;
    const uint32_t number = m->handed % m->setting.workers;
    m->worker[number].given = m->handed + 1;
    m->handed++;
    if (m->task[worker_task(number)].state == IDLE)
        begin_batch(m, number);
}

/* ---- the loop ---- */

static void rest(struct machine *m)
{
    m->loop = RESTS;
    sleep_for(m, LOOP, fmaxf(0, batch_of(m, m->got - 1)->consumed_else - m->load->consumed_less));
}

static void consume(struct machine *m)
{
    const struct machine_batch *batch = batch_of(m, m->got - 1);
    m->loop = CONSUMES;
    if (batch->consumed_running >= SOON) {
        run_for(m, LOOP, batch->consumed_running);
        return;
    }
    rest(m);
}

static void end_loop(struct machine *m)
{
    m->loop = DONE;
    stop(m, LOOP, IDLE, 0);
}

/* What is on the queue is taken off it, one after the other, until the batch whose turn it is came. */
static void take_messages(struct machine *m)
{
    const uint32_t turn = m->got % MACHINE_WINDOW;
    if (m->setting.in_order && m->taken[turn]) {
        m->taken[turn] = false;
        m->loop = ENDS;
        run_for(m, LOOP, fmax(m->costs->tail, SOON));
        return;
    }
    if (m->queue_from == m->queue_to) {
        m->loop = WAITS;
        stop(m, LOOP, IDLE, 0);
        return;
    }
    m->loop = GETS;
    run_for(m, LOOP, fmax(m->costs->pin > 0 ? SOON : m->costs->get, SOON));
}

static void got_message(struct machine *m)
{
    const uint32_t batch = m->queue[m->queue_from++ % MACHINE_WINDOW];
    if (m->setting.in_order && batch != m->got) {
        m->taken[batch % MACHINE_WINDOW] = true;
        take_messages(m);
        return;
    }
    m->loop = ENDS;
    run_for(m, LOOP, fmax(m->costs->tail, SOON));
}

static void ask(struct machine *m)
{
    if (m->got == m->epoch / 2) {
        m->time_half = m->now;
        m->waited_half = m->waited;
        m->running_half = m->running;
    }
    if (m->got == m->epoch) {
        end_loop(m);
        return;
    }
    m->asked = m->now;
    if (m->setting.workers > 0) {
        take_messages(m);
        return;
    }
    m->worker[0].piece = 0;
    m->loop = GETS;
    if (!go_on_making(m, LOOP, batch_of(m, m->got), m->first + m->got == 0, &m->worker[0].piece))
        run_for(m, LOOP, SOON);
}

/* next() returns: another index was handed out on the way. */
static void take_batch(struct machine *m)
{
    if (m->setting.workers > 0)
        hand_out(m);
    m->waited += m->now - m->asked;
    if (m->got == 0)
        m->first_wait = m->now - m->asked;
    m->got++;
    consume(m);
}

/* iter() is over: all workers have been started, and get their first indices now. */
static void hand_out_window(struct machine *m)
{
    const uint32_t window = m->setting.workers * m->setting.prefetch_factor;
    while (m->handed < m->epoch && m->handed < window)
        hand_out(m);
    m->waited = m->iter = m->asked = m->now;
    take_messages(m);
}

/* One worker was forked, and starts up beside the next fork. */
static void fork_next(struct machine *m)
{
    run_for(m, worker_task(m->forked++), fmax(m->costs->boot, SOON));
    if (m->forked < m->setting.workers)
        run_for(m, LOOP, fmax(m->costs->iter_each, SOON));
    else
        hand_out_window(m);
}

static void loop_goes_on(struct machine *m)
{
    switch (m->loop) {
    case FORKS:
        fork_next(m);
        break;
    case CONSUMES:
        rest(m);
        break;
    case RESTS:
        ask(m);
        break;
    case GETS:
        if (m->setting.workers > 0) {
            got_message(m);
        } else if (!go_on_making(m, LOOP, batch_of(m, m->got), m->first + m->got == 0,
                                 &m->worker[0].piece)) {
            m->loop = ENDS;
            m->task[LOOP].threads = 1;
            run_for(m, LOOP, fmax(m->costs->overhead, SOON));
        }
        break;
    case ENDS:
        take_batch(m);
        break;
    default:
        break;
    }
}

static void arrive_at_loop(struct machine *m, uint32_t batch)
{
    m->queue[m->queue_to++ % MACHINE_WINDOW] = batch;
    if (m->loop == WAITS)
        take_messages(m);
}

static void pin_next(struct machine *m)
{
    if (m->pins_from == m->pins_to)
        stop(m, PIN, IDLE, 0);
    else
        run_for(m, PIN, m->costs->get + m->costs->pin);
}

static void arrive(struct machine *m, uint32_t batch)
{
    if (m->costs->pin <= 0) {
        arrive_at_loop(m, batch);
        return;
    }
    m->pins[m->pins_to++ % MACHINE_WINDOW] = batch;
    if (m->task[PIN].state == IDLE)
        pin_next(m);
}

static void sender_goes_on(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    if (!worker->is_on_its_way) {
        const bool first = worker->sent == 0 && worker->is_first;
        worker->is_on_its_way = true;
        sleep_for(m, sender_task(m, number),
                  fmax(m->costs->latency + (first ? m->costs->first_send : 0), SOON));
        return;
    }
    worker->is_on_its_way = false;
    const uint32_t batch = number + worker->sent * m->setting.workers;
    worker->sent++;
    arrive(m, batch);
    send_next(m, number);
}

/* ---- time ---- */

static void task_goes_on(struct machine *m, uint32_t number)
{
    if (number == LOOP) {
        loop_goes_on(m);
    } else if (number == PIN) {
        arrive_at_loop(m, m->pins[m->pins_from++ % MACHINE_WINDOW]);
        pin_next(m);
    } else if (number < FIRST_WORKER + m->setting.workers) {
        worker_goes_on(m, number - FIRST_WORKER);
    } else {
        sender_goes_on(m, number - FIRST_WORKER - m->setting.workers);
    }
}

/* To the next moment at which something ends. */
static void advance(struct machine *m)
{
    double step = INFINITY;
    for (uint32_t i = 0; i < m->tasks; i++) {
        const struct task *task = &m->task[i];
        if (task->state == RUNNING)
            step = fmin(step, task->left / speed_of(m, task));
        else if (task->state == SLEEPING)
            step = fmin(step, task->until - m->now);
    }
    if (step == INFINITY) { /* nothing would ever happen again */
        end_loop(m);
        return;
    }
    step = fmax(step, 0);
    for (uint32_t i = 0; i < m->tasks; i++) {
        struct task *task = &m->task[i];
        if (task->state != RUNNING)
            continue;
        const double done = step * speed_of(m, task);
        task->left -= done;
        m->running += done;
    }
    m->now += step;
    for (uint32_t i = 0; i < m->tasks && m->loop != DONE; i++) {
        const struct task *task = &m->task[i];
        if ((task->state == RUNNING && task->left <= SOON) ||
            (task->state == SLEEPING && task->until <= m->now + SOON))
            task_goes_on(m, i);
    }
}

/* ---- epochs ---- */

static void set_up(struct machine *m, uint64_t first, uint32_t batches, bool new_workers)
{
    const double cpus = fmax(m->costs->cpus, LEAST_CPUS);
    memset(&m->cpus, 0, sizeof m->cpus);
    m->cpus.count = (uint32_t)fmin(ceil(cpus - 1e-6), MACHINE_CPUS);
    m->cpus.idle = m->cpus.count;
    m->cpus.speed = m->costs->speed * fmin(1.0, cpus / m->cpus.count);
    m->tasks = FIRST_WORKER + 2 * m->setting.workers;
    for (uint32_t i = 0; i < m->tasks; i++)
        m->task[i] = (struct task){.state = IDLE, .cpu = i % m->cpus.count, .threads = 1};
    memset(m->taken, 0, sizeof m->taken);
    memset(m->worker, 0, sizeof m->worker);
    m->now = m->waited = m->running = m->iter = m->first_wait = 0;
    m->time_half = m->waited_half = m->running_half = 0;
    m->first = first;
    m->epoch = batches;
    m->handed = m->got = m->forked = 0;
    m->queue_from = m->queue_to = m->pins_from = m->pins_to = 0;
    for (uint32_t i = 0; i < m->setting.workers; i++) {
        m->worker[i].next = i;
        m->worker[i].is_first = new_workers;
    }
}

/* iter(): forks one worker after the other, or wakes those that are there. */
static void begin_epoch(struct machine *m, bool new_workers)
{
    const struct machine_costs *costs = m->costs;
    const uint32_t workers = m->setting.workers;
    for (uint32_t i = 0; i < workers; i++)
        m->worker[i].piece = 2 * m->load->pieces + 3;
    if (workers > 0 && new_workers) {
        m->loop = FORKS;
        run_for(m, LOOP, fmax(costs->iter + costs->iter_each, SOON));
        return;
    }
    m->now = m->waited = m->iter =
        workers == 0 ? costs->iter / costs->speed : costs->again + costs->again_each * workers;
    if (workers > 0)
        hand_out_window(m);
    else
        ask(m);
}

/* Workers end side by side, each running on a CPU for so long. */
static double time_of_ending(const struct machine *m)
{
    const struct machine_costs *costs = m->costs;
    const double workers = m->setting.workers;
    if (workers == 0 || m->setting.persistent)
        return workers == 0 ? 0 : costs->again_end;
    return costs->end +
           costs->end_each * fmax(1, workers / fmax(costs->cpus, LEAST_CPUS)) / costs->speed;
}

static void run_epoch(struct machine *m, uint64_t first, uint32_t batches, bool new_workers)
{
    set_up(m, first, batches, new_workers);
    begin_epoch(m, new_workers);
    while (m->loop != DONE)
        advance(m);
    const double ending = time_of_ending(m);
    m->time_end = m->now;
    m->waited_end = m->waited;
    m->now += ending;
    m->waited += ending;
}

/* An epoch of `batches`, of which at most `most` are simulated. */
static void add_epoch(struct machine *m, uint64_t first, uint64_t batches, uint32_t most,
                      bool new_workers, struct machine_result *sum)
{
    const uint32_t simulated = batches < most ? (uint32_t)batches : most;
    run_epoch(m, first, simulated, new_workers);
    sum->time += m->now;
    sum->waited += m->waited;
    sum->running += m->running;
    sum->first_iter = m->iter;
    sum->first_wait = m->first_wait;
    if (batches > simulated && simulated >= 2) {
        const double rest = (double)(batches - simulated) / (double)(simulated - simulated / 2);
        sum->time += rest * (m->time_end - m->time_half);
        sum->waited += rest * (m->waited_end - m->waited_half);
        sum->running += rest * (m->running - m->running_half);
    }
}

bool machine_run(const struct machine_costs *costs, const struct machine_setting *setting,
                 const struct machine_load *load, uint32_t most, struct machine_result *result)
{
    *result = (struct machine_result){0, 0, 0, 0, 0};
    if (setting->workers > MACHINE_WORKERS || load->count == 0 || load->epochs == 0 ||
        load->epoch_batches == 0 ||
        (setting->workers > 0 && (setting->prefetch_factor == 0 ||
                                  setting->prefetch_factor > MACHINE_WINDOW / setting->workers)))
        return false;
    struct machine *m = calloc(1, sizeof *m);
    if (m == NULL)
        return false;
    m->costs = costs;
    m->setting = *setting;
    m->load = load;
    const uint64_t fit = most / load->epoch_batches;
    const uint64_t epochs = load->epochs < fit ? load->epochs : fit < 2 ? 2 : fit;
    const uint64_t simulated = epochs < load->epochs ? epochs : load->epochs;
    struct machine_result first = {0, 0, 0, 0, 0}, later = {0, 0, 0, 0, 0};
    const uint32_t share = most / (uint32_t)simulated;
    for (uint64_t i = 0; i < simulated; i++)
        add_epoch(m, i * load->epoch_batches, load->epoch_batches, share,
                  i == 0 || !setting->persistent, i == 0 ? &first : &later);
    const double more = simulated > 1 ? (double)(load->epochs - 1) / (double)(simulated - 1) : 0;
    result->time = first.time + more * later.time;
    result->waited = first.waited + more * later.waited;
    result->first_iter = first.first_iter;
    result->first_wait = first.first_wait;
    result->running = first.running + more * later.running;
    free(m);
    return true;
}
