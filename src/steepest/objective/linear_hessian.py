"""∇²J of linear models as a whole matrix, in one pass over the events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.objective.base import Batch

__all__ = ["linear_hessian"]

Array = np.ndarray
ROWS = 1_024


def linear_hessian(model: Dense, loss: Loss, l2: float, theta: Array, batch: Batch) -> Array:
    """Return 1/m Σᵢ wᵢ x̃ᵢx̃ᵢᵀ ⊗ ∂²ℓ/∂z² with x̃ = (x, 1), plus λ on the diagonal of the weights.

    One pass over the events for a model without a hidden layer; ``(size, size)`` float64.
    """
    size = model.size
    layer = model.layers(theta.astype(np.float64))[0]
    places = model.layers(np.arange(size))[0]
    rows = np.vstack([places.weights, places.biases]).T  # (K, n + 1): where θ has each
    product = np.zeros((*rows.shape, *rows.shape))
    for part in _small_blocks(batch):
        augmented = np.ones((len(part), rows.shape[1]))
        augmented[:, :-1] = part.inputs
        logits = augmented[:, :-1] @ layer.weights + layer.biases
        weights = 1.0 if part.weights is None else part.weights.astype(np.float64)[:, None]
        for k in range(len(rows)):
            unit = np.zeros_like(logits)
            unit[:, k] = 1.0
            curvature = (weights * loss.curvature(logits, part.targets, unit))[:, k:]
            scaled = curvature[:, :, None] * augmented[:, None, :]  # of the outputs from k on
            block = augmented.T @ scaled.reshape(len(part), -1)
            product[k, :, k:] += block.reshape(rows.shape[1], -1, rows.shape[1])
    return _symmetric(product, rows, size) / len(batch) + np.diag(l2 * model.weight_mask())


def _small_blocks(batch: Batch) -> Iterator[Batch]:
    """Yield events in blocks that stay in a core's cache with what is made of them."""
    for part in batch.blocks():
        for start in range(0, len(part), ROWS):
            yield part.take(slice(start, start + ROWS))


def _symmetric(product: Array, rows: Array, size: int) -> Array:
    """The whole matrix, in the order of θ, from the blocks of outputs k and l ≥ k."""
    whole = np.zeros((size, size))
    for k in range(len(rows)):
        for other in range(k, len(rows)):
            block = product[k, :, other]
            whole[np.ix_(rows[k], rows[other])] = block
            whole[np.ix_(rows[other], rows[k])] = block.T
    return whole
