"""Explain a loop of PyTorch: measure, diagnose, take some steps at other η."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from steepest.explain.explanation import Explanation, ranked
from steepest.explain.findings import Check, Finding, Trial
from steepest.explain.loop.checks import CHECKS
from steepest.explain.loop.loop import Loop, refuse_unfit, same_random_numbers, taken
from steepest.explain.loop.measured import LoopMeasured, measure_loop
from steepest.explain.loop.trial import LoopTrial, try_rates
from steepest.explain.wording import below
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible


@dataclass(frozen=True)
class LoopNumbers:
    """What was measured, and the trial."""

    measured: LoopMeasured
    trial: LoopTrial | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        trial = self.trial
        told = None
        if trial is not None:
            after = {f"{factor:g}": loss for factor, loss in trial.after.items()}
            told = {"steps": trial.steps, "before": trial.before, "after": after}
        return {**self.measured.to_json(), "trial": told}


def explain_loop(
    module: Any,
    loss: Callable[..., Any],
    loader: Iterable[Any],
    optimizer: Any,
    *,
    forward: Callable[[Any, Any], Any] | None = None,
    try_fixes: bool = True,
    callback: TrainingCallback | None = None,
) -> Explanation:
    """Explain a loop of your own, where it is now: before its first step, or after any.

    Parameters
    ----------
    module, optimizer
        As the loop has them; neither is changed.
    loss
        ``loss(module(inputs), targets)``: a mean, or a value for each event.
    loader
        Batches of (inputs, …, targets); the first 32 are taken.
    forward
        In place of ``module(inputs)``: a function of the module and the inputs.
    try_fixes
        Take 100 steps at η, a hundredth, a tenth and ten times of it, from copies.
    callback
        Told of the progress; Ctrl-C ends the trials.

    Raises
    ------
    InputError
        The loader has no batches, or not of (inputs, targets); module or optimiser are none of
        PyTorch; the optimiser needs a closure, or has no parameter that asks for a gradient.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, :1] > 0).float()
    >>> batches = list(zip(x.split(32), y.split(32)))
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Sigmoid())
    >>> optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    >>> loss = torch.nn.BCEWithLogitsLoss()
    >>> explain_loop(module, loss, batches, optimizer).findings[0].cause
    'wrong-output-activation'
    """
    refuse_unfit(module, optimizer)
    with same_random_numbers(module, loader):
        loop = Loop(module, loss, optimizer, taken(loader, module), forward)
        return _explained(loop, try_fixes, callback or TrainingCallback())


def _explained(loop: Loop, try_fixes: bool, callback: TrainingCallback) -> Explanation:
    callback.stage("Measuring the loop")
    measured = measure_loop(loop)
    found: list[Finding] = []
    checks: list[Check] = []
    for check in CHECKS:
        for outcome in check(loop, measured):
            if isinstance(outcome, Finding):
                found.append(outcome)
            else:
                checks.append(outcome)
    trial = None
    untried = "no steps were taken"
    if loop.foreign:
        untried = "not made: the optimiser has parameters of another module"
    elif not measured.rate > 0:
        untried = "not made: η is not positive"
    elif try_fixes and math.isfinite(measured.loss):
        with interruptible(callback):
            trial = try_rates(loop, callback)
        found, checks = _judged(loop, measured, trial, found, checks)
    if trial is None:
        checks.append(Check("trial", False, untried))
    found = ranked(found)
    return Explanation(
        run=type(loop.module).__name__,
        verdict=_verdict(measured, found),
        findings=tuple(found),
        checks=tuple(checks),
        measured=LoopNumbers(measured, trial),
    )


LOST = 0.1
"""A rise of J, as a part of that of guessing, that is of steps that are too long."""


PLATEAU = 0.1
"""A fall below this part of the loss of guessing is none that a larger η proves to be better."""
ENDLESS = 3.0
"""A J below zero that falls by so many times |J| and the loss of guessing has no lowest value."""


def _endless(one: Finding, trial: LoopTrial) -> Finding:
    return replace(one, severity="wrong", seen=f"{one.seen}; {trial.sentence}")


def _judged(
    loop: Loop,
    measured: LoopMeasured,
    trial: LoopTrial,
    found: list[Finding],
    checks: list[Check],
) -> tuple[list[Finding], list[Check]]:
    """What the trial says of η; a suspicion of the curvature counts only if a smaller η is better.

    A larger η that is better after 100 steps is a hint alone: at the start larger steps mostly are.
    """
    rate = float(loop.optimizer.param_groups[0]["lr"])
    own, best, smaller = trial.after[1.0], trial.best, trial.smaller
    rest = [one for one in found if not one.suspected]
    suspected = [one for one in found if one.suspected]
    after = trial.after.get(smaller, math.inf)
    gain = own - after
    wrong_way = any(one.cause == "gradient-sign" for one in found)
    if measured.loss < 0 and trial.before - min(trial.after.values()) > ENDLESS * (
        abs(trial.before) + measured.guess
    ):
        rest = [_endless(one, trial) if one.cause == "gradient-sign" else one for one in rest]
    # a rise that is no noise of small batches about a minimum
    lost = math.isinf(own) or own > trial.before + LOST * max(measured.guess, abs(trial.before))
    if wrong_way or (best == 1.0 and not lost):
        checks.append(Check("learning rate", True, trial.sentence))
        return rest, checks
    clear = gain > 3 * trial.error or gain > max(2 * trial.error, 0.1 * measured.guess)
    if lost or (best < 1 and clear):
        first = suspected[0] if suspected else _too_large(rate, trial)
        if math.isfinite(after):
            scale = max(abs(measured.guess), abs(gain) if math.isfinite(gain) else 0.0)
            numbers = own, after, trial.error, scale, trial.steps, rate * smaller
            first = replace(first, trial=Trial("training", len(loop.batches), *numbers))
        rest.append(replace(first, suspected=False, severity="wrong" if lost else "better"))
    elif best > 1 and trial.before - own < 0.15 * (trial.before - trial.after[best]):
        begun = bool(loop.optimizer.state) or any(p.grad is not None for p in loop.parameters)
        level = trial.before - trial.after[best] < PLATEAU * abs(measured.guess)
        severity = "wrong" if begun and not level else "better"
        rest.append(replace(_too_small(rate, trial), severity=severity))
    else:
        checks.append(Check("learning rate", True, trial.sentence))
    return rest, checks


def _too_large(rate: float, trial: LoopTrial) -> Finding:
    factor = trial.smaller
    said = "J rises." if trial.best >= 1 else f"η × {factor:g} descends further."
    return Finding(
        "learning-rate-too-large",
        f"η = {rate:.3g} is too large: {said}",
        trial.sentence,
        "steps overshoot, or jump about in the noise of their batches",
        f"η = {below(rate * factor, 3)}" + (", or less" if trial.best >= 1 else ""),
        weight=1e3,
    )


def _too_small(rate: float, trial: LoopTrial) -> Finding:
    return Finding(
        "learning-rate-too-small",
        f"η = {rate:.3g} is too small: ten times of it descends ten times as far.",
        trial.sentence,
        "steps are short against the curvature",
        f"η = {10 * rate:.3g}, and again",
        severity="wrong",
        weight=1e3,
    )


def _verdict(measured: LoopMeasured, found: list[Finding]) -> str:
    where = f"J = {measured.loss:.4g}, where guessing has {measured.guess:.4g}"
    first = next((one for one in found if one.severity != "note"), None)
    if first is None:
        return f"{where}. Nothing wrong was found."
    better = "" if first.severity == "wrong" else "Nothing is wrong; it could be better: "
    return f"{where}. {better}{first.title}"
