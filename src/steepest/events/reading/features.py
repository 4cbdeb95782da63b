"""Features alone, block by block: for a model that is applied, without label, weight or split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.expression import Expression, frame, parse
from steepest.events.expressions.lists import in_pieces, refuse_mismatch
from steepest.events.expressions.types import Typed
from steepest.events.formats.contract import RowFilter
from steepest.events.reading.evaluation import codes_of
from steepest.events.reading.particles import particle_columns
from steepest.events.reading.plan import feature_expressions
from steepest.events.source import EventSource
from steepest.groups import FEATURES, Groups
from steepest.recipe import Derived, ParticlesRecipe


@dataclass(frozen=True)
class FeatureValues:
    """The features of the events of one block.

    Attributes
    ----------
    values : numpy.ndarray or Groups
        ``(events, features)`` float64, C order; NaN for null; of text the index into its
        categories. With particles the groups that the model reads.
    categories : dict[str, list[str]]
        The distinct texts in this block of each feature that is text.
    """

    values: Any
    categories: dict[str, list[str]]


class FeatureReader:
    """Evaluates features over blocks of events.

    Parameters
    ----------
    features
        As a recipe has them: names of columns, or derived.
    texts
        The names of the features that are text; the others are numbers or booleans.
    source
        The events; only the schema is looked at.
    particles
        Where the momenta of the particles are, for a model that reads them.
    groups
        The groups that it reads; the features, if any, are one of them.

    Attributes
    ----------
    expressions : list[Expression]
        One for each feature.
    columns : list[str]
        The columns that they need, in alphabetical order.

    Raises
    ------
    EventsError
        A column is missing, or holds text where the model takes numbers.
    """

    def __init__(
        self,
        features: Sequence[str | Derived],
        texts: Sequence[str],
        source: EventSource,
        particles: ParticlesRecipe | None = None,
        groups: Sequence[str] = (),
    ) -> None:
        self._source, self._groups = source, groups
        self._particles = None if particles is None else particle_columns(particles, source)
        self.names = [f if isinstance(f, str) else f.name for f in features]
        self._texts = [i for i, name in enumerate(self.names) if name in texts]
        self.expressions: list[Expression] = []
        self._typed: list[Typed] = []
        for i, expression in enumerate(feature_expressions(features, source)):
            self.expressions.append(expression)
            self._typed.append(expression.scalar(source.schema))
            if (self._typed[i].words == "text") != (i in self._texts):
                raise self._other_type(i, self._typed[i].words)
        needed = set().union(*(expression.columns for expression in self.expressions))
        needed |= self._particles.columns if self._particles is not None else set()
        self.columns = sorted(needed) or source.schema.names[:1]  # constants have rows too
        self._exprs = [
            (typed.expr if i in self._texts else typed.real).alias(str(i))
            for i, typed in enumerate(self._typed)
        ]

    def read(self, batch: pa.RecordBatch, locate: Callable[[int], str]) -> FeatureValues:
        """Return the features of a batch of events, which has the columns that they need.

        Raises
        ------
        EventsError
            Lists that are combined differ in length; `locate` says where a row lies.
        """
        table = frame(batch.select(self.columns))
        # with_columns, not select: it also spreads a constant over the rows.
        pieces, texts = [], [expression.text for expression in self.expressions]
        for rows in in_pieces(table, texts):
            piece = table[rows].with_columns(self._exprs)
            pieces.append(piece.select([str(i) for i in range(len(self._exprs))]))
            for typed in self._typed:
                refuse_mismatch(typed.mismatches, lambda row, by=rows.start: locate(by + row))
        values = pl.concat(pieces)
        categories, coded = {}, []
        for i in self._texts:
            known: dict[str, int] = {}
            coded.append(codes_of(values[str(i)], known))
            categories[self.names[i]] = list(known)
        numbers = values.with_columns(coded).to_numpy(order="c")
        numbers = np.ascontiguousarray(numbers, dtype=np.float64)
        if self._particles is None:
            return FeatureValues(numbers, categories)
        found = self._particles.groups(table, self._source.schema, locate)
        members = {FEATURES: numbers, **found.groups}
        return FeatureValues(Groups({name: members[name] for name in self._groups}), categories)

    def _other_type(self, index: int, words: str) -> EventsError:
        expected = "text" if index in self._texts else "a number"
        return EventsError(
            f"The feature {self.names[index]!r} is {words} in {self._source.files[0]}, but the "
            f"model takes {expected}.",
            expected=f"{expected}, as in training",
            found=f"{self.expressions[index].text} is {words}",
            cause="events of another version, or another column of the same name",
            do="give events that were made as those of the training",
        )


def condition(text: str, source: EventSource, role: str) -> Expression:
    """Return a parsed condition, checked against the events' schema.

    Raises
    ------
    EventsError, RecipeError
        It cannot be read, a column is missing, or it is no condition.
    """
    expression = parse(text, role, source.schema.names)
    words = expression.scalar(source.schema).words
    if words != "a condition":
        raise EventsError(
            f"{role} is {words}, not a condition.",
            expected="a condition for each event",
            found=text,
            do="compare it, as in x > 0",
        )
    return expression


def selected(
    expression: Expression, batch: pa.RecordBatch, locate: Callable[[int], str]
) -> np.ndarray:
    """Return ``(events,)`` whether each event of a batch meets a condition; null does not.

    Raises
    ------
    EventsError
        Lists that are combined differ in length; `locate` says where a row lies.
    """
    typed = expression.scalar(batch.schema)
    used = sorted(expression.columns) or batch.schema.names[:1]  # a constant takes any one's rows
    met = Expression.series(frame(batch.select(used)), typed)
    refuse_mismatch(typed.mismatches, locate)
    return met.fill_null(False).to_numpy()


def row_filter_of(select: Expression | None, schema: pa.Schema) -> RowFilter | None:
    """Return what tells where events pass a selection; None where there is nothing to tell.

    Examples
    --------
    >>> from steepest.events.expressions.expression import parse
    >>> batch = pa.record_batch({"pt": [500.0, 600.0]})
    >>> row_filter_of(parse("pt > 550"), batch.schema).passes(batch)
    True
    """
    if select is None or not select.columns:
        return None
    typed = select.scalar(schema)  # of its own: it is used while other blocks are evaluated

    def passes(batch: pa.RecordBatch) -> bool:
        kept = Expression.series(frame(batch), typed)
        # Lists that do not fit are refused by who evaluates the block, who knows its file.
        return bool(typed.mismatches) or kept.any()

    return RowFilter(tuple(sorted(select.columns)), passes)
