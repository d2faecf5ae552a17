# SPDX-License-Identifier: Apache-2.0
"""Figures in MLflow."""

from __future__ import annotations

from typing import Any

from ._figures import card, figures, safely

WHAT = "datastall's figures could not be logged to MLflow"


class MLflowLogger:
    """Logs to an MLflow run.

    Args:
        run_id: the run; default the one that is active when something is logged.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self._run_id = run_id

    def _where(self) -> tuple[Any, str]:
        import mlflow

        if self._run_id is None:
            active = mlflow.active_run()
            if active is None:
                raise RuntimeError("there is no active run: mlflow.start_run() comes first")
            self._run_id = active.info.run_id
        return mlflow.MlflowClient(), self._run_id

    def log(self, step: int) -> None:
        """Logs the figures of now as metrics; severity and cause are tags."""
        safely(WHAT, lambda: self._log(step))

    def _log(self, step: int) -> None:
        found = figures()
        client, run_id = self._where()
        for name, value in found.numbers.items():
            client.log_metric(run_id, name, value, step=step)
        client.set_tag(run_id, "datastall.severity", found.severity)
        client.set_tag(run_id, "datastall.cause", found.cause)

    def finish(self) -> None:
        """Logs the card as the artifact datastall.txt."""

        def put() -> None:
            client, run_id = self._where()
            client.log_text(run_id, card() + "\n", "datastall.txt")

        safely(WHAT, put)
