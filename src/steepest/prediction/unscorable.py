"""Events that a model cannot score: which they are, and what is said of the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from steepest.encoding import CategoryColumn, NumberColumn, is_missing
from steepest.errors import EventsError
from steepest.events import Expression, FeatureValues
from steepest.events.sample.checks import Faults
from steepest.events.words import listed
from steepest.groups import Groups
from steepest.trained import TrainedModel

__all__ = ["refusal", "unscorable"]


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
