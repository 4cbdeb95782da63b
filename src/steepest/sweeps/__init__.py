"""Sweeps: many runs of a recipe, whose keys Optuna chooses in ranges.

================  ==============================================================================
file              concept
================  ==============================================================================
`ranges`          ``log(1e-4,1)``, ``uniform``, ``int``, ``choice``: what a key may be
`study`           the study: its database, its sampler, its pruner
`trial`           one trial: an ordinary run, whose validation losses the pruner is told
`result`          what a sweep has found: its trials, the best, the importance of keys
`sweep`           all trials, one after the other
================  ==============================================================================
"""

from steepest.sweeps.ranges import Range
from steepest.sweeps.result import Sweep, Trial
from steepest.sweeps.sweep import sweep

__all__ = ["Range", "Sweep", "Trial", "sweep"]
