"""Feature scaling: fit in one stable pass, merge, transform, invert, save; docs/scaling.md.

Fit a scaling on the training part only, then transform every part with it. A scaling that was
fitted on validation or test events leaks information about them into the training.

::

    fit.py       fit_scaling, scaling_from: names → scalings
    base.py      Scaling, AffineScaling: the contract
    affine.py    DiagonalScaling (none, standard, min-max, robust), WhitenScaling
    asinh.py     AsinhScaling
    quantile.py  QuantileScaling, and weighted quantiles
    moments.py   Moments: mergeable weighted mean and scatter; Extremes: lowest and highest
    groups.py    GroupScaling: one scaling for each named group of inputs
    blocks.py    checks of blocks of events
"""

from steepest.scaling.affine import DiagonalScaling, WhitenScaling
from steepest.scaling.asinh import AsinhScaling
from steepest.scaling.base import AffineScaling, Scaling
from steepest.scaling.fit import SCALINGS, fit_scaling, scaling_from
from steepest.scaling.groups import AnyScaling, GroupScaling
from steepest.scaling.moments import Moments
from steepest.scaling.quantile import QuantileScaling

__all__ = [
    "SCALINGS",
    "AffineScaling",
    "AnyScaling",
    "AsinhScaling",
    "DiagonalScaling",
    "GroupScaling",
    "Moments",
    "QuantileScaling",
    "Scaling",
    "WhitenScaling",
    "fit_scaling",
    "scaling_from",
]
