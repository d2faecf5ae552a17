# SPDX-License-Identifier: Apache-2.0
"""A callback for the Trainer of transformers."""

from __future__ import annotations

import importlib
from typing import Any

from ._figures import Telling, figures, safely

_transformers: Any = importlib.import_module("transformers")


class DatastallCallback(Telling, _transformers.TrainerCallback):  # type: ignore[misc]
    """Adds throughput, stall share and severity to what the Trainer logs; prints the card.

    ``Trainer(callbacks=[DatastallCallback()])``. The figures come into each log of the Trainer
    (``logging_steps``) and so into ``trainer.state.log_history``. The Trainer's own reporters
    (``report_to``) run before callbacks of yours and do not see them: for TensorBoard, W&B and
    MLflow give ``loggers``.

    Args:
        every_n_steps: how often the loggers are told; reading the run takes some milliseconds.
        loggers: as of datastall.integrations.tensorboard.
        print_card: print the card when training ends.
    """

    WHAT = "datastall's figures could not be logged by the Trainer"

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._install()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero and state.global_step % self._every == 0:
            self._each(lambda logger: logger.log(state.global_step))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and isinstance(logs, dict):
            safely(self.WHAT, lambda: self._add(state, logs))

    def _add(self, state: Any, logs: dict[str, Any]) -> None:
        found = figures()
        if not found.numbers:
            return
        logs.update(found.numbers)
        if state.log_history:
            state.log_history[-1].update(found.numbers)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._end()
