"""A log → findings: divergence, oscillation, crawl, plateau, overtraining, too few epochs.

A loss that grows by a constant factor g a step shows one direction in which a step multiplies the
distance by −√g, so for plain gradient descent ηλmax = 1 + √g: the log then tells the largest
stable η. A loss that nears its limit by the factor s a step shows ηλ = 1 − √s of the slowest
direction that is left; whether η is small or λ, the log does not tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from steepest.explain.findings import Check, Finding
from steepest.explain.logs.curve import Curve
from steepest.explain.logs.read import Log, finite

ROSE, NOTICEABLE = 0.05, 0.02
"""Of the whole fall: a rise of the validation loss, and a fall in the last fifth."""
ALTERNATES = 0.9
CLASSES = 20
"""A loss is compared with that of guessing among two to so many classes."""


def check_finite(log: Log, curves: dict[str, Curve | None]) -> Iterator[Finding | Check]:
    """Whether all losses are numbers, and whether they grew."""
    for what, (steps, values) in {"training": log.loss, "validation": log.validation}.items():
        bad = ~np.isfinite(values)
        if bad.any():
            good = values[~bad]
            last = f"the last finite one was {good[-1]:.4g}" if len(good) else "none is finite"
            yield Finding(
                "diverged",
                f"The {what} loss is NaN or infinite from step {int(steps[bad.argmax()]):,} on.",
                last,
                "a step went beyond what numbers hold: η too large, a division by zero, or an "
                "event that is not finite; a log does not tell which",
                "a smaller η; look for events that are not finite",
                severity="wrong",
                weight=1e6,
            )
    curve = curves["training"] or curves["validation"]
    if curve is None:
        return
    if curve.peak > max(curve.first, 2 * abs(curve.lowest)) and curve.last > curve.first:
        yield _grew(log, curve)
    elif curve.bad_step is None:
        yield Check(
            "divergence", True, f"the loss ends at {curve.last:.4g}, from {curve.first:.4g}"
        )


def _grew(log: Log, curve: Curve) -> Finding:
    rates = finite(log.rate)[1]
    rate = float(rates[-1]) if len(rates) else math.nan
    seen = f"{curve.lowest:.4g} at step {curve.lowest_step:,}, {curve.last:.4g} at the end"
    why = "steps overshoot: each lands higher than the one before"
    do = "a smaller η"
    title = f"The loss grew, from {curve.lowest:.4g} to {curve.peak:.4g}."
    if math.isfinite(curve.growth) and curve.growth > 1:
        root = math.sqrt(curve.growth)
        above = (1 + root) / 2
        title = f"The loss grew {curve.growth:.4g}-fold a step: η is above the largest stable one."
        why = (
            f"plain gradient descent with all events a step multiplies the distance along its "
            f"steepest direction by 1 − ηλmax, here −{root:.4g}: η is {above:.4g} times the "
            "largest stable 2/λmax"
        )
        if math.isfinite(rate):
            why += f" = {rate / above:.4g} (λmax = {(1 + root) / rate:.4g})"
            do = f"η below {rate / above:.3g}; scaled features allow a larger one"
        else:
            do = f"η divided by more than {above:.4g}"
    return Finding("learning-rate-too-large", title, seen, why, do, severity="wrong", weight=1e5)


def check_progress(log: Log, curves: dict[str, Curve | None]) -> Iterator[Finding | Check]:
    """Whether it learns anything, still falls, or crawls."""
    curve = curves["training"]
    if curve is None:
        yield Check("progress", False, "no training loss in the log")
        return
    if curve.records < 10:
        yield Check("progress", False, f"only {curve.records} records")
        return
    if curve.bad_step is not None:
        return
    least = 1e-3 * abs(curve.first)
    if abs(curve.first - curve.last) < max(4 * curve.error, least) and curve.fall < max(
        6 * curve.error, least
    ):
        yield _learns_nothing(curve)
        return
    if curve.last > curve.first:
        return
    if curve.late > NOTICEABLE and curve.late * (curve.first - curve.last) > 3 * curve.error:
        yield _still_falls(curve)
        return
    yield Check(
        "progress",
        True,
        f"{100 * max(curve.late, 0.0):.2g} % of the fall came in the last fifth"
        if math.isfinite(curve.late)
        else "the loss rose on the way, but ends lower",
    )


def _learns_nothing(curve: Curve) -> Finding:
    guess = _guessed(curve.last, max(3 * curve.error, 0.005))
    return Finding(
        "learns-nothing",
        f"The loss stays at {curve.last:.4g}"
        + (f" = log {guess}, that of guessing among {guess} classes." if guess else "."),
        f"{curve.first:.4g} in the first twentieth, {curve.last:.4g} ± {curve.error:.1g} at the "
        f"end of {curve.steps:,} steps",
        "dead units after too large an η, η far too small, no gradient that reaches the weights, "
        "or labels that belong to other events; a log does not tell which",
        "look at ‖∇J‖ and at ηλmax: steepest.explain(module, loss, loader, optimizer)",
        severity="wrong" if guess else "better",
        weight=1e4,
    )


def _guessed(loss: float, within: float) -> int | None:
    return next((k for k in range(2, CLASSES) if abs(loss - math.log(k)) < within), None)


def _still_falls(curve: Curve) -> Finding:
    why = "a longer descent goes on falling"
    crawls = curve.late > 0.15
    if math.isfinite(curve.shrink):
        left = curve.last - curve.limit
        steps = math.log(100) / -math.log(curve.shrink)
        product = 1 - math.sqrt(curve.shrink)
        why = (
            f"at the pace of the second half it tends to {curve.limit:.4g}: {left:.3g} are left, "
            f"and some {steps:,.0f} more steps take 99 % of them. For plain gradient descent that "
            f"is a direction with ηλ = {product:.2g}: either η is up to {2 / product:,.0f} times "
            f"below its bound, or κ is some {2 / product:,.0f} and only scaling helps; a log does "
            "not tell these apart"
        )
        crawls = crawls or product < 1e-3
    return Finding(
        "too-few-steps",
        "The loss crawls: it still falls at the end." if crawls else "The loss still falls.",
        f"{100 * curve.late:.2g} % of the fall came in the last fifth of {curve.steps:,} steps",
        why,
        "scale the features, measure λmax (steepest explain RUN), or more epochs",
        severity="better",
        weight=curve.late,
    )


def check_oscillation(log: Log, curves: dict[str, Curve | None]) -> Iterator[Finding | Check]:
    """Whether the loss jumps up and down every other record, or has spikes."""
    curve = curves["training"]
    if curve is None or not math.isfinite(curve.alternating):
        yield Check("oscillation", False, "fewer than 40 training losses")
        return
    values = finite(log.loss)[1]
    swing = float(np.median(np.abs(np.diff(values[len(values) // 2 :]))))
    if curve.alternating > ALTERNATES and swing > 0.01 * abs(curve.fall):
        yield Finding(
            "oscillation",
            "The loss goes up and down at every other record.",
            f"{100 * curve.alternating:.0f} % of the changes have the other sign than the one "
            f"before (noise: 67 %), by {swing:.2g} each",
            "the iterates cross the valley: 1 < ηλmax < 2, or a network at the edge of stability",
            "a smaller or a decaying η, if it goes on to the end",
            severity="better",
            weight=swing / max(abs(curve.fall), 1e-300),
        )
        return
    spikes = _spikes(values)
    if spikes:
        yield Finding(
            "spikes",
            f"The loss has {spikes} spike{'s' * (spikes > 1)} that pass.",
            "records ten standard deviations above their neighbours, and half of the fall high",
            "single batches with huge weights or values, or an η near its bound",
            "clip the gradient, look at these batches, or a smaller η",
            severity="note",
            weight=float(spikes),
        )
        return
    yield Check(
        "oscillation", True, f"{100 * curve.alternating:.0f} % of changes alternate (noise: 67 %)"
    )


def _spikes(values: np.ndarray) -> int:
    """Records far above the median of the 11 around them, after the first tenth."""
    values = values[len(values) // 10 :]
    if len(values) < 30:
        return 0
    around = np.median(np.lib.stride_tricks.sliding_window_view(values, 11), axis=1)
    above = values[5:-5] - around
    spread = np.median(np.abs(above)) / 0.6745
    high = above > max(10 * spread, 0.5 * (values.max() - values.min()) * (spread > 0))
    return int((high & (spread > 0)).sum())


def check_overtraining(log: Log, curves: dict[str, Curve | None]) -> Iterator[Finding | Check]:
    """Whether the validation loss rises from some step on while the training loss falls."""
    training, validation = curves["training"], curves["validation"]
    if validation is None:
        yield Check("overtraining", False, "no validation loss in the log")
        return
    rise, fall = validation.last - validation.lowest, validation.fall
    seen = (
        f"validation loss {validation.lowest:.4g} at step {validation.lowest_step:,}, "
        f"{validation.last:.4g} at the end"
        + (f"; training loss {training.last:.4g}" if training is not None else "")
    )
    grew = training is not None and training.last > training.first
    threshold = max(ROSE * fall, 3 * validation.error)
    if rise > threshold > 0 and not grew and validation.bad_step is None:
        parted = training is not None and training.last < training.first
        yield Finding(
            "overtraining",
            f"The model learns the training events by heart from step {validation.lowest_step:,} "
            "on." if parted else "The validation loss rises again.",
            seen,
            f"after its best it rises by {100 * rise / max(fall, 1e-300):.2g} % of what was gained",
            "keep the best parameters, stop there, an L2 penalty, a smaller network or more events",
            severity="better",
            weight=10 * rise / max(fall, 1e-300),
        )  # fmt: skip
    else:
        yield Check("overtraining", True, seen)


CHECKS = (check_finite, check_progress, check_oscillation, check_overtraining)
