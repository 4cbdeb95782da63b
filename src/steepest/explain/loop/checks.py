"""Measurements of a loop → findings."""

from __future__ import annotations

import math
from collections.abc import Iterator

from steepest.explain.findings import Check, Finding
from steepest.explain.loop.loop import Loop
from steepest.explain.loop.measured import LoopMeasured, adapts
from steepest.explain.wording import below

LOGITS = {
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
}
SAME_SHAPE = {"MSELoss", "mse_loss", "L1Loss", "l1_loss", "SmoothL1Loss", "HuberLoss"}
SPREAD, DEAD, FLAT = 10.0, 0.5, 0.5


def loss_name(loop: Loop) -> str:
    """The name of the loss's class or function."""
    return getattr(loop.loss, "__name__", type(loop.loss).__name__)


def check_finite(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """Whether J is finite, and where it first is not."""
    bad = [number for number, loss in enumerate(measured.losses) if not math.isfinite(loss)]
    if not bad:
        yield Check("finite", True, f"J = {measured.loss:.4g} on {len(measured.losses)} batches")
        return
    broken = [
        name for name, p in loop.module.named_parameters() if not bool(p.detach().isfinite().all())
    ]
    if broken:
        cause = f"{broken[0]} and {len(broken) - 1} other parameters are not finite"
        do = "begin anew with a smaller η, and stop at the first loss that is not finite"
    elif not math.isfinite(measured.largest_input):
        cause, do = "inputs of the loader are NaN or infinite", "look at the events"
    elif not measured.outputs["finite"]:
        cause, do = "the module's outputs are not finite", "inputs or weights that overflow"
    else:
        cause, do = "the loss itself is", "a log or a division of zero: use the loss of logits"
    yield Finding(
        "loss-not-finite",
        f"The loss is not finite in {len(bad)} of {len(measured.losses)} batches.",
        f"the first is batch {bad[0]}; {cause}",
        "its gradient is NaN, and a step makes every parameter NaN",
        do,
        severity="wrong",
        weight=1e7,
    )


def check_outputs(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """Whether outputs, targets and loss go together."""
    outputs, targets, name = measured.outputs, measured.targets, loss_name(loop)
    between = outputs["least"] >= 0 and outputs["largest"] <= 1
    squashed = outputs["made_by"] in ("Sigmoid", "Softmax", "Tanh")
    if name in LOGITS and (outputs["rows_sum_to_one"] or (between and squashed)):
        yield Finding(
            "wrong-output-activation",
            "The outputs are probabilities, but the loss takes logits.",
            f"outputs from {outputs['least']:.3g} to {outputs['largest']:.3g}; {name} has its own "
            "sigmoid or softmax",
            "the second one lets probabilities reach 0.27 to 0.73 only, and shrinks gradients",
            "leave the sigmoid or softmax of the module out",
            severity="wrong",
            weight=1e5,
        )
    elif (
        name in LOGITS
        and outputs["least"] >= 0
        and (outputs["zeros"] > 0.01 or outputs["made_by"] == "Relu")
    ):
        yield Finding(
            "wrong-output-activation",
            "The outputs are never negative, but the loss takes logits.",
            f"{100 * outputs['zeros']:.2g} % are exactly 0, as after a ReLU; {name}",
            "no probability below a half can be said",
            "leave the activation after the last layer out",
            severity="wrong",
            weight=1e5,
        )
    elif (
        name in SAME_SHAPE
        and squashed
        and (targets["largest"] > 1.001 or targets["least"] < -1.001)
    ):
        yield Finding(
            "wrong-output-activation",
            "The outputs cannot reach the targets.",
            f"targets from {targets['least']:.3g} to {targets['largest']:.3g}, outputs end in a "
            "sigmoid or tanh",
            "an output between −1 and 1 stays away from them",
            "leave the activation after the last layer out, or scale the targets",
            severity="wrong",
            weight=1e5,
        )
    elif name in SAME_SHAPE and outputs["shape"] != targets["shape"]:
        yield Finding(
            "shapes-broadcast",
            "Outputs and targets have different shapes.",
            f"{outputs['shape']} and {targets['shape']}",
            "the loss compares every output with every target, and its best is the mean",
            "targets.view_as(outputs), or outputs.squeeze(1)",
            severity="wrong",
            weight=1e5,
        )
    else:
        yield Check("outputs", True, f"{outputs['shape']} for {name or 'the loss'}")


def check_parameters(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """The sign of η, parameters that do not move, units that are alike."""
    groups = loop.optimizer.param_groups
    if any(group.get("maximize") or float(group["lr"]) < 0 for group in groups):
        yield Finding(
            "gradient-sign",
            "The optimiser goes up: its steps raise J.",
            "maximize=True" if groups[0].get("maximize") else f"lr = {groups[0]['lr']:g}",
            "θ ← θ + η∇J",
            "maximize=False and a positive lr",
            severity="wrong",
            weight=1e6,
        )
    elif measured.loss < -1e-6 and loss_name(loop) not in ("GaussianNLLLoss",):
        yield Finding(
            "gradient-sign",
            f"J is below zero: {measured.loss:.4g}.",
            (f"it is −1 times {measured.negated}; " if measured.negated else "")
            + "a mean of squared errors or of −log p of classes is not",
            "a sign is wrong in the loss, so that descending raises the error",
            "the loss with its other sign; ignore this for a density's −log p",
            severity="wrong" if measured.negated else "better",
            weight=1e4,
        )
    if measured.rate == 0:
        planned = max(float(group.get("initial_lr", 0.0)) for group in groups)
        told = f"η is 0 now; a scheduler sets it, from {planned:.3g}." if planned else "η is 0."
        yield Finding(
            "learning-rate-too-small",
            told,
            f"lr = 0 in all {len(groups)} groups" if len(groups) > 1 else "lr = 0",
            "θ does not move: θ ← θ − 0 · ∇J",
            "explain the loop again after the first steps" if planned else "a positive lr",
            severity="better" if planned else "wrong",
            weight=1e6,
        )
    if measured.forgotten:
        yield Finding(
            "parameters-not-optimised",
            f"{len(measured.forgotten)} parameters are not the optimiser's.",
            ", ".join(measured.forgotten[:4])
            + ("; it has those of another module" if loop.foreign else ""),
            "they stay at their first values",
            "make the optimiser from module.parameters(), after the module is complete",
            severity="wrong",
            weight=1e4,
        )
    dead_too = any(one.dead == 1 for one in measured.layers)
    if measured.alike and measured.gradients:
        yield Finding(
            "symmetric-start",
            f"All units of {measured.alike[0]} are alike.",
            f"{len(measured.alike)} matrices with equal rows",
            "equal units have equal gradients, and stay equal: the layer is as one unit",
            "an initialisation that draws weights at random",
            severity="wrong",
            weight=1e5,
        )
    elif measured.without_gradient and not dead_too and not (loop.foreign and measured.forgotten):
        yield Finding(
            "no-gradient",
            f"{len(measured.without_gradient)} parameters have no gradient.",
            ", ".join(measured.without_gradient[:4]),
            "they do not reach the loss: detached, unused, or behind an argmax",
            "leave them out, or connect them",
            severity="better",
            weight=1e2,
        )
    elif not measured.gradients:
        yield Check("parameters", False, "J is not finite, so no gradient was taken")
    elif not measured.forgotten:
        yield Check("parameters", True, f"{loop.size:,}, all with a gradient")


def check_layers(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """Dead and saturated units, gradients from layer to layer, the loss against guessing."""
    dead = max(measured.layers, key=lambda one: one.dead, default=None)
    flat = max(measured.layers, key=lambda one: one.saturated, default=None)
    if dead is not None and dead.dead > DEAD:
        yield Finding(
            "dead-units",
            f"{100 * dead.dead:.0f} % of the units of {dead.name} are dead.",
            "what enters their ReLU is negative on every event",
            "their gradient is zero for ever",
            "begin anew with a smaller η, scaled inputs or another activation",
            severity="wrong" if dead.dead > 0.9 else "better",
            weight=1e3 * dead.dead,
        )
    if flat is not None and flat.saturated > FLAT:
        yield Finding(
            "saturated-units",
            f"{100 * flat.saturated:.0f} % of the values of {flat.name} are saturated.",
            "the activation's derivative is below a twentieth of its largest",
            "hardly any gradient passes",
            "scaled inputs, smaller initial weights",
            severity="wrong" if flat.saturated > 0.9 else "better",
            weight=1e2 * flat.saturated,
        )
    sizes = [s for name, s in measured.gradients.items() if "bias" not in name and s > 0]
    if len(sizes) >= 3 and not 1e-2 <= sizes[0] / sizes[-1] <= 1e2:
        word = "vanish" if sizes[0] < sizes[-1] else "explode"
        ratio = sizes[0] / sizes[-1]
        yield Finding(
            f"gradients-{word}",
            f"Gradients {word} from the last layer to the first.",
            f"∂J/∂W of the first layer is {ratio:.2g} of that of the last, over {len(sizes)}",
            "the first layers learn nothing, or all of it at once",
            "ReLU with its initialisation, normalisation, residual connections, or fewer layers",
            severity="wrong" if not 1e-4 <= ratio <= 1e4 else "better",
            weight=1e2 * abs(math.log10(ratio)),
        )
    if math.isfinite(measured.loss) and measured.guess > 0:
        times = measured.loss / measured.guess
        if times > 3 and loss_name(loop) in LOGITS:
            yield Finding(
                "start-too-far",
                f"J is {measured.loss:.3g}, where guessing has {measured.guess:.3g}.",
                f"{times:.3g} times as high",
                "weights or inputs are too large, or η was: steps only undo that",
                "smaller initial weights, scaled inputs",
                severity="better",
                weight=1e2 * math.log(times),
            )
            return
    if not measured.outputs["finite"]:
        yield Check("layers", False, "the module's outputs are not finite")
        return
    yield Check(
        "layers",
        math.isfinite(measured.loss),
        f"J = {measured.loss:.4g}, guessing {measured.guess:.4g}",
    )


def check_inputs(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """Whether the inputs are scaled alike."""
    moving = [spread for spread in measured.spreads if spread > 0]
    if not moving:
        yield Check("scaling", False, "the inputs are no matrix (events, features)")
        return
    ratio, largest = max(moving) / min(moving), max(moving)
    if ratio > SPREAD or largest > SPREAD or measured.largest_input > 1e3:
        yield Finding(
            "features-unscaled",
            "The inputs are not scaled alike.",
            f"spreads from {min(moving):.3g} to {largest:.3g}; the largest input is "
            f"{measured.largest_input:.3g}",
            "contours of J are stretched by the squares of these, and units saturate or die",
            "subtract the mean and divide by the spread, both of the training events",
            severity="wrong" if ratio > 100 or largest > 100 else "better",
            weight=2e3 * min(math.log10(max(ratio, largest)), 10),
        )
    else:
        yield Check("scaling", True, f"spreads from {min(moving):.3g} to {largest:.3g}")


def check_curvature(loop: Loop, measured: LoopMeasured) -> Iterator[Finding | Check]:
    """ηλmax against its bound, negative curvature, and noise."""
    sharp = measured.sharpness
    if sharp is None:
        lost = "η against its bound, saddle or minimum, the spectrum"
        yield Check("curvature", False, f"not measured: {measured.lost}; lost: {lost}")
    else:
        over = " over √v̂" if adapts(loop) else ""
        said = (
            f"ηλmax{over} = {sharp.rate * sharp.largest:.3g}, {sharp.of_bound:.3g} of the bound "
            f"{sharp.bound:.3g}; lowest {measured.lowest:.3g}"
        )
        if sharp.of_bound > 4:
            yield Finding(
                "learning-rate-too-large",
                f"η = {sharp.rate:.3g} is {sharp.of_bound:.3g} times the largest stable one.",
                said,
                "networks stay near 1 times the bound; far above it, steps overshoot",
                f"η below {below(sharp.largest_rate, 2)}",
                severity="better",
                weight=50 * math.log(sharp.of_bound),
                suspected=True,
            )
        else:
            yield Check("curvature", math.isfinite(sharp.of_bound), said)
    if measured.noise is None:
        yield Check("noise", False, "fewer than four batches, or no gradient")
    else:
        scale = measured.noise.scale
        told = f"{scale:,.0f} events" if math.isfinite(scale) else "without bound (∇J = 0)"
        yield Check("noise", True, f"tr Σ/‖∇J‖² = {told}; batches of {loop.batch_size:,}")


CHECKS = (
    check_finite,
    check_outputs,
    check_parameters,
    check_layers,
    check_inputs,
    check_curvature,
)
