/* SPDX-License-Identifier: Apache-2.0 */
#include "record/steps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_guard.h"
#include "base/hot.h"

#define PUBLISH_NS (DS_NS_PER_S / 5)

/* ---- who is followed ---- */

static bool another_is_in_backward(const datastall_monitor *monitor)
{
    for (uint32_t i = 0; i < monitor->steps_count; i++) {
        if (ds_load(&monitor->steps_in_backward[i]) != 0)
            return true; /* the engine's own thread, in a backward inside that one */
    }
    return false;
}

/* Zeros, with its cache lines where the struct has them. */
static struct steps *new_steps(void)
{
    struct steps *steps = aligned_alloc(_Alignof(struct steps), RF_STEPS_ENTRIES * sizeof *steps);
    if (steps != NULL)
        memset(steps, 0, RF_STEPS_ENTRIES * sizeof *steps);
    return steps;
}

/* The thread's place among those that are followed. The caller holds the monitor's mutex. */
static struct steps *take_place(datastall_monitor *monitor, bool is_main)
{
    const struct rf_section *section = rf_section_of(&monitor->writer->header, RF_SECTION_STEPS);
    struct rf_steps_layout layout;
    const uint32_t place = monitor->steps_count;
    if (section == NULL || !rf_steps_layout_of(section->geometry, &layout) ||
        place >= section->entry_count || place >= RF_STEPS_ENTRIES)
        return NULL;
    if (monitor->steps == NULL)
        monitor->steps = new_steps();
    if (monitor->steps == NULL)
        return NULL;
    struct steps *s = &monitor->steps[place];
    s->monitor = monitor;
    s->place = place;
    s->entry = rf_entry(monitor->writer, RF_SECTION_STEPS, place);
    s->layout = layout;
    ds_store(&s->entry[RF_STEPS_THREAD], (uint64_t)syscall(SYS_gettid));
    ds_store(&s->entry[RF_STEPS_IS_MAIN], is_main);
    ds_store(&monitor->steps_count, place + 1);
    return s;
}

DS_COLD static struct steps *claim(datastall_monitor *monitor, bool trains)
{
    const bool is_main = syscall(SYS_gettid) == getpid();
    struct steps *found = NULL;
    if (is_main || (trains && !another_is_in_backward(monitor))) {
        pthread_mutex_lock(&monitor->mutex);
        found = take_place(monitor, is_main);
        pthread_mutex_unlock(&monitor->mutex);
    }
    monitor_thread.steps_monitor = monitor->loaders[0].number;
    monitor_thread.steps = found;
    return found;
}

/* trains: the thread is followed from now on. */
DS_HOT static struct steps *steps_of(datastall_monitor *monitor, bool begins, bool trains)
{
    if (DS_SELDOM(monitor == NULL || !monitor_is_recording(monitor)))
        return NULL;
    const struct monitor_thread *thread = &monitor_thread;
    if (DS_MOSTLY(thread->steps_monitor == monitor->loaders[0].number &&
                  (thread->steps != NULL || !trains)))
        return thread->steps;
    return begins ? claim(monitor, trains) : NULL;
}

struct steps *steps_of_this_thread(datastall_monitor *monitor)
{
    return steps_of(monitor, false, false);
}

/* ---- the file ---- */

static void publish(struct steps *s, uint64_t now_ns)
{
    const uint64_t count = ds_load(&s->entry[RF_STEPS_COUNT]) + 1;
    uint64_t *copy =
        s->entry + s->layout.totals_at + (count & (s->layout.copies - 1)) * s->layout.total_words;
    ds_fault_guard_keep(now_ns);
    s->totals[RF_STEP_TOTAL_COUNT] = count;
    s->totals[RF_STEP_TOTAL_STEPS] = s->steps;
    s->totals[RF_STEP_TOTAL_END_NS] = s->since_ns;
    for (uint32_t i = 0; i < STEP_PHASE_COUNT; i++) {
        s->totals[RF_STEP_TOTAL_TIMES + i] = s->sums[i].times;
        s->totals[RF_STEP_TOTAL_HOST_NS + i] = s->sums[i].host_ns;
        s->totals[RF_STEP_TOTAL_LONGEST_NS + i] = s->sums[i].longest_ns;
    }
    ds_fence_release();
    for (uint32_t i = 0; i < RF_STEP_TOTAL_WORDS; i++)
        ds_store(&copy[i], s->totals[i]);
    ds_store_release(&s->entry[RF_STEPS_COUNT], count);
    s->published_ns = now_ns;
}

static inline void publish_now_and_then(struct steps *s, uint64_t now_ns)
{
    if (DS_SELDOM(now_ns - s->published_ns >= PUBLISH_NS))
        publish(s, now_ns);
}

/* ---- answers of the GPU ---- */

/* Two kinds of answers in a word, below the number of the interval that they are of. */
#define ANSWER_BITS 16u
#define ANSWER_MOST UINT64_C(0xffff)

static uint64_t answers_in(uint64_t word, enum steps_answer answer)
{
    return word >> (ANSWER_BITS * (answer % 2)) & ANSWER_MOST;
}

void steps_answer(struct steps *s, uint64_t interval, enum steps_answer answer)
{
    const uint64_t one = UINT64_C(1) << (ANSWER_BITS * (answer % 2));
    uint64_t *word = &s->answers[answer / 2], seen = ds_load(word), next;
    do {
        const uint64_t of = seen >> 2 * ANSWER_BITS;
        next = of == (interval & UINT32_MAX) ? seen : interval << 2 * ANSWER_BITS;
        if (answers_in(next, answer) == ANSWER_MOST) /* hours: both halved say the same */
            next = (next & ~(uint64_t)UINT32_MAX) | (next >> 1 & UINT64_C(0x7fff7fff));
        next += one;
    } while (
        ds_load(&s->interval) == interval &&
        !__atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static uint64_t take_word(uint64_t *word, uint64_t interval)
{
    if (ds_load(word) == 0)
        return 0;
    const uint64_t taken = __atomic_exchange_n(word, 0, __ATOMIC_RELAXED);
    return taken >> 2 * ANSWER_BITS == (interval & UINT32_MAX) ? taken : 0;
}

/* Adds what was answered in the interval that ends to its phase. */
DS_WAIT_END static void take_answers(struct steps *s, enum step_phase phase)
{
    const uint64_t interval = s->interval;
    ds_store(&s->phases[interval % STEP_PHASES_KEPT], interval << 8 | phase);
    ds_store_release(&s->interval, interval + 1);
    if (DS_MOSTLY((ds_load(&s->answers[0]) | ds_load(&s->answers[1])) == 0))
        return;
    const uint64_t told = take_word(&s->answers[0], interval);
    const uint64_t other = take_word(&s->answers[1], interval);
    const uint64_t empty = answers_in(told, STEPS_EMPTY);
    s->totals[RF_STEP_TOTAL_ASKED + phase] += answers_in(told, STEPS_BUSY) + empty;
    s->totals[RF_STEP_TOTAL_EMPTY + phase] += empty;
    s->totals[RF_STEP_TOTAL_UNTOLD + phase] += answers_in(other, STEPS_UNTOLD);
    s->totals[RF_STEP_TOTAL_LOOKS + phase] += answers_in(other, STEPS_LOOKED);
}

/* ---- intervals ---- */

/* The interval under way ends here and was this phase; times: 0 where the phase goes on later. */
DS_WAIT_END static void end_interval(struct steps *s, enum step_phase phase, uint64_t now_ns,
                                     uint64_t times)
{
    struct step_sum *sum = &s->sums[phase];
    if (now_ns < s->since_ns)
        now_ns = s->since_ns; /* a wait that was told later than what it lies in */
    const uint64_t ns = now_ns - s->since_ns;
    take_answers(s, phase);
    sum->times += times;
    sum->host_ns += ns;
    if (ns > sum->longest_ns)
        sum->longest_ns = ns;
    s->since_ns = now_ns;
}

static void begin(struct steps *s, uint64_t now_ns)
{
    s->since_ns = s->totals[RF_STEP_TOTAL_BEGIN_NS] = now_ns;
    s->published_ns = now_ns;
    ds_store(&s->interval, 1);
}

/* No table: that would be a cache line and a page more at each place. */
static inline enum step_phase phase_in(enum step_place place)
{
    return place == STEP_IN_BACKWARD    ? STEP_BACKWARD
           : place == STEP_IN_OPTIMIZER ? STEP_OPTIMIZER
                                        : STEP_CHECKPOINT;
}

/* What an interval outside of all places was, now that it ends at this one. */
static enum step_phase phase_before(const struct steps *s, enum step_place place)
{
    const bool worked = s->since == STEP_SINCE_WORK;
    if (place == STEP_IN_BACKWARD)
        return STEP_FORWARD;
    if (place == STEP_IN_OPTIMIZER)
        return worked ? STEP_GRADIENTS : STEP_FORWARD;
    return s->since == STEP_SINCE_BATCH ? STEP_NO_BACKWARD : STEP_BETWEEN;
}

/* Ends what is under way in the innermost place, or outside of all before this one. */
static void interrupt(struct steps *s, enum step_phase outside, uint64_t now_ns, uint64_t times)
{
    if (DS_SELDOM(s->depth > 0))
        end_interval(s, phase_in(s->places[s->depth - 1]), now_ns, 0);
    else
        end_interval(s, outside, now_ns, times);
}

/* The same before a place. An optimizer that comes to a backward called a closure of the program's, as
 * L-BFGS and Lightning have it: that was a forward. */
static void interrupt_before(struct steps *s, enum step_place place, uint64_t now_ns)
{
    const bool in_closure =
        place == STEP_IN_BACKWARD && s->depth > 0 && s->places[s->depth - 1] == STEP_IN_OPTIMIZER;
    const enum step_phase phase = phase_before(s, place);
    if (in_closure)
        end_interval(s, STEP_FORWARD, now_ns, 1);
    else /* a forward is counted where its backward is seen */
        interrupt(s, phase, now_ns,
                  place == STEP_IN_BACKWARD ||
                      (place == STEP_IN_OPTIMIZER && phase != STEP_FORWARD));
}

static void note_backward(datastall_monitor *monitor, const struct steps *s, bool in)
{
    ds_store(&monitor->steps_in_backward[s->place], in);
}

DS_HOT void steps_enter(datastall_monitor *monitor, enum step_place place)
{
    struct steps *s = steps_of(monitor, place == STEP_IN_BACKWARD, place == STEP_IN_BACKWARD);
    if (s == NULL)
        return;
    if (DS_SELDOM(s->depth == STEP_DEPTH || (s->depth > 0 && s->places[s->depth - 1] == place))) {
        s->nested++;
        return;
    }
    const uint64_t now_ns = ds_now_ns();
    if (DS_SELDOM(s->since_ns == 0))
        begin(s, now_ns);
    else
        interrupt_before(s, place, now_ns);
    s->places[s->depth++] = (uint8_t)place;
    if (place == STEP_IN_BACKWARD)
        note_backward(monitor, s, true);
}

DS_HOT void steps_leave(datastall_monitor *monitor, enum step_place place)
{
    struct steps *s = steps_of(monitor, false, false);
    if (s == NULL || s->depth == 0)
        return;
    if (DS_SELDOM(s->nested > 0)) {
        s->nested--;
        return;
    }
    if (s->places[s->depth - 1] != place)
        return; /* of a begin that was not seen */
    const uint64_t now_ns = ds_now_ns();
    end_interval(s, phase_in(place), now_ns, 1);
    s->depth--;
    if (place != STEP_IN_CHECKPOINT)
        s->since = STEP_SINCE_WORK;
    if (place == STEP_IN_BACKWARD)
        note_backward(monitor, s, false);
    publish_now_and_then(s, now_ns);
}

/* An optimizer that raised an error is left without a word. */
static void forget_optimizer(struct steps *s, uint64_t now_ns)
{
    while (DS_SELDOM(s->depth > 0 && s->places[s->depth - 1] == STEP_IN_OPTIMIZER)) {
        end_interval(s, STEP_OPTIMIZER, now_ns, 1);
        s->depth--;
        s->nested = 0;
        s->since = STEP_SINCE_WORK;
    }
}

/* What lay between the batch or step before and this one. A batch of another loader may belong to the
 * same step (zip): that was no step of its own. */
static void end_step(struct steps *s, uint64_t loader, uint64_t now_ns)
{
    const bool bare =
        s->since == STEP_SINCE_BATCH || (s->since == STEP_SINCE_STATED && loader == 0);
    const bool was_one = bare ? s->loader == loader : s->since != STEP_SINCE_NOTHING;
    interrupt(s, bare ? STEP_NO_BACKWARD : STEP_BETWEEN, now_ns, was_one);
}

DS_WAIT_END void steps_wait(const datastall_loader *loader, uint64_t begin_ns, uint64_t end_ns,
                            bool got)
{
    struct steps *s = steps_of(loader->monitor, true, false);
    if (DS_SELDOM(s == NULL || end_ns < begin_ns))
        return;
    const bool zipped = s->since == STEP_SINCE_BATCH && s->loader != loader->number;
    if (DS_SELDOM(s->since_ns == 0)) {
        begin(s, begin_ns);
    } else {
        forget_optimizer(s, begin_ns);
        end_step(s, loader->number, begin_ns);
    }
    end_interval(s, STEP_INPUT, end_ns, 1);
    if (s->depth == 0)
        s->since = got ? STEP_SINCE_BATCH : STEP_SINCE_NOTHING;
    s->loader = loader->number;
    if (got && !s->stated && !zipped)
        s->steps++;
    publish_now_and_then(s, end_ns);
}

void steps_mark(datastall_monitor *monitor)
{
    struct steps *s = steps_of(monitor, true, true);
    if (s == NULL)
        return;
    const uint64_t now_ns = ds_now_ns();
    if (s->since_ns == 0) {
        begin(s, now_ns);
    } else {
        forget_optimizer(s, now_ns);
        end_step(s, 0, now_ns);
    }
    if (!s->stated) /* what batches said before means something else */
        s->steps = 0;
    s->stated = true;
    s->since = STEP_SINCE_STATED;
    s->loader = 0;
    s->steps++;
    s->totals[RF_STEP_TOTAL_STATED]++;
    publish_now_and_then(s, now_ns);
}

void steps_replay(datastall_monitor *monitor)
{
    struct steps *s = steps_of(monitor, false, false);
    if (s != NULL && s->depth == 0)
        s->totals[RF_STEP_TOTAL_REPLAYS]++;
}

void steps_finish(datastall_monitor *monitor)
{
    struct steps *s = steps_of(monitor, false, false);
    if (s != NULL && s->since_ns != 0)
        publish(s, ds_now_ns());
}

/* ---- memory ---- */

/* The least of each span, of ever longer spans: two become one when all places are full. */
static void note_low(uint64_t *entry, uint64_t allocated)
{
    uint64_t *lows = &entry[RF_STEPS_LOWS_AT];
    uint64_t taken = ds_load(&entry[RF_STEPS_LOW_TAKEN]);
    uint64_t reads = ds_load(&entry[RF_STEPS_LOW_READS]);
    if (reads == 0)
        reads = 1;
    const uint64_t before = ds_load(&entry[RF_STEPS_LOW_UNDER_WAY]);
    const uint64_t least = taken == 0 || allocated < before ? allocated : before;
    ds_store(&entry[RF_STEPS_LOW_UNDER_WAY], least);
    if (++taken == reads) {
        uint64_t count = ds_load(&entry[RF_STEPS_LOW_COUNT]);
        ds_store(&lows[count++], least);
        taken = 0;
        if (count == RF_STEPS_LOWS) {
            for (uint32_t i = 0; i < RF_STEPS_LOWS / 2; i++)
                ds_store(&lows[i], ds_least(lows[2 * i], lows[2 * i + 1]));
            count /= 2;
            reads *= 2;
        }
        ds_store(&entry[RF_STEPS_LOW_COUNT], count);
    }
    ds_store(&entry[RF_STEPS_LOW_READS], reads);
    ds_store(&entry[RF_STEPS_LOW_TAKEN], taken);
}

static void note_most(uint64_t *word, uint64_t value)
{
    if (value > ds_load(word))
        ds_store(word, value);
}

void steps_memory(datastall_monitor *monitor, const struct steps_memory *memory)
{
    struct steps *s = steps_of(monitor, false, false);
    if (s == NULL)
        return;
    uint64_t *entry = s->entry;
    /* A program may reset the allocator's own peaks. */
    note_most(&entry[RF_STEPS_MEMORY_ALLOCATED_PEAK], memory->allocated);
    note_most(&entry[RF_STEPS_MEMORY_ALLOCATED_PEAK], memory->allocated_peak);
    note_most(&entry[RF_STEPS_MEMORY_RESERVED_PEAK], memory->reserved);
    note_most(&entry[RF_STEPS_MEMORY_RESERVED_PEAK], memory->reserved_peak);
    ds_store(&entry[RF_STEPS_MEMORY_ALLOCATED], memory->allocated);
    ds_store(&entry[RF_STEPS_MEMORY_RESERVED], memory->reserved);
    ds_store(&entry[RF_STEPS_MEMORY_RETRIES], memory->retries);
    note_low(entry, memory->allocated);
    ds_store_release(&entry[RF_STEPS_MEMORY_READS], ds_load(&entry[RF_STEPS_MEMORY_READS]) + 1);
}
