"""A block of events → the rows of the file: selected, scored, beside the copied columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from steepest.encoding import CategoryColumn, NumberColumn, is_missing
from steepest.errors import EventsError
from steepest.events import Block, EventSource, Expression, FeatureReader, FeatureValues
from steepest.events.reading.features import selected
from steepest.events.sample.checks import Faults
from steepest.events.words import listed
from steepest.groups import Groups
from steepest.prediction.columns import Copied, ScoreColumns
from steepest.prediction.folds import FoldModels
from steepest.trained import TrainedModel

Locate = Callable[[int], str]

BLOCK, PART = 32 * 2**20, 256 * 2**20
"""Bytes that a block of events and a part of the file are to have, about."""
MOST_IN_BLOCK, MOST_IN_PART = 65_536, 2**20
LEAST = 1024

UNPACKED = 4
"""Lists and texts of a file take so many times the file's bytes in memory, rather less."""
TEXT = 16

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers


@dataclass(frozen=True)
class Scorer:
    """Scores the blocks of a source, which `select` chooses from.

    `missing` is "error" to refuse an event that the model cannot score, or "nan"; `nulls` says
    whether the file that is written holds missing values. With `folds`, the model of an event's
    fold scores it.
    """

    source: EventSource
    scores: ScoreColumns
    copied: Copied
    features: FeatureReader
    select: Expression | None = None
    missing: str = "error"
    nulls: bool = True
    folds: FoldModels | None = None

    @property
    def model(self) -> TrainedModel:
        """The model."""
        return self.scores.model

    @property
    def schema(self) -> pa.Schema:
        """The columns of the file."""
        return pa.schema([*self.copied.written, *self.scores.fields])

    @property
    def columns(self) -> list[str]:
        """The columns of the events that are read."""
        used = set(self.features.columns) | (self.select.columns if self.select else frozenset())
        used |= set(self.folds.columns if self.folds else ())
        used |= set(self.source.places)
        return list(dict.fromkeys([*self.copied.names, *sorted(used)]))

    @property
    def block_rows(self) -> int:
        """How many events are read at once, so that memory stays bounded."""
        return int(min(MOST_IN_BLOCK, max(LEAST, BLOCK / self._bytes_of_a_row())))

    @property
    def part_rows(self) -> int:
        """How many events are a part of the file."""
        width = self._bytes_of_a_row() + 8 * len(self.scores.fields)
        return int(min(MOST_IN_PART, max(LEAST, PART / width)))

    def _bytes_of_a_row(self) -> float:
        """About how many bytes a row of the columns that are read takes in memory.

        Of lists the files' sizes tell; columns that are not read count too: too many.
        """
        types = [self.source.schema.field(name).type for name in self.columns]
        fixed = max(sum(map(_bytes, types)), 1.0)
        if not any(map(pa.types.is_nested, types)):
            return fixed
        return max(fixed, UNPACKED * self.source.nbytes / self.source.rows)

    def score(self, block: Block) -> pa.RecordBatch:
        """Return the rows for a block of events; EventsError names an event that has none."""
        batch, rows = block.batch, np.arange(block.batch.num_rows)
        if self.select is not None:
            met = selected(self.select, batch, self._locator(block, rows))
            batch, rows = batch.filter(pa.array(met)), rows[met]
        if len(rows) == 0:
            return pa.RecordBatch.from_pylist([], self.schema)
        locate = self._locator(block, rows)
        values = self.features.read(batch, locate)
        if self.folds is None:
            predictions = self._predictions(self.model, values, batch, locate)
        else:
            file = self.source.files[block.file]
            folds = self.folds.numbers(batch, file, block.first_row + rows)
            predictions = self._by_folds(self.folds, folds, values, batch, locate)
        if self.copied.places:
            files = pa.array(np.full(len(rows), block.file, dtype=np.int32))
            places = [batch.column(name) for name in self.copied.in_event]
            beside = [files, *(places or [pa.array(rows + block.first_row)])]
        else:
            beside = [self._copy(batch.column(f.name), f, locate) for f in self.copied.fields]
        arrays = [*beside, *self.scores.values(predictions)]
        return pa.record_batch(arrays, schema=self.schema)

    def _locator(self, block: Block, rows: np.ndarray) -> Locate:
        where = self.source.files[block.file]
        return lambda index: f"in {where} at row {block.first_row + int(rows[index])}"

    def _by_folds(
        self,
        models: FoldModels,
        folds: np.ndarray,
        values: FeatureValues,
        batch: pa.RecordBatch,
        locate: Locate,
    ) -> np.ndarray:
        """Score the events of each fold by its model."""
        order, scored = [], []
        for fold in np.unique(folds).tolist():
            own = np.flatnonzero(folds == fold)
            model = models.of_fold(fold, locate(int(own[0])))
            given = FeatureValues(values.values[own], values.categories), batch.take(pa.array(own))
            order.append(own)
            scored.append(self._predictions(model, *given, lambda i, own=own: locate(int(own[i]))))
        return np.concatenate(scored)[np.argsort(np.concatenate(order))]

    def _predictions(
        self, model: TrainedModel, values: FeatureValues, batch: pa.RecordBatch, locate: Locate
    ) -> np.ndarray:
        bad = unscorable(model, values)
        if not bad.any():
            return self._scored(model, values, locate)
        if self.missing == "error":
            raise refusal(model, self.features.expressions, values, bad, batch, locate)
        good = np.flatnonzero(~bad.any(axis=1))
        rest = FeatureValues(values.values[good], values.categories)
        scored = self._scored(model, rest, lambda index: locate(int(good[index])))
        predictions = np.full((len(bad), *scored.shape[1:]), np.nan)
        predictions[good] = scored
        return predictions

    def _scored(self, model: TrainedModel, values: FeatureValues, locate: Locate) -> np.ndarray:
        inputs = values.values
        if model.encoding is not None:
            inputs = model.encoding.transform(inputs, categories=values.categories, locate=locate)
        predictions = _predicted(model, inputs)
        finite = np.isfinite(predictions.reshape(len(inputs), -1)).all(axis=1)
        if self.missing == "error" and not finite.all():
            first = int(np.argmin(finite))
            found = f"{predictions[first]}"
            if isinstance(inputs, np.ndarray):
                named = zip(model.names, values.values[first], strict=True)
                name, value = max(named, key=lambda pair: abs(pair[1]))
                found += f", with {name} = {value:g}"
            raise EventsError(
                f"The score is not finite {locate(first)}.",
                expected="a finite score",
                found=found,
                cause="values far beyond those of the training, or in other units",
                do="check that event; --missing nan scores such events NaN",
            )
        return predictions

    def _copy(self, column: pa.Array, field: pa.Field, locate: Locate) -> pa.Array:
        """Return a column as the file has it."""
        if not self.nulls:
            column = self._without_nulls(column, field, locate)
        return column if column.type == field.type else column.cast(field.type)

    def _without_nulls(self, column: pa.Array, field: pa.Field, locate: Locate) -> pa.Array:
        """Return floats with NaN for null; refuse what else is null."""
        if column.null_count and pa.types.is_floating(field.type):
            return column.fill_null(np.nan)
        inner = column.flatten() if pa.types.is_list(field.type) else None
        if column.null_count == 0 and (inner is None or inner.null_count == 0):
            return column
        null = column.is_null().to_numpy(zero_copy_only=False)
        if not null.any() and inner is not None:
            parents = pc.list_parent_indices(column).to_numpy()
            null[parents[inner.is_null().to_numpy(zero_copy_only=False)]] = True
        raise EventsError(
            f"The column {field.name!r} is null {locate(int(np.argmax(null)))}.",
            expected="a value for each event, since the format has none that is missing",
            found="null",
            do="leave it out with --columns, or write Parquet",
        )


def _predicted(model: TrainedModel, inputs: Any) -> np.ndarray:
    """Return predictions, NaN for events with a number that overflows as it is scaled."""
    try:
        return model.predict_beside(inputs)
    except EventsError:  # so rare that each event may be looked at
        fits = np.array([_fits(model, inputs[i : i + 1]) for i in range(len(inputs))])
    predictions = model.predict_beside(inputs[fits])
    whole = np.full((len(inputs), *predictions.shape[1:]), np.nan)
    whole[fits] = predictions
    return whole


def _fits(model: TrainedModel, event: Any) -> bool:
    try:
        model.scaled(event)
    except EventsError:
        return False
    return True


def _bytes(arrow: pa.DataType) -> float:
    try:
        return arrow.bit_width / 8
    except ValueError:  # of lists and texts
        return TEXT


def unscorable(model: TrainedModel, values: FeatureValues) -> np.ndarray:
    """Return where a value is none that the model takes, ``(events, features)``.

    These are infinity; null, NaN and what the recipe declares as missing, if the model was trained
    without a fill; and categories that training had not, unless the recipe says otherwise.
    """
    if isinstance(values.values, Groups):  # whose numbers have been looked at as they were read
        return np.zeros((len(values.values), 1), dtype=bool)
    bad = np.zeros(values.values.shape, dtype=bool)
    columns = _columns(model)
    if all(column.is_plain for column in columns) and np.isfinite(values.values).all():
        return bad
    for i, column in enumerate(columns):
        given = values.values[:, i]
        if isinstance(column, CategoryColumn):
            bad[:, i] = _unknown(column, given, values.categories[column.name])
        else:
            absent = is_missing(given, column.missing) if column.fill is None else False
            bad[:, i] = np.isinf(given) | absent
    return bad


def refusal(
    model: TrainedModel,
    expressions: Sequence[Expression],
    values: FeatureValues,
    bad: np.ndarray,
    batch: pa.RecordBatch,
    locate: Callable[[int], str],
) -> EventsError:
    """Return the error for the first event of a batch for which `unscorable` gave `bad`."""
    row = int(np.argmax(bad.any(axis=1)))
    i = int(np.argmax(bad[row]))
    column, value = _columns(model)[i], values.values[row, i]
    text = _text(column, value, values)
    if isinstance(column, CategoryColumn) and text is not None and text != column.missing:
        what, found = "a category that training had not", repr(text)
        expected = f"one of {listed(map(repr, column.categories), 12)}"
        cause = "events of another kind than those of the training"
    else:
        what = "no finite value" if np.isinf(value) else "no value"
        expected = "text" if isinstance(column, CategoryColumn) else "a finite number"
        expected += " for each event, as in training"
        null = any(not batch.column(c)[row].is_valid for c in expressions[i].columns)
        found = "null" if null else _shown(value) if text is None else repr(text)
        cause = _cause(expressions[i], value, null)
    fill = "" if np.isinf(value) else "; or train with a fill for the feature"
    return EventsError(
        f"The feature {column.name!r} has {what} {locate(row)}.",
        expected=expected,
        found=found,
        cause=cause,
        do=f"--missing nan gives such events the score NaN{fill}",
    )


def _cause(expression: Expression, value: float, null: bool) -> str:
    """Return the likely cause of a value that is missing or infinite."""
    if np.isfinite(value):
        return "a value that the recipe declares as missing"
    plain = expression.column is not None
    return Faults(
        "",
        expression,
        nulls=int(null or (np.isnan(value) and not plain)),
        nans=int(np.isnan(value)),
        infinite=int(np.isinf(value)),
    ).cause()


def _shown(value: float) -> str:
    return "NaN" if np.isnan(value) else f"{value:g}"


def _columns(model: TrainedModel) -> tuple[NumberColumn | CategoryColumn, ...]:
    """Return how each feature is encoded."""
    if model.encoding is not None:
        return model.encoding.columns
    return tuple(NumberColumn(name) for name in model.names)


def _text(column: NumberColumn | CategoryColumn, value: float, values: FeatureValues) -> str | None:
    """Return the text that a value stands for; None for a number or where there is none."""
    known = values.categories.get(column.name)
    return None if known is None or np.isnan(value) else known[int(value)]


def _unknown(column: CategoryColumn, codes: np.ndarray, texts: list[str]) -> np.ndarray:
    """Return where a text is missing without a fill, or in no category of the training."""
    filled = column.fill is not None
    anything = column.unseen == "zeros"
    taken = [
        filled if text == column.missing else anything or text in column.categories
        for text in texts
    ]
    table = np.array([*taken, filled])  # the last is for null
    return ~table[np.where(np.isnan(codes), len(texts), codes).astype(np.int64)]
