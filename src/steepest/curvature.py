"""The curvature ∇²J(θ) of any objective: for training, explanations, landscapes and the lecture.

What to use when: `hessian_product` for ∇²J · v; `hessian` for the whole matrix of few parameters;
`spectrum_at` for both ends of the spectrum of many, each eigenvalue with its residual;
`largest_curvature` for λmax alone. Bounds that hold at every θ are the objective's own:
`steepest.objective.CurvatureBounds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steepest.objective import Batch, Objective

Array = np.ndarray

MEMORY = 512 * 2**20
"""Bytes that Lanczos vectors may take."""
CHECKED = 20
"""Iterations that are all checked for convergence; later ones every fifth, as this costs more."""
FLOAT64 = 1e-13
"""Rounding of products in float64, as a part of the largest eigenvalue."""
RESTARTS = 2
"""Random vectors tried after the first ones' space is exhausted, for eigenvalues it lacks."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The ends of a spectrum, ascending.

    It has converged if all residuals are within the tolerance of their own eigenvalues, or zero
    within the rounding of float64. Coarser rounding ends the iterations, but is no convergence.
    """

    values: Array  # eigenvalues (k,): the lowest, then the highest
    residuals: Array  # ‖A v − λ v‖ (k,), measured: a true eigenvalue lies within this of each
    vectors: Array  # their eigenvectors (k, size), of length one
    iterations: int  # each with a product; the residuals took one more for each value
    converged: bool


def lanczos(
    product: Callable[[Array], Array],
    size: int,
    *,
    low: int = 1,
    high: int = 1,
    tolerance: float = 1e-2,
    rounding: float = 1e-14,
    most: int = 400,
    seed: int = 0,
) -> Spectrum:
    """Return the `low` lowest and `high` highest eigenvalues of a symmetric operator.

    Each step multiplies once by the operator and keeps a new vector orthogonal to all before (full
    reorthogonalisation, twice, so that no eigenvalue appears again as a ghost). With the last
    off-diagonal entry β and the last entry sᵢ of an eigenvector of the tridiagonal T there is a
    true eigenvalue within the residual |β sᵢ| of T's θᵢ (Paige 1972; Parlett, The Symmetric
    Eigenvalue Problem, chapter 13). Iterations go on until each residual is small against its own
    eigenvalue: one that is small against the largest says nothing about an eigenvalue near zero.

    Parameters
    ----------
    product
        v ``(size,)`` → A v ``(size,)``, float64.
    size
        The operator's dimension.
    low, high
        How many at each end; all, where there are no more.
    tolerance
        Residuals at which to stop, as a part of each eigenvalue itself.
    rounding
        What products are off by, as a part of the largest eigenvalue in absolute value: a residual
        below it is small enough for any eigenvalue.
    most
        Iterations at most; fewer where the vectors would take more than 512 MiB.
    seed
        Of the first vector.

    Raises
    ------
    FloatingPointError
        If a product is not finite.

    Examples
    --------
    >>> spectrum = lanczos(lambda v: np.arange(5.0) * v, 5)
    >>> spectrum.values.round(9) + 0.0
    array([0., 4.])
    """
    most = min(size, most, max(20, MEMORY // (8 * size)))
    random = np.random.default_rng(seed)
    basis = np.empty((most, size))
    diagonal, beside = np.zeros(most), np.zeros(most)
    following, restarts, done = random.normal(size=size), 0, 0
    while True:
        basis[done] = following / np.linalg.norm(following)
        image = _finite(product(basis[done]))
        diagonal[done] = image @ basis[done]
        done += 1
        following = _orthogonal(image, basis[:done])
        beside[done - 1] = np.linalg.norm(following)
        scale = np.abs(diagonal[:done]).max() + beside[:done].max()
        closed = beside[done - 1] <= 1e-12 * scale  # the space so far holds its own images
        if closed:
            beside[done - 1] = 0.0
            restarts += 1
            following = _orthogonal(random.normal(size=size), basis[:done])
        if not (closed or done == most or done <= CHECKED or done % 5 == 0):
            continue
        matrix = np.diag(diagonal[:done])
        matrix += np.diag(beside[: done - 1], 1) + np.diag(beside[: done - 1], -1)
        values, states = np.linalg.eigh(matrix)
        residuals = np.abs(beside[done - 1] * states[-1])
        few = done <= low + high
        ends = [*range(done)] if few else [*range(low), *range(done - high, done)]
        limits = np.maximum(tolerance * np.abs(values), rounding * np.abs(values).max())
        enough = done >= min(low + high, size) and (residuals[ends] <= limits[ends]).all()
        if done == most or (enough and (not closed or restarts > RESTARTS)):
            break
    vectors = states[:, ends].T @ basis[:done]
    images = np.array([_finite(product(vector)) for vector in vectors])
    measured = np.linalg.norm(images - values[ends, None] * vectors, axis=1)
    found, scale = np.abs(values[ends]), np.abs(values).max()
    small = np.maximum(2 * tolerance * found, min(rounding, FLOAT64) * scale)
    converged = bool(enough and (measured <= small).all())
    return Spectrum(values[ends], measured, vectors, done, converged)


def _finite(image: Array) -> Array:
    if not np.isfinite(image).all():
        raise FloatingPointError("a product with the operator is not finite")
    return np.asarray(image, dtype=np.float64)


def _orthogonal(vector: Array, basis: Array) -> Array:
    """What is left of a vector across the basis; twice is enough (Kahan, in Parlett)."""
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector


EVENTS = 200_000
"""λmax is measured on so many events at most, evenly spaced through the sample."""
ROUNDING = 32
"""What products in a dtype are off by, in units of its eps and of the largest eigenvalue."""


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

    An objective that has a faster way offers ``hessian(theta, batch)``, which may give None.

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


def spectrum_at(
    objective: Objective,
    theta: Array,
    events: Batch,
    *,
    low: int = 2,
    high: int = 2,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Spectrum:
    """Return the `low` lowest and `high` highest eigenvalues of ∇²J(θ), by `lanczos`.

    Rounding in the objective's dtype limits what can be reached near zero.

    Raises
    ------
    FloatingPointError
        J is not finite there.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[2.0], [-2.0]]), np.zeros(2))
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> spectrum_at(objective, np.zeros(2), events).values.round(9)
    array([2., 8.])
    """
    rounding = ROUNDING * float(np.finfo(objective.dtype).eps)
    given = hessian_product(objective, theta, events), objective.size
    return lanczos(*given, low=low, high=high, tolerance=tolerance, rounding=rounding, seed=seed)


def largest_curvature(
    objective: Objective, theta: Array, events: Batch, *, tolerance: float = 1e-4
) -> float:
    """Return λmax of ∇²J(θ), the largest eigenvalue in the algebraic sense; NaN if there is none.

    At most 200,000 events, evenly spaced, are used; `tolerance` is relative.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.zeros(2))
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> round(largest_curvature(objective, np.zeros(2), events), 6)
    2.0
    """
    if len(events) > EVENTS:
        events = events.take(np.linspace(0, len(events) - 1, EVENTS).astype(np.int64))
    try:
        found = spectrum_at(objective, theta, events, low=0, high=1, tolerance=tolerance)
    except FloatingPointError:
        return float("nan")
    return float(found.values[-1]) if found.converged else float("nan")
