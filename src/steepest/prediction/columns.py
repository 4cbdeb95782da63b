"""The columns of the file: those of the events that are copied, and the scores beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import EventSource
from steepest.prediction.writers import PARQUET, Writer, plain
from steepest.trained import TrainedModel

ALL, NONE = "all", "none"


@dataclass(frozen=True)
class Copied:
    """The columns that are copied, and those that are left out, each with the reason.

    With `places` the file (its number, from 0) and the row (from 0) of each event are written
    instead; where each row is an element of an event's list, the columns `in_event` in place of the
    row.
    """

    fields: tuple[pa.Field, ...]
    left_out: dict[str, str]
    places: bool = False
    in_event: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [field.name for field in self.fields]

    @property
    def written(self) -> list[pa.Field]:
        """The columns as they are in the file."""
        if self.in_event:
            return [pa.field("file", pa.int32()), *(pa.field(n, pa.int64()) for n in self.in_event)]
        if self.places:
            return [pa.field("file", pa.int32()), pa.field("row", pa.int64())]
        return list(self.fields)


def copied_columns(source: EventSource, wanted: str | Sequence[str], writer: Writer) -> Copied:
    """Return what is copied: all columns that the format can hold, none, or those of names.

    Raises
    ------
    EventsError
        A column that is named is not there, named twice, or cannot be written in the format.
    """
    if wanted == NONE:
        return Copied((), {}, places=True, in_event=tuple(source.places))
    if wanted == ALL:
        names = [name for name in source.schema.names if name not in source.repeated]
        refusals = {name: writer.refusal(name, source.schema.field(name).type) for name in names
                    if names.count(name) == 1}  # fmt: skip
        left_out = {name: why for name, why in refusals.items() if why is not None}
        return Copied(_fields(source, [n for n in names if n not in left_out], writer), left_out)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in source.schema.names:
            raise source.missing(name, " (to be copied)")
        if names.count(name) > 1:
            raise EventsError(
                f"The column {name!r} is named twice.",
                expected="each column once",
                do="remove it from --columns",
            )
        why = writer.refusal(name, source.schema.field(name).type)
        if why is not None:
            raise EventsError(
                f"The column {name!r} of {source.files[0]} cannot be written as {writer.name}.",
                expected="a column that the format can hold",
                found=why,
                do="leave it out of --columns, or write Parquet",
            )
    return Copied(_fields(source, names, writer), {})


def _fields(source: EventSource, names: list[str], writer: Writer) -> tuple[pa.Field, ...]:
    """Return the columns, as Arrow has them where the format holds all of that, else plain."""
    source.require(names)
    fields = [source.schema.field(name) for name in names]
    if writer is PARQUET:
        return tuple(fields)
    return tuple(pa.field(field.name, plain(field.type)) for field in fields)


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

    And ``prediction_HEAD`` of each auxiliary head.
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
        heads = {
            f"{self.prefix}prediction_{head.name}": f"prediction of {head.value}"
            for head in self.model.heads
        }
        return {**self._of_label, **heads}

    @property
    def _of_label(self) -> dict[str, str]:
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
        """Return the columns of what `TrainedModel.predict_beside` gave; NaN is no score."""
        if count := len(self.model.heads):
            predictions, heads = predictions[:, :-count], predictions[:, -count:]
            predictions = predictions if self.model.task == "multiclass" else predictions[:, 0]
            beside = [pa.array(np.ascontiguousarray(column)) for column in heads.T]
            return [*self._values(predictions), *beside]
        return self._values(predictions)

    def _values(self, predictions: np.ndarray) -> list[pa.Array]:
        if self.model.task != "multiclass":
            return [pa.array(np.ascontiguousarray(predictions))]
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
