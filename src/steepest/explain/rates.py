"""Whether the learning rate, or the scaling of the inputs, is why a descent crawls or blows up.

For a linear model with all events a step this is exact arithmetic on the eigenvalues of ∇²J; for
all others λmax at the start gives the bound, and trials decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from steepest.descent.learning_rate import best_for_steps
from steepest.explain.findings import Check, Finding
from steepest.explain.linear import PART, LinearCurvature
from steepest.explain.measured import Measured
from steepest.explain.record import Record
from steepest.explain.wording import below, said, times

CONVERGED = 1e-3
"""J − J*, as a part of its start, at which a descent has arrived."""
FACTOR = 4.0
"""A cause must make the descent so many times as long to be named."""
ENOUGH = 50
"""Steps after which J should be below that of a constant."""
CLIMB = 1.5
"""Rises of J from round to round, together, over its fall."""
SPREAD, CENTRE, FAR, VERY_FAR = 10.0, 5.0, 100.0, 1000.0
"""Of inputs: largest over smallest spread, |mean| over spread, farthest value in widths."""


def check_rate(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """η against its bounds."""
    if record.descent.method != "descent":
        yield Check("learning rate", True, f'method = "{record.descent.method}" needs none')
        return
    exact = measured.linear is not None and record.takes_all and record.rule.name == "sgd"
    if exact:
        assert measured.linear is not None
        yield from _exact(record, measured, measured.linear)
    else:
        yield from _by_sharpness(record, measured)


def _exact(
    record: Record, measured: Measured, linear: LinearCurvature
) -> Iterator[Finding | Check]:
    quadratic, rate = linear.curvature, measured.curves.rates[1]
    largest, bound = float(quadratic.eigenvalues[-1]), quadratic.bound
    stable = f"the largest stable η is 2/λmax = {below(bound)}"
    seen = f"η = {rate:.4g}; λmax = {largest:.4g}, so {stable}"
    assert isinstance(record.descent.epochs, int)  # decided
    steps = record.descent.epochs if record.status == "diverged" else max(record.taken, 1)
    better = min(quadratic.best, best_for_steps(steps) / largest)
    if rate > bound:
        growth = (1.0 - rate * largest) ** 2
        along = _of(linear.along_steepest)
        yield Finding(
            "learning-rate-too-large",
            f"{said('too-large', times=times(rate / bound), name='2/λmax', bound=below(bound))}.",
            seen,
            said("grows", along=along, growth=f"{growth:.4g}"),
            f"descent.learning_rate = {below(better)}, the best for {steps:,} steps",
            severity="wrong",
            change={"descent.learning_rate": better},
            weight=1e6,
        )
        return
    if linear.part_left < CONVERGED:
        yield Check(
            "learning rate",
            True,
            f"{seen}; J − J* fell to {linear.part_left:.2g} of its start",
        )
        return
    own, best = linear.steps(rate), linear.steps(quadratic.best)
    if own > FACTOR * best:
        yield Finding(
            "learning-rate-too-small",
            f"{said('too-small', times=times(bound / rate))}.",
            seen,
            f"some {own:,.0f} steps to {PART:g} of the first J − J*; with the best η, "
            f"{below(quadratic.best)}, {best:,.0f}",
            f"descent.learning_rate = {below(better)}",
            severity="wrong",
            change={"descent.learning_rate": better},
            weight=own / best,
        )
    elif own > 1.05 * record.taken:
        yield Finding(
            "too-few-steps",
            f"{record.taken:,} steps are too few: some {own:,.0f} reach {PART:g} of J − J*.",
            f"J − J* is {linear.part_left:.3g} of its start after {record.taken:,} steps",
            f"κ = {quadratic.kappa:.3g}, and {seen}",
            "more descent.epochs",
            severity="better" if linear.part_left > 0.01 else "note",
            change=_longer(record, min(own / max(record.taken, 1), 10.0)),
            weight=own / max(record.taken, 1) / 10,
        )


def _by_sharpness(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    curves = measured.curves
    if not measured.sharpness:
        yield Check("learning rate", False, "no θ was recorded, so λmax cannot be measured")
        return
    start, highest = measured.sharpness[0], max(measured.sharpness, key=lambda one: one.of_bound)
    # with a warm-up or one-cycle schedule the largest η comes later than the start
    of_bound = curves.rates[1] * start.largest / start.bound
    seen = (
        f"η = {curves.rates[1]:.4g}; λmax = {start.largest:.4g} at the start"
        f"{_preconditioned(record)}, so ηλmax is {of_bound:.3g} of the bound {start.bound:.3g}"
    )
    dead = _dead(measured)
    lost = record.status == "diverged" or not curves.gained > 0.01
    change = {"descent.learning_rate": "auto"}
    if record.recipe.descent.learning_rate == "auto" and not lost:
        yield Check("learning rate", True, f"{seen}; chosen by the run itself")
        return
    sure = record.status == "diverged" or (of_bound > 1 and record.taken >= ENOUGH)
    if lost and (sure or of_bound > 0.5 or dead > 0.3):
        after = "the descent diverged" if record.status == "diverged" else (
            f"J ends at {curves.last:.4g}, where a constant has {curves.constant:.4g}"
            + (f", and {100 * dead:.0f} % of a layer's units are dead" if dead > 0.1 else "")
        )  # fmt: skip
        yield Finding(
            "learning-rate-too-large",
            f"η = {curves.rates[1]:.3g} is too large: {after}.",
            seen,
            f"the largest stable η at the start is {below(start.largest_rate)}",
            f'descent.learning_rate = {below(start.largest_rate / 4, 2)} or less, or "auto"',
            severity="wrong" if sure else "better",
            change=change,
            weight=1e3 * max(of_bound, 1.0),
            suspected=not sure,
        )
        return
    if curves.peak > max(curves.constant, 2 * curves.lowest):
        kept = record.descent.keep != "last"
        yield Finding(
            "learning-rate-too-large",
            f"η = {curves.rates[1]:.3g} is too large: J rose to {curves.peak:.4g} after "
            f"{curves.lowest:.4g}.",
            f"{seen}; a constant has {curves.constant:.4g}"
            + (", but the best parameters were kept" if kept else ""),
            f"the largest stable η at the start is {below(start.largest_rate)}",
            f'descent.learning_rate = {below(start.largest_rate / 4, 2)} or less, or "auto"',
            severity="better" if kept else "wrong",
            change=change,
            weight=1e3,
        )
        return
    swings = curves.peak - curves.lowest > 0.03 * abs(curves.constant)
    if curves.climb > CLIMB and swings and not record.takes_all:
        yield Finding(
            "learning-rate-too-large",
            f"η = {curves.rates[1]:.3g} is too large: J goes up and down from round to round.",
            f"{seen}; all rises of J together are {curves.climb:.2g} times its fall",
            "steps are so long that they undo each other",
            'descent.learning_rate = "auto", or a schedule that ends small',
            change=change,
            weight=10 * curves.climb,
        )
        return
    yield Finding(
        "learning-rate",
        f"η = {curves.rates[1]:.3g} is not the best.",
        f"{seen}; at most {highest.of_bound:.3g} of it later",
        "trial runs compare it with others",
        'descent.learning_rate = "auto"',
        change=change,
        weight=1.0,
        suspected=True,
    )


def check_scaling(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """κ and the spreads of the inputs as they enter the model."""
    data = measured.data
    if record.descent.method != "descent":
        yield Check("scaling", True, f'method = "{record.descent.method}" does not depend on it')
        return
    moving = {n: s for n, s in data.spreads.items() if s > 0 and n not in data.constant}
    if not moving:
        return
    ratio = max(moving.values()) / min(moving.values())
    farthest = max(data.largest, key=lambda name: data.largest[name])
    shifted = max(moving, key=lambda name: abs(data.centres[name]) / moving[name])
    shift = abs(data.centres[shifted]) / moving[shifted]
    spread = (
        f"spreads from {min(moving.values()):.3g} ({_least(moving)}) to "
        f"{max(moving.values()):.3g} ({_most(moving)}), |mean|/spread up to {shift:.3g} ({shifted})"
    )
    linear = measured.linear
    change = {"descent.scaling": "standard", "descent.learning_rate": "auto"}
    if linear is not None and math.isfinite(linear.kappa_standard):
        kappa, other = linear.curvature.kappa, linear.kappa_standard
        if kappa > FACTOR * other and linear.part_left > CONVERGED:
            steps = linear.curvature.steps_at_most(PART)
            fewer = math.ceil(-math.log(PART) * (other + 1) / 4)
            unscaled = record.descent.scaling == "none"
            yield Finding(
                "features-unscaled" if unscaled else "features-badly-scaled",
                f"{said('skewed', kappa=f'{kappa:.3g}')}.",
                f"λmax along {_of(linear.along_steepest)}, λmin along "
                f"{_of(linear.along_flattest)}; {spread}",
                f"at the best fixed η some {steps:,} steps are needed to {PART:g} of the first "
                f"J − J*; with standardised inputs κ = {other:.3g}, and some {fewer:,}",
                'descent.scaling = "standard"',
                severity="wrong",
                change=change,
                weight=kappa / other,
            )
            return
    heavy = data.largest[farthest] > FAR
    if record.descent.scaling == "none" and (ratio > SPREAD or shift > CENTRE):
        yield Finding(
            "features-unscaled",
            "The inputs are not scaled alike.",
            spread,
            "contours of J are stretched by the squares of these, and units saturate or die",
            'descent.scaling = "standard"',
            change=change,
            weight=max(ratio, shift),
            suspected=True,
        )
    elif heavy:
        scaling = "quantile"
        yield Finding(
            "features-heavy-tailed",
            f"{farthest} has values {data.largest[farthest]:.3g} widths from its median.",
            f"the width is half of the central 68 %; {spread}",
            "a few events take most of the gradient, or crush the others together",
            f'descent.scaling = "{scaling}"',
            change={"descent.scaling": scaling, "descent.learning_rate": "auto"},
            severity="note",
            weight=math.log10(data.largest[farthest]),
            suspected=data.largest[farthest] < VERY_FAR,
        )
    elif record.descent.scaling in ("none", "min-max") and ratio > 2:
        yield Finding(
            "features-badly-scaled",
            f'scaling = "{record.descent.scaling}" leaves the inputs on different scales.',
            spread,
            "directions of small spread are learnt slowly",
            'descent.scaling = "standard"',
            change=change,
            suspected=True,
        )
    else:
        yield Check("scaling", True, spread)


def _longer(record: Record, factor: float) -> dict[str, int]:
    epochs = record.descent.epochs
    assert isinstance(epochs, int)
    return {"descent.epochs": math.ceil(factor * epochs)}


def _dead(measured: Measured) -> float:
    """Share of a layer's units that died on the way."""
    layers = measured.layers
    if layers is None:
        return 0.0
    pairs = zip(layers.start, layers.end, strict=True)
    return max((end.dead - start.dead for start, end in pairs), default=0.0)


def _preconditioned(record: Record) -> str:
    return " over √v̂" if record.rule.stability is None else ""


def _of(parts: tuple[tuple[str, float], ...]) -> str:
    return " and ".join(name for name, _ in parts) or "no input alone"


def _least(spreads: dict[str, float]) -> str:
    return min(spreads, key=lambda name: spreads[name])


def _most(spreads: dict[str, float]) -> str:
    return max(spreads, key=lambda name: spreads[name])
