/* The GPUs' part of the summary; see summary.h for what the figures mean. */
#ifndef DATASTALL_DIAGNOSE_GPUS_H
#define DATASTALL_DIAGNOSE_GPUS_H

#include "diagnose/summary.h"

/* Adds a device; the processes and the window must be there. uses: room for one per process. */
struct shared_use;
void summary_add_gpu(struct summary *summary, const struct rf_gpu_view *data, uint64_t now_ns,
                     struct shared_use *uses);

/* What the devices' activity says of the processes: narrower bounds where no event saw the waits,
 * and that a stall is no more than a bound where stall and busy add up to more than there is. */
void summary_apply_activity(struct summary *summary);

#define SUMMARY_EXACT_WITHIN 0.005 /* of the window: the error that docs/accuracy.md measures */

void summary_add_stall(struct summary_stall *to, const struct summary_stall *from);

/* Whether a loader's batches were consumed on a device. */
bool summary_consumes(const struct summary_loader *loader, const struct rf_gpu_view *device);

/* At most so much was exposed: waiting of which nothing is known counts as exposed. */
uint64_t summary_stall_most(const struct summary_stall *stall);

/* Share and ceiling that follow from a process's stall and window. */
void summary_settle_stall(struct summary_process *process);

#endif
