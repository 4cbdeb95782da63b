"""The loss of one event at many points: points lie in vector registers, events go by one by one.

For losses of one output. The NumPy twins are those of `steepest.losses`.
"""

from __future__ import annotations

from steepest.compiled.jit import helper
from steepest.compiled.pointwise import LOSSES, exp_nonpositive, log1p_unit

__all__ = ["add_event", "positive_part"]

_SQUARED_ERROR = LOSSES["mean-squared-error"]


@helper
def positive_part(z, y):
    """max(z, 0) − y z; NaN stays NaN."""
    return (type(z)(0.0) if z <= type(z)(0.0) else z) - y * z


@helper
def add_event(loss, z, y, weight, out):
    """Add w ℓ at each point to `out`.

    Parameters
    ----------
    loss : int
        The mean squared error or the binary cross entropy, of `LOSSES`.
    z
        The event's logit at each point.
    y, weight
        Its target and weight.
    out
        A sum for each point.
    """
    if loss == _SQUARED_ERROR:
        for i in range(len(z)):
            out[i] += weight * ((z[i] - y) * (z[i] - y))
    else:
        for i in range(len(z)):
            entropy = positive_part(z[i], y) + log1p_unit(exp_nonpositive(-abs(z[i])))
            out[i] += weight * entropy
