"""The loop itself, taken for some steps from copies of module and optimiser, at other η."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from steepest.explain.loop.loop import Loop, as_it_was, copied
from steepest.training import TrainingCallback

FACTORS = (0.1, 0.01, 10.0)
STEPS = 100


@dataclass(frozen=True)
class LoopTrial:
    """J of the same batches before and after some steps, by the factor of η.

    Parameters
    ----------
    steps
        Steps of each.
    before
        J before.
    after
        J after, by factor; infinite where it was not finite.
    error
        Standard error of the difference of J between η and the best smaller one, from pairs of
        batches.
    """

    steps: int
    before: float
    after: dict[float, float]
    error: float

    @property
    def best(self) -> float:
        """The factor with the lowest J."""
        return min(self.after, key=lambda factor: self.after[factor])

    @property
    def smaller(self) -> float:
        """The factor below one with the lowest J; NaN if there was none."""
        below = [factor for factor in self.after if factor < 1.0]
        return min(below, key=lambda factor: self.after[factor], default=math.nan)

    @property
    def sentence(self) -> str:
        """All of them."""
        each = ", ".join(
            f"{'diverged' if math.isinf(loss) else f'{loss:.4g}'} with η × {factor:g}"
            for factor, loss in sorted(self.after.items())
        )
        return f"tried for {self.steps} steps from J = {self.before:.4g}: {each}"


def try_rates(loop: Loop, callback: TrainingCallback) -> LoopTrial:
    """Take the loop's steps at η, a tenth, a hundredth and ten times; Ctrl-C ends with those done.

    Module, optimiser and random numbers stay as they were.
    """
    after: dict[float, float] = {}
    each: dict[float, np.ndarray] = {}
    before = float(np.mean(_losses(loop)))
    for factor in (1.0, *FACTORS):
        if callback.interrupted and after:
            break
        callback.stage(f"Trying: η × {factor:g}")
        with as_it_was(loop.module):  # its random numbers
            copy = copied(loop)
            losses = _descended(copy, factor)
        each[factor] = losses
        after[factor] = float(losses.mean()) if np.isfinite(losses).all() else math.inf
    trial = LoopTrial(STEPS, before, after, math.nan)
    if not trial.smaller < 1.0 or math.isinf(after[1.0]) or math.isinf(after[trial.smaller]):
        return trial
    pairs = each[1.0] - each[trial.smaller]
    if len(pairs) < 2:
        return trial
    return replace(trial, error=float(pairs.std(ddof=1)) / math.sqrt(len(pairs)))


def _descended(loop: Loop, factor: float) -> np.ndarray:
    torch.manual_seed(0)
    for group in loop.optimizer.param_groups:
        group["lr"] = group["lr"] * factor
    loop.module.train()
    for step in range(STEPS):
        loop.optimizer.zero_grad()
        value = loop.value(loop.batches[step % len(loop.batches)])
        if not bool(value.isfinite()):
            return np.array([math.inf])
        value.backward()
        loop.optimizer.step()
    return _losses(loop)


def _losses(loop: Loop) -> np.ndarray:
    with as_it_was(loop.module), torch.no_grad():
        return np.array([float(loop.value(batch)) for batch in loop.batches])
