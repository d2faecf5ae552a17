# SPDX-License-Identifier: Apache-2.0
"""A callback for PyTorch Lightning (``lightning`` or ``pytorch_lightning``, whichever is used)."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ._figures import Telling, figures, safely


def _lightning() -> Any:
    """The one that the program imported; where it has both, Lightning's own name wins."""
    for name in ("lightning.pytorch", "pytorch_lightning"):
        if name in sys.modules:
            return sys.modules[name]
    try:
        return importlib.import_module("lightning.pytorch")
    except ImportError:
        return importlib.import_module("pytorch_lightning")


class DatastallCallback(Telling, _lightning().Callback):  # type: ignore[misc]
    """Logs throughput, stall share, severity and cause to the trainer's loggers; prints the card.

    ``Trainer(callbacks=[DatastallCallback()])``. Hooks every DataLoader if nothing did before
    (``datastall.install()``); under ``datastall run`` they are hooked already. Only the process of
    rank 0 logs; its figures are those of all processes of the run on this machine.

    Args:
        every_n_steps: how often; reading the run takes some milliseconds.
        loggers: further ones, as of datastall.integrations.tensorboard.
        print_card: print the card when fitting ends.
    """

    WHAT = "datastall's figures could not be logged by Lightning"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._install()

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or step == 0 or step % self._every != 0:
            return
        safely(self.WHAT, lambda: self._log(trainer, step))
        self._each(lambda logger: logger.log(step))

    def _log(self, trainer: Any, step: int) -> None:
        found = figures()
        for logger in trainer.loggers:
            logger.log_metrics(found.numbers, step=step)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self._end()
