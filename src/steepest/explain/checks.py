"""Checks of a descent besides η and scaling: length, noise, optimiser, network, regularisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from steepest.explain.event_checks import check_events, check_information, check_loss
from steepest.explain.findings import Check, Finding
from steepest.explain.measured import Measured
from steepest.explain.rates import check_rate, check_scaling
from steepest.explain.record import Record
from steepest.recipe import Adam, AdamW

FEW_STEPS = 50
STILL_FALLING = 0.02
"""Fall of J over the last fifth of a run, as a part of the whole, that may go on."""


def check_length(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether J still falls at the end."""
    late, linear = measured.curves.late, measured.linear
    if linear is not None and record.takes_all and record.rule.name == "sgd":
        return  # predicted from the curvature
    if record.status == "complete" and record.taken < FEW_STEPS:
        yield Finding(
            "too-few-steps",
            f"The descent took only {record.taken:,} steps.",
            f"{record.taken:,} steps of {record.descent.batch_size} events",
            "a network takes hundreds of steps at least",
            "more descent.epochs, or smaller batches",
            change={"descent.epochs": 10 * int(record.descent.epochs)},
            weight=1.0,
            suspected=True,
        )
    elif not math.isfinite(late) or record.status != "complete":
        yield Check("length", False, "J rose on the way, or the descent did not end")
    elif late > STILL_FALLING:
        epochs = record.descent.epochs
        assert isinstance(epochs, int)
        yield Finding(
            "too-few-steps",
            "J still falls at the end.",
            f"{100 * late:.2g} % of its fall came in the last fifth of {record.taken:,} steps",
            "a longer descent goes on falling",
            "more descent.epochs",
            change={"descent.epochs": 3 * epochs},
            weight=late,
            suspected=True,
        )
    else:
        yield Check("length", True, f"{100 * max(late, 0):.2g} % of J's fall in the last fifth")


def check_noise(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether the noise of its batches holds the descent up."""
    noise, curves = measured.noise, measured.curves
    if noise is None:
        yield Check(
            "noise",
            record.takes_all,
            "each step takes all events" if record.takes_all else "the noise could not be measured",
        )
        return
    falls = curves.rates[2] < 0.3 * curves.rates[1]
    is_finite = math.isfinite(noise.scale)
    scale = f"{noise.scale:,.0f} events" if is_finite else "without bound (∇J = 0)"
    seen = (
        f"noise scale tr Σ/‖∇J‖² = {scale} at the end, batches of {noise.batch:,}; "
        f"η ends at {curves.rates[2] / curves.rates[1]:.2g} of its largest"
    )
    if noise.scale > 4 * noise.batch and not falls:
        yield Finding(
            "noise-floor",
            "η does not fall, so steps jump about the minimum.",
            seen,
            "at constant η SGD stays at a distance from the minimum that grows with η/batch",
            'descent.schedule = "one-cycle", or larger batches',
            change={"descent.schedule": "one-cycle"},
            weight=math.log10(min(noise.scale, 1e9) / noise.batch),
            suspected=True,
        )
    else:
        yield Check("noise", True, seen)


def check_optimizer(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether options of Adam are far from the published ones."""
    given = record.descent.optimizer
    known = Adam() if isinstance(given, Adam | AdamW) else None
    if known is None:
        return
    assert isinstance(given, Adam | AdamW)
    odd = [
        f"{name} = {getattr(given, name):g}"
        for name, low, high in (("beta1", 0.0, 0.98), ("beta2", 0.9, 0.9999), ("epsilon", 0, 1e-5))
        if not low <= getattr(given, name) <= high
    ]
    if odd:
        yield Finding(
            "optimizer-options",
            f"{given.name} with {' and '.join(odd)}.",
            f"published: β₁ {known.beta1:g}, β₂ {known.beta2:g}, ε {known.epsilon:g}",
            "a large ε undoes the division by √v̂; a small β₂ makes it noisy, β₁ near 1 oscillates",
            f'descent.optimizer = "{given.name}", with the published options',
            severity="note",
            change={"descent.optimizer": given.name},
            weight=5.0,
        )
    else:
        yield Check("optimiser", True, f"{given.name} with usual options")


def check_start(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """The loss of the start, units and gradients by layer."""
    layers, curves = measured.layers, measured.curves
    if layers is None:
        return
    model = record.recipe.model
    default = {"model.initialization": "he-normal"} if hasattr(model, "initialization") else {}
    activation = getattr(model, "activation", None)
    if default and activation in ("tanh", "sigmoid"):
        default = {"model.initialization": "glorot-uniform"}
    if layers.loss_at_start > 3 * abs(curves.constant) + 1e-12:
        yield Finding(
            "start-too-far",
            f"J starts at {layers.loss_at_start:.3g}, where a constant has {curves.constant:.3g}.",
            f"{layers.loss_at_start / max(abs(curves.constant), 1e-300):.3g} times as high",
            "initial weights or inputs are too large: the first steps only undo that",
            "the default model.initialization, scaled inputs",
            change=default,
            weight=3.0,
            suspected=True,
        )
    else:
        yield Check(
            "start",
            True,
            f"J starts at {layers.loss_at_start:.3g}, a constant has {curves.constant:.3g}",
        )
    if layers.alike:
        yield Finding(
            "symmetric-start",
            f"All units of {layers.alike} begin alike.",
            "their weights are equal at the start",
            "equal units have equal gradients, and stay equal: the layer is as one unit",
            "an initialisation that draws weights at random",
            severity="wrong",
            change=default,
            weight=1e5,
        )
    yield from _units(record, measured)
    ratio = layers.gradient_ratio
    if len(layers.gradients) >= 3 and math.isfinite(ratio):
        if not 1e-2 < ratio < 1e2:
            word = "vanish" if ratio < 1 else "explode"
            yield Finding(
                f"gradients-{word}",
                f"Gradients {word} from the last layer to the first.",
                f"∂J/∂W of the first layer is {ratio:.2g} of that of the last, "
                f"over {len(layers.gradients)} layers at the start",
                "the first layers learn nothing, or all of it at once",
                'model.activation = "relu" with its initialisation, or fewer layers',
                change={
                    "model.activation": "relu",
                    "model.initialization": "he-normal",
                    "descent.learning_rate": "auto",
                }
                if default
                else {},
                weight=abs(math.log10(max(ratio, 1e-30))),
                suspected=True,
            )
        else:
            yield Check("gradients", True, f"first over last layer {ratio:.2g}")


def _units(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    layers = measured.layers
    assert layers is not None
    if not layers.end:
        yield Check("units", False, "this kind of model does not show its hidden units")
        return
    dead, before = max(s.dead for s in layers.end), max(s.dead for s in layers.start)
    curved = [s.saturated for s in layers.start if s.activation in ("tanh", "sigmoid")]
    flat = max(curved, default=0.0)
    dense = hasattr(record.recipe.model, "activation")
    slower = {"descent.learning_rate": "auto"}
    if dead > 0.5:
        yield Finding(
            "dead-units",
            f"{100 * dead:.0f} % of the units of a layer are dead at the end.",
            f"{100 * before:.0f} % at the start; their sums are negative on every event",
            "their gradient is zero for ever: the network is smaller than it looks",
            "a smaller η" + (', or model.activation = "gelu"' if dense else ""),
            change=slower | ({"model.activation": "gelu"} if dense else {}),
            weight=10 * dead,
            suspected=True,
        )
    elif flat > 0.5:
        yield Finding(
            "saturated-units",
            f"{100 * flat:.0f} % of a layer's values are saturated at the start.",
            "the activation's derivative is below a twentieth of its largest there",
            "hardly any gradient passes",
            "scaled inputs, the default model.initialization",
            change=slower
            | {"descent.scaling": "standard"}
            | ({"model.initialization": "glorot-uniform"} if dense else {}),
            weight=10 * flat,
            suspected=True,
        )
    else:
        yield Check(
            "units",
            True,
            f"at most {100 * dead:.0f} % of a layer dead at the end, "
            f"{100 * flat:.0f} % saturated at the start",
        )


def check_penalty(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether λ/2 ‖W‖² is too large a part of J."""
    l2 = record.descent.l2
    assert isinstance(l2, float)  # decided
    decay = getattr(record.descent.optimizer, "weight_decay", 0.0)
    if not l2 and decay <= 0.1:
        return
    theta = record.model.theta.astype(np.float64)
    penalty = 0.5 * l2 * float((theta[record.objective.weight_mask] ** 2).sum())
    whole = record.objective.loss(theta, record.train)
    seen = f"l2 = {l2:g}, weight decay {decay:g}; λ/2 ‖W‖² is {penalty / whole:.2g} of J"
    change = {"descent.l2": 0.0} if l2 else {"descent.optimizer": "adam"}
    yield Finding(
        "too-much-l2",
        "The penalty on weights holds the model back.",
        seen,
        "J then rather has small weights than the right predictions",
        "a smaller descent.l2",
        change=change,
        weight=2.0,
        suspected=True,
    )


def check_overfitting(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether the validation loss rises while that of the training part falls."""
    curves = measured.curves
    best, last = curves.best_validation, curves.last_validation
    if not math.isfinite(best):
        yield Check("overtraining", False, "there is no validation part")
        return
    gained = max(curves.constant - best, 5e-3 * abs(curves.constant), 1e-300)
    rise, gap = (last - best) / gained, (last - curves.last) / gained
    seen = (
        f"validation loss {best:.4g} at step {curves.best_step:,}, {last:.4g} at the end; "
        f"training loss {curves.last:.4g}"
    )
    if rise > 0.1 and gap > 0.1:
        yield Finding(
            "overtraining",
            f"The model learns the training events by heart from step {curves.best_step:,} on.",
            seen,
            f"after its best the validation loss rises by {100 * rise:.2g} % of what was gained"
            + (", but the best parameters were kept" if record.descent.keep != "last" else ""),
            "descent.l2, a smaller network, more events, or fewer epochs",
            severity="better" if record.descent.keep != "last" else "wrong",
            change={"descent.l2": 1e-3},
            weight=rise,
            suspected=record.descent.keep != "last",
            mild=record.descent.keep != "last",
        )
    else:
        yield Check("overtraining", True, seen)


CHECKS: tuple[Callable[[Record, Measured], Iterable[Finding | Check]], ...] = (
    check_rate,
    check_scaling,
    check_length,
    check_noise,
    check_optimizer,
    check_start,
    check_penalty,
    check_overfitting,
    check_loss,
    check_events,
    check_information,
)


def check_minimum(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """How far above its minimum Newton's method or the exact solution ended."""
    linear = measured.linear
    if linear is None:
        yield Check("minimum", False, "J has no minimum, or too many parameters")
        return
    left = linear.excess_end / max(abs(measured.curves.last), 1e-300)
    if left > 1e-6:
        yield Finding(
            "not-at-the-minimum",
            f"J is {linear.excess_end:.3g} above its minimum.",
            f"J = {measured.curves.last:.6g}; κ = {linear.curvature.kappa:.3g}",
            f'method = "{record.descent.method}" goes to the minimum itself',
            "descent.l2, or fewer collinear features: rounding takes log₁₀ κ digits",
            severity="better",
        )
    else:
        yield Check("minimum", True, f"J − J* is {left:.1g} of J; κ = {linear.curvature.kappa:.3g}")


_OF_DESCENTS = (check_length, check_noise, check_optimizer, check_start)


def checks_for(record: Record) -> list[Callable[[Record, Measured], Iterable[Finding | Check]]]:
    """The checks that apply; Newton's method and exact solutions take no steps of a descent."""
    if record.descent.method == "descent":
        return list(CHECKS)
    return [check_minimum, *(check for check in CHECKS if check not in _OF_DESCENTS)]
