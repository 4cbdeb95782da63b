"""Who looks on at a training."""

from __future__ import annotations

from steepest.descent import Callback

__all__ = ["TrainingCallback"]


class TrainingCallback(Callback):
    """Looks on at a whole training: base class whose methods do nothing."""

    def say(self, sentence: str) -> None:
        """A decision, or something worth knowing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A part of the work begins; `total` is in epochs, where it is known."""

    def read(self, rows: int, total: int) -> None:
        """So many rows of all have been read."""

    def received(self, done: int, asked: int) -> None:
        """So many bytes of the Hub's files have come, of those that were asked for so far."""

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        """So many of all have been worked on; `unit` says what they are."""
