"""Sums of losses over events at many points at once, with as few logarithms as it takes.

For the binary cross entropy with targets 0 and 1 let z' = z for y = 0 and −z for y = 1. Then

    Σ ℓ = Σ max(z', 0) + Σ log(1 + e^{−|z'|}) = Σ max(z', 0) + log Π (1 + e^{−|z'|})

without cancellation, and 64 factors between 1 and 2 have a product that float32 can hold, so that
one logarithm serves 64 events. With weights each event needs its own.
"""

from __future__ import annotations

import numpy as np

from steepest.losses import Loss

__all__ = ["summed_losses"]

Array = np.ndarray

FACTORS = 64
"""Factors between 1 and 2 in a product at most (and some more at odd ends): below 2¹²⁷."""


def summed_losses(loss: Loss, logits: Array, targets: Array, weights: Array | None) -> Array:
    """Σ w ℓ over the events at each point, ``(points,)`` float64.

    Parameters
    ----------
    loss
        ℓ.
    logits
        ``(points, events, outputs)``; they may be changed.
    targets, weights
        ``(events,)``; weights may be None.

    Examples
    --------
    >>> from steepest.losses import BinaryCrossEntropy
    >>> z = np.array([[[0.0], [1.0]], [[-2.0], [3.0]]])
    >>> summed_losses(BinaryCrossEntropy(), z, np.array([0.0, 1.0]), None)
    array([1.00640887, 0.17551537])
    """
    if loss.name == "binary-cross-entropy" and bool(((targets == 0) | (targets == 1)).all()):
        return _cross_entropies(logits[..., 0], targets, weights)
    points, events, outputs = logits.shape
    each = loss.value(logits.reshape(-1, outputs), np.tile(targets, points))
    each = each.reshape(points, events)
    if weights is None:
        return each.sum(axis=1, dtype=np.float64)
    return each.astype(np.float64) @ weights.astype(np.float64)


def _cross_entropies(z: Array, targets: Array, weights: Array | None) -> Array:
    z *= (1 - 2 * targets).astype(z.dtype)
    rest = np.abs(z)
    np.negative(rest, out=rest)
    np.exp(rest, out=rest)
    rest += 1
    np.maximum(z, 0, out=z)
    if weights is not None:
        np.log(rest, out=rest)
        rest += z
        return rest.astype(np.float64) @ weights.astype(np.float64)
    straight = z @ np.ones(z.shape[1], z.dtype)
    logarithms = np.log(_products(rest)).sum(axis=1, dtype=np.float64)
    return straight.astype(np.float64) + logarithms


def _products(factors: Array) -> Array:
    """Products of up to 64 of the factors of each row, by folding the rows in half."""
    folds = 1
    while folds < FACTORS and factors.shape[1] > 1:
        half = factors.shape[1] // 2
        folded = factors[:, :half] * factors[:, half : 2 * half]
        if factors.shape[1] % 2:
            folded[:, 0] *= factors[:, -1]
        factors, folds = folded, 2 * folds
    return factors
