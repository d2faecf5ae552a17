# SPDX-License-Identifier: Apache-2.0
"""Figures in Weights & Biases."""

from __future__ import annotations

from typing import Any

from ._figures import card, figures, safely

WHAT = "datastall's figures could not be logged to W&B"


class WandbLogger:
    """Logs to a W&B run.

    Args:
        run: what ``wandb.init()`` returned; default the run that is active at the first log().
    """

    def __init__(self, run: Any = None) -> None:
        self._given = run

    def _run(self) -> Any:
        if self._given is None:
            import wandb

            self._given = wandb.run
        if self._given is None:
            raise RuntimeError("there is no active run: wandb.init() comes first")
        return self._given

    def log(self, step: int) -> None:
        """Logs the figures of now; severity and cause go into the run's summary."""
        safely(WHAT, lambda: self._log(step))

    def _log(self, step: int) -> None:
        found = figures()
        run = self._run()
        if found.numbers:
            # W&B drops what comes for an earlier step than the newest; it is told our step as well.
            run.log({**found.numbers, "datastall/step": step})
        run.summary["datastall/severity_text"] = found.severity
        run.summary["datastall/cause"] = found.cause

    def finish(self) -> None:
        """Puts the card into the run's summary."""

        def put() -> None:
            self._run().summary["datastall/card"] = card()

        safely(WHAT, put)
