"""What is wrong with the events themselves, whatever descends on them.

Inputs in groups (particles) are looked at as a matrix, too: the mean of each feature over an
event's particles, and their number; spreads are those of the particles' values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from steepest import evaluate
from steepest.events import TRAIN, VALIDATION, Sample
from steepest.explain.record import Record
from steepest.groups import Groups, Inputs, Jagged

Array = np.ndarray

MOST = 20_000


@dataclass(frozen=True)
class Data:
    """Properties of the training events, and of the split.

    Parameters
    ----------
    spreads, centres
        Standard deviation and mean of each of the model's inputs, as they enter the network.
    largest
        The farthest value of each input from its median, in widths of the central 68 %.
    constant
        Inputs with one value.
    collinear
        The largest variance inflation 1/(1 − R²) of an input from the others, and which it is.
    leaks
        Inputs that tell the classes apart alone, with their AUC (folded to above a half).
    rarest
        Share of the sum of weights of the rarest class.
    effective
        (Σw)²/Σw² over the number of events.
    repeated
        Share of validation events that are, with all features, among the training events; and of
        events that are repeated within the training part.
    drift
        The input whose distributions in the training and validation parts differ most: its
        Kolmogorov distance, and the probability of one as large, times the number of inputs.
    noise
        Share of labels that look drawn at random, and its standard error: see `label_noise`.
    """

    spreads: dict[str, float]
    centres: dict[str, float]
    largest: dict[str, float]
    constant: tuple[str, ...]
    collinear: tuple[str, float]
    leaks: dict[str, float]
    rarest: float
    effective: float
    repeated: tuple[float, float]
    drift: tuple[str, float, float]
    noise: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinite ones as None."""
        values = asdict(self)
        name, inflation = self.collinear
        values["collinear"] = [name, inflation if math.isfinite(inflation) else None]
        return values


def measure_data(record: Record) -> Data:
    """Measure the events of a run."""
    train, names = matrix_of(record.parts[TRAIN], record.schema.names)
    validation = record.parts.get(VALIDATION)
    if validation is not None:
        validation = matrix_of(validation, record.schema.names)[0]
    inputs = scaled_values(record.train.inputs, record.schema.names)
    spreads = {name: float(values.std()) for name, values in inputs.items()}
    low, high = train.features.min(axis=0), train.features.max(axis=0)
    weights = train.weights
    return Data(
        spreads=spreads,
        centres={name: float(values.mean()) for name, values in inputs.items()},
        largest={name: _farthest(values) for name, values in inputs.items()},
        constant=tuple(name for name, same in zip(names, low == high, strict=True) if same),
        collinear=_collinear(train.features, names),
        leaks=_leaks(train, names),
        rarest=_rarest(train),
        effective=1.0 if weights is None else _effective(np.asarray(weights)),
        repeated=_repeated(train, validation),
        drift=_drift(train, validation, names),
        noise=label_noise(train),
    )


def matrix_of(sample: Sample, names: Sequence[str]) -> tuple[Sample, list[str]]:
    """The sample with a matrix of features, and their names; of particles their means and number.

    Names of groups are ``group.feature``.
    """
    features: Any = sample.features
    if not isinstance(features, Groups):
        return sample, list(names)
    columns: dict[str, Array] = {}
    for group, member in features.members.items():
        own = [name for name in names if name.startswith(f"{group}.")]
        if isinstance(member, Jagged):
            values = member.sums() / np.maximum(member.lengths, 1)[:, None]
            columns[f"number of {group}"] = member.lengths.astype(np.float64)
        else:
            values = np.asarray(member, dtype=np.float64)
        columns |= dict(zip(own, values.T, strict=True))
    return replace(sample, features=np.column_stack(list(columns.values()))), list(columns)


def scaled_values(inputs: Inputs, names: Sequence[str]) -> dict[str, Array]:
    """Each input's values as they enter the network, of at most 20,000 events or particles."""
    if not isinstance(inputs, Groups):
        matrix = np.asarray(inputs[-MOST:], dtype=np.float64)
        return dict(zip(names, matrix.T, strict=True))
    matrices = [np.asarray(one[-MOST:], dtype=np.float64).T for one in inputs.matrices]
    return dict(zip(names, (column for matrix in matrices for column in matrix), strict=True))


def _farthest(values: Array) -> float:
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return float(np.abs(values - middle).max() / ((high - low) / 2)) if high > low else 0.0


def _collinear(features: Array, names: list[str]) -> tuple[str, float]:
    """The largest variance inflation, from the inverse of the correlations."""
    spread = features.std(axis=0)
    moving = spread > 0
    if moving.sum() < 2:
        return "", 1.0
    correlations = np.corrcoef(features[:, moving], rowvar=False)
    values, vectors = np.linalg.eigh(correlations)
    if values[0] <= 1e-14 * values[-1]:
        inflation = np.where(vectors[:, 0] ** 2 > 1e-6, math.inf, 1.0)
    else:
        inflation = (vectors**2 / values).sum(axis=1)
    worst = int(np.argmax(inflation))
    return [n for n, used in zip(names, moving, strict=True) if used][worst], float(
        inflation[worst]
    )


SUREST, SURE, FLAT = 0.2, 0.6, 0.77
"""Shares of a class's number that trees are surest of; how equal their errors are for noise."""
FEWEST, MOST_FOR_TREES = 400, 8_000
"""Events that the noise of labels is looked for in."""


def label_noise(train: Sample) -> tuple[float, float]:
    """Share of labels that look drawn at random in a binary sample, and its standard error.

    Where classes overlap, an event that trees (cross-validated) are surer of is mostly right, and
    the surest are nearly all. Where a share ρ of labels is drawn at random, of the events of a
    class with the share π of all, ρ(1 − π) have another label, however sure the trees are. So ρ is
    the sum of the shares of errors among the surest events of both classes, a fifth of the number
    of each, if both have errors, and about as many as the next two fifths; else 0.
    """
    labels = np.asarray(train.labels)
    if train.task != "binary" or len(labels) < FEWEST or np.bincount(labels.astype(int)).min() < 50:
        return 0.0, 0.0
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    rows = slice(None, None, -(-len(labels) // MOST_FOR_TREES))
    features, labels = np.asarray(train.features)[rows], labels[rows].astype(int)
    trees = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
    with threadpool_limits(1):  # small samples: threads would wait for each other
        said: Any = cross_val_predict(trees, features, labels, cv=3, method="predict_proba")
    scores = np.asarray(said)[:, 1]
    labels = labels[np.argsort(scores)]
    shares, after, errors = [], [], []
    for wrong in (labels, 1 - labels[::-1]):  # of the lowest scores, and of the highest, inwards
        number = int((wrong == 0).sum())
        surest, more = int(SUREST * number), int(SURE * number)
        share = float(wrong[:surest].mean())
        shares.append(share)
        after.append(float(wrong[surest:more].mean()))
        errors.append(math.sqrt(share * (1 - share) / surest) + 1 / surest)
    if all(s > 3 * e for s, e in zip(shares, errors, strict=True)) and (
        sum(shares) > FLAT * sum(after)
    ):
        return sum(shares), math.hypot(*errors)
    return 0.0, math.hypot(*errors)


LEAK = 0.995


def _leaks(train: Sample, names: list[str]) -> dict[str, float]:
    if train.task == "regression":
        labels = np.asarray(train.labels, dtype=np.float64)
        found = {}
        for name, column in zip(names, np.asarray(train.features).T, strict=True):
            if column.std() > 0 and labels.std() > 0:
                r = abs(float(np.corrcoef(column, labels)[0, 1]))
                if r > 0.9999:
                    found[name] = r
        return found
    if train.task != "binary":
        return {}
    found = {}
    for name, column in zip(names, np.asarray(train.features).T, strict=True):
        value = evaluate.auc(np.asarray(train.labels), column).value
        value = max(value, 1.0 - value)
        if value > LEAK:
            found[name] = value
    return found


def _rarest(train: Sample) -> float:
    if not train.classes:
        return 1.0
    weights = train.descent_weights
    sums = np.bincount(
        np.asarray(train.labels).astype(np.int64),
        None if weights is None else np.asarray(weights),
        minlength=len(train.classes),
    )
    return float(sums.min() / sums.sum())


def _effective(weights: Array) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def _rows(sample: Sample) -> Array:
    """Each event's features as one opaque value."""
    features = np.ascontiguousarray(sample.features, dtype=np.float64)
    return features.view([("", features.dtype)] * features.shape[1])[:, 0]


def _repeated(train: Sample, validation: Sample | None) -> tuple[float, float]:
    """Shares of repeated events; nothing for few distinct values, where it is no fault."""
    own = _rows(train)
    distinct = np.unique(own)
    within = 1.0 - len(distinct) / len(own)
    if validation is None:
        return 0.0, within
    return float(np.isin(_rows(validation), distinct).mean()), within


def _drift(train: Sample, validation: Sample | None, names: list[str]) -> tuple[str, float, float]:
    if validation is None:
        return "", 0.0, 1.0
    found = [
        ks_2samp(a, b)
        for a, b in zip(
            np.asarray(train.features).T, np.asarray(validation.features).T, strict=True
        )
    ]
    worst = int(np.argmin([test.pvalue for test in found]))  # pyright: ignore
    one: Any = found[worst]
    return names[worst], float(one.statistic), min(float(one.pvalue) * len(names), 1.0)
