"""The columns of scores: their names, what they mean, and their values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.trained import TrainedModel

__all__ = ["ScoreColumns"]


@dataclass(frozen=True)
class ScoreColumns:
    """What a model says of an event.

    ==========  ==========================================================================
    task        columns
    ==========  ==========================================================================
    binary      ``score``: the probability of the second class (label 1, or true)
    multiclass  ``score_CLASS`` of each class, and ``predicted``: the most probable class
    regression  ``prediction``: the value
    ==========  ==========================================================================

    Parameters
    ----------
    model
        The model.
    prefix
        Put before each name.
    """

    model: TrainedModel
    prefix: str = ""

    @property
    def fields(self) -> list[pa.Field]:
        """Names and types, in order."""
        kind = {self._predicted: pa.string()}
        return [pa.field(name, kind.get(name, pa.float64())) for name in self.meanings]

    @property
    def meanings(self) -> dict[str, str]:
        """What each column says, in words."""
        label, classes = self.model.label, self.model.classes
        if self.model.task == "regression":
            return {f"{self.prefix}prediction": f"prediction of {label}"}
        if self.model.task == "binary":
            return {f"{self.prefix}score": f"probability that {label} is {classes[1]}"}
        scores = {
            f"{self.prefix}score_{name}": f"probability that {label} is {name}" for name in classes
        }
        return {**scores, self._predicted: f"the most probable value of {label}"}

    def values(self, predictions: np.ndarray) -> list[pa.Array]:
        """Return the columns for ``(events,)`` or ``(events, K)`` predictions; NaN is no score."""
        if self.model.task != "multiclass":
            return [pa.array(predictions)]
        scored = np.isfinite(predictions).all(axis=1)
        best = np.where(scored, np.nan_to_num(predictions).argmax(axis=1), len(self.model.classes))
        names = pa.array([*self.model.classes, ""]).take(pa.array(best))
        return [*(pa.array(np.ascontiguousarray(column)) for column in predictions.T), names]

    def refuse_taken(self, names: Iterable[str]) -> None:
        """Raise EventsError if one of the names is that of a column of scores."""
        for name in names:
            if name in self.meanings:
                raise EventsError(
                    f"The events have a column {name!r} already, as the scores would.",
                    expected=f"no column {', '.join(map(repr, self.meanings))} among the copied",
                    cause="scores of another model lie beside these events",
                    do="give the new columns a --prefix, such as --prefix new_, or leave the old "
                    "one out with --columns",
                )

    @property
    def _predicted(self) -> str:
        return f"{self.prefix}predicted"
