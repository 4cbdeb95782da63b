"""The saved sums of an interrupted landscape, from which the same landscape continues."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import numpy as np

from steepest.folder import LandscapeFolder
from steepest.landscape.directions import Directions
from steepest.landscape.estimate import CHUNK, Anchors, Sums
from steepest.landscape.grid import Grid
from steepest.objective import Batch, Objective

__all__ = ["Kept"]

FILE = "sums.safetensors"
SECONDS = 10.0
"""Minimum number of seconds between two writes."""


@dataclass
class Kept:
    """The saved sums of one surface, with a fingerprint of the surface."""

    target: LandscapeFolder
    fingerprint: str
    points: int
    anchors: int
    written: float

    @classmethod
    def of(
        cls,
        target: LandscapeFolder,
        objective: Objective,
        directions: Directions,
        grid: Grid,
        events: Batch,
        anchors: Anchors,
        all_events: int,
    ) -> Kept:
        """Return those of this surface, for any number of events, so that more can be added."""
        digest = hashlib.sha256()
        first = events.take(slice(0, CHUNK))
        loss = objective.loss(directions.origin.astype(objective.dtype), first)
        shapes = [array.shape for array in first.arrays]
        said = (objective.dtype, loss, all_events, CHUNK, shapes)
        digest.update(repr(said).encode())
        slice_ = [directions.origin, directions.vectors, directions.offset, *grid.axes]
        for array in (*slice_, anchors.rows, anchors.losses, *first.arrays):
            digest.update(np.ascontiguousarray(array).tobytes())
        count = len(anchors.rows)
        return cls(target, digest.hexdigest(), grid.size, count, time.monotonic())

    def read(self, most: int) -> Sums:
        """Return the saved sums of this surface, or zero."""
        found = self.target.read_arrays(FILE)
        if found is None or not isinstance(found[1], dict):
            return Sums.zero(self.points, self.anchors)
        arrays, about = found
        usable = about.get("fingerprint") == self.fingerprint and (
            about["events"] == most or (about["events"] < most and about["events"] % CHUNK == 0)
        )
        if not usable:
            return Sums.zero(self.points, self.anchors)
        return Sums(**arrays, events=about["events"], chunks=about["chunks"])

    def write(self, sums: Sums) -> None:
        """Write the sums."""
        arrays = {
            "losses": sums.losses,
            "first": sums.first,
            "shifted": sums.shifted,
            "squares": sums.squares,
            "cross": sums.cross,
        }
        about = {"fingerprint": self.fingerprint, "events": sums.events, "chunks": sums.chunks}
        self.target.write_arrays(FILE, arrays, about)
        self.written = time.monotonic()

    def write_if_due(self, sums: Sums) -> None:
        """Write the sums if the last write was long ago."""
        if time.monotonic() - self.written >= SECONDS:
            self.write(sums)
