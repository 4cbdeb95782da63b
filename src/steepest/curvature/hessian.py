"""∇²J(θ), as a product with a vector and as a whole matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.objective import Batch, Objective

__all__ = ["hessian", "hessian_product"]

Array = np.ndarray


def hessian_product(objective: Objective, theta: Array, batch: Batch) -> Callable[[Array], Array]:
    """Return v ↦ ∇²J(θ) · v, of and to float64 vectors; the objective uses its own dtype.

    What overflows is infinite or NaN.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[2.0], [-2.0]]), np.zeros(2))
    >>> hessian_product(objective, np.zeros(2), events)(np.array([1.0, 1.0]))
    array([8., 2.])
    """
    at = theta.astype(objective.dtype)

    def product(vector: Array) -> Array:
        with np.errstate(all="ignore"):
            image = objective.hessian_vector(at, vector.astype(objective.dtype), batch)
        return image.astype(np.float64)

    return product


def hessian(objective: Objective, theta: Array, batch: Batch) -> Array:
    """Return ∇²J(θ), ``(size, size)`` float64 and symmetric: one product for each column.

    An objective that has a faster way offers ``hessian(theta, batch)``; where that gives None, the
    columns are taken after all.

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
    The mean squared error's is 2/m X̃ᵀX̃ wherever θ is, with X̃ = (X, 1):

    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> hessian(objective, np.zeros(2), Batch(np.array([[1.0], [3.0]]), np.zeros(2)))
    array([[10.,  4.],
           [ 4.,  2.]])
    """
    faster = getattr(objective, "hessian", None)
    matrix = faster(theta, batch) if faster is not None else None
    if matrix is not None:
        return matrix
    product = hessian_product(objective, theta, batch)
    matrix = np.stack([product(unit) for unit in np.eye(objective.size)], axis=1)
    return (matrix + matrix.T) / 2
