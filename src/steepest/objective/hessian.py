"""∇²J(θ) as a whole matrix, for models with few parameters."""

from __future__ import annotations

import numpy as np

from steepest.objective.base import Batch, Objective
from steepest.objective.dense import DenseObjective

__all__ = ["hessian"]

Array = np.ndarray


def hessian(objective: Objective, theta: Array, batch: Batch) -> Array:
    """Return ∇²J(θ), ``(size, size)`` float64.

    A dense model without a hidden layer: ``1/m Σᵢ wᵢ x̃ᵢx̃ᵢᵀ ⊗ ∂²ℓ/∂z²`` with x̃ = (x, 1), plus λ on
    the diagonal of the weights, in one pass. Any other objective: one product ∇²J · e a column.

    Parameters
    ----------
    objective
        J.
    theta
        θ ``(size,)``.
    batch
        The events.

    Examples
    --------
    The mean squared error's is 2/m X̃ᵀX̃ wherever θ is:

    >>> from steepest.losses import MeanSquaredError
    >>> from steepest.models import Dense
    >>> objective = DenseObjective(Dense(inputs=1), MeanSquaredError())
    >>> hessian(objective, np.zeros(2), Batch(np.array([[1.0], [3.0]]), np.zeros(2)))
    array([[10.,  4.],
           [ 4.,  2.]])
    """
    if isinstance(objective, DenseObjective) and not objective.model.hidden:
        return _of_linear_model(objective, theta, batch)
    units = np.eye(objective.size, dtype=objective.dtype)
    columns = [objective.hessian_vector(theta, unit, batch) for unit in units]
    return np.stack(columns, axis=1).astype(np.float64)


def _of_linear_model(objective: DenseObjective, theta: Array, batch: Batch) -> Array:
    size, loss = objective.size, objective.loss_function
    layer = objective.model.layers(theta.astype(np.float64))[0]
    places = objective.model.layers(np.arange(size))[0]
    rows = np.vstack([places.weights, places.biases])  # (n + 1, K): where θ has each
    product = np.zeros((size, size))
    for part in batch.blocks():
        augmented = np.column_stack([part.inputs, np.ones(len(part))]).astype(np.float64)
        logits = augmented[:, :-1] @ layer.weights + layer.biases
        weights = 1.0 if part.weights is None else part.weights.astype(np.float64)[:, None]
        for first in range(logits.shape[1]):
            unit = np.zeros_like(logits)
            unit[:, first] = 1.0
            curvature = weights * loss.curvature(logits, part.targets, unit)
            for second in range(first, logits.shape[1]):
                block = augmented.T @ (augmented * curvature[:, second, None])
                product[np.ix_(rows[:, second], rows[:, first])] += block
                if second != first:
                    product[np.ix_(rows[:, first], rows[:, second])] += block
    product /= len(batch)
    product[np.diag_indices(size)] += objective.l2 * objective.weight_mask
    return product
