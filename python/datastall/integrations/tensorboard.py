# SPDX-License-Identifier: Apache-2.0
"""Figures in TensorBoard."""

from __future__ import annotations

from typing import Any

from ._figures import card, figures, safely

WHAT = "datastall's figures could not be written for TensorBoard"


class TensorBoardLogger:
    """Writes with a ``SummaryWriter`` of your own (torch.utils.tensorboard, tensorboardX).

    Args:
        writer: the writer; it stays yours, and you close it.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._said = ""

    def log(self, step: int) -> None:
        """Writes the figures of now as scalars, and severity and cause where they changed."""
        safely(WHAT, lambda: self._log(step))

    def _log(self, step: int) -> None:
        found = figures()
        for name, value in found.numbers.items():
            self._writer.add_scalar(name, value, step)
        words = f"{found.severity}, cause: {found.cause}"
        if found.numbers and words != self._said:
            self._said = words
            self._writer.add_text("datastall/verdict", words, step)

    def finish(self) -> None:
        """Writes the card."""

        def put() -> None:
            indented = "\n".join(f"    {line}" for line in card().splitlines())
            self._writer.add_text("datastall/card", indented)

        safely(WHAT, put)
