/* SPDX-License-Identifier: Apache-2.0 */
/* A document made smaller on its way: what a rule names keeps so many of its elements. For outputs whose
 * size is bounded whatever the run holds. */
#ifndef DATASTALL_OUTPUT_TRIM_H
#define DATASTALL_OUTPUT_TRIM_H

#include "base/emitter.h"

#define TRIM_DEPTH 12
#define TRIM_TEXT 400u /* bytes of a string; the rest is "..." */

struct trim_rule {
    const char *key; /* of an array, wherever it is; of anything else: most 0 leaves it out */
    uint32_t most;
};

struct trim {
    const struct emitter *to;
    const struct trim_rule *rules; /* key NULL ends them */
    uint32_t depth, skipped;       /* open containers: that went through, that did not */
    bool is_array[TRIM_DEPTH];
    uint32_t left[TRIM_DEPTH]; /* elements that an array may still have */
};

/* An emitter whose context the trim is, which must outlive it. */
struct emitter trim_emitter(struct trim *trim, const struct emitter *to,
                            const struct trim_rule *rules);

#endif
