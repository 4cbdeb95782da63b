"""Evaluate a plan on blocks of events: what is selected, its numbers, and its parts.

A feature that is a column of numbers is taken as the file has it; what is derived, text or null in
places goes through Polars. Columns whose types are all exact in float32 stay float32 until all
events are there: half of what would be copied and written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.events.expressions.expression import Expression, frame
from steepest.events.expressions.lists import in_pieces, refuse_mismatch
from steepest.events.expressions.types import Typed
from steepest.events.formats.contract import Block
from steepest.events.reading.particles import ParticleColumns
from steepest.events.reading.plan import Plan
from steepest.events.sample.checks import Faults, Repeats
from steepest.events.sample.labels import LabelCounts
from steepest.events.sample.split import TEST, assign_parts, content_keys, event_keys, row_keys
from steepest.events.source import EventSource
from steepest.groups import PARTICLES, Jagged
from steepest.ranks import Ranks
from steepest.recipe import SplitRecipe

LENGTHS = "lengths"
"""The column with the number of each event's particles."""
ROWS_AT_ONCE = 4096
"""That `matrix` writes of each column, so that what it writes stays in the cache."""


MOST_HASHED = 4
"""Features by which events that may be there twice are found; then all are compared."""


@dataclass(frozen=True)
class Evaluated:
    """What is kept of a block, by name; nothing if nothing is selected from it.

    `rows_read` counts the rows of all blocks so far. `keys` are hashes of some features, if events
    that are there twice are to be looked for.
    """

    columns: dict[str, np.ndarray]
    part: np.ndarray
    rows_read: int
    keys: np.ndarray | None = None


@dataclass
class Seen:
    """What has been seen of all samples: the labels' values, copies of files, texts of features.

    `codes` has, of each feature that is text, the numbers that stand for its texts, in the order of
    their first events.
    """

    files: int
    labels: LabelCounts = field(default_factory=LabelCounts)
    repeats: Repeats = field(default_factory=Repeats)
    codes: dict[int, dict[str, int]] = field(default_factory=dict)

    def over_ranks(self, ranks: Ranks) -> None:
        """Know what all ranks have seen."""
        if ranks.size == 1:
            return
        self.labels.over_ranks(ranks)
        self.repeats.over_ranks(ranks)
        for codes in ranks.gather({feature: list(known) for feature, known in self.codes.items()}):
            for feature, texts in codes.items():
                known = self.codes.setdefault(feature, {})
                for text in texts:
                    known.setdefault(text, len(known))


class Evaluation:
    """Evaluates a plan block by block, and counts what is no finite number.

    Without `keeps_features` the features are only checked. `seen` is what has been seen of other
    samples, and is added to; `first_file` counts their files. `weighted` says whether the events of
    any sample have weights. `undecided` counts the rows for which the selection has no answer.
    """

    def __init__(
        self,
        source: EventSource,
        plan: Plan,
        split: SplitRecipe | None,
        keeps_features: bool,
        seen: Seen,
        first_file: int = 0,
        weighted: bool = False,
    ) -> None:
        self._source, self._plan, self._split = source, plan, split
        self._keeps_features, self._seen, self._first_file = keeps_features, seen, first_file
        self._weighted = weighted or plan.weighted

        def typed(expression: Expression) -> Typed:
            return expression.scalar(source.schema_for(expression.columns))

        self._select = typed(plan.select) if plan.select is not None else None
        self.label = typed(plan.label)
        features = [typed(feature) for feature in plan.features]
        self._texts = {i for i, found in enumerate(features) if found.words == "text"}
        for i in self._texts:
            seen.codes.setdefault(i, {})
        self._typed = [*features, self.label]
        exprs = [found.expr if i in self._texts else found.real for i, found in enumerate(features)]
        exprs.append(self.label.real if self.label.dtype == pl.Int128 else self.label.expr)
        if plan.weight is not None:
            self._typed.append(typed(plan.weight))
            exprs.append(self._typed[-1].real)
        exprs += [typed(expression).real for expression in plan.extra]
        self._exprs = [expr.alias(str(i)) for i, expr in enumerate(exprs)]
        weights = [] if plan.weight is None else [plan.weight]
        columns = [e.column for e in (*plan.features, plan.label, *weights, *plan.extra)]
        self._plain = {i: name for i, name in enumerate(columns) if name is not None}
        self._dtype = narrow_type(plan.features, source.schema)
        self._declared = any(table.missing is not None for table in plan.tables.values())
        self._faults = self._feature_faults()
        rest = [Faults(f"The label {plan.label.text!r}", plan.label, self.label.words)]
        if plan.weight is not None:
            rest.append(Faults("The weight", plan.weight))
        self._rest_faults = rest + [Faults(extra.role, extra) for extra in plan.extra]
        self.rows_read = self.selected = self.undecided = self.cut = self.empty = 0

    def _feature_faults(self) -> list[Faults]:
        plan = self._plan
        words = ["text" if i in self._texts else "a number" for i in range(len(plan.features))]
        return [
            Faults(feature.role, feature, words[i], plan.tables.get(plan.names[i]))
            for i, feature in enumerate(plan.features)
        ]

    def over(self, blocks: Iterator[Block]) -> Iterator[Evaluated]:
        """Yield what is kept of each block."""
        texts = [expression.text for expression in self._plan.expressions]
        for block in blocks:
            for rows in in_pieces(frame(block.batch), texts):
                batch = block.batch.slice(rows.start, rows.stop - rows.start)
                yield self.of(replace(block, batch=batch, first_row=block.first_row + rows.start))

    def of(self, block: Block) -> Evaluated:
        """Select from a block, and evaluate it."""
        table = frame(block.batch)
        self.rows_read += table.height
        rows = np.arange(block.first_row, block.first_row + table.height)
        if self._select is not None:
            kept = Expression.series(table, self._select)
            refuse_mismatch(self._select.mismatches, self._locator(block.file, rows))
            self.undecided += kept.null_count()
            kept = kept.fill_null(False)
            table, rows = table.filter(kept), rows[kept.to_numpy()]
        if len(rows) == 0:
            return Evaluated({}, np.empty(0, np.int8), self.rows_read)
        self.selected += len(rows)
        columns, keys = self._columns(table, rows, block.file)
        part = self._parts(table, rows, block.file)
        return Evaluated(columns, part, self.rows_read, keys)

    def over_ranks(self, ranks: Ranks) -> None:
        """Count what all ranks have read."""
        for faults in (*self._faults, *self._rest_faults):
            faults.over_ranks(ranks)
        own = self.rows_read, self.selected, self.undecided, self.cut, self.empty
        counts = ranks.sum(np.array(own)).tolist()
        self.rows_read, self.selected, self.undecided, self.cut, self.empty = counts

    def refuse_faults(self) -> None:
        """Raise EventsError if a value was null, NaN or infinite that must not be."""
        select = self._plan.select.text if self._plan.select is not None else None
        for faults in (*self._faults, *self._rest_faults):
            faults.refuse(self.selected, select)

    def _columns(
        self, table: pl.DataFrame, rows: np.ndarray, file: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        plain = {i: name for i, name in self._plain.items() if _is_plain(table[name])}
        others = [i for i in range(len(self._exprs)) if i not in plain]
        # with_columns, not select: it also spreads a constant over the rows.
        evaluated = table.with_columns([self._exprs[i] for i in others]) if others else table
        for typed in self._typed:
            refuse_mismatch(typed.mismatches, self._locator(file, rows))
        values = [
            table[plain[i]] if i in plain else evaluated[str(i)] for i in range(len(self._exprs))
        ]
        count = len(self._plan.features)
        features = [self._numbers(values[i], i) for i in range(count)]
        self._inspect(values, features, file, rows)
        carried = [series.to_numpy() for series in values[len(values) - len(self._plan.extra) :]]
        columns = {
            "labels": self._seen.labels.add(values[count]),
            "extra": np.array(carried, np.float64).reshape(-1, len(rows)).T,
            "rows": rows,
            "file": np.full(len(rows), self._first_file + file, dtype=np.int32),
        }
        if self._weighted:
            given = self._plan.weight is not None
            weights = values[count + 1].to_numpy() if given else np.ones(len(rows))
            columns["weights"] = weights if self._plan.scale == 1.0 else weights * self._plan.scale
        many = self._seen.files > 1
        if features and (self._keeps_features or many):
            columns["features"] = matrix(features, self._dtype)
        if self._plan.particles is not None:
            columns |= self._particles(self._plan.particles, table, self._locator(file, rows))
        if many:
            told = [columns[n] for n in ("features", "labels", "extra", "weights") if n in columns]
            if LENGTHS in columns:
                particles = Jagged.of_lengths(columns[PARTICLES], columns[LENGTHS])
                told += [particles.lengths, particles.sums()]
            self._seen.repeats.add(self._first_file + file, np.column_stack(told))
        if not self._keeps_features:
            columns.pop("features", None)
        keys = None
        if self._split is not None and self._plan.by is None and self._plan.event_row is None:
            real = [values for values in features if values.dtype.kind == "f"]
            some = real[:: max(len(real) // MOST_HASHED, 1)][:MOST_HASHED]
            keys = content_keys(np.column_stack(some)) if some else None
        return columns, keys

    def _particles(
        self, particles: ParticleColumns, table: pl.DataFrame, locate: Callable[[int], str]
    ) -> dict[str, np.ndarray]:
        """Return the groups of particles, and how many particles each event has."""
        found = particles.groups(table, self._source.schema, locate)
        self.cut, self.empty = self.cut + found.cut, self.empty + found.empty
        columns = {name: np.asarray(member.values) for name, member in found.groups.items()}
        return {**columns, LENGTHS: found.groups[PARTICLES].lengths}

    def _numbers(self, values: pl.Series, feature: int) -> np.ndarray:
        """Return a feature as numbers, of text its codes in the order of their first events."""
        is_text = feature in self._texts
        return (codes_of(values, self._seen.codes[feature]) if is_text else values).to_numpy()

    def _locator(self, file: int, rows: np.ndarray) -> Callable[[int], str]:
        """Return what says where a row of a data frame lies."""
        return lambda index: f"in {self._source.files[file]} at row {rows[index]}"

    def _inspect(
        self,
        values: Sequence[pl.Series],
        features: Sequence[np.ndarray],
        file: int,
        rows: np.ndarray,
    ) -> None:
        """Count values that are null, NaN or infinite."""
        name = self._source.files[file]
        if self._declared or not all(map(_all_finite, features)):
            for i, faults in enumerate(self._faults):
                is_text = i in self._texts
                raw = values[i].to_numpy() if is_text else features[i].astype(np.float64)
                faults.count(raw, values[i].is_null().to_numpy(), name, rows)
        for i, faults in enumerate(self._rest_faults, start=len(self._faults)):
            column = values[i]
            if column.dtype.is_float() or column.null_count():
                null = column.is_null().to_numpy()
                numbers = column.to_numpy() if column.dtype.is_float() else np.zeros(len(rows))
                faults.count(numbers, null, name, rows)

    def _parts(self, table: pl.DataFrame, rows: np.ndarray, file: int) -> np.ndarray:
        """Return the part of each row."""
        if self._split is None:
            return np.full(len(rows), TEST, dtype=np.int8)
        name = self._source.files[file]
        if self._plan.by is None:
            if self._plan.event_row is not None:
                rows = table[self._plan.event_row].to_numpy()
            return assign_parts(row_keys(Path(name).name, rows), self._split)
        role = f"The split's column {self._plan.by!r}"
        keys = event_keys(table[self._plan.by].to_arrow(), role, name, rows)
        return assign_parts(keys, self._split)


def narrow_type(expressions: Sequence[Expression], schema: pa.Schema) -> type[np.floating]:
    """Return float32 where that holds the values of all the expressions exactly, else float64.

    Examples
    --------
    >>> from steepest.events.expressions.expression import parse
    >>> schema = pa.schema({"pt": pa.float32(), "charge": pa.int8(), "number": pa.int64()})
    >>> narrow_type([parse("pt"), parse("charge")], schema).__name__
    'float32'
    >>> narrow_type([parse("pt"), parse("number")], schema).__name__
    'float64'
    >>> narrow_type([parse("pt / 3")], schema).__name__
    'float64'
    """
    exact = all(
        expression.column is not None and _is_narrow(schema.field(expression.column).type)
        for expression in expressions
    )
    return np.float32 if exact else np.float64


def _is_narrow(arrow: pa.DataType) -> bool:
    types = pa.types
    if types.is_boolean(arrow) or types.is_float16(arrow) or types.is_float32(arrow):
        return True
    return types.is_integer(arrow) and arrow.bit_width <= 16


def _is_plain(series: pl.Series) -> bool:
    """Whether NumPy has the numbers as they are."""
    dtype = series.dtype
    is_plain = (
        dtype.is_float() or dtype == pl.Boolean or (dtype.is_integer() and dtype != pl.Int128)
    )
    return is_plain and not series.null_count()


def _all_finite(values: np.ndarray) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def codes_of(values: pl.Series, known: dict[str, int]) -> pl.Series:
    """Return text as float64 numbers, which `known` has for each text and is extended by."""
    distinct = values.drop_nulls().unique(maintain_order=True).to_list()
    for text in distinct:
        known.setdefault(text, len(known))
    codes = [float(known[text]) for text in distinct]
    return values.replace_strict(distinct, codes, default=None, return_dtype=pl.Float64)


def matrix(columns: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    """Return columns of numbers side by side: ``(rows, columns)``, C order."""
    rows = np.empty((len(columns[0]), len(columns)), dtype)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        np.stack([c[piece] for c in columns], axis=1, out=rows[piece], casting="unsafe")
    return rows
