/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/machine_cpus.h"

enum { LOOP, PIN, FIRST_WORKER }; /* tasks; behind the workers their senders */
#define SOON CPUS_SOON
_Static_assert(FIRST_WORKER + 2 * MACHINE_WORKERS <= CPUS_TASKS, "room for all tasks");
_Static_assert(MACHINE_CPUS <= CPUS_MOST, "room for all CPUs");

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
    struct cpus cpus;
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
    double waited, first_wait;
    double time_half, waited_half, ran_half; /* when half of the epoch was taken and consumed */
    double time_end, waited_end;             /* when all of it was, and its workers not ended */
};

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

static double collation_of(const struct machine *m, const struct machine_batch *batch, bool blocked)
{
    const struct machine_load *load = m->load;
    return blocked ? batch->collate_blocked * load->collate_times
                   : batch->collate * load->collate_times + load->collate_more;
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
            items ? items_of(m, batch, blocked, first) : collation_of(m, batch, blocked);
        if (work < SOON)
            continue;
        ++*piece;
        m->cpus.task[number].threads = items ? m->costs->parallel : 1;
        if (blocked)
            cpus_sleep(&m->cpus, number, work);
        else
            cpus_run(&m->cpus, number, work);
        return true;
    }
    return false;
}

/* ---- workers ---- */

#define MAKES_NOTHING UINT32_MAX

/* A worker's piece when it has made all that it was given. */
static uint32_t behind_all(const struct machine *m)
{
    return 2 * m->load->pieces + 3;
}

static void begin_batch(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    worker->piece = 0;
    if (worker->next >= worker->given)
        cpus_stop(&m->cpus, worker_task(number));
    else if (!go_on_making(m, worker_task(number), batch_of(m, worker->next),
                           worker->is_first && worker->next == number, &worker->piece))
        cpus_run(&m->cpus, worker_task(number), SOON);
}

static void send_next(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    if (worker->sent < worker->to_send)
        cpus_run(&m->cpus, sender_task(m, number), fmax(m->costs->send, SOON));
    else
        cpus_stop(&m->cpus, sender_task(m, number));
}

/* Its items, its collation, then the gap before the next one. */
static void worker_goes_on(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    const uint32_t task = worker_task(number), made = behind_all(m);
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
    m->cpus.task[task].threads = 1;
    cpus_run(&m->cpus, task, fmax(m->costs->gap, SOON));
}

static void hand_out(struct machine *m)
{
    if (m->handed >= m->epoch)
        return;
    const uint32_t number = m->handed % m->setting.workers;
    m->worker[number].given = m->handed + 1;
    m->handed++;
    if (m->cpus.task[worker_task(number)].state != TASK_IDLE)
        return;
    m->worker[number].piece = behind_all(m);
    cpus_sleep(&m->cpus, worker_task(number), fmax(m->costs->index, SOON));
}

/* ---- the loop ---- */

static void rest(struct machine *m)
{
    m->loop = RESTS;
    cpus_sleep(&m->cpus, LOOP,
               fmaxf(0, batch_of(m, m->got - 1)->consumed_else - m->load->consumed_less));
}

static void consume(struct machine *m)
{
    const struct machine_batch *batch = batch_of(m, m->got - 1);
    m->loop = CONSUMES;
    if (batch->consumed_running >= SOON) {
        cpus_run(&m->cpus, LOOP, batch->consumed_running);
        return;
    }
    rest(m);
}

static void end_loop(struct machine *m)
{
    m->loop = DONE;
    cpus_stop(&m->cpus, LOOP);
}

/* What is on the queue is taken off it, one after the other, until the batch whose turn it is came. */
static void take_messages(struct machine *m)
{
    const uint32_t turn = m->got % MACHINE_WINDOW;
    if (m->setting.in_order && m->taken[turn]) {
        m->taken[turn] = false;
        m->loop = ENDS;
        cpus_run(&m->cpus, LOOP, fmax(m->costs->tail, SOON));
        return;
    }
    if (m->queue_from == m->queue_to) {
        m->loop = WAITS;
        cpus_stop(&m->cpus, LOOP);
        return;
    }
    m->loop = GETS;
    cpus_run(&m->cpus, LOOP, fmax(m->costs->pin > 0 ? SOON : m->costs->get, SOON));
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
    cpus_run(&m->cpus, LOOP, fmax(m->costs->tail, SOON));
}

static bool is_first_of_loop(const struct machine *m)
{
    return m->got == 0 && (m->first == 0 || m->load->anew);
}

static void ask(struct machine *m)
{
    if (m->got == m->epoch / 2) {
        m->time_half = m->cpus.now;
        m->waited_half = m->waited;
        m->ran_half = m->cpus.ran;
    }
    if (m->got == m->epoch) {
        end_loop(m);
        return;
    }
    m->asked = m->cpus.now;
    if (m->setting.workers > 0) {
        take_messages(m);
        return;
    }
    m->worker[0].piece = 0;
    m->loop = GETS;
    if (!go_on_making(m, LOOP, batch_of(m, m->got), is_first_of_loop(m), &m->worker[0].piece))
        cpus_run(&m->cpus, LOOP, SOON);
}

/* next() returns: another index was handed out on the way. */
static void take_batch(struct machine *m)
{
    if (m->setting.workers > 0) {
        cpus_woken_by(&m->cpus, worker_task(m->handed % m->setting.workers), LOOP);
        hand_out(m);
    }
    m->waited += m->cpus.now - m->asked;
    if (m->got == 0)
        m->first_wait = m->cpus.now - m->asked;
    m->got++;
    consume(m);
}

/* iter() is over: all workers have been started, and get their first indices now. */
static void hand_out_window(struct machine *m)
{
    const uint32_t window = m->setting.workers * m->setting.prefetch_factor;
    while (m->handed < m->epoch && m->handed < window)
        hand_out(m);
    m->waited = m->iter = m->asked = m->cpus.now;
    take_messages(m);
}

/* One worker was forked, and starts up beside the next fork. */
static void fork_next(struct machine *m)
{
    cpus_run(&m->cpus, worker_task(m->forked++), fmax(m->costs->boot, SOON));
    if (m->forked < m->setting.workers)
        cpus_run(&m->cpus, LOOP, fmax(m->costs->iter_each, SOON));
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
        } else if (!go_on_making(m, LOOP, batch_of(m, m->got), is_first_of_loop(m),
                                 &m->worker[0].piece)) {
            m->loop = ENDS;
            m->cpus.task[LOOP].threads = 1;
            cpus_run(&m->cpus, LOOP, fmax(m->costs->overhead, SOON));
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
        cpus_stop(&m->cpus, PIN);
    else
        cpus_run(&m->cpus, PIN, m->costs->get + m->costs->pin);
}

static void arrive(struct machine *m, uint32_t batch)
{
    if (m->costs->pin <= 0) {
        arrive_at_loop(m, batch);
        return;
    }
    m->pins[m->pins_to++ % MACHINE_WINDOW] = batch;
    if (m->cpus.task[PIN].state == TASK_IDLE)
        pin_next(m);
}

static void sender_goes_on(struct machine *m, uint32_t number)
{
    struct worker *worker = &m->worker[number];
    if (!worker->is_on_its_way) {
        const bool first = worker->sent == 0 && worker->is_first;
        worker->is_on_its_way = true;
        cpus_sleep(&m->cpus, sender_task(m, number),
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

static void advance(struct machine *m)
{
    if (!cpus_go_on(&m->cpus)) {
        end_loop(m);
        return;
    }
    for (uint32_t i = 0; i < m->cpus.tasks && m->loop != DONE; i++) {
        if (cpus_is_over(&m->cpus, i))
            task_goes_on(m, i);
    }
}

/* ---- epochs ---- */

static void set_up(struct machine *m, uint64_t first, uint32_t batches, bool new_workers)
{
    cpus_begin(&m->cpus, m->costs->cpus, m->costs->speed, m->costs->slice,
               FIRST_WORKER + 2 * m->setting.workers);
    memset(m->taken, 0, sizeof m->taken);
    memset(m->worker, 0, sizeof m->worker);
    m->waited = m->iter = m->first_wait = 0;
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
        m->worker[i].piece = behind_all(m);
    if (workers > 0 && new_workers) {
        m->loop = FORKS;
        cpus_run(&m->cpus, LOOP, fmax(costs->iter + costs->iter_each, SOON));
        return;
    }
    m->cpus.now = m->waited = m->iter =
        costs->open / costs->speed +
        (workers == 0 ? costs->iter / costs->speed : costs->again + costs->again_each * workers);
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
           costs->end_each * fmax(1, workers / fmax(costs->cpus, CPUS_LEAST)) / costs->speed;
}

static void run_epoch(struct machine *m, uint64_t first, uint32_t batches, bool new_workers)
{
    set_up(m, first, batches, new_workers);
    begin_epoch(m, new_workers);
    while (m->loop != DONE)
        advance(m);
    const double ending = time_of_ending(m);
    m->time_end = m->cpus.now;
    m->waited_end = m->waited;
    m->cpus.now += ending + m->costs->last_step;
    m->waited += ending;
}

/* An epoch of `batches`, of which at most `most` are simulated. */
static void add_epoch(struct machine *m, uint64_t first, uint64_t batches, uint32_t most,
                      bool new_workers, struct machine_result *sum)
{
    const uint32_t simulated = batches < most ? (uint32_t)batches : most;
    run_epoch(m, first, simulated, new_workers);
    sum->time += m->cpus.now;
    sum->waited += m->waited;
    sum->running += m->cpus.ran;
    sum->first_iter = m->iter;
    sum->first_wait = m->first_wait;
    if (batches > simulated && simulated >= 2) {
        const double rest = (double)(batches - simulated) / (double)(simulated - simulated / 2);
        sum->time += rest * (m->time_end - m->time_half);
        sum->waited += rest * (m->waited_end - m->waited_half);
        sum->running += rest * (m->cpus.ran - m->ran_half);
    }
}

bool machine_run(const struct machine_costs *costs, const struct machine_setting *setting,
                 const struct machine_load *load, uint32_t most, struct machine_result *result)
{
    *result = (struct machine_result){0};
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
    struct machine_result first = {0}, later = {0};
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
