"""Events of `benchmarks.explain`: what a set of samples consists of, and how a run reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

__all__ = ["Events", "Maker", "data_file", "jets_of", "written"]

Array = np.ndarray


@dataclass(frozen=True)
class Events:
    """A sample: a matrix of features, or particles by event; labels 0 and 1.

    Parameters
    ----------
    x, names
        ``(events, features)`` and their names; of particles ``(events, 0)``.
    y
        ``(events,)``.
    particles
        px, py, pz, energy: a list an event; None for a matrix.
    weights
        ``(events,)`` or None.
    """

    x: Array
    y: Array
    names: list[str]
    particles: dict[str, list[Any]] | None = None
    weights: Array | None = None

    def take(self, rows: Array) -> Events:
        """Those events."""
        particles = self.particles
        if particles is not None:
            particles = {k: [v[i] for i in rows] for k, v in particles.items()}
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, x=self.x[rows], y=self.y[rows], particles=particles, weights=weights)

    def with_feature(self, name: str, column: Array) -> Events:
        """With one feature more."""
        return replace(self, x=np.column_stack([self.x, column]), names=[*self.names, name])


Maker = Callable[[int, int], Events]
"""(number of events, seed) → a sample."""


def written(events: Events, folder: Path, root: bool) -> dict[str, Any]:
    """Write a sample, and return the recipe's table of it."""
    columns: dict[str, Any] = dict(zip(events.names, events.x.T, strict=True))
    columns["label"] = events.y.astype(np.int64)
    columns["number"] = np.arange(len(events.y))
    given: dict[str, Any] = {"label": "label"}
    if events.weights is not None:
        columns["weight"] = given["weight"] = "weight"
        columns["weight"] = events.weights
    if events.particles is not None:
        columns |= events.particles
        given["particles"] = {name: name for name in events.particles}
    else:
        given["features"] = events.names
    if root:
        import uproot

        with uproot.recreate(folder / "events.root") as file:
            file["events"] = columns
        return {**given, "path": f"{folder / 'events.root'}:events"}
    pl.DataFrame(columns).write_parquet(folder / "events.parquet")
    return {**given, "path": str(folder / "events.parquet")}


def jets_of(labels: Array, axes: Callable[[int, Array], tuple[Array, Array]], seed: int) -> Events:
    """Jets of massless particles; `axes` gives η and φ of a jet's particles from label and pt."""
    random = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {name: [] for name in ("px", "py", "pz", "energy")}
    for label in labels:
        pt = random.exponential(20.0, random.integers(6, 16)) + 1.0
        eta, phi = axes(int(label), pt)
        momenta = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta))
        for name, values in zip(found, momenta, strict=True):
            found[name].append(values.tolist())
    return Events(np.empty((len(labels), 0)), labels, [], found)


def data_file(name: str) -> Path | None:
    """A file of the folder STEEPEST_DATA; None where it is not there."""
    path = Path(os.environ.get("STEEPEST_DATA", "../shared/data")) / name
    return path if path.is_file() else None
