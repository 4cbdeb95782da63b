"""What is wrong with the events themselves, whatever descends on them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from steepest import evaluate
from steepest.events import TRAIN, VALIDATION, Sample
from steepest.explain.record import Record

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

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinite ones as None."""
        values = asdict(self)
        name, inflation = self.collinear
        values["collinear"] = [name, inflation if math.isfinite(inflation) else None]
        return values


def measure_data(record: Record) -> Data | None:
    """Measure the events of a run; None for inputs in groups."""
    train = record.parts[TRAIN]
    inputs = record.train.inputs
    if not isinstance(inputs, np.ndarray) or not isinstance(train.features, np.ndarray):
        return None
    names = list(record.schema.names)
    scaled = inputs[-MOST:].astype(np.float64)
    spreads, centres = scaled.std(axis=0), scaled.mean(axis=0)
    constant = [
        name
        for name, low, high in zip(
            names, train.features.min(axis=0), train.features.max(axis=0), strict=True
        )
        if low == high
    ]
    validation = record.parts.get(VALIDATION)
    weights = train.weights
    return Data(
        spreads=dict(zip(names, spreads.tolist(), strict=True)),
        centres=dict(zip(names, centres.tolist(), strict=True)),
        largest=dict(zip(names, _farthest(scaled).tolist(), strict=True)),
        constant=tuple(constant),
        collinear=_collinear(train.features, names),
        leaks=_leaks(train, names),
        rarest=_rarest(train),
        effective=1.0 if weights is None else _effective(np.asarray(weights)),
        repeated=_repeated(train, validation),
        drift=_drift(train, validation, names),
    )


def _farthest(values: Array) -> Array:
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84], axis=0)
    width = np.maximum((high - low) / 2, 1e-300)
    far = np.abs(values - middle).max(axis=0) / width
    return np.where(high > low, far, 0.0)


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
