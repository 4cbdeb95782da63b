"""Feature scaling: fit in one stable pass, merge, transform, invert, save.

========== ============================================ ========================================
name       x' of a feature x                            use it when
========== ============================================ ========================================
none       x                                            the features are already scaled
standard   (x − mean) / standard deviation              in most cases (the default)
min-max    (x − minimum) / (maximum − minimum)          the features have hard bounds
robust     (x − median) / inter-quartile range          outliers should not determine the scale
quantile   normal score of the quantile of x            the tails span decades (pt, energies)
whiten     P^(−1/2) (x − mean) / standard deviation     the features are strongly correlated
========== ============================================ ========================================

Fit a scaling on the training part only, then transform every part with it. A scaling that was
fitted on validation or test events leaks information about them into the training.

::

    fit.py       fit_scaling, scaling_from: names → scalings
    base.py      Scaling, AffineScaling: the contract
    affine.py    DiagonalScaling (none, standard, min-max, robust), WhitenScaling
    quantile.py  QuantileScaling, and weighted quantiles
    moments.py   Moments: mergeable weighted mean and scatter; Extremes: lowest and highest
    groups.py    GroupScaling: one scaling for each named group of inputs
    blocks.py    checks of blocks of events
"""

from steepest.scaling.affine import DiagonalScaling, WhitenScaling
from steepest.scaling.base import AffineScaling, Scaling
from steepest.scaling.fit import SCALINGS, fit_scaling, scaling_from
from steepest.scaling.groups import AnyScaling, GroupScaling
from steepest.scaling.moments import Moments
from steepest.scaling.quantile import QuantileScaling

__all__ = [
    "SCALINGS",
    "AffineScaling",
    "AnyScaling",
    "DiagonalScaling",
    "GroupScaling",
    "Moments",
    "QuantileScaling",
    "Scaling",
    "WhitenScaling",
    "fit_scaling",
    "scaling_from",
]
