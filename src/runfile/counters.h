/* What is counted of waits and of workers: the one place where a counter is defined. The enums, how
 * two slots are added up and the tables of docs/run-file.md come from here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_COUNTERS_H
#define DATASTALL_RUNFILE_COUNTERS_H

#include "stats/cause.h"
#include "stats/counters.h"
#include "stats/stall.h"
#include "stats/step.h"

/* X(NAME, words, op, counter of its values, unit, meaning). The order is that of the words in the
 * file. What is counted for each second and each stage too stands first, so that a bucket of a
 * rollup, a stage's row and a slot's totals are one kind of row, of three lengths. */
#define RF_SECOND_COUNTERS(X)                                                              \
    X(BATCHES, 1, SUM, 0, "batches", "every batch: steady and first of an epoch")          \
    X(SAMPLES, 1, SUM, 0, "samples", "of the batches that stated them")                    \
    X(TOKENS, 1, SUM, 0, "tokens", "of the batches that stated them")                      \
    X(STEADY_NS, 1, SUM, 0, "ns", "waits for all but the first batch of each epoch")       \
    X(OTHER_NS, 1, SUM, 0, "ns", "start-up and failed waits")                              \
    X(STARVED, 1, SUM, 0, "waits", "steady ones of more than 50 ms")                       \
    X(MAX_NS, 1, MAX, 0, "ns", "the longest wait of any kind")                             \
    X(STALL_KNOWN_NS, 1, SUM, 0, "ns", "waits, of any kind, whose exposed stall is known") \
    X(STALL_UPPER_NS, 1, SUM, 0, "ns", "at most so much of them was exposed")
#define RF_STAGE_COUNTERS(X)                                                   \
    X(STALL_LOWER_NS, 1, SUM, 0, "ns", "at least so much of them was exposed") \
    X(SAMPLES_BATCHES, 1, SUM, 0, "batches", "that stated samples")            \
    X(TOKENS_BATCHES, 1, SUM, 0, "batches", "that stated tokens")
#define RF_RUN_COUNTERS(X)                                                                         \
    X(SEQUENCE, 1, SUM, 0, "waits", "of every kind: the rows of the ring that are counted")        \
    X(BEGIN_NS, 1, MIN, RF_COUNT_SEQUENCE, "ns", "window: begin of the first wait")                \
    X(END_NS, 1, MAX, 0, "ns", "window: end of the last wait")                                     \
    X(STEADY, 1, SUM, 0, "waits", "steady ones whose length is known")                             \
    X(STEADY_MIN, 1, MIN, RF_COUNT_STEADY, "ns", "the shortest of them")                           \
    X(STEADY_MAX, 1, MAX, 0, "ns", "the longest of them")                                          \
    X(STARTUP, 1, SUM, 0, "waits", "iter(), first batches, ends, of known length")                 \
    X(STARTUP_NS, 1, SUM, 0, "ns", "their sum")                                                    \
    X(STARTUP_MIN, 1, MIN, RF_COUNT_STARTUP, "ns", "the shortest of them")                         \
    X(STARTUP_MAX, 1, MAX, 0, "ns", "the longest of them")                                         \
    X(FAILED, 1, SUM, 0, "waits", "that raised an error")                                          \
    X(FAILED_NS, 1, SUM, 0, "ns", "time in them")                                                  \
    X(ITERATORS, 1, SUM, 0, "iterators", "made: epochs")                                           \
    X(QUEUE, 4, SUM, 0, "waits", "steady ones by enum datastall_queue_state")                      \
    X(TOKENS_SAMPLED, 1, SUM, 0, "batches", "whose tokens were estimated")                         \
    X(PACKED_TOKENS, 1, SUM, 0, "tokens", "of batches that state tokens and padded size")          \
    X(PACKED_PADDED, 1, SUM, 0, "tokens", "their padded size")                                     \
    X(LONGEST_MAX, 1, MAX, 0, "tokens", "the longest sequence")                                    \
    X(LONGEST_SUM, 1, SUM, 0, "tokens", "of each batch's longest sequence")                        \
    X(LONGEST_BATCHES, 1, SUM, 0, "batches", "that stated one")                                    \
    X(MEAN_LENGTH_SUM, 1, REAL_SUM, 0, "tokens", "of the batches' mean lengths (a double)")        \
    X(MEAN_LENGTH_BATCHES, 1, SUM, 0, "batches", "that stated one")                                \
    X(EFFICIENCY_SUM, 1, REAL_SUM, 0, "1", "of the stated packing efficiencies (a double)")        \
    X(EFFICIENCY_MIN, 1, REAL_MIN, RF_COUNT_EFFICIENCY_BATCHES, "1", "the lowest (a double)")      \
    X(EFFICIENCY_BATCHES, 1, SUM, 0, "batches", "that stated one")                                 \
    X(EFFICIENCY_LOW, 1, SUM, 0, "batches", "that stated one below 0.80")                          \
    X(STALL_WAITS, 1, SUM, 0, "waits", "of any kind, whose exposed stall is known")                \
    X(STALL_BOUNDS, 1, SUM, 0, "waits", "those of which only an upper bound is known")             \
    X(STALL_CARRIED_NS, 1, SUM, 0, "ns",                                                           \
      "of STALL_KNOWN_NS: nobody asked, and it is taken to be like the short waits before")        \
    X(CAUSES, 1, SUM, 0, "waits", "that came with their cause: the rows of causes counted")        \
    X(CAUSE_NS, CAUSE_STATES, SUM, 0, "ns",                                                        \
      "how the stalls are split, by enum cause_state: of a wait whose exposed stall is known its " \
      "upper bound, of any other the wait; nothing while the stall is under way")                  \
    X(LATER_READY_NS, 1, SUM, 0, "ns", "of the stalls: a later batch was there already")           \
    X(OTHERS_IDLE_NS, 1, SUM, 0, "ns", "of that: the other workers had no index (their mean)")     \
    X(WINDOW_FULL_NS, 1, SUM, 0, "ns", "of that: because the prefetch window was full")            \
    X(REPLAYED, 1, SUM, 0, "batches", "in the next three")                                         \
    X(REPLAYED_NS, 1, SUM, 0, "ns", "their waits as they were")                                    \
    X(REPLAY_NS, 1, SUM, 0, "ns", "replayed with the window as it is")                             \
    X(REPLAY_LARGER_NS, 1, SUM, 0, "ns", "and with RF_REPLAY_FACTOR times the window")             \
    X(DEPTH_WAITS, 1, SUM, 0, "waits", "whose prefetch depth is known; the next four are sums")    \
    X(DEPTH_READY, 1, SUM, 0, "batches", "deliverable when the wait began")                        \
    X(DEPTH_EARLY, 1, SUM, 0, "batches", "there, but out of turn")                                 \
    X(DEPTH_IN_FLIGHT, 1, SUM, 0, "batches", "being made")                                         \
    X(DEPTH_POSSIBLE, 1, SUM, 0, "batches", "prefetch_factor * num_workers")                       \
    X(DEPTH_EMPTY, 1, SUM, 0, "waits", "that began with nothing ready")                            \
    X(SAMPLER_NS, 1, SUM, 0, "ns", "inside the sampler, in waits and in iter()")                   \
    X(SAMPLER_FIRST_NS, 1, SUM, 0, "ns", "of that: in iter() and in first batches")                \
    X(PIN_NS, 1, SUM, 0, "ns", "in the pin thread")                                                \
    X(GET_CPU_NS, 1, SUM, 0, "ns", "CPU time of taking batches off the queue: unpickling")         \
    X(GET_CPU_BATCHES, 1, SUM, 0, "batches", "over so many")

/* Of a DataLoader worker, over all the workers that had its entry. The thread that sends batches
 * works beside the one that makes them. */
#define RF_WORKER_COUNTERS(X)                                                                   \
    X(COUNT, 1, SUM, 0, "records", "as RF_WORKER_COUNT where the copy is the right one")        \
    X(BATCHES, 1, SUM, 0, "batches", "made")                                                    \
    X(FAILED, 1, SUM, 0, "batches", "that raised an error")                                     \
    X(ITEMS, 1, SUM, 0, "items", "of the data set")                                             \
    X(ITEMS_TIMED, 1, SUM, 0, "items", "of them timed each by itself")                          \
    X(ITEM_NS, 1, SUM, 0, "ns", "of the timed ones")                                            \
    X(ITEMS_NS, 1, SUM, 0, "ns", "from the index to the last item, of all batches")             \
    X(ITEMS_CPU_NS, 1, SUM, 0, "ns", "of that: running on a CPU")                               \
    X(ITEMS_DELAY_NS, 1, SUM, 0, "ns", "of that: runnable, waiting for a CPU")                  \
    X(ITEMS_THREADS_NS, 1, SUM, 0, "ns", "of the rest: other threads of the process ran")       \
    X(COLLATE_NS, 1, SUM, 0, "ns", "from the last item to the collated batch")                  \
    X(COLLATE_CPU_NS, 1, SUM, 0, "ns", "of that: running on a CPU")                             \
    X(COLLATE_DELAY_NS, 1, SUM, 0, "ns", "of that: waiting for a CPU")                          \
    X(COLLATE_THREADS_NS, 1, SUM, 0, "ns", "of the rest: other threads of the process ran")     \
    X(GAP_NS, 1, SUM, 0, "ns", "from the end of a batch to the next index: handing over, idle") \
    X(GAP_CPU_NS, 1, SUM, 0, "ns", "of that: running on a CPU")                                 \
    X(GAP_DELAY_NS, 1, SUM, 0, "ns", "of that: waiting for a CPU")                              \
    X(PICKLE_NS, 1, SUM, 0, "ns", "in the thread that sends batches")                           \
    X(PICKLE_CPU_NS, 1, SUM, 0, "ns", "of that: running on a CPU")                              \
    X(SENT, 1, SUM, 0, "batches", "pickled, of which the next two are sums")                    \
    X(SENT_BYTES, 1, SUM, 0, "bytes", "pickled")                                                \
    X(SENT_TENSORS, 1, SUM, 0, "tensors", "sent with them, each by a descriptor of its own")    \
    X(ENDED, 1, SUM, 0, "streams", "that said there is no more")                                \
    X(ASKED_WHICH, 1, SUM, 0, "times",                                                          \
      "the data set asked which worker it is in; also once "                                    \
      "where that cannot be seen")                                                              \
    X(STARTUP_NS, 1, SUM, 0, "ns", "from the making of the iterator to the first index")        \
    X(BEGIN_NS, 1, MIN, RF_TOTAL_COUNT, "ns", "of the first batch")                             \
    X(END_NS, 1, MAX, 0, "ns", "of the last one")                                               \
    X(ASKED_BYTES, 1, KNOWN_SUM, 0, "bytes", "given to read() and the like; ~0: not told")      \
    X(STORAGE_BYTES, 1, KNOWN_SUM, 0, "bytes", "of them fetched from storage; ~0: not told")    \
    X(MAJOR_FAULTS, 1, KNOWN_SUM, 0, "faults", "pages read from storage; ~0: not told")         \
    X(TENSOR_BYTES, 1, MAX, 0, "bytes",                                                         \
      "of the tensors of one batch, the most seen (every 16th is looked at; where the loop "    \
      "makes its own, an iterator's first and one in 64, if all of it can be told): they "      \
      "travel in shared memory, or would; 0: none seen")                                        \
    X(ITEMS_THREADS_CPU_NS, 1, SUM, 0, "ns",                                                    \
      "CPU time of other threads while items were made, of several at once as well")            \
    X(OPENED_NS, 1, SUM, 0, "ns",                                                               \
      "of making fetchers, when epochs begin: what a stream does in __iter__")

/* Of a thread that trains or infers, by enum step_phase where there are several words. */
#define RF_STEP_COUNTERS(X)                                                               \
    X(COUNT, 1, SUM, 0, "copies", "as RF_STEPS_COUNT where the copy is the right one")    \
    X(STEPS, 1, SUM, 0, "steps", "batches (zipped ones once), or what step() said")       \
    X(STATED, 1, SUM, 0, "steps", "that step() said")                                     \
    X(REPLAYS, 1, SUM, 0, "replays", "of CUDA graphs, in steps whose phases do not show") \
    X(BEGIN_NS, 1, MIN, RF_STEP_TOTAL_COUNT, "ns", "of the first phase")                  \
    X(END_NS, 1, MAX, 0, "ns", "of the last one")                                         \
    X(TIMES, STEP_PHASE_COUNT, SUM, 0, "times", "the phase was there")                    \
    X(HOST_NS, STEP_PHASE_COUNT, SUM, 0, "ns", "in it, by the host's clock")              \
    X(LONGEST_NS, STEP_PHASE_COUNT, MAX, 0, "ns", "at a time")                            \
    X(ASKED, STEP_PHASE_COUNT, SUM, 0, "times",                                           \
      "the GPU was asked, at random moments, whether the thread's stream has work")       \
    X(EMPTY, STEP_PHASE_COUNT, SUM, 0, "times", "of them it had none")                    \
    X(UNTOLD, STEP_PHASE_COUNT, SUM, 0, "times", "it was to be asked and could not be")   \
    X(LOOKS, STEP_PHASE_COUNT, SUM, 0, "times", "the line of the program was looked at")

#define RF_COUNTER_ENUM(name, words, op, of, unit, meaning) \
    RF_COUNT_##name, RF_COUNT_##name##_LAST = RF_COUNT_##name + (words) - 1,
enum rf_counter_word {
    RF_SECOND_COUNTERS(RF_COUNTER_ENUM) RF_COUNT_SECOND_WORDS,
    RF_COUNT_BEFORE_STAGE_ = RF_COUNT_SECOND_WORDS - 1, /* the next one goes on from here */
    RF_STAGE_COUNTERS(RF_COUNTER_ENUM) RF_COUNT_STAGE_WORDS,
    RF_COUNT_BEFORE_RUN_ = RF_COUNT_STAGE_WORDS - 1,
    RF_RUN_COUNTERS(RF_COUNTER_ENUM) RF_COUNT_WORDS
};
#undef RF_COUNTER_ENUM

#define RF_TOTAL_ENUM(name, words, op, of, unit, meaning) RF_TOTAL_##name,
enum rf_worker_total_word {
    RF_WORKER_COUNTERS(RF_TOTAL_ENUM) RF_TOTAL_USED_WORDS,
    RF_TOTAL_WORDS = 34
};
#undef RF_TOTAL_ENUM
_Static_assert((int)RF_TOTAL_USED_WORDS <= (int)RF_TOTAL_WORDS, "a worker's totals fit their copy");

#define RF_STEP_ENUM(name, words, op, of, unit, meaning) \
    RF_STEP_TOTAL_##name, RF_STEP_TOTAL_##name##_LAST = RF_STEP_TOTAL_##name + (words) - 1,
enum rf_step_total_word { RF_STEP_COUNTERS(RF_STEP_ENUM) RF_STEP_TOTAL_WORDS };
#undef RF_STEP_ENUM

/* 36 years: a time or a sum of times beyond is damage. */
#define RF_MOST_NS (UINT64_C(1) << 60)
/* 208 days: no single wait is longer, so that those of one counting can be summed without care. */
#define RF_MOST_WAIT_NS (UINT64_C(1) << 54)
/* With so much more of a window the second replay is made. */
#define RF_REPLAY_FACTOR 4u

extern const struct counter rf_wait_counters[];
extern const uint32_t rf_wait_counter_count;

/* Adds a slot's totals to others (words RF_COUNT_WORDS), or a stage's to a stage's, or a second's
 * to a second's. */
void rf_counters_add(uint64_t *to, const uint64_t *from, uint32_t words);

/* The stall in a slot's, a loader's or a stage's totals. */
static inline struct stall rf_stall_of(const uint64_t *totals)
{
    return stall_of(ds_add(totals[RF_COUNT_STEADY_NS], totals[RF_COUNT_OTHER_NS]),
                    totals[RF_COUNT_STALL_KNOWN_NS], totals[RF_COUNT_STALL_LOWER_NS],
                    totals[RF_COUNT_STALL_UPPER_NS]);
}
/* In a second's, which do not hold what of it is certain. */
static inline struct stall rf_stall_of_second(const uint64_t *totals)
{
    return stall_of(ds_add(totals[RF_COUNT_STEADY_NS], totals[RF_COUNT_OTHER_NS]),
                    totals[RF_COUNT_STALL_KNOWN_NS], 0, totals[RF_COUNT_STALL_UPPER_NS]);
}

/* A worker's totals: none yet; and those of a further one added. RF_TOTAL_USED_WORDS words. */
void rf_worker_counters_clear(uint64_t *totals);
void rf_worker_counters_add(uint64_t *to, const uint64_t *from);

/* False when one of a worker's totals is more than can be. */
bool rf_worker_counters_possible(const uint64_t *totals);

/* The same of a thread's steps, RF_STEP_TOTAL_WORDS words. */
void rf_step_counters_add(uint64_t *to, const uint64_t *from);
bool rf_step_counters_possible(const uint64_t *totals);

/* False when a time in a slot's totals is longer than any machine ran: it was read from somewhere
 * else. */
bool rf_counters_possible(const uint64_t *totals);

/* False when a sum stopped at DS_MOST: it is "at least so much". */
bool rf_counters_fit(const uint64_t *totals);

#endif
