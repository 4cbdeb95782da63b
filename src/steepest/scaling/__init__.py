"""Feature scaling: fit in one stable pass, merge, transform, invert, save.

What to use when:

========== ============================================ =======================================
name       x' of a feature x                            use it when
========== ============================================ =======================================
none       x                                            features are scaled already
standard   (x − mean) / standard deviation              nothing speaks against it: the default
min-max    (x − minimum) / (maximum − minimum)          features have hard bounds
robust     (x − median) / inter-quartile range          a few outliers must not set the scale
quantile   the normal score of x's quantile             tails over decades (pt, energies)
whiten     P^(−1/2) (x − mean) / standard deviation     features are strongly correlated
========== ============================================ =======================================

Fit on the training part alone, then transform every part with what was fitted: a scaling that
has seen validation or test events has leaked them into the training.

::

    fit.py       fit_scaling, scaling_from: names → scalings
    base.py      Scaling, AffineScaling: the contract
    affine.py    DiagonalScaling (none, standard, min-max, robust), WhitenScaling
    quantile.py  QuantileScaling, and weighted quantiles
    moments.py   Moments: weighted mean and scatter that merge; Extremes: lowest and highest
    groups.py    GroupScaling: one scaling for each named group of inputs
    blocks.py    what an acceptable block of events is
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
