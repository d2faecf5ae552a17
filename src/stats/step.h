/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of a training step, as far as they show at places that every program passes. */
#ifndef DATASTALL_STATS_STEP_H
#define DATASTALL_STATS_STEP_H

/* X(NAME, name in JSON and text, what). The order is that of the words in the file, and of a step. What
 * lies between two places is named by the place that it ends at (docs/steps.md). */
#define STEP_PHASES(X)                                                                            \
    X(INPUT, "input", "in iter() and next(): waiting for the next batch")                         \
    X(FORWARD, "forward", "up to a backward: copies to the GPU, forward, loss")                   \
    X(BACKWARD, "backward", "in torch's autograd engine")                                         \
    X(GRADIENTS, "gradients", "from a backward to the optimizer: unscaling, clipping, reduction") \
    X(OPTIMIZER, "optimizer", "in Optimizer.step()")                                              \
    X(CHECKPOINT, "checkpoint", "in torch.save()")                                                \
    X(NO_BACKWARD, "no_backward",                                                                 \
      "from a batch to the next without a backward: validation, inference, a whole CUDA graph")   \
    X(BETWEEN, "between", "from the last backward or optimizer to the next batch: logging, ...")

#define STEP_PHASE_ENUM(name, key, what) STEP_##name,
enum step_phase { STEP_PHASES(STEP_PHASE_ENUM) STEP_PHASE_COUNT };
#undef STEP_PHASE_ENUM

#endif
