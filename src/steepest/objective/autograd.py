"""The autograd objective: J(θ) of any PyTorch module, with the derivatives that PyTorch takes.

θ is one flat vector here too. The module's parameters are views of one tensor, into which θ is
copied; gradients come back as one vector. Batches are groups of arrays without padding, and become
a `steepest.models.cloud.Cloud`.

A gradient is taken in training mode: dropout draws, and batch normalisation takes the batch's own
mean and variance and moves its running ones. All else is in evaluation mode. The running values
and the state of the random numbers are the objective's memory (`steepest.objective.stateful`), so
that a resumed descent equals an uninterrupted one.

`Running` says where and how a gradient is computed. Predictions of a trained model, products with
the Hessian and evaluation in float64 are not compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from steepest.compiled.threads import usable_cores
from steepest.errors import RecipeError, SteepestError
from steepest.groups import Groups, Jagged
from steepest.losses import Loss, WithHeads
from steepest.models.base import ModelKind
from steepest.models.cloud import Cloud
from steepest.models.torch_model import NETWORKS, TorchModel
from steepest.objective.base import Batch
from steepest.objective.batch_norm import synchronised
from steepest.objective.clouds import cloud_of
from steepest.objective.device import device_of, keep_freed_memory
from steepest.objective.running import Running
from steepest.objective.stateful import Memory
from steepest.objective.step_block import (
    OptimizerState,
    StepBlock,
    StepBlockResult,
    rows_of,
)
from steepest.objective.torch_losses import parts_of
from steepest.optimizers import UpdateRule
from steepest.ranks import Ranks

Array = np.ndarray
ON_CPU = Running(device="cpu")
CHUNK = 512
"""Events that evaluation computes at once: in order of their particles, to pad little."""


@dataclass(frozen=True)
class _Beginning:
    """What a descent from a trained model begins with, and how fast each entry of θ moves."""

    values: Array
    known: Array
    buffers: Mapping[str, Array]
    rates: Tensor


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
    running
        Where and how PyTorch computes.

    Raises
    ------
    RecipeError
        The device is not there, or has no float64.

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
        running: Running = ON_CPU,
    ) -> None:
        self.model, self.loss_function, self.l2, self.dtype = model, loss, l2, dtype
        self.size, self.weight_mask = model.size, model.weight_mask()
        self.device = device_of(running.device, dtype)
        self.loss_parts = loss.part_names if isinstance(loss, WithHeads) else ()
        self._type, self._running = getattr(torch, dtype), running
        self._sums = torch.float32 if self.device.type == "mps" else torch.float64
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        if self.device.type == "cpu":
            keep_freed_memory()
        self._module = model.module().to(self.device, self._type)
        self._parameters = list(self._module.parameters())
        self._theta = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        for parameter, values in zip(self._parameters, self._views(self._theta), strict=True):
            parameter.data = values
        self._weights = torch.from_numpy(self.weight_mask).to(self.device, self._type)
        self._forward: Any = self._module
        if running.compile:
            with _compilation_explained(True):
                self._forward = torch.compile(self._module, dynamic=True)
        self._begin: _Beginning | None = None
        self._fresh = {name: b.clone() for name, b in self._module.named_buffers()}
        self._stream = torch.Generator().manual_seed(0).get_state()

    def _views(self, flat: Tensor) -> list[Tensor]:
        sizes = [p.numel() for p in self._parameters]
        views = zip(flat.split(sizes), self._parameters, strict=True)
        return [values.view(p.shape) for values, p in views]

    def initial(self, seed: int) -> Array:
        """θ to start from, in the objective's dtype."""
        theta = self.model.initial(seed)
        if self._begin is not None:
            theta = np.where(self._begin.known, self._begin.values, theta)
        return theta.astype(self.dtype)

    def begin_from(
        self, values: Array, known: Array, buffers: Mapping[str, Array], rates: Array
    ) -> None:
        """Begin from these values of θ where they are `known`, and from these buffers.

        Each entry of θ takes the optimiser's step times its entry of `rates`.
        """
        of_step = torch.from_numpy(rates).to(self.device, self._type)
        self._begin = _Beginning(values, known, buffers, of_step)

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        return float(self.losses(theta, batch)[0])

    def losses(self, theta: Array, batch: Batch) -> Array:
        """J(θ), and with heads the mean of each part, of `loss_parts`, ``(1 + parts,)``."""
        passes = self._passes(theta, batch)
        return self._means([self._weighted_sums(z, part) for _, z, part in passes], len(batch))

    def losses_and_predictions(self, theta: Array, batch: Batch) -> tuple[Array, Array]:
        """What `losses` and `predict` return, from one pass of the network over the events."""
        sums, predictions = [], []
        for rows, logits, part in self._passes(theta, batch):
            sums.append(self._weighted_sums(logits, part))
            predictions.append((rows, self._prediction(logits)))
        return self._means(sums, len(batch)), self._joined(predictions, len(batch))

    def _means(self, sums: list[Tensor], events: int) -> Array:
        totals = np.array([sum(e) for e in zip(*(s.tolist() for s in sums), strict=True)]) / events
        totals[0] += float(self._penalty().detach())
        return totals

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ); the memory goes on by a batch."""
        self._set(theta)
        values, gradient = self._value_and_gradient(batch)
        return float(values[0]), gradient.cpu().numpy()

    @property
    def module(self) -> torch.nn.Module:
        """The network that computes, with the θ that was last set."""
        return self._module

    @property
    def device_name(self) -> str:
        """What log.txt calls the device."""
        index = self.device.index or 0
        name = torch.cuda.get_device_name(index) if self.device.type == "cuda" else ""
        threads = f"{torch.get_num_threads()} threads" if self.device.type == "cpu" else name
        return f"{self.device} ({threads})" if threads else str(self.device)

    def peak_memory(self) -> int | None:
        """The most bytes that were in use on a GPU of CUDA; None on other devices."""
        on_cuda = self.device.type == "cuda"
        return torch.cuda.max_memory_allocated(self.device) if on_cuda else None

    def _value_and_gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """`losses` and ∇J(θ) on the device, in training mode."""
        value, gradient = self._data_terms(batch, len(batch))
        return value + self._first(self._penalty()), gradient + self._penalty_gradient()

    def _data_terms(
        self, batch: Batch, divisor: int, every_piece: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Σ w ℓ and its parts over a divisor, and the gradient, piece by piece.

        With `every_piece` there are as many pieces as the recipe says, and some may be empty.
        """
        value = self._first(self._penalty().new_zeros(()))
        gradient = torch.zeros_like(self._theta)
        size = -(-len(batch) // self._running.accumulate) or 1
        end = size * self._running.accumulate if every_piece else len(batch)
        for start in range(0, end, size):
            piece = batch.take(slice(start, start + size)) if size < len(batch) else batch
            with self._training(), _compilation_explained(self._running.compile):
                cloud = cloud_of(piece.inputs, self.device)
                of_piece = self._sums_of(cloud, piece, self._forward) / divisor
                parts = torch.autograd.grad(of_piece[0], self._parameters, allow_unused=True)
            value, gradient = value + of_piece.detach(), gradient + self._flat(parts)
        return value, gradient

    def _first(self, value: Tensor) -> Tensor:
        """A number as `losses` has it: alone, or before zeros for the parts."""
        return torch.cat([value.detach().reshape(1), value.new_zeros(len(self.loss_parts))])

    def _penalty_gradient(self) -> Tensor | float:
        return self.l2 * self._weights * self._theta if self.l2 else 0.0

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector, by differentiating ∇J · vector, in evaluation mode."""
        self._set(theta)
        direction = self._views(torch.from_numpy(vector.astype(self.dtype)).to(self.device))
        total = torch.zeros(self.size, dtype=self._sums, device=self.device)
        with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
            for _, cloud, part in self._chunks(batch):
                value = self._sums_of(cloud, part)[0] / len(batch)
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
        passes = self._passes(theta, batch)
        return self._joined([(rows, self._prediction(z)) for rows, z, _ in passes], len(batch))

    def _prediction(self, logits: Tensor) -> Array:
        return self.loss_function.prediction(logits.cpu().numpy())

    def _joined(self, parts: list[tuple[Array, Array]], events: int) -> Array:
        """Values of some rows each, in the order of the rows."""
        if not parts:
            return np.empty(0, self.dtype)
        first = parts[0][1]
        result = np.empty((events, *first.shape[1:]), first.dtype)
        for rows, values in parts:
            result[rows] = values
        return result

    @torch.no_grad()
    def _passes(self, theta: Array, batch: Batch) -> Iterator[tuple[Array, Tensor, Batch]]:
        """Yield rows of the batch, with their logits and the batch of these."""
        self._set(theta)
        for rows, cloud, part in self._chunks(batch):
            yield rows, self._logits(cloud, self._module), part

    def losses_on_surface(
        self, origin: Array, directions: Array, coordinates: Array, batch: Batch
    ) -> Array:
        """J at many points, as `steepest.objective.surface` says; the events are gathered once."""
        losses, parts = np.zeros(len(coordinates)), self._chunks(batch)
        with torch.no_grad(), np.errstate(all="ignore"):
            for _, cloud, part in parts:
                for index, place in enumerate(coordinates):
                    self._set((origin + place @ directions).astype(self.dtype))
                    losses[index] += float(self._sums_of(cloud, part)[0]) / len(batch)
                    losses[index] += float(self._penalty()) * len(part) / len(batch)
        return losses

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
        count, slices = len(step_block.rates), _slices(step_block)
        losses, values, path = [], [], []
        for step, rate in enumerate(step_block.rates.tolist()):
            batch = step_block.events.take(slices[step])
            if step_block.ranks is None:
                loss, gradient = self._value_and_gradient(batch)
            else:
                loss, gradient = self._over_ranks(step_block.ranks, batch)
            before = self._theta.clone()
            after, state = rule.update(
                before, gradient, state, rate, step_block.first_step + step + 1, self._weights
            )
            if self._begin is not None:
                after = before + self._begin.rates * (after - before)
            self._theta.copy_(after)
            losses.append(loss)
            if step_block.recorded[step]:
                change = torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before)
                values.append((loss[0], rate, torch.linalg.vector_norm(gradient), change))
            if step_block.on_path[step]:
                path.append(after)
        every = torch.stack(losses).to(self._sums)
        exceeded = not bool((every[:, 0].abs() <= step_block.loss_limit).all())
        table = [[float(v) for v in row] for row in values]
        return StepBlockResult(
            self._theta.cpu().numpy().copy(),
            tuple(vector.cpu().numpy() for vector in state),
            count,
            sum(every[:, 0].tolist(), loss_sum),  # one by one, so that blocks of any length agree
            np.array(table, dtype=np.float64).reshape(-1, 4),
            np.stack([p.cpu().numpy() for p in path]) if path else np.empty((0, self.size)),
            exceeded,
            every[:, 1:].cpu().numpy(),
        )

    def _over_ranks(self, ranks: Ranks, batch: Batch) -> tuple[Tensor, Tensor]:
        """`losses` and ∇J of the batches of all ranks, and the mean of the buffers, by one sum.

        Batch normalisations take their statistics over all ranks, by further sums.
        """
        with synchronised(self._module, ranks, self._running.compile):
            value, gradient = self._data_terms(batch, 1, every_piece=True)
        buffers = [b for b in self._module.buffers() if b.is_floating_point()]
        events = value.new_full((1,), len(batch))
        own = [gradient, value, events, *(b.reshape(-1) for b in buffers)]
        packed = ranks.sum_tensor(torch.cat([part.to(self._type) for part in own]))
        sizes = [self.size, len(value), 1, *(buffer.numel() for buffer in buffers)]
        gradient, value, events, *averages = packed.split(sizes)
        for buffer, values in zip(buffers, averages, strict=True):
            buffer.copy_((values / ranks.size).view(buffer.shape))
        value = value / events + self._first(self._penalty())
        return value, gradient / events + self._penalty_gradient()

    def initial_memory(self, seed: int) -> Memory:
        """Buffers as the module starts with them, and random numbers from the seed."""
        buffers = {name: values.cpu().numpy().copy() for name, values in self._fresh.items()}
        if self._begin is not None:
            buffers |= {name: np.array(values) for name, values in self._begin.buffers.items()}
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

    slow = True
    """A pass over events takes long: landscapes take fewer points and events, and the loss of the
    start is that of fewer events."""
    over_ranks = any_rule = True
    """`run_steps` takes means over ranks, and any rule of update."""

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

    def _logits(self, cloud: Cloud, forward: Any) -> Tensor:
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self._running.precision is not None
        ):
            return forward(cloud).to(self._type)

    def _sums_of(self, cloud: Cloud, batch: Batch, forward: Any = None) -> Tensor:
        """Σ w ℓ, and that of each part, in float64, where the device has it, ``(1 + parts,)``."""
        logits = self._logits(cloud, self._module if forward is None else forward)
        return self._weighted_sums(logits, batch)

    def _weighted_sums(self, logits: Tensor, batch: Batch) -> Tensor:
        targets = torch.from_numpy(np.ascontiguousarray(batch.targets)).to(self.device)
        parts = [part.to(self._sums) for part in parts_of(self.loss_function, logits, targets)]
        if batch.weights is not None:
            weights = torch.from_numpy(batch.weights).to(self.device)
            parts = [part * weights for part in parts]
        return torch.stack([part.sum() for part in parts])

    def _penalty(self) -> Tensor:
        """(λ/2) ‖W‖²."""
        zero = torch.zeros((), dtype=self._sums, device=self.device)
        matrices = [p for p in self._parameters if p.dim() >= 2] if self.l2 else []
        return 0.5 * self.l2 * sum((p.square().sum().to(self._sums) for p in matrices), zero)

    def _flat(self, gradients: tuple[Tensor | None, ...]) -> Tensor:
        parts = [
            torch.zeros(p.numel(), dtype=p.dtype, device=p.device) if g is None else g.reshape(-1)
            for g, p in zip(gradients, self._parameters, strict=True)
        ]
        return torch.cat(parts)


def _slices(step_block: StepBlock) -> list[Array | slice]:
    """The rows of each step; of many ranks as many as `counts` says."""
    size, count = step_block.batch_size, len(step_block.rates)
    if step_block.counts is None:
        rows = rows_of(step_block)
        steps = range(count)
        return [rows[k * size : (k + 1) * size] if len(rows) else slice(None) for k in steps]
    ends = np.cumsum(step_block.counts).tolist()
    bounds = zip([0, *ends[:-1]], ends, strict=True)
    if step_block.rows is None:
        return [slice(a, b) for a, b in bounds]
    return [step_block.rows[a:b] for a, b in bounds]


@contextmanager
def _compilation_explained(compiled: bool) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            if compiled:  # those of PyTorch's compiler are no matter of the user's
                warnings.simplefilter("ignore")
            yield
    except Exception as error:
        if not compiled or isinstance(error, SteepestError):
            raise
        raise RecipeError(
            "The network could not be compiled by torch.compile.",
            expected="a network that TorchDynamo can trace, and a C++ compiler",
            found=str(error).strip().splitlines()[0][:200],
            cause="no compiler, or code of one's own that depends on the values of tensors",
            do="leave descent.compile out: the network then runs as it is written",
        ) from error


KINDS = {
    name: ModelKind(
        name,
        partial(TorchModel.build, name),
        AutogradObjective,
        TorchModel.from_config,
        NETWORKS[name].groups if name in NETWORKS else (),
        runs=True,
        heads=True,
    )
    for name in (*NETWORKS, "module")
}
"""The kinds of models that PyTorch computes, by their names."""
