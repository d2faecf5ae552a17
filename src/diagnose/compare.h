/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs side by side: whether the second was faster than the first, how sure that is, and what
 * else changed. Pure. docs/compare.md has the rules in words; keep the two together. */
#ifndef DATASTALL_DIAGNOSE_COMPARE_H
#define DATASTALL_DIAGNOSE_COMPARE_H

#include "diagnose/summary.h"
#include "stats/ratio.h"

/* What one run of a program differs from the next by itself, as a standard deviation of its
 * throughput: of a machine that nobody else uses it is less, of a busy one more. */
#define COMPARE_BETWEEN_RUNS 0.01
#define COMPARE_MOST_LOADERS 64
#define COMPARE_MOST_RANKS 256

enum compare_result { COMPARE_SAME, COMPARE_FASTER, COMPARE_SLOWER, COMPARE_IMPOSSIBLE };

/* What a run has of loaders of one name, in all its processes. */
struct compared_loader {
    const struct summary_loader
        *first; /* NULL: it has none; else the one that waited the longest */
    double samples_per_s, batches_per_s, stall_share; /* NaN: unknown */
};
/* What the first run promised of the setting of a loader in the second. */
struct compared_setting {
    uint32_t num_workers, prefetch_factor; /* prefetch_factor 0: there is none */
    bool persistent_workers;
};
struct compared_promise {
    bool is_one; /* the setting differs, and nothing else of the loader that is recorded */
    struct compared_setting settings[2]; /* of each run */
    char says[240];                      /* why nothing was promised; "": it was */
    struct range faster;                 /* times as fast as the first run */
    double measured;                     /* the same, as the second run had it; NaN unknown */
};
struct compared_rank {
    uint64_t rank;
    double samples_per_s[2], batches_per_s[2], stall_share[2]; /* NaN: unknown */
};
struct comparison {
    const struct summary *runs[2]; /* the baseline, and what is compared to it */
    enum compare_result result;
    char reason[200]; /* of COMPARE_IMPOSSIBLE; else "" */
    bool by_samples;  /* the throughput is in samples a second, else in batches */
    double throughput[2];
    struct ratio throughput_ratio; /* second / first, 95 %; NaN: not comparable */
    double window_s[2], window_ratio, stall_share[2], startup_s[2];
    uint32_t loader_count, rank_count, ranks_of[2]; /* ranks_of: how many each of them has */
    struct compared_loader loaders[COMPARE_MOST_LOADERS][2];
    struct compared_promise promises[COMPARE_MOST_LOADERS]; /* of each pair of loaders */
    struct compared_rank ranks[COMPARE_MOST_RANKS];         /* that both have */
};

void compare_runs(const struct summary *first, const struct summary *second,
                  struct comparison *comparison);

/* For compare_runs() and compare_jobs(), of which `what` is the word: "run", "job". True after saying that
 * side 0 or 1 has too few spans. */
struct rates;
bool compare_is_too_short(struct comparison *comparison, uint32_t side, const struct rates *rates,
                          const char *what);
/* Throughputs, their ratio and the result, or why there is none. */
void compare_rates(struct comparison *comparison, const struct rates *const rates[2],
                   const char *what);

/* compare_promise.c: of one pair; for compare_runs(). */
void compare_promise(const struct comparison *comparison, const struct compared_loader pair[2],
                     struct compared_promise *promise);

const char *compare_result_name(enum compare_result result); /* "faster", "not_comparable" ... */
/* "1.42x faster (1.38 to 1.46)", "no difference that can be told (0.98x to 1.03x)" ... */
void compare_result_text(const struct comparison *comparison, char *text, size_t size);
/* The cause of the run's loader that waited the longest: "compute", "none" ... */
const char *compare_cause(const struct summary *summary);

enum compare_check { COMPARE_CHECK_PASSES, COMPARE_CHECK_FAILS, COMPARE_CHECK_INVALID };
/* `--fail-if 'samples/s<-5%'`: FIGURE OP NUMBER, OP one of < >, FIGURE one of
 *   samples/s, batches/s   change in percent; counts only where a difference can be told
 *   window                 change in percent
 *   stall                  change in points of percent
 *   startup                change in seconds
 * A trailing % is allowed. What is not known fails. sentence: one line, whatever the outcome. */
enum compare_check compare_check(const struct comparison *comparison, const char *condition,
                                 char *sentence, size_t size);

#endif
