"""What looks wrong in the features, before training: markers of missing values, and leaks.

A value is taken as a marker if many events have exactly it, and the others lie far from it: farther
than they are spread, or all on one side of a number of nines or of 1e10 and more.

A feature is taken as a leak if it alone tells the classes apart where no other does, by

* the AUC of the feature itself, above 0.99 where that of the others is below 0.95, or
* few distinct values, each of which has events of one class;

for regression if its rank correlation with the label is above 0.9999 where that of the others is
below 0.99; and if it ranks events as their weights do. Looked at are up to 20,000 training events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from steepest.encoding import is_missing, words_among_numbers
from steepest.events import TRAIN, Sample
from steepest.events.words import counted, listed
from steepest.groups import Groups
from steepest.notation import number_text
from steepest.scaling.blocks import Outlier
from steepest.storage import blocks

Array = np.ndarray
MOST, FEWEST = 20_000, 100
"""Training events that are looked at, and that must be there for a statement."""
MOST_NUMBERS = 2_000_000
LEAST_COUNT, LEAST_SHARE = 10, 5e-4
"""Events with a marker: at least so many, and this share of those that are looked at."""
LEAST_DISTINCT = 10
"""Other values that a feature with a marker has: fewer are codes."""
MARKER = re.compile(r"-?9{2,}(\.0*|\.9+)?|-?[0-9.]+e\+[0-9]{2,3}")
LEAK, OTHERS = 0.99, 0.95
MONOTONE, OTHERS_MONOTONE = 0.9999, 0.99
CODES = 50
EACH = 20
"""Events of each class that a statement about leaks needs."""


def data_notes(sample: Sample) -> list[str]:
    """Return sentences about the features of the training part, each with its numbers.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> x[::10, 1] = -999
    >>> sample = Sample(x, x[:, 0] > 0, part=np.zeros(1000, np.int8), names=("pt", "tag"))
    >>> print(data_notes(sample)[0][:67])
    −999 looks like a marker of missing values: tag (100 of 1000 events
    """
    if isinstance(sample.features, Groups) or len(sample.names) == 0:
        return []
    inside = sample.of(TRAIN) if sample.part is not None else sample
    some = inside.thinned(max(min(MOST, MOST_NUMBERS // len(sample.names)), FEWEST))
    columns = {
        name: some.features[:, i].astype(np.float64)
        for i, name in enumerate(sample.names)
        if name not in sample.categories
    }
    notes = [*_texts(sample), *_markers(sample, columns)]
    if len(some) >= FEWEST:
        labels = np.asarray(some.labels, dtype=np.float64)
        codes = {n: some.features[:, sample.names.index(n)] for n in sample.categories}
        notes += _leaks(sample, columns, codes, labels)
        if some.weights is not None:
            notes += _weights(columns, np.abs(some.weights))
    return notes


def outlier_note(outlier: Outlier, scaling: str, where: str) -> str:
    """Say which values of a feature the scaling was not fitted on, and what became of them.

    Examples
    --------
    >>> one = Outlier(feature="pt", low=-20.0, high=50.0, count=1, value=1e5, row=7)
    >>> print(outlier_note(one, "standard", "in jets.csv at row 7")[:65])
    The feature pt has a value outside −20 to 50: 100000 in jets.csv
    """
    low, high, value = (number_text(x) for x in (outlier.low, outlier.high, outlier.value))
    one = outlier.count == 1
    found = "a value" if one else f"{outlier.count:,} values"
    farthest = f": {value}" if one else f", the farthest {value}"
    if scaling == "asinh":
        done = "it is scaled by its median and quantiles, and logarithmically far from them"
    else:
        done = "it is scaled by the mean and standard deviation of the other events"
    return (
        f"The feature {outlier.feature} has {found} outside {low} to {high}{farthest} {where}. "
        f"{'It' if one else 'They'} would decide the feature's standard deviation: {done}. "
        f"{'The event stays' if one else 'These events stay'} in the training; "
        f"exclude {'it' if one else 'them'} with events.select if the value is not real."
    )


# --- markers ------------------------------------------------------------------------------------


def _markers(sample: Sample, columns: Mapping[str, Array]) -> Iterator[str]:
    """Say which values mark what is missing, as it seems."""
    found: dict[float, list[str]] = {}
    for name, column in columns.items():
        table = sample.tables.get(name)
        declared = table.missing if table is not None else None
        values = column[np.isfinite(column)]
        if isinstance(declared, float):
            values = values[~is_missing(values, declared)]
        for marker, low, high in _markers_of(values):
            count = _count(sample, name, marker)
            share = f"{count} of {counted(len(sample), 'event')}"
            told = f"{name} ({share}, the others {low:.3g} to {high:.3g})"
            found.setdefault(marker, []).append(told)
    for marker, told in found.items():
        text = f"{marker:.10g}".replace("-", "−", 1)
        yield (
            f"{text} looks like a marker of missing values: {listed(told, 5)}. If it is one, set "
            f"events.missing = {marker:.10g}, or for one feature alone "
            f'{{name = …, value = …, missing = {marker:.10g}, fill = "median"}}.'
        )


def _markers_of(values: Array) -> Iterator[tuple[float, float, float]]:
    """Yield up to four markers of a column, each with the range of the values that are none."""
    found = []
    for _ in range(4):
        if len(values) < FEWEST:
            break
        marker = _marker(values)
        if marker is None:
            break
        found.append(marker)
        values = values[values != marker]
    for marker in found:
        yield marker, float(values.min()), float(values.max())


def _marker(values: Array) -> float | None:
    least = max(LEAST_COUNT, LEAST_SHARE * len(values))
    for extreme in (values.min(), values.max()):
        is_it = values == extreme
        rest = values[~is_it]
        if is_it.sum() < least or len(np.unique(rest[:1000])) < LEAST_DISTINCT:
            continue
        low, high = rest.min(), rest.max()
        gap = low - extreme if extreme < low else extreme - high
        spelt = MARKER.fullmatch(f"{float(extreme):.10g}") is not None
        # A second marker may lie far from the first: what most others span decides.
        span = np.subtract(*np.quantile(rest, [0.95, 0.05]))
        one_sided = (extreme < 0 <= low) or (extreme > 0 >= high)
        codes = not spelt and np.array_equal(rest, np.rint(rest))
        if (gap > high - low and not codes) or (spelt and (one_sided or gap > span)):
            return float(extreme)
    return None


def _count(sample: Sample, name: str, value: float) -> int:
    i = sample.names.index(name)
    return sum(int((block[:, i] == value).sum()) for (block,) in blocks(sample.features))


def _texts(sample: Sample) -> Iterator[str]:
    """Say which features are text because of a few words among numbers."""
    for name, texts in sample.categories.items():
        if words := words_among_numbers(texts):
            yield (
                f"The feature {name!r} is text, of {len(texts)} categories: besides numbers it has "
                f"{listed(map(repr, words), 3)}. If that marks what is missing, leave these cells "
                "empty, or write NA."
            )


# --- leaks --------------------------------------------------------------------------------------


def _leaks(
    sample: Sample, columns: Mapping[str, Array], codes: Mapping[str, Array], labels: Array
) -> Iterator[str]:
    remedy = (
        "If it is not known for data, or was made from the label, leave it out of the features."
    )
    events = counted(len(labels), "training event")
    counts = np.unique(labels, return_counts=True)[1] if sample.classes else np.array([EACH])
    if counts.min() < EACH:
        return
    told = set()
    for name, values in {**columns, **codes}.items() if sample.classes else ():
        if _is_code(values, labels, len(sample.classes)):
            told.add(name)
            yield (
                f"The feature {name!r} tells the classes apart by itself: each of its "
                f"{len(np.unique(values))} values has events of one class, of {events}. {remedy}"
            )
    rest = {name: values for name, values in columns.items() if name not in told}
    if len(sample.classes) == 2 and rest:
        areas = {name: _area(values, labels) for name, values in rest.items()}
        for name in _alone(areas, LEAK, OTHERS):
            yield (
                f"The feature {name!r} alone has an AUC of {areas[name]:.4f} on {events} "
                f"({' + '.join(str(n) for n in counts[::-1])}), the next one "
                f"{_next(areas, name)}. {remedy}"
            )
    elif not sample.classes:
        ranks = {name: abs(_rank_correlation(values, labels)) for name, values in rest.items()}
        for name in _alone(ranks, MONOTONE, OTHERS_MONOTONE):
            yield (
                f"The feature {name!r} is nearly a function of the label: their rank correlation "
                f"is {ranks[name]:.5f} on {events}, that of the next one {_next(ranks, name)}. "
                f"{remedy}"
            )


def _alone(found: Mapping[str, float], least: float, others: float) -> list[str]:
    """Return the one that is above `least` where there are others, and all are below `others`."""
    first, *rest = sorted(found, key=lambda name: found[name], reverse=True)
    alone = rest and found[first] > least and found[rest[0]] < others
    return [first] if alone else []


def _next(found: Mapping[str, float], name: str) -> str:
    other = max((n for n in found if n != name), key=lambda n: found[n])
    return f"{found[other]:.4f} ({other})"


def _weights(columns: Mapping[str, Array], weights: Array) -> Iterator[str]:
    if len(np.unique(weights)) < LEAST_DISTINCT:
        return
    for name, values in columns.items():
        correlation = _rank_correlation(values, weights)
        if abs(correlation) > MONOTONE:
            yield (
                f"The feature {name!r} ranks events as their weights do (rank correlation "
                f"{correlation:.5f} on {counted(len(weights), 'training event')}). If it is a "
                "weight, leave it out of the features."
            )


def _is_code(values: Array, labels: Array, classes: int) -> bool:
    """Whether a feature has few values, and each of them events of one class."""
    distinct, places = np.unique(values, return_inverse=True)
    if not classes <= len(distinct) <= min(max(CODES, 2 * classes), len(values) // 20):
        return False
    table = np.zeros((len(distinct), classes))
    np.add.at(table, (places, labels.astype(np.int64)), 1)
    return bool(table.max(axis=1).sum() >= 0.999 * len(values))


def _area(values: Array, labels: Array) -> float:
    """Return the AUC of a feature, of the sign that is better; missing values count as lowest."""
    ranks, signal = _ranks(np.nan_to_num(values, nan=-np.inf)), labels == 1
    positive, negative = signal.sum(), (~signal).sum()
    area = (ranks[signal].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return float(max(area, 1 - area))


def _rank_correlation(values: Array, others: Array) -> float:
    """Return Spearman's ρ of two columns, 0 where one is constant."""
    known = np.isfinite(values)
    if known.sum() < FEWEST:
        return 0.0
    x, y = _ranks(values[known]), _ranks(others[known])
    width = x.std() * y.std()
    return float(np.mean((x - x.mean()) * (y - y.mean())) / width) if width > 0 else 0.0


def _ranks(values: Array) -> Array:
    """Return ranks from 1; of equal values their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]
