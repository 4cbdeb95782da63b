"""Measure a loop at its present parameters: losses, noise, curvature, layers, outputs, inputs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from steepest.curvature import lanczos
from steepest.explain.layers import LayerState, unit_states
from steepest.explain.loop.loop import Loop, as_it_was
from steepest.explain.sharpness import Noise, Sharpness

Array = np.ndarray

TOLERANCE = 1e-2


@dataclass(frozen=True)
class LoopMeasured:
    """The numbers of a loop; None where something could not be measured.

    Parameters
    ----------
    losses
        J of each batch.
    guess
        The loss of the best constant: the entropy of the targets' classes, or their variance.
    noise
        From the gradients of the batches.
    rate
        The largest η of the optimiser's groups.
    sharpness
        ηλmax, of P^½ ∇²J P^½ with η and Adam's √v̂ in P, and its bound.
    lowest
        The lowest eigenvalue, in the same units.
    lost
        Why curvature could not be measured.
    gradients
        Root mean square of ∇J by parameter.
    without_gradient
        Parameters that the module has and whose gradient is zero in all batches.
    forgotten
        Parameters that ask for gradients, and that the optimiser does not have.
    alike
        Matrices whose units all have the same weights.
    negated
        The usual loss whose negative J is; "" where there is none.
    layers
        Activations' states.
    outputs, targets
        Shapes, least and largest values.
    spreads
        Standard deviation of each input, as far as inputs are one matrix.
    largest_input
        The largest input.
    """

    losses: tuple[float, ...]
    guess: float
    noise: Noise | None
    rate: float
    sharpness: Sharpness | None
    lowest: float | None
    lost: str
    gradients: dict[str, float]
    without_gradient: tuple[str, ...]
    forgotten: tuple[str, ...]
    alike: tuple[str, ...]
    negated: str
    layers: tuple[LayerState, ...]
    outputs: dict[str, Any]
    targets: dict[str, Any]
    spreads: tuple[float, ...]
    largest_input: float

    @property
    def loss(self) -> float:
        """The mean over the batches."""
        return float(np.mean(self.losses))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        noise = None if self.noise is None else self.noise.to_json()
        sharpness = None if self.sharpness is None else self.sharpness.to_json()
        return {**asdict(self), "noise": noise, "sharpness": sharpness, "loss": self.loss}


def measure_loop(loop: Loop) -> LoopMeasured:
    """Measure; curvature only where J is finite."""
    names = {id(p): name for name, p in loop.module.named_parameters()}
    with as_it_was(loop.module):
        with torch.no_grad():
            losses = tuple(float(loop.value(batch)) for batch in loop.batches)
            outputs = torch.cat(
                [loop.outputs(inputs).detach().reshape(len(y), -1) for inputs, y in loop.batches]
            )
            shape = tuple(loop.outputs(loop.batches[0][0]).shape)
        targets = torch.cat([y for _, y in loop.batches])
        measured = LoopMeasured(
            losses=losses,
            guess=_guess(targets),
            noise=None,
            rate=float(_rates(loop).max()),
            sharpness=None,
            lowest=None,
            lost="",
            gradients={},
            without_gradient=(),
            forgotten=_forgotten(loop),
            alike=_alike(loop),
            negated=_negated(loop, losses[0]),
            layers=unit_states(loop.module, lambda: loop.outputs(loop.batches[0][0])),
            outputs=_summary(outputs) | {"shape": shape, "made_by": _made_by(loop)},
            targets=_summary(targets) | {"shape": tuple(loop.batches[0][1].shape)},
            spreads=_spreads(loop),
            largest_input=_largest(loop),
        )
        if not np.isfinite(losses).all():
            return replace(measured, lost="J is not finite")
        gradients = loop.gradients()
        sizes = np.split(gradients, np.cumsum([p.numel() for p in loop.parameters])[:-1], axis=1)
        by_name = {
            names.get(id(p), "a parameter of another module"): float(np.sqrt(np.mean(g**2)))
            for p, g in zip(loop.parameters, sizes, strict=True)
        }
        measured = replace(
            measured,
            gradients=by_name,
            without_gradient=tuple(name for name, size in by_name.items() if size == 0),
            noise=_noise(loop, gradients),
        )
        return _curved(loop, measured, gradients)


def _curved(loop: Loop, measured: LoopMeasured, gradients: Array) -> LoopMeasured:
    rates = _rates(loop)
    if not measured.rate > 0:
        return replace(measured, lost="η is not positive")
    root = np.sqrt(rates / _divisor(loop, gradients))
    try:
        _refuse_silent_zeros(loop, gradients)
        found = lanczos(lambda v: root * loop.hessian_vector(root * v), loop.size,
                        low=1, high=1, tolerance=TOLERANCE)  # fmt: skip
    except (RuntimeError, NotImplementedError) as error:
        return replace(measured, lost=str(error).splitlines()[0][:200])
    except FloatingPointError:
        return replace(measured, lost="a product is not finite")
    rate = float(rates.max())
    product = float(found.values[-1])
    largest = product / rate if rate > 0 else math.nan
    sharpness = Sharpness(0, rate, largest, bound_of(loop))
    return replace(measured, sharpness=sharpness, lowest=float(found.values[0]))


def _refuse_silent_zeros(loop: Loop, gradients: Array) -> None:
    """Raise where products are zero, and the gradient changes with θ all the same.

    A function that is differentiable once gives such zeros without an error.
    """
    vector = np.random.default_rng(0).normal(size=loop.size)
    if np.any(loop.hessian_vector(vector)):
        return
    own = loop.parameters
    before = [p.detach().clone() for p in own]
    length = 1e-2 * max(float(sum(p.double().norm() ** 2 for p in before)) ** 0.5, 1e-3)
    step = torch.from_numpy(vector / np.linalg.norm(vector) * length)
    with torch.no_grad():
        for p, part in zip(own, step.split([p.numel() for p in own]), strict=True):
            p.add_(part.to(p).view_as(p))
    try:
        moved = loop.gradients()
    finally:
        with torch.no_grad():
            for p, values in zip(own, before, strict=True):
                p.copy_(values)
    if np.abs(moved - gradients).max() > 1e-4 * np.abs(gradients).max():
        raise RuntimeError("its second derivative is given as zero, though ∇J changes with θ")


def bound_of(loop: Loop) -> float:
    """The largest stable ηλ of the optimiser, from its options."""
    group = loop.optimizer.param_groups[0]
    if "betas" in group:
        beta = float(group["betas"][0])
        return 2 * (1 + beta) / (1 - beta)
    beta = float(group.get("momentum", 0.0))
    return 2 * (1 + beta) / (1 + 2 * beta) if group.get("nesterov") else 2 * (1 + beta)


def adapts(loop: Loop) -> bool:
    """Whether the optimiser divides gradients by their size."""
    group = loop.optimizer.param_groups[0]
    return "betas" in group or "alpha" in group


def _rates(loop: Loop) -> Array:
    """η of each parameter, ``(size,)``."""
    found = [
        np.full(p.numel(), float(group["lr"]))
        for group in loop.optimizer.param_groups
        for p in group["params"]
        if p.requires_grad
    ]
    return np.concatenate(found)


def _divisor(loop: Loop, gradients: Array) -> Array:
    """√v̂ + ε: the optimiser's own where it has taken steps, else of the batches' gradients."""
    if not adapts(loop):
        return np.ones(loop.size)
    group = loop.optimizer.param_groups[0]
    epsilon, parts = float(group.get("eps", 1e-8)), []
    for parameter in loop.parameters:
        state = loop.optimizer.state.get(parameter, {})
        squares = state.get("exp_avg_sq", state.get("square_avg"))
        if squares is None:
            return np.sqrt(np.mean(gradients**2, axis=0)) + epsilon
        decay = float(group["betas"][1]) if "betas" in group else 0.0
        corrected = 1 - decay ** float(state.get("step", 1))
        parts.append(squares.detach().double().cpu().numpy().ravel() / corrected)
    return np.sqrt(np.concatenate(parts)) + epsilon


def _noise(loop: Loop, gradients: Array) -> Noise | None:
    """Estimate tr Σ and ‖∇J‖² from batches and their mean (McCandlish et al., arXiv:1812.06162)."""
    count, size = len(gradients), loop.batch_size
    if count < 4:
        return None
    small = float(np.mean((gradients**2).sum(axis=1)))
    large = float((gradients.mean(axis=0) ** 2).sum())
    variance = (small - large) / (1 / size - 1 / (size * count))
    signal = large - variance / (size * count)
    return Noise(0, size, max(signal, 0.0), variance) if variance > 0 else None


def _guess(targets: torch.Tensor) -> float:
    values = targets.detach().double().cpu().numpy()
    kinds = np.unique(values)
    if not targets.is_floating_point() or set(kinds.tolist()) <= {0.0, 1.0}:
        shares = np.unique(values, return_counts=True)[1] / values.size
        return float(-(shares * np.log(shares)).sum())
    return float(values.var())


def _forgotten(loop: Loop) -> tuple[str, ...]:
    own = {id(p) for group in loop.optimizer.param_groups for p in group["params"]}
    return tuple(
        name for name, p in loop.module.named_parameters() if p.requires_grad and id(p) not in own
    )


def _alike(loop: Loop) -> tuple[str, ...]:
    """Matrices of more than one unit whose rows are equal."""
    found = []
    for name, p in loop.module.named_parameters():
        values = p.detach()
        if values.dim() >= 2 and len(values) > 1 and bool((values == values[:1]).all()):
            found.append(name)
    return tuple(found)


USUAL = ("binary_cross_entropy_with_logits", "binary_cross_entropy", "cross_entropy", "mse_loss",
         "l1_loss", "smooth_l1_loss")  # fmt: skip


def _negated(loop: Loop, value: float) -> str:
    """The usual loss whose negative the first batch's J is, to five digits."""
    if not value < 0:
        return ""
    inputs, targets = loop.batches[0]
    with torch.no_grad():
        outputs = loop.outputs(inputs).detach()
        for name in USUAL:
            try:
                usual = float(getattr(torch.nn.functional, name)(outputs, targets))
            except (RuntimeError, ValueError, TypeError, IndexError):
                continue  # of other shapes or types
            if abs(value + usual) < 1e-5 * abs(value):
                return name
    return ""


SHAPES = ("View", "UnsafeView", "ReshapeAlias", "Alias", "Squeeze", "Unsqueeze")


def _made_by(loop: Loop) -> str:
    """The operation that the outputs come from, such as "Sigmoid"; "" where none has a gradient."""
    with torch.enable_grad():
        node: Any = loop.outputs(loop.batches[0][0]).grad_fn
    while node is not None:
        name = str(node.name()).split("Backward")[0]
        if name not in SHAPES:
            return name
        node = node.next_functions[0][0]
    return ""


def _summary(values: torch.Tensor) -> dict[str, Any]:
    numbers = values.detach().double()
    return {
        "least": float(numbers.min()),
        "largest": float(numbers.max()),
        "mean": float(numbers.mean()),
        "finite": bool(numbers.isfinite().all()),
        "zeros": float((numbers == 0).double().mean()),
        "rows_sum_to_one": bool(
            numbers.dim() == 2
            and numbers.shape[1] > 1
            and torch.allclose(numbers.sum(1), torch.ones_like(numbers.sum(1)), atol=1e-4)
        ),
    }


def _matrices(loop: Loop) -> list[torch.Tensor]:
    return [x for x, _ in loop.batches if isinstance(x, torch.Tensor) and x.is_floating_point()]


def _spreads(loop: Loop) -> tuple[float, ...]:
    matrices = _matrices(loop)
    if not matrices or matrices[0].dim() != 2:
        return ()
    values = torch.cat(matrices).detach().double()
    return tuple(values.std(dim=0, unbiased=False).cpu().tolist())


def _largest(loop: Loop) -> float:
    largest = [float(x.detach().abs().max()) for x in _matrices(loop)]
    return float(np.max(largest)) if largest else 0.0  # NaN if one is
