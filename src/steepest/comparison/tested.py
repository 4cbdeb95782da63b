"""The events that a run is tested on, with its scores, in an order that runs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.errors import RunFolderError
from steepest.events import TEST, Sample, evaluated_part, use_revisions
from steepest.folder import RunFolder
from steepest.storage import in_memory
from steepest.training import TrainingCallback
from steepest.training.inputs import read
from steepest.training.scored import RunModels, Scored, without_features


@dataclass(frozen=True)
class Tested:
    """The scored test events of a run, ordered by file and row.

    Attributes
    ----------
    scored
        The events in memory, without their features.
    files
        What the events are of: the content of each file, and the place in it.
    place
        ``(events, 2)``: which file, and which row in it; None for events of no file.
    """

    scored: Scored
    files: tuple[Any, ...]
    place: np.ndarray | None


def tested_events(folder: RunFolder, callback: TrainingCallback) -> Tested:
    """Read the test part of a run again, or that of all its folds, and score it.

    Raises
    ------
    RunFolderError
        The run is not done, or no fold of it.
    """
    run = RunModels.of(folder)
    if not run.models:
        raise RunFolderError(
            f"No fold of the run {folder.path} is trained yet.",
            do=f"steepest train --resume {folder.path}",
        )
    use_revisions((folder.environment or {}).get("events"))
    sample = read(folder.recipe, callback, folder.path)
    part = TEST if run.folded else evaluated_part(set(np.unique(sample.part).tolist()))
    scored = run.scored(sample, part)
    place = _place(sample, part, len(run.models) if run.folded else None)
    order = (
        np.arange(len(scored.events)) if place is None else np.lexsort((place[:, 1], place[:, 0]))
    )
    files = sample.source.get("files", [])
    return Tested(
        _in_order(scored, order),
        tuple((file.get("sha256") or file["name"], file.get("inside")) for file in files),
        None if place is None else place[order],
    )


def _place(sample: Sample, part: int, folds: int | None) -> np.ndarray | None:
    """Return file and row of each scored event, in the order in which they are scored."""
    if sample.rows is None or sample.file is None:
        return None
    parts = [sample.part] if folds is None else [sample.of_fold(f).part for f in range(folds)]
    both = np.column_stack([in_memory(sample.file), in_memory(sample.rows)]).astype(np.int64)
    return np.concatenate([both[each == part] for each in parts])


def _in_order(scored: Scored, order: np.ndarray) -> Scored:
    def taken(column: Any) -> Any:
        return None if column is None else np.asarray(in_memory(column))[order]

    events = without_features(scored.events)
    columns = {
        name: taken(getattr(events, name)) for name in ("labels", "weights", "train_weights")
    }
    events = replace(
        events,
        **columns,
        extra={name: taken(column) for name, column in events.extra.items()},
        rows=None, file=None, part=None, sample=None,
    )  # fmt: skip
    return Scored(scored.model, events, taken(scored.beside))


def are_same(tested: Sequence[Tested]) -> bool:
    """Whether all runs are tested on the same events: rows of files, labels and weights."""
    first = tested[0]

    def like_first(other: Tested) -> bool:
        one, two = first.scored.events, other.scored.events
        if first.place is not None and other.place is not None:
            same = first.files == other.files and np.array_equal(first.place, other.place)
        else:
            same = first.place is other.place
        w, v = (np.ones(1) if e.weights is None else e.weights for e in (one, two))
        return same and np.array_equal(one.labels, two.labels) and np.array_equal(w, v)

    return all(like_first(other) for other in tested[1:])
