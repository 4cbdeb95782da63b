"""The landscapes of a run, as the page draws them: J on a grid, and the path on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.folder import LandscapeFolder, finished_landscapes
from steepest.lab.words import plain
from steepest.landscape.summary import sentences

MOST_POINTS = 101
"""Along an axis of a plane; of finer ones every second, third, … is shown."""
MOST_PATH = 500


def landscape_of(run: Path, name: str) -> dict[str, Any] | None:
    """Return what the page draws of a landscape; None if the run has none of that name.

    ``axes`` has the coordinates along one axis or two, ``losses`` J at each point (None where it is
    not finite), the first axis along each row; ``path`` the places of the steps.

    Raises
    ------
    RunFolderError
        A file of it is damaged.
    """
    if name not in finished_landscapes(run):
        return None
    folder = LandscapeFolder(run, name)
    numbers, surface = folder.read_numbers(), folder.read_table("surface.parquet")
    path = folder.read_table("path.parquet")
    if surface is None:
        return None
    axes, losses = _grid(surface)
    said = [f"{subject}: {sentence}" for subject, sentence in sentences(numbers)]
    return {
        "name": name,
        "labels": [plain(label) for label in numbers["directions"]["labels"]],
        "axes": [axis.tolist() for axis in axes],
        "losses": [None if not np.isfinite(loss) else loss for loss in losses.ravel().tolist()],
        "path": None if path is None else _path(path, len(axes)),
        "sentences": said,
    }


def _grid(surface: pa.Table) -> tuple[list[np.ndarray], np.ndarray]:
    """The axes, and J with the second axis first."""
    names = [name for name in ("x", "y") if name in surface.column_names]
    columns = [surface[name].to_numpy() for name in names]
    axes = [np.unique(column) for column in columns]
    losses = surface["loss"].to_numpy().reshape([len(axis) for axis in axes])
    thin = [slice(None, None, -(-len(axis) // MOST_POINTS)) for axis in axes]
    if len(axes) == 1:
        return axes, losses
    return [axis[cut] for axis, cut in zip(axes, thin, strict=True)], losses[tuple(thin)].T


def _path(path: pa.Table, dimensions: int) -> dict[str, list[Any]]:
    rows = np.unique(np.linspace(0, len(path) - 1, min(len(path), MOST_PATH)).astype(int))
    names = ["step", *"xy"[:dimensions], "loss"]
    return {name: path[name].to_numpy()[rows].tolist() for name in names}
