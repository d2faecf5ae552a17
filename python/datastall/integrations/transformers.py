# SPDX-License-Identifier: Apache-2.0
"""A callback for the Trainer of transformers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import datastall

from ._figures import Logger, card, each, every, figures, safely

WHAT = "datastall's figures could not be logged by the Trainer"
_transformers: Any = importlib.import_module("transformers")


class DatastallCallback(_transformers.TrainerCallback):  # type: ignore[misc]
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

    def __init__(
        self, every_n_steps: int = 50, loggers: Sequence[Logger] = (), print_card: bool = True
    ) -> None:
        super().__init__()
        self._every = every(every_n_steps)
        self._loggers = list(loggers)
        self._print_card = print_card

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        safely("datastall could not be installed", datastall.install)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero and state.global_step % self._every == 0:
            each(WHAT, self._loggers, lambda logger: logger.log(state.global_step))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and isinstance(logs, dict):
            safely(WHAT, lambda: self._add(state, logs))

    def _add(self, state: Any, logs: dict[str, Any]) -> None:
        found = figures()
        if not found.numbers:
            return
        logs.update(found.numbers)
        if state.log_history:
            state.log_history[-1].update(found.numbers)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        each(WHAT, self._loggers, lambda logger: logger.finish())
        if self._print_card:
            safely(WHAT, lambda: print(card()))
