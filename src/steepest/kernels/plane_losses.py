"""Losses of one event at many points at once, for losses of one output: sums over events.

Points lie in the lanes of vectors; events go by one after the other. Without weights the binary
cross entropy takes one logarithm for at most `GROUP` events, Σ log(1 + tᵢ) = log Πᵢ (1 + tᵢ), with
t = e^(−|z|) ≤ 1. The product is carried as q = Π (1 + tᵢ) − 1, which keeps the digits of small t::

    log(1 + eᶻ) − y z = max(z, 0) − y z + log(1 + t),   q ← q + t + q t

Sums over a group are taken in the dtype of z, those over groups in float64. The NumPy twins are
`steepest.losses`.
"""

from __future__ import annotations

from typing import Any

from steepest.kernels.compiled import overload, part
from steepest.kernels.elementary import exp_below, log1p_above, log1p_unit
from steepest.kernels.pointwise import BinaryEntropy

__all__ = ["GROUP", "add_event", "fold", "positive_part"]

GROUP = 64
"""Events that share a logarithm."""


def add_event(kind: Any, z: Any, y: Any, weights: Any, at: int, lines: Any, products: Any) -> None:
    """Add an event's w ℓ at each point to `lines`, or where it has no weight to both sums.

    Parameters
    ----------
    kind
        The loss, of `steepest.kernels.pointwise.LOSSES`.
    z
        The event's logit at each point.
    y
        Its target.
    weights, at
        All events' weights, and which is this one's; none are an empty array.
    lines, products
        Two sums for each point, zero before a group's first event; `fold` ends them.
    """
    raise NotImplementedError  # compiled only


def fold(kind: Any, lines: Any, products: Any, totals: Any) -> None:
    """Add a group's sums to those in float64."""
    raise NotImplementedError  # compiled only


@part
def positive_part(z, y):
    """max(z, 0) − y z; what is not a number stays so."""
    return (type(z)(0.0) if z <= type(z)(0.0) else z) - y * z


@part
def _entropy(z, y, lines, products):
    for j in range(len(lines)):
        lines[j] += positive_part(z[j], y)
        t = exp_below(-abs(z[j]))
        products[j] += t + products[j] * t


@part
def _weighted_entropy(z, y, w, lines):
    for j in range(len(lines)):
        lines[j] += w * (positive_part(z[j], y) + log1p_unit(exp_below(-abs(z[j]))))


@part
def _squares(z, y, w, lines):
    for j in range(len(lines)):
        lines[j] += w * ((z[j] - y) * (z[j] - y))


@overload(add_event)
def _add_event(kind, z, y, weights, at, lines, products):
    def entropy(kind, z, y, weights, at, lines, products):
        if len(weights):
            _weighted_entropy(z, y, weights[at], lines)
        else:
            _entropy(z, y, lines, products)

    def squares(kind, z, y, weights, at, lines, products):
        _squares(z, y, weights[at] if len(weights) else type(y)(1.0), lines)

    return entropy if kind.instance_class is BinaryEntropy else squares


@part
def _end(lines, totals):
    for j in range(len(totals)):
        totals[j] += lines[j]


@part
def _end_entropy(lines, products, totals):
    for j in range(len(totals)):
        totals[j] += lines[j] + log1p_above(products[j])


@overload(fold)
def _fold(kind, lines, products, totals):
    def entropy(kind, lines, products, totals):
        _end_entropy(lines, products, totals)

    def squares(kind, lines, products, totals):
        _end(lines, totals)

    return entropy if kind.instance_class is BinaryEntropy else squares
