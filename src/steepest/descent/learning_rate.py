"""``learning_rate = "auto"``: from the curvature where J is convex, else from trial runs.

A trial run is the descent itself, with the same rule, batches and schedule, in a fraction of its
steps. η are half a decade apart; all of them take a short run, and the best three a longer one
(successive halving: Jamieson and Talwalkar, arXiv:1502.07943). What counts is the loss of events
that the trial runs do not train on. The best η falls as a descent gets longer, by the bounds of
stochastic descent as 1/√T (Bottou, Curtis and Nocedal, arXiv:1606.04838, section 4): so the η that
is best for a trial run is multiplied by the root of its part of the steps.

Of many ranks each gives some of its events, so that all have what one rank would take, and each
tries some of the η; then all know what each of them gave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest import recipe as spec
from steepest.descent.trials import MOST_HELD_OUT, Trials
from steepest.objective import Batch, CurvatureBounds, Objective
from steepest.objective.stateful import preserved_memory
from steepest.optimizers import UpdateRule
from steepest.ranks import Share

__all__ = ["LearningRate", "choose_learning_rate"]

Array = np.ndarray

HALF_DECADE = math.sqrt(10.0)
ADAPTIVE, PLAIN = (1e-4, 8), (1e-3, 8)
"""The lowest η that is tried, and how many: for rules that adapt to the gradient, for others."""
TOLD = 0.01
"""Held-out events tell rates apart if one of them brings their loss down by this part of it."""
FINALISTS, MOST_RATES = 3, 16
"""Rates that take a long trial run after the short ones, of a quarter of its steps."""
GROUPS = 10
"""Of held-out events, by which the error of a difference of losses is estimated."""


@dataclass(frozen=True)
class LearningRate:
    """A learning rate and the sentence that says where it comes from."""

    value: float
    reason: str
    penalty: tuple[float, str] | None = None
    """λ that was chosen with η, and the sentence about it."""


def choose_learning_rate(
    objective: Objective,
    events: Batch,
    rule: UpdateRule,
    batch_size: int,
    seed: int,
    momentum: float = 0.0,
    steps: int | None = None,
    schedule: spec.Schedule | None = None,
    share: Share | None = None,
    judge: Objective | None = None,
    penalized: Mapping[float, Objective] | None = None,
) -> LearningRate:
    """Choose η for a descent of so many steps; as many as an epoch has where that is not said.

    Convex objectives with SGD, momentum or Nesterov take it from the measured curvature
    (`from_curvature`), and with all events a step the best multiple of it (`best_multiple`). All
    others take the best of trial runs (`best_of_trials`), and with it the best λ of the objectives
    in `penalized`. Of many ranks, `events` are this one's, `share` says which of all they are.
    """
    share = share or Share.whole(len(events))
    curvature = None
    if rule.name in ("sgd", "momentum", "nesterov"):
        curvature = objective.curvature_bounds(events)
    schedule = schedule or spec.Constant()
    if curvature is not None:
        judge = None  # J itself, with the L2 term, is what a convex descent brings down
    trials = Trials(objective, events, share, rule, batch_size, seed, steps, schedule, judge)
    if curvature is None:
        return best_of_trials(trials, momentum, penalized)
    found = from_curvature(curvature, share.events, batch_size, momentum, steps)
    if batch_size < share.events or momentum or steps is None:
        return found
    return best_multiple(trials, found, (0.5, 1.0) if curvature.exact else DOUBLED)


def from_curvature(
    curvature: CurvatureBounds,
    events: int,
    batch_size: int,
    momentum: float = 0.0,
    steps: int | None = None,
) -> LearningRate:
    """η from bounds L ≥ λmax(∇²J) that hold at every θ.

    With all events a step: 2/(λ₁ + λₙ) for the mean squared error without momentum, the best fixed
    rate on a quadratic for steps without end, and at most γ(T)/λ₁, the best for T `steps`
    (`best_for_steps`), which matters where κ = λ₁/λₙ is not small for T; else 1/L. With b of m
    events a step: 1/𝓛 with the expected smoothness
    𝓛 = m(b−1)/(b(m−1)) L + (m−b)/(b(m−1)) max ᵢ Lᵢ (Gower et al., arXiv:1901.09401), times 1 − β
    with momentum β.
    """
    m, b = events, batch_size
    largest, lowest = curvature.largest, curvature.lowest
    if b == m:
        if curvature.exact and lowest > 0 and not momentum:
            rate = 2.0 / (largest + lowest)
            most = 2.0 if steps is None else best_for_steps(steps)
            if rate * largest > most:
                rate = most / largest
                return LearningRate(
                    rate,
                    f"η = {most:.4g}/λ₁ = {rate:.4g}, the best for {steps:,} steps at the "
                    f"curvature λ₁ = {largest:.4g}, λₙ = {lowest:.4g} (κ = {largest / lowest:.4g})",
                )
            return LearningRate(
                rate,
                f"η = 2/(λ₁ + λₙ) = {rate:.4g}, from the curvature λ₁ = {largest:.4g}, "
                f"λₙ = {lowest:.4g} (κ = {largest / lowest:.4g})",
            )
        rate = 1.0 / largest
        return LearningRate(
            rate, f"η = 1/L = {rate:.4g}, from the curvature bound L = {largest:.4g}"
        )
    smoothness = (m * (b - 1) * largest + (m - b) * curvature.instance) / (b * (m - 1))
    rate = (1.0 - momentum) / smoothness
    return LearningRate(
        rate,
        f"η = {rate:.4g}, from the expected smoothness 𝓛 = {smoothness:.4g} of batches of {b:,} "
        f"(L = {largest:.4g} over all events, {curvature.instance:.4g} for the steepest one)",
    )


def best_for_steps(steps: int) -> float:
    """γ of the rate γ/λ₁ with the least loss, in the worst case, after so many steps.

    A direction of curvature λ keeps λ(1 − ηλ)²ᵀ of its loss after T steps. Over 0 < λ ≤ λ₁ this is
    largest at λ₁ or at λ = 1/(η(2T + 1)); the best η = γ/λ₁ makes the two equal,
    γ (2T + 1) (γ − 1)²ᵀ = (2T/(2T + 1))²ᵀ. It rises from 4/3 to 2 with T.

    Examples
    --------
    >>> [round(best_for_steps(steps), 6) for steps in (1, 100, 10_000)]
    [1.333333, 1.965718, 1.99942]
    """
    from scipy.optimize import brentq  # where it is needed: it takes a quarter of a second

    twice = 2 * steps

    def excess(gamma: float) -> float:
        ends = math.log(gamma * (twice + 1)) + twice * math.log(gamma - 1.0)
        return ends + twice * math.log1p(1.0 / twice)

    root: Any = brentq(excess, 1.0 + 1e-12, 2.0, xtol=1e-15)
    return float(root)


def best_of_trials(
    trials: Trials, momentum: float = 0.0, penalized: Mapping[float, Objective] | None = None
) -> LearningRate:
    """The η with the lowest loss of held-out events after a trial run; and λ, if several are given.

    Few events are held out in turn (`Trials.folds`), in the long runs. Where no rate brings their
    loss down by `TOLD`, they cannot tell rates apart: then the loss of the events of the trial runs
    counts, but for λ, of which it would always prefer the smallest.
    """
    folds = trials.folds()
    kept, judged = folds[0]
    held_out = judged is not kept
    judges = sum(len(judged) for _, judged in folds)
    on = f"{judges:,} {'held-out events' if held_out else 'events, too few to hold any out'}"
    with np.errstate(all="ignore"), preserved_memory(trials.objective):
        start = float(np.mean([_start(trials, judged) for _, judged in folds]))
        best = _best_rate(trials, folds, momentum, start, penalized)
        if best.loss > start - TOLD * abs(start):
            folds = [(kept, kept) for kept, _ in folds]
            seen = _best_rate(trials, folds, momentum, -math.inf, None)
            best = replace(best, rate=seen.rate, loss=seen.loss, tried=seen.tried)
            if held_out:
                seen_by = len(kept) + (len(judged) if len(folds) > 1 else 0)
                on = (
                    f"the {seen_by:,} events they train on, as no η brings the loss of held-out "
                    f"ones down by {100 * TOLD:g} %"
                )
    rate, longer = best.rate, ""
    if trials.long < trials.steps:
        rate *= math.sqrt(trials.long / trials.steps)
        times = trials.steps / trials.long
        longer = f", and falls with the root of the steps, here {times:.3g} times as many"
    reason = (
        f"η = {rate:.3g}: {best.rate:.3g} is the best of {best.tried} in trial runs of up to "
        f"{trials.long:,} steps (J = {best.loss:.4g} on {on}){longer}"
    )
    if len(best.by_penalty) < 2:
        return LearningRate(rate, reason)
    said = penalty_reason(best.penalty, best.by_penalty, trials.long, held_out)
    return LearningRate(rate, reason, (best.penalty, said))


def penalty_reason(
    best: float, losses: Mapping[float, float], steps: int, held_out: bool = True
) -> str:
    """The sentence about λ, from the loss of trial runs with each."""
    lowest = "the best" if losses[best] == min(losses.values()) else "the largest within one error"
    listed = ", ".join(f"{loss:.4g} for {l2:.2g}" for l2, loss in sorted(losses.items()))
    of = "events held out of them" if held_out else "the events themselves, too few to hold any out"
    return (
        f"λ = {best:.2g}, {lowest} of {len(losses)} in trial runs of {steps:,} steps (loss "
        f"of {of}: {listed})"
    )


@dataclass(frozen=True)
class _Best:
    """The best rate, its loss, how many were tried, λ, and the loss of each λ at its best rate."""

    rate: float
    loss: float
    tried: int
    penalty: float
    by_penalty: Mapping[float, float]


def _start(trials: Trials, judged: Batch) -> float:
    return trials.judge.loss(trials.objective.initial(trials.seed), judged)


def _best_rate(
    trials: Trials,
    folds: list[tuple[Batch, Batch]],
    momentum: float,
    start: float,
    penalized: Mapping[float, Objective] | None,
) -> _Best:
    """The best rate of short, then of long trial runs; none so low that it leaves the start.

    The long ones are with each λ in turn, but for the smallest.
    """
    lowest, count = ADAPTIVE if trials.rule.stability is None else PLAIN
    rates = [lowest * (1.0 - momentum) * HALF_DECADE**k for k in range(count)]
    short, usual = max(1, trials.long // 4), {0.0: trials.objective}

    def tried(
        candidates: list[float],
        steps: int,
        of: list[tuple[Batch, Batch]],
        objectives: Mapping[float, Objective],
    ) -> list[_Trial]:
        groups = GROUPS if penalized else 1

        def run(rate: float) -> list[Array]:
            """By λ: the losses of the groups of each fold, at the look where the fold is lowest."""
            found = []
            for trials.objective in objectives.values():
                lowest = [trials.lowest(rate, steps, *fold, groups)[0] for fold in of]
                found.append(np.concatenate(lowest))
            trials.objective = objective
            return found

        rows = zip(candidates, trials.by_rates(run, candidates), strict=True)
        return [
            _Trial(rate, l2, losses)
            for rate, by_penalty in rows
            for l2, losses in zip(objectives, by_penalty, strict=True)
        ]

    objective = trials.objective
    order = sorted(tried(rates, short, folds[:1], usual), key=_Trial.order)
    while order[0].rate == min(rates) and len(rates) < MOST_RATES:  # the best may lie below
        if order[0].loss > start - TOLD * abs(start):
            break
        rates.append(min(rates) / HALF_DECADE)
        order = sorted([*order, *tried(rates[-1:], short, folds[:1], usual)], key=_Trial.order)
    finalists = [trial.rate for trial in order[:FINALISTS]]
    others = dict(penalized or usual)
    smallest = {min(others): others.pop(min(others))} if len(others) > 1 else {}
    order = tried(finalists, trials.long, folds, others)
    if smallest:  # with the η that suits the next one, as it seldom is taken
        nearest = [trial for trial in order if trial.penalty == min(others)]
        order += tried([min(nearest, key=_Trial.order).rate], trials.long, folds, smallest)
    order = sorted(order, key=_Trial.order)
    best = {trial.penalty: trial for trial in reversed(order)}  # of each λ at its best rate
    chosen = max((t for t in best.values() if t.within_an_error(order[0])), key=lambda t: t.penalty)
    by_penalty = {l2: trial.loss for l2, trial in best.items()}
    return _Best(chosen.rate, chosen.loss, len(rates), chosen.penalty, by_penalty)


@dataclass(frozen=True)
class _Trial:
    """A rate and λ, and the loss of each group of held-out events."""

    rate: float
    penalty: float
    losses: Array

    @property
    def loss(self) -> float:
        """The mean over the groups."""
        return float(np.mean(self.losses))

    def order(self) -> tuple[float, float]:
        """By loss, then by rate."""
        return self.loss, self.rate

    def within_an_error(self, best: _Trial) -> bool:
        """Whether the loss is above that of the best by no more than the difference's error.

        Where λ are as good as each other, the largest is taken (the rule of one standard error of
        Breiman et al. 1984): the descent is longer than trial runs, and fits the noise more.
        """
        if self is best:
            return True
        if not math.isfinite(self.loss):
            return False
        above = self.losses - best.losses
        return float(np.mean(above)) <= float(np.std(above, ddof=1)) / math.sqrt(len(above))


DOUBLED, MOST_DOUBLED = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), 128.0
"""Multiples of 1/L that are tried; larger ones while the largest is stable and the best."""
MOST_OF_ALL = 1500
"""Steps of a trial run of a multiple at most, with all events a step."""
MARGIN, MARGIN_OF_SOME = 1.1, 1.5
"""A multiple must be stable by so much; by more if trial runs see only some of the events."""


def best_multiple(trials: Trials, found: LearningRate, multiples: Sequence[float]) -> LearningRate:
    """The multiple of η that is first within 10⁻⁴ of the lowest loss that any of them reaches.

    Bounds hold everywhere; on the way to the minimum the curvature is lower. Multiples whose loss
    does not fall in the second half of the looks, as at an unstable rate, are not taken; one that
    is unstable when it is `MARGIN` times as large is divided by that.
    """
    most = min(trials.steps, MOST_OF_ALL)
    looks = sorted(set(np.geomspace(1, most, 40).astype(int).tolist()))
    sample = trials.spaced(MOST_HELD_OUT)
    start = trials.judge.loss(trials.objective.initial(trials.seed), sample)

    def losses(tried: Sequence[float]) -> list[list[float]]:
        return trials.by_rates(
            lambda m: trials.losses(m * found.value, most, sample, sample, looks), tried
        )

    with np.errstate(all="ignore"), preserved_memory(trials.objective):
        rows = dict(zip(multiples, losses(multiples), strict=True))
        best = _first_to_arrive(rows, start)
        while best == max(rows) and 1.0 < best < MOST_DOUBLED:
            rows[2.0 * best] = losses([2.0 * best])[0]
            best = _first_to_arrive(rows, start)
        if best > 1.0:
            rows[math.sqrt(2.0) * best] = losses([math.sqrt(2.0) * best])[0]
            best = _first_to_arrive(rows, start)
        margin = MARGIN if len(sample) == trials.share.events else MARGIN_OF_SOME
        if best > 1.0 and not _settles(losses([margin * best])[0], start):
            best /= margin
    if best == 1.0:
        return found
    rate = best * found.value
    return LearningRate(rate, f"η = {rate:.4g}, {best:.3g} times {found.reason}, by trial runs")


def _first_to_arrive(rows: dict[float, list[float]], start: float) -> float:
    """The stable multiple that is first near the lowest loss, and lowest in the end; or 1."""
    lowest = min(map(min, rows.values()))
    if max(rows) == 1.0 and rows[1.0][-1] <= min(row[-1] for row in rows.values()) + 1e-6 * (
        start - lowest
    ):
        return 1.0  # the best fixed rate of a quadratic is only left where it is too slow
    goal = lowest + 1e-4 * (start - lowest)
    stable = [m for m, row in rows.items() if m == 1.0 or _settles(row, start)]
    return min(stable, key=lambda m: (_arrives(rows[m], goal), rows[m][-1]))


def _arrives(losses: Sequence[float], goal: float) -> int:
    """The look from which on the loss is at the goal; their number if it is not at the last one."""
    above = [index for index, loss in enumerate(losses) if not loss <= goal]
    return above[-1] + 1 if above else 0


def _settles(losses: Sequence[float], start: float) -> bool:
    """Whether a loss does not rise in the second half of the looks, but by rounding."""
    steps, span = np.diff(losses[len(losses) // 2 :]), start - min(losses)
    return math.isfinite(losses[-1]) and bool((steps <= 1e-6 * max(span, 0.0)).all())
