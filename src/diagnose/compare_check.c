/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/compare.h"

struct change {
    const char *name, *unit, *what;
    double value; /* NaN: not known */
    bool must_be_told;
};

/* NULL: there is no figure of this name. *rest: what comes behind it. */
static bool find_change(const struct comparison *c, const char *condition, struct change *found,
                        const char **rest)
{
    const double percent = 100 * (c->throughput_ratio.mean - 1);
    const struct change changes[] = {
        {"samples/s", "%", "samples/s changed by", c->by_samples ? percent : NAN, true},
        {"batches/s", "%", "batches/s changed by", c->by_samples ? NAN : percent, true},
        {"window", "%", "the window changed by", 100 * (c->window_ratio - 1), false},
        {"stall", "points", "the stall share changed by",
         100 * (c->stall_share[1] - c->stall_share[0]), false},
        {"startup", "s", "start-up changed by", c->startup_s[1] - c->startup_s[0], false},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const size_t length = strlen(changes[i].name);
        if (strncmp(condition, changes[i].name, length) != 0)
            continue;
        *found = changes[i];
        *rest = condition + length + strspn(condition + length, " ");
        return **rest == '<' || **rest == '>';
    }
    return false;
}

enum compare_check compare_check(const struct comparison *c, const char *condition, char *sentence,
                                 size_t size)
{
    struct change change;
    const char *rest = NULL;
    char *end = NULL;
    bool valid = find_change(c, condition + strspn(condition, " "), &change, &rest);
    const double limit = valid ? strtod(rest + 1, &end) : NAN;
    if (valid) {
        const char *tail = end + strspn(end, " %");
        valid = end != rest + 1 && *tail == '\0' && isfinite(limit);
    }
    if (!valid) {
        snprintf(sentence, size,
                 "'%s' is not a condition; write for example 'samples/s<-5%%' (change in percent), "
                 "'stall>+3' (points), 'window>10%%', 'startup>2' (seconds)",
                 condition);
        return COMPARE_CHECK_INVALID;
    }
    if (isnan(change.value)) {
        snprintf(sentence, size,
                 "failed: the change of %s is not known, so '%s' cannot be ruled out", change.name,
                 condition);
        return COMPARE_CHECK_FAILS;
    }
    const bool beyond = *rest == '<' ? change.value < limit : change.value > limit;
    const bool fails = beyond && !(change.must_be_told && c->result == COMPARE_SAME);
    snprintf(sentence, size, "%s: %s %+.2f %s, fails if %s %g%s", fails ? "failed" : "ok",
             change.what, change.value, change.unit, *rest == '<' ? "below" : "above", limit,
             beyond && !fails ? " (no difference that can be told)" : "");
    return fails ? COMPARE_CHECK_FAILS : COMPARE_CHECK_PASSES;
}
