"""The autograd objective: J(θ) of any PyTorch module, with the derivatives that PyTorch takes.

θ is one flat vector here too. The module's parameters are views of one tensor, into which θ is
copied; gradients come back as one vector. Batches are groups of arrays without padding, and become
a `steepest.models.cloud.Cloud`.

A gradient is taken in training mode: dropout draws, and batch normalisation takes the batch's own
mean and variance and moves its running ones. All else is in evaluation mode. The running values
and the state of the random numbers are the objective's memory (`steepest.objective.stateful`), so
that a resumed descent equals an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from steepest.errors import EventsError
from steepest.groups import FEATURES, Groups, Jagged
from steepest.losses import Loss
from steepest.models.base import ModelKind
from steepest.models.cloud import Cloud
from steepest.models.torch_model import NETWORKS, TorchModel
from steepest.objective.base import Batch
from steepest.objective.stateful import Memory
from steepest.objective.step_block import (
    OptimizerState,
    StepBlock,
    StepBlockResult,
    rows_of,
)
from steepest.optimizers import UpdateRule

__all__ = ["KINDS", "AutogradObjective", "cloud_of"]

Array = np.ndarray
CHUNK = 512
"""Events that evaluation computes at once: in order of their particles, to pad little."""


def _squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits[:, 0] - targets).square()


def _binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], targets, reduction="none")


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="none")


LOSSES = {
    "mean-squared-error": _squared_error,
    "binary-cross-entropy": _binary_cross_entropy,
    "cross-entropy": _cross_entropy,
}
"""ℓ(logits, targets) of each event, ``(events,)``: `steepest.losses` for PyTorch."""


def cloud_of(inputs: Groups | Array, device: torch.device | str = "cpu") -> Cloud:
    """The inputs of some events as a network reads them.

    Raises
    ------
    EventsError
        Two groups of particles have other particles.
    """
    if not isinstance(inputs, Groups):
        flat = torch.from_numpy(np.ascontiguousarray(inputs)).to(device)
        return Cloud({}, {FEATURES: flat}, torch.zeros(len(flat), dtype=torch.int64, device=device))
    particles, events, lengths = {}, {}, None
    for name, member in inputs.members.items():
        if not isinstance(member, Jagged):
            events[name] = torch.from_numpy(np.ascontiguousarray(member)).to(device)
            continue
        if lengths is not None and not np.array_equal(lengths, member.lengths):
            event = int(np.flatnonzero(lengths != member.lengths)[0])
            raise EventsError(
                f"The groups of particles differ in event {event}.",
                expected=f"{lengths[event]} particles, as in the groups before",
                found=f"{member.lengths[event]} in {name!r}",
                do="give all features of a particle from lists of the same length",
            )
        lengths = member.lengths
        particles[name] = torch.from_numpy(np.ascontiguousarray(member.values)).to(device)
    if lengths is None:
        lengths = np.zeros(len(inputs), dtype=np.int64)
    return Cloud(particles, events, torch.from_numpy(lengths.astype(np.int64)).to(device))


class AutogradObjective:
    """J(θ) = 1/m Σᵢ wᵢ ℓ(f_θ(xᵢ), yᵢ) + (λ/2) ‖W‖², as `steepest.objective.dense` has it.

    Parameters
    ----------
    model
        How the module is made.
    loss
        ℓ by its name.
    l2
        λ ≥ 0, on matrices alone.
    dtype
        "float32" or "float64", of θ, the batch and the gradient. Losses are summed in float64.
    device
        Where PyTorch computes.

    Examples
    --------
    >>> from steepest.losses import loss_named
    >>> model = TorchModel.build("deep-sets", {}, {"particles": ("pt",)}, 1)
    >>> objective = AutogradObjective(model, loss_named("binary-cross-entropy"))
    >>> jets = Groups({"particles": Jagged(np.ones((3, 1), "float32"), np.array([0, 2, 3]))})
    >>> batch = Batch(jets, np.array([1, 0], dtype="float32"))
    >>> loss, gradient = objective.loss_and_gradient(objective.initial(seed=0), batch)
    >>> gradient.shape == (objective.size,)
    True
    """

    def __init__(
        self,
        model: TorchModel,
        loss: Loss,
        l2: float = 0.0,
        dtype: str = "float32",
        device: str = "cpu",
    ) -> None:
        self.model, self.loss_function, self.l2, self.dtype = model, loss, l2, dtype
        self.size, self.weight_mask = model.size, model.weight_mask()
        self.device, self._loss = torch.device(device), LOSSES[loss.name]
        self._type = getattr(torch, dtype)
        self._module = model.module().to(self.device, self._type)
        self._parameters = list(self._module.parameters())
        self._theta = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        for parameter, values in zip(self._parameters, self._views(self._theta), strict=True):
            parameter.data = values
        self._weights = torch.from_numpy(self.weight_mask).to(self.device, self._type)
        self._fresh = {name: b.clone() for name, b in self._module.named_buffers()}
        self._stream = torch.Generator().manual_seed(0).get_state()

    def _views(self, flat: Tensor) -> list[Tensor]:
        sizes = [p.numel() for p in self._parameters]
        views = zip(flat.split(sizes), self._parameters, strict=True)
        return [values.view(p.shape) for values, p in views]

    def initial(self, seed: int) -> Array:
        """θ to start from, in the objective's dtype."""
        return self.model.initial(seed).astype(self.dtype)

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        self._set(theta)
        with torch.no_grad():
            total = sum(float(self._sum(cloud, part)) for _, cloud, part in self._chunks(batch))
        return total / len(batch) + float(self._penalty())

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ); the memory goes on by a batch."""
        self._set(theta)
        value, gradient = self._value_and_gradient(batch)
        return float(value), gradient.cpu().numpy()

    def _value_and_gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """J(θ) and ∇J(θ) on the device, in training mode."""
        cloud = cloud_of(batch.inputs, self.device)
        with self._training():
            value = self._sum(cloud, batch) / len(batch) + self._penalty()
            gradient = torch.autograd.grad(value, self._parameters, allow_unused=True)
        return value.detach(), self._flat(gradient)

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector, by differentiating ∇J · vector, in evaluation mode."""
        self._set(theta)
        direction = self._views(torch.from_numpy(vector.astype(self.dtype)).to(self.device))
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
            for _, cloud, part in self._chunks(batch):
                value = self._sum(cloud, part) / len(batch)
                first = torch.autograd.grad(
                    value, self._parameters, create_graph=True, materialize_grads=True
                )
                pairs = zip(first, direction, strict=True)
                along = torch.stack([(g * d).sum() for g, d in pairs]).sum()
                second = torch.autograd.grad(along, self._parameters, allow_unused=True)
                total += self._flat(second)
        product = total.cpu().numpy().astype(self.dtype)
        return product + np.asarray(self.l2 * self.weight_mask * vector, dtype=self.dtype)

    def curvature_bounds(self, batch: Batch) -> None:
        """None: J is not convex."""
        return

    def predict(self, theta: Array, batch: Batch) -> Array:
        """Values ``(events,)``, probabilities ``(events,)``, or ``(events, K)`` of them."""
        self._set(theta)
        result: Array | None = None
        with torch.no_grad():
            for rows, cloud, _ in self._chunks(batch):
                logits = self._module(cloud).cpu().numpy()
                values = self.loss_function.prediction(logits)
                if result is None:
                    result = np.empty((len(batch), *values.shape[1:]), values.dtype)
                result[rows] = values
        return np.empty(0, self.dtype) if result is None else result

    def supports(self, events: Batch, batch_size: int) -> bool:
        """Any events: `run_steps` takes them batch by batch."""
        return True

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run many steps without leaving the device; the losses are looked at once, at the end."""
        self._set(theta)
        state = tuple(torch.from_numpy(array).to(self.device) for array in optimizer_state)
        size, count = step_block.batch_size, len(step_block.rates)
        rows = rows_of(step_block)
        losses, values, path = [], [], []
        for step, rate in enumerate(step_block.rates.tolist()):
            taken = rows[step * size : (step + 1) * size] if len(rows) else slice(None)
            loss, gradient = self._value_and_gradient(step_block.events.take(taken))
            before = self._theta.clone()
            after, state = rule.update(
                before, gradient, state, rate, step_block.first_step + step + 1, self._weights
            )
            self._theta.copy_(after)
            losses.append(loss)
            if step_block.recorded[step]:
                change = torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before)
                values.append((loss, rate, torch.linalg.vector_norm(gradient), change))
            if step_block.on_path[step]:
                path.append(after)
        every = torch.stack(losses).double()
        exceeded = not bool((every.abs() <= step_block.loss_limit).all())
        table = [[float(v) for v in row] for row in values]
        return StepBlockResult(
            self._theta.cpu().numpy().copy(),
            tuple(vector.cpu().numpy() for vector in state),
            count,
            sum(every.tolist(), loss_sum),  # one by one, so that blocks of any length agree
            np.array(table, dtype=np.float64).reshape(-1, 4),
            np.stack([p.cpu().numpy() for p in path]) if path else np.empty((0, self.size)),
            exceeded,
        )

    def initial_memory(self, seed: int) -> Memory:
        """Buffers as the module starts with them, and random numbers from the seed."""
        buffers = {name: values.cpu().numpy().copy() for name, values in self._fresh.items()}
        state = torch.Generator().manual_seed(seed).get_state()
        return Memory(buffers, {"torch": state.numpy().tobytes().hex()})

    def memory(self) -> Memory:
        """A copy of the buffers and of the random numbers' state."""
        buffers = {n: b.detach().cpu().numpy().copy() for n, b in self._module.named_buffers()}
        return Memory(buffers, {"torch": self._stream.numpy().tobytes().hex()})

    def restore(self, memory: Memory) -> None:
        """Go on from that memory; a trained model's has buffers alone."""
        for name, buffer in self._module.named_buffers():
            buffer.copy_(torch.from_numpy(np.array(memory.buffers[name])))
        if "torch" in memory.streams:
            state = bytearray.fromhex(memory.streams["torch"])
            self._stream = torch.frombuffer(state, dtype=torch.uint8).clone()

    def _set(self, theta: Array) -> None:
        self._theta.copy_(torch.from_numpy(np.ascontiguousarray(theta)))

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Training mode, with the objective's own random numbers."""
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(self._stream)
            self._module.train()
            try:
                yield
            finally:
                self._module.eval()
                self._stream = torch.random.get_rng_state()

    def _chunks(self, batch: Batch) -> Iterator[tuple[Array, Cloud, Batch]]:
        """Yield rows of the batch, and the cloud and batch of these, jets of like size together."""
        self._module.eval()
        first = 0
        for block in batch.blocks():
            rows = np.arange(len(block))
            if isinstance(block.inputs, Groups):
                lengths = [
                    m.lengths for m in block.inputs.members.values() if isinstance(m, Jagged)
                ]
                rows = np.argsort(lengths[0], kind="stable") if lengths else rows
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                part = block.take(chunk)
                yield first + chunk, cloud_of(part.inputs, self.device), part
            first += len(block)

    def _sum(self, cloud: Cloud, batch: Batch) -> Tensor:
        """Σ w ℓ in float64."""
        targets = torch.from_numpy(np.ascontiguousarray(batch.targets)).to(self.device)
        values = self._loss(self._module(cloud), targets).double()
        if batch.weights is not None:
            values = values * torch.from_numpy(batch.weights).to(self.device)
        return values.sum()

    def _penalty(self) -> Tensor:
        """(λ/2) ‖W‖²."""
        zero = torch.zeros((), dtype=torch.float64, device=self.device)
        matrices = [p for p in self._parameters if p.dim() >= 2] if self.l2 else []
        return 0.5 * self.l2 * sum((p.square().sum().double() for p in matrices), zero)

    def _flat(self, gradients: tuple[Tensor | None, ...]) -> Tensor:
        parts = [
            torch.zeros(p.numel(), dtype=p.dtype, device=p.device) if g is None else g.reshape(-1)
            for g, p in zip(gradients, self._parameters, strict=True)
        ]
        return torch.cat(parts)


KINDS = {
    name: ModelKind(
        name,
        partial(TorchModel.build, name),
        AutogradObjective,
        TorchModel.from_config,
        NETWORKS[name].groups if name in NETWORKS else (),
    )
    for name in (*NETWORKS, "module")
}
"""The kinds of models that PyTorch computes, by their names."""
