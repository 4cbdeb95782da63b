"""Scalars for TensorBoard: event files in ``RUN/tensorboard``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from steepest.events import extra
from steepest.folder import RunFolder
from steepest.folder.files import explained
from steepest.recipe import Recipe

FOLDER = "tensorboard"


class TensorBoard:
    """Writes an event file for each process that trains the run.

    Where a run goes on, the file begins with a session that tells readers to drop later steps of
    the files before.
    """

    def __init__(self, folder: RunFolder, recipe: Recipe) -> None:
        where = folder.path / FOLDER
        writer, self.event, self.summary = (
            extra.load(f"tensorboard.{module}", "tensorboard", "A log")
            for module in (
                "summary.writer.event_file_writer",
                "compat.proto.event_pb2",
                "compat.proto.summary_pb2",
            )
        )
        with explained("Making the log of TensorBoard", where, "nothing was done yet"):
            self.writer = writer.EventFileWriter(str(where))

    @staticmethod
    def require() -> None:
        """Raise MissingExtraError if the package is not installed."""
        extra.load("tensorboard", "tensorboard", 'descent.log = ["tensorboard"]')

    def begin(self, step: int) -> None:
        """Tell readers to drop what comes after a step."""
        if step:
            start = self.event.SessionLog(status=self.event.SessionLog.START)
            self._add(step=step + 1, session_log=start)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write a scalar for each value."""
        summary = self.summary.Summary
        scalars = [summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step=step, summary=summary(value=scalars))
        self.writer.flush()

    def _add(self, **event: Any) -> None:
        self.writer.add_event(self.event.Event(wall_time=time.time(), **event))

    def end(self, status: str) -> None:
        """Close the file."""
        self.writer.close()
