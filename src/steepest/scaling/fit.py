"""Fitting a scaling by its name in the recipe, and restoring a saved one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from steepest.errors import EventsError, RecipeError, RunFolderError, nearest
from steepest.ranks import current
from steepest.scaling import affine
from steepest.scaling.affine import DiagonalScaling, WhitenScaling
from steepest.scaling.asinh import SAMPLE, AsinhScaling, fit_asinh
from steepest.scaling.base import Scaling
from steepest.scaling.blocks import Block, Floats, Outlier, checked, placed_blocks, positive_total
from steepest.scaling.groups import AnyScaling, GroupScaling
from steepest.scaling.moments import Extremes, Moments
from steepest.scaling.outliers import WithoutOutliers, outliers
from steepest.scaling.quantile import QuantileScaling, fit_quantile

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""A function like `map`, with results in the order of the items."""

_KINDS: dict[str, tuple[type[Scaling], Callable[..., Scaling]]] = {
    "none": (DiagonalScaling, affine.fit_none),
    "standard": (DiagonalScaling, affine.fit_standard),
    "min-max": (DiagonalScaling, affine.fit_min_max),
    "robust": (DiagonalScaling, affine.fit_robust),
    "quantile": (QuantileScaling, fit_quantile),
    "whiten": (WhitenScaling, affine.fit_whiten),
    "asinh": (AsinhScaling, fit_asinh),
}
SCALINGS = tuple(_KINDS)
POSITIVE = ("width", "upper", "lengths", "relevance")
"""Arrays of a saved scaling whose numbers are above zero."""


def fit_scaling(
    name: str, blocks: Iterable[Block], names: Sequence[str], spread: Spread = map
) -> Scaling:
    """Fit the scaling `name` on blocks of training events.

    none, standard, min-max and whiten need one pass and memory for n numbers (n² for whiten), asinh
    two passes, the second of which takes some 100,000 events. robust and quantile collect the
    values: 8 (n + 1) bytes per event.

    Parameters
    ----------
    name
        One of `SCALINGS`.
    blocks
        Pairs of X (m, n), float64 or float32, and w (m,), float64 or None, with any m. If they can
        be read twice (a list, not a generator), standard, whiten and asinh leave out a few values
        so far out that they alone would decide the spread, see `Scaling.outliers`. An event of
        weight 2 counts as two identical events, None means weight 1, and negative weights are
        allowed if Σw > 0. min-max and none use the weights only to skip events of weight zero.
        The caller must pass events *of the training part only*.
    names
        Names of the n features, for error messages and `constant`.
    spread
        A function like `map`, which may distribute the blocks to threads.

    Raises
    ------
    RecipeError
        There is no scaling of that name.
    EventsError
        No events; a wrong shape; a value or weight that is not finite (with column and first
        row); Σw ≤ 0; a weighted variance ≤ 0 of a feature that is not constant; a spread outside
        1e-150 to 1e150.

    Examples
    --------
    >>> import numpy as np
    >>> blocks = [(np.array([[1.0], [2.0]]), None), (np.array([[4.0]]), np.array([2.0]))]
    >>> scaling = fit_scaling("standard", blocks, ["mass"])
    >>> scaling.affine()[0]
    array([2.75])

    References
    ----------
    `Moments` (one pass), `quantile` (median and quartiles), `WhitenScaling`, `QuantileScaling`,
    `AsinhScaling`.
    """
    if name not in SCALINGS:
        close = nearest(name, SCALINGS)
        raise RecipeError(
            f"There is no feature scaling {name!r}.",
            expected=f"one of {', '.join(SCALINGS)}",
            found=repr(name),
            cause="a typing error" if close else None,
            do=f"scaling = {close or 'standard'!r}",
        )
    _, fit = _KINDS[name]
    if name in ("robust", "quantile"):
        parts = [
            (X.astype(np.float64, copy=False), checked(X, w, names, first_row))
            for first_row, X, w in placed_blocks(blocks, names)
        ]
        parts = [part for of_rank in current().gather(parts) for part in of_rank]
        if not parts:
            raise _no_events(name, "none")
        X, w = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        positive_total(float(w.sum()), f"the scaling {name!r}")
        return fit(X, w, names)
    if name == "asinh" and iter(blocks) is blocks:
        blocks = list(blocks)
    moments = _moments(blocks, names, name, spread)
    if not np.isfinite(moments.minimum).all():
        raise _no_events(name, f"{moments.count} events, all of weight zero")
    found: tuple[Outlier, ...] = ()
    of_all = moments
    if isinstance(moments, Moments) and name != "min-max" and iter(blocks) is not blocks:
        found = outliers(moments, lambda: placed_blocks(blocks, names), names)
        if found:
            moments = _moments(WithoutOutliers(blocks, names, found), names, name, spread)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is detected by the width
        if name == "asinh":
            X, w = _sampled(blocks, names, of_all.count)
            return replace(fit(of_all, moments, X, w, names), outliers=found)
        return replace(fit(moments, names), outliers=found)


def _moments(
    blocks: Iterable[Block], names: Sequence[str], name: str, spread: Spread
) -> Moments | Extremes:
    """Return the moments, or only the extremes, that the scaling needs; of all ranks."""

    def of(block: tuple[int, Floats, Floats | None]) -> Moments | Extremes:
        first_row, X, weights = block
        w = checked(X, weights, names, first_row)
        return Extremes.of(X, w) if name == "none" else Moments.of(X, w, diagonal=name != "whiten")

    moments: Any = None
    for block in spread(of, placed_blocks(blocks, names)):
        moments = block if moments is None else moments.merge(block)
    every = [each for each in current().gather(moments) if each is not None]
    if len(every) > 1:
        moments = reduce(lambda one, other: one.merge(other), every)
    if moments is None:
        raise _no_events(name, "none")
    return moments


def _sampled(blocks: Iterable[Block], names: Sequence[str], events: int) -> tuple[Floats, Floats]:
    """Evenly spaced events, some 100,000 of many, with their weights."""
    step = max(events // SAMPLE, 1)
    parts = [
        (X[::step].astype(np.float64), np.ones(len(X[::step])) if w is None else w[::step])
        for _, X, w in placed_blocks(blocks, names)
    ]
    parts = [part for of_rank in current().gather(parts) for part in of_rank]
    X, w = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return X, w if w.sum() > 0 else np.ones(len(w))


def _no_events(name: str, found: str) -> EventsError:
    return EventsError(
        f"There are no events to fit the feature scaling {name!r} on.",
        expected="at least one training event with a weight other than zero",
        found=found,
        cause="a selection without events, or a split without a training part",
        do="loosen `select`, or give the training part a larger share",
    )


def scaling_from(json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> AnyScaling:
    """Restore a scaling from its `to_json` and `to_arrays`, bit for bit.

    Raises
    ------
    RunFolderError
        A key or an array is missing, or this release does not know the name or version.

    Examples
    --------
    >>> import numpy as np
    >>> fitted = fit_scaling("min-max", [(np.array([[1.0], [3.0]]), None)], ["mass"])
    >>> scaling_from(fitted.to_json(), fitted.to_arrays()).transform([[2.0]])
    array([[0.5]])
    """
    if "groups" in json:
        return GroupScaling.from_parts(json, arrays, _one_from)
    return _one_from(json, arrays)


def _one_from(json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Scaling:
    if json.get("version") != 1 or json.get("name") not in _KINDS:
        raise _damaged(
            f"version 1 of one of {', '.join(SCALINGS)}",
            f"version {json.get('version')!r} of {json.get('name')!r}",
        )
    kind, _ = _KINDS[json["name"]]
    keys = "features", "constant", "dropped"
    for what, needed, given in (("key", keys, json), ("array", kind.ARRAYS, arrays)):
        for key in needed:
            if key not in given:
                raise _damaged(f"the {what} {key!r}", ", ".join(sorted(given)) or f"no {what}s")
    n = len(json["features"])
    knots = int(arrays["lengths"].sum()) if kind is QuantileScaling else n
    shapes = {"whitener": (n, n), "colourer": (n, n), "knots": (knots,), "scores": (knots,)}
    names = (*kind.ARRAYS, *(name for name in kind.OPTIONAL if name in arrays))
    for key in names:
        array, shape = arrays[key], shapes.get(key, (n,))
        if array.shape != shape:
            raise _damaged(f"{key} of shape {shape}", f"shape {array.shape}")
        if not np.isfinite(array).all() or (key in POSITIVE and (array <= 0).any()):
            kept = "positive" if key in POSITIVE else "finite"
            raise _damaged(f"{kept} numbers in {key}", f"{array[:5].tolist()}")
    fitted: dict[str, Any] = {key: arrays[key] for key in names}
    return kind(
        name=json["name"],
        features=tuple(json["features"]),
        constant=tuple(json["constant"]),
        dropped=int(json["dropped"]),
        **fitted,
    )


def _damaged(expected: str, found: str) -> RunFolderError:
    return RunFolderError(
        "The saved feature scaling cannot be read.",
        expected=expected,
        found=found,
        cause="a damaged file, or one written by a newer release",
        do="use the release that wrote it, or train again",
    )
