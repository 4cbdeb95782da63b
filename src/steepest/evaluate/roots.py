"""Where increasing functions of one number are zero, many at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.evaluate.arrays import Floats

EXACT, MOST = 1e-11, 100
"""The part of a bracket that is small enough, and evaluations at most."""


def roots_of(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where each component of an increasing function is zero, between `low` and `high`.

    By inverse quadratic interpolation where that is safe, else by halving: T. R. Chandrupatla,
    Advances in Engineering Software 28 (1997) 145, doi:10.1016/S0965-9978(96)00051-8. SciPy's
    `find_root` does the same; the import of `scipy.optimize` takes longer than a run's figures
    of merit.

    Parameters
    ----------
    function
        Takes and returns arrays of the shape of `low`.
    low, high
        Ends, of which the function is not positive at the first and not negative at the second.

    Examples
    --------
    >>> roots_of(lambda x: x**3 - np.array([8.0, 27.0]), np.zeros(2), np.full(2, 10.0))
    array([2., 3.])
    """
    new, old = np.array(high, dtype=np.float64), np.array(low, dtype=np.float64)
    of_new, of_old = function(new), function(old)
    exact, part = EXACT * np.abs(new - old), np.full(new.shape, 0.5)
    for _ in range(MOST):
        found = new + part * (old - new)
        value = function(found)
        same = np.sign(value) == np.sign(of_new)  # then the root is between `found` and `old`
        third, of_third = np.where(same, new, old), np.where(same, of_new, of_old)
        old, of_old = np.where(same, old, new), np.where(same, of_old, of_new)
        new, of_new = found, value
        width = np.abs(new - old)
        if ((width <= exact) | (value == 0)).all():
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            least = 0.5 * exact / width
            place, height = (new - old) / (third - old), (of_new - of_old) / (of_third - of_old)
            safe = (height**2 < place) & ((1 - height) ** 2 < 1 - place)
            inverse = of_new / (of_old - of_new) * of_third / (of_old - of_third) + (
                third - new
            ) / (old - new) * of_new / (of_third - of_new) * of_old / (of_third - of_old)
        part = np.where(safe & (value != 0), np.clip(inverse, least, 1 - least), 0.5)
        part = np.where(value == 0, 0.0, part)
    return np.where(np.abs(of_old) < np.abs(of_new), old, new)
