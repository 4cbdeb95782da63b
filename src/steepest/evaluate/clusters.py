"""Intervals of figures of merit whose rows come in clusters: the jets of one event.

Rows of one event share its kinematics, its pile-up and perhaps its label. They are no independent
measurements, and an interval that takes them as such is too narrow. Here the unit is the event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steepest.errors import EventsError
from steepest.evaluate.merit import Merit, normal_quantile
from steepest.storage import AnyArray, blocks

Mask = NDArray[np.bool_]

GROUPS = 32
"""Groups of events of the jackknife: the relative uncertainty of σ is 1/√(2 · 31) = 13 %, which the
interval of Student's t with 31 degrees of freedom includes."""
_SHARES = ("auc", "accuracy", "efficiency", "signal_efficiency", "background_efficiency")
"""Beginnings of the names of merits between 0 and 1."""


def clustered_merits(
    merits: Mapping[str, Merit],
    cluster: AnyArray,
    measure: Callable[[Mask], Mapping[str, Merit]],
) -> dict[str, Merit]:
    """Return the merits with the uncertainty of independent clusters of rows.

    The clusters are put into g ≤ 32 groups by a hash of their numbers, and each merit θ is computed
    again without each of them. With n rows in all and mⱼ in group j, hⱼ = n / mⱼ::

        τⱼ = hⱼ θ − (hⱼ − 1) θ₍₋ⱼ₎,   T = g θ − Σⱼ (1 − 1/hⱼ) θ₍₋ⱼ₎
        σ² = 1/g Σⱼ (τⱼ − T)² / (hⱼ − 1)

    which for groups of one size is the jackknife. The interval is that of the rows, stretched by
    the ratio of both σ and to Student's t of g − 1 degrees of freedom: in log(θ/(1 − θ)) for
    shares, in log θ for what is positive, else linearly.

    Parameters
    ----------
    merits
        Those of all rows, by name.
    cluster
        The number of each row's cluster, integers (rows,). Clusters may share a number as long as
        none is split.
    measure
        Computes the merits of the rows where a mask, bool (rows,), is true.

    Returns
    -------
    dict
        By name. A merit that is not finite without one of the groups, or whose rows have no
        uncertainty, keeps its interval; its definition says that rows count as independent.

    Raises
    ------
    EventsError
        All rows are of one cluster.

    References
    ----------
    F. M. T. A. Busing, E. Meijer, R. van der Leeden, Statistics and Computing 9 (1999) 3,
    doi:10.1023/A:1008800423698; J. Shao, C. F. J. Wu, Annals of Statistics 17 (1989) 1176,
    doi:10.1214/aos/1176347263, for quantiles such as the cut of a rejection.

    Examples
    --------
    >>> from steepest.evaluate import regression_merits
    >>> residuals, event = np.repeat([1.0, -1.0, 2.0, -2.0], 50), np.repeat([0, 1, 2, 3], 50)
    >>> def measure(kept):
    ...     return regression_merits(np.zeros(kept.sum()), residuals[kept])
    >>> of_rows = measure(np.ones(200, dtype=bool))
    >>> of_events = clustered_merits(of_rows, event, measure)
    >>> print(of_rows["bias"].format(), "|", of_events["bias"].format())
    0.00 ± 0.11 | 0.00 ± 1.10
    """
    group = np.concatenate([_group_of(numbers) for (numbers,) in blocks(cluster)])
    rows = np.bincount(group, minlength=GROUPS)
    present = np.flatnonzero(rows)
    if len(present) < 2:
        raise EventsError(
            "All rows are of one event.",
            expected="two events, so that there is an uncertainty",
            found=f"{int(np.sum(rows))} rows",
            do="give more events",
        )
    without = [measure(group != j) for j in present.tolist()]
    h = np.sum(rows) / rows[present]
    return {
        name: _stretched(merit, [each.get(name) for each in without], h)
        for name, merit in merits.items()
    }


def _group_of(cluster: np.ndarray) -> np.ndarray:
    """Return the group of each cluster: the top bits of a multiplicative hash of its number."""
    with np.errstate(over="ignore"):
        x = cluster.astype(np.int64).astype(np.uint64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # SplitMix64
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x % np.uint64(GROUPS)).astype(np.int8)


def _stretched(merit: Merit, without: list[Merit | None], h: np.ndarray) -> Merit:
    """Return the merit with σ of the jackknife."""
    values = np.array([math.nan if one is None else one.value for one in without])
    usable = merit.uncertainty > 0 and np.isfinite([merit.value, merit.uncertainty, *values]).all()
    if not usable:
        return replace(merit, definition=f"{merit.definition}; rows count as independent")
    from scipy.special import stdtrit

    groups = len(h)
    mean = groups * merit.value - np.sum((1 - 1 / h) * values)
    pseudo = h * merit.value - (h - 1) * values
    sigma = math.sqrt(np.sum((pseudo - mean) ** 2 / (h - 1)) / groups)
    quantile = stdtrit(groups - 1, (1 + merit.level) / 2) / normal_quantile(merit.level)
    low, high = _interval(merit, sigma / merit.uncertainty * float(quantile))
    told = f"; σ by a jackknife of {groups} groups of events, whose rows are not independent"
    return replace(merit, low=low, high=high, uncertainty=sigma, definition=merit.definition + told)


def _interval(merit: Merit, factor: float) -> tuple[float, float]:
    """Return the interval with both sides stretched, on the scale on which it is symmetric."""
    value, ends = merit.value, np.array([merit.low, merit.high])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if _is_share(merit.name) and 0 < value < 1:
            scale, back = (lambda x: np.log(x / (1 - x))), (lambda y: 1 / (1 + np.exp(-y)))
        elif value > 0 and merit.low > 0:
            scale, back = np.log, np.exp
        else:
            low, high = (value + factor * (ends - value)).tolist()
            return (max(low, 0.0) if merit.low == 0 else low), high
        low, high = back(scale(value) + factor * (scale(np.clip(ends, 0, None)) - scale(value)))
    return float(low), float(high)


def _is_share(name: str) -> bool:
    return name.startswith(_SHARES) and name != "auc_difference"
