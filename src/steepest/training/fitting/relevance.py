"""The relevance of features: how much of each a dense network reads, learnt from a trial run.

A network reads all of its inputs alike at first, and fits the noise of those that say little; trees
do not, one reason for their lead on tables (Grinsztajn, Oyallon and Varoquaux, arXiv:2207.08815).
So a trial run says how much weight each input gets, and the inputs of the descent are multiplied by

    r_j = Σ_k W_jk² / mean_i Σ_k W_ik²,

W being the weights of the first layer. The L2 term then holds those of input j back by 1/r_j² (the
adaptive ridge penalty of Grandvalet, ICANN 1998; relevance is the word of Neal's "Bayesian Learning
for Neural Networks", 1996). The factors are taken only if a trial run with them has a loss of
held-out events that is lower by a thousandth or more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from steepest.descent.plan import Plan
from steepest.descent.trials import Trials
from steepest.objective import Batch, Objective
from steepest.objective.stateful import preserved_memory
from steepest.ranks import Share, current

Array = np.ndarray

LEAST = 0.05
"""No input is multiplied by less."""
GAIN = 1e-3
"""The part of the loss of held-out events by which the factors must lower it."""


def relevance_of(weights: Array) -> Array:
    """The relevance of each input, from the weights of the first layer ``(inputs, units)``.

    Examples
    --------
    >>> relevance_of(np.array([[3.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
    array([2.5 , 0.5 , 0.05])
    """
    squares = np.square(weights, dtype=np.float64).sum(axis=1)
    return np.maximum(squares / squares.mean(), LEAST)


def best_relevance(
    objective: Objective,
    judge: Objective,
    events: Batch,
    share: Share,
    plan: Plan,
) -> tuple[tuple[float, ...], str]:
    """Return the relevance of each input, or nothing if it does not help, and a sentence.

    A trial run takes η as ``learning_rate = "auto"`` has it, larger by the root of the steps that
    the descent has more.

    Parameters
    ----------
    objective, judge
        J of a dense network with the chosen λ, and J without the L2 term, which counts.
    events, share, plan
        The training events, which of them are here, and the descent that is planned for them.
    """
    given = plan.rule, plan.batch_size, plan.seed, plan.total_steps, plan.schedule_options
    trials = Trials(objective, events, share, *given, judge)
    rate = plan.learning_rate * math.sqrt(trials.steps / trials.long)
    usual: list[Array] = []
    weighted: list[Array] = []
    factors: list[Array] = []
    with np.errstate(all="ignore"), preserved_memory(objective):
        folds = trials.folds()
        for kept, judged in folds:
            losses, theta = trials.lowest(rate, trials.long, kept, judged)
            usual.append(losses)
            model: Any = objective.model  # type: ignore[attr-defined]
            factors.append(relevance_of(model.input_weights(theta)))
            of = _times(kept, factors[-1]), _times(judged, factors[-1])
            weighted.append(trials.lowest(rate, trials.long, *of)[0])
    mean = np.mean(factors, axis=0)
    found = tuple(mean.tolist()), np.concatenate(usual), np.concatenate(weighted)
    relevance, without, with_them = current().from_main(found)
    before, after = float(np.mean(without)), float(np.mean(with_them))
    factors_said = f"inputs are multiplied by {min(relevance):.2g} to {max(relevance):.2g}"
    held_out = sum(len(judged) for _, judged in folds)
    loss = f"the loss of {held_out:,} held-out events in trial runs (η = {rate:.3g})"
    if before - after >= GAIN * abs(before):  # not so where a loss is not finite
        return (
            relevance,
            f"{factors_said}, with which {loss} falls from {before:.4g} to {after:.4g}",
        )
    changed = f"goes from {before:.4g} to {after:.4g}, and must fall by a thousandth or more"
    return (), f"tried and not taken: {factors_said}, with which {loss} {changed}"


def _times(events: Batch, factors: Array) -> Batch:
    return replace(events, inputs=events.inputs * factors.astype(events.inputs.dtype))
