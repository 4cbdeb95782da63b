"""Eigenvalues at both ends of a symmetric operator's spectrum, by Lanczos iterations.

Each step multiplies once by the operator and keeps a new vector orthogonal to all before (full
reorthogonalisation, twice, so that no eigenvalue appears again as a ghost). The eigenvalues θᵢ of
the tridiagonal matrix T approach those of the operator from within, first at the ends of the
spectrum. With the last off-diagonal entry β and the last entry sᵢ of T's eigenvector there is a
true eigenvalue within the residual |β sᵢ| of θᵢ (Paige 1972; Parlett, The Symmetric Eigenvalue
Problem, chapter 13). Iterations go on until each residual is small against its own eigenvalue: one
that is small against the largest says nothing about an eigenvalue near zero.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

MEMORY = 512 * 2**20
"""Bytes that the kept vectors may take."""
CHECKED = 20
"""Iterations that are all checked for convergence; later ones every fifth, as this costs more."""
FLOAT64 = 1e-13
"""Rounding of products in float64, as a part of the largest eigenvalue."""
RESTARTS = 2
"""Random vectors tried after the first ones' space is exhausted, for eigenvalues it lacks."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The ends of a spectrum, ascending.

    Attributes
    ----------
    values
        Eigenvalues ``(k,)``: the lowest, then the highest.
    residuals
        ‖A v − λ v‖ ``(k,)``, measured: a true eigenvalue lies within this of each.
    vectors
        Their eigenvectors ``(k, size)``, of length one.
    iterations : int
        Lanczos iterations, each with a product; the residuals took one more for each value.
    converged : bool
        Whether all residuals are within the tolerance of their own eigenvalues, or zero within the
        rounding of float64. Coarser rounding ends the iterations, but is no convergence.
    """

    values: Array
    residuals: Array
    vectors: Array
    iterations: int
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
    seconds: float = math.inf,
    seed: int = 0,
) -> Spectrum:
    """Return the `low` lowest and `high` highest eigenvalues of a symmetric operator.

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
    seconds
        After so many no further iteration begins; there is one at least.
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
    end = time.monotonic() + seconds
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
        last = done == most or time.monotonic() > end
        if not (closed or last or done <= CHECKED or done % 5 == 0):
            continue
        values, states, residuals = _ritz(diagonal[:done], beside[:done])
        ends = _ends(done, low, high)
        limits = np.maximum(tolerance * np.abs(values), rounding * np.abs(values).max())
        enough = done >= min(low + high, size) and (residuals[ends] <= limits[ends]).all()
        if last or (enough and (not closed or restarts > RESTARTS)):
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


def _ritz(diagonal: Array, beside: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues and eigenvectors of T, and their residuals."""
    matrix = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values, states = np.linalg.eigh(matrix)
    return values, states, np.abs(beside[-1] * states[-1])


def _ends(count: int, low: int, high: int) -> list[int]:
    """Indices of the lowest and the highest of so many."""
    if count <= low + high:
        return list(range(count))
    return [*range(low), *range(count - high, count)]


def _orthogonal(vector: Array, basis: Array) -> Array:
    """What is left of a vector across the basis; twice is enough (Kahan, in Parlett)."""
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector
