"""What is said of η and of scaling, and from which numbers on: the one source of these sentences.

`steepest explain`, `explain_setting` and the page of the lab, which gets this table as data, fill
the same sentences with their numbers.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Decimal
from typing import Any

PART = 1e-3
"""Steps are counted until J − J* is this part of its start."""
SLOW = 5.0
"""A rate that takes so many times the steps of a good one is too small."""
SMALL = 40.0
"""Where steps cannot be counted: one so many times below the largest stable rate."""
SKEWED = 30.0
"""κ of unscaled inputs from which no rate is quick."""
LEVEL = 1e-3
"""‖∇J‖ below which a network is on a plateau, or at a minimum."""

SENTENCES = {
    "too-large": "η is {times} the largest stable one, {name} = {bound}",
    "grows": "along {along} each step multiplies J − J* by (1 − ηλmax)² = {growth}",
    "edge": "a network can stay at this edge while its loss falls",
    "too-small": "η is {times} smaller than the largest stable one",
    "slowly": "{name} = {bound}: it converges, but slowly",
    "just-right": "η is just right: {part} of the largest stable one, {name} = {bound}",
    "overshoots": "η overshoots: above 1/λmax = {newton} each step jumps across the valley "
    "(1 − ηλmax = {left}), and yet comes nearer",
    "swings": "η overshoots: above 1/λmax = {newton} the steps swing across the valley, and yet "
    "come nearer",
    "steps": "{steps} steps of all events to {part} of the first J − J*",
    "never": "{part} of the first J − J* is not reached",
    "skewed": "κ = {kappa}: the inputs are scaled so differently that no η is quick",
    "scale": "scale them",
    "no-bound": "λmax = {largest}, but {rule} divides each gradient by its own size, so 2/λmax is "
    "no bound for it: its steps are about η = {rate} long in each parameter",
    "flat": "Flat here: λmax = {largest} is not positive, so no η overshoots; a step is −η∇J",
    "not-finite": "J has no finite curvature here: θ or the inputs overflow",
    # of the lab's page alone
    "diverged": "Diverged at step {step}: J is a million times that of the start",
    "single-events": "single events are steeper than their mean, so that η is too large for them",
    "lower": "Lower η, then go back to the start",
    "adapts-small": "small steps, each of about η = {rate} in every parameter",
    "adapts-right": "stable. It divides each slope by its size, so scaling matters less",
    "adapts-overshooting": "close to the edge, so it swings",
    "adapts-diverging": "above the edge, J swings instead of settling; a schedule helps",
    "of-bound": "ηλmax is {part} of the bound of {rule} (λmax {where})",
    "separable": "The classes are separable: J falls without end as θ grows",
    "network": "J of a network has many minima, plateaus and ridges; nothing tells the steps "
    "beforehand",
    "local": "λmax = {largest} {where}, so η is {part} of the largest stable one, {bound}",
    "level": "‖∇J‖ is nearly zero: a plateau, or a minimum",
    "one-event": "Each step looks at one event: {steps} steps cost one pass over the data, but the "
    "gradient is noisy",
    "batches": "Each step looks at {size} of {events} events: {steps} steps cost one pass over the "
    "data, but the gradient is noisy",
    "noisy": "with a constant η the noise does not let it settle (its floor grows like η/batch): a "
    "schedule does",
    "annealed": "the schedule lowers η (now {rate}), so the noise dies out and it settles",
    "best-of-race": "Lowest so far: {name}, J = {loss} after {steps} steps",
    "fallen": "Diverged: {names}",
}  # fmt: skip


def said(key: str, **values: Any) -> str:
    """Return a sentence with its numbers, without the full stop.

    Examples
    --------
    >>> said("too-small", times="3 times")
    'η is 3 times smaller than the largest stable one'
    """
    return SENTENCES[key].format(**values)


def table() -> dict[str, Any]:
    """Return sentences and thresholds as data."""
    thresholds = {"part": PART, "slow": SLOW, "small": SMALL, "skewed": SKEWED, "level": LEVEL}
    return {"sentences": SENTENCES, "thresholds": thresholds}


def times(factor: float) -> str:
    """Return a factor in words.

    Examples
    --------
    >>> times(1.05), times(12.0)
    ('5 % above', '12 times')
    """
    if factor < 1.1:
        return f"{number(100 * (factor - 1), 2)} % above"
    return f"{number(factor)} times"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """Return a number as the page of the lab writes it.

    Examples
    --------
    >>> number(0.4951), number(1234.5), number(-0.00002), number(math.inf)
    ('0.495', '1230', '−2·10⁻⁵', '∞')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"
    else:
        text = repr(float(f"{value:.{digits}g}")).removesuffix(".0")
    return text.replace("-", "−")


def below(value: float, digits: int = 4) -> str:
    """Return a bound or a rate rounded down, so that it is stable when it is typed in.

    Examples
    --------
    >>> below(3.53986e-05, 3), below(0.1), below(math.inf)
    ('3.53e-05', '0.1', 'inf')
    """
    return f"{lowered(value, digits):.{digits}g}"


def lowered(value: float, digits: int = 3) -> float:
    """Return a number rounded down to so many digits."""
    if not math.isfinite(value) or value == 0:
        return value
    exact = Decimal(repr(float(value)))
    last = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float(exact.quantize(last, ROUND_FLOOR))


def count(steps: float) -> str:
    """Return a whole number with commas."""
    return f"{steps:,.0f}" if math.isfinite(steps) else "∞"
