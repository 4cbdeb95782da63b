"""A module with its loss on batches of a loader: gradients and curvature on one flat θ.

Everything is measured in evaluation mode (no dropout, batch norm by its running means), at the
module's present parameters, and leaves module, gradients and random numbers as they were.
"""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from steepest.errors import InputError

Array = np.ndarray

BATCHES = 32
"""Batches that are measured, from the loader's first on."""
CURVED = 2_000
"""Events at most that Hessian–vector products take."""


@dataclass(frozen=True, eq=False)
class Loop:
    """What a loop consists of.

    Parameters
    ----------
    module, loss, optimizer
        As the loop has them; ``loss(module(inputs), targets)``, a mean or a value for each event.
    batches
        (inputs, targets) on the module's device; inputs may be a tuple, each an argument.
    forward
        In place of ``module(inputs)``.
    """

    module: nn.Module
    loss: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer
    batches: list[tuple[Any, Tensor]]
    forward: Callable[[nn.Module, Any], Tensor] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those that the optimiser has and that ask for gradients, in its order."""
        groups = self.optimizer.param_groups
        return [p for group in groups for p in group["params"] if p.requires_grad]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(p.numel() for p in self.parameters)

    @property
    def batch_size(self) -> int:
        """Events of the first batch."""
        return len(self.batches[0][1])

    @property
    def foreign(self) -> bool:
        """Whether the optimiser has parameters of another module."""
        own = {id(p) for p in self.module.parameters()}
        return any(id(p) not in own for g in self.optimizer.param_groups for p in g["params"])

    def outputs(self, inputs: Any) -> Tensor:
        """f_θ(x)."""
        if self.forward is not None:
            return self.forward(self.module, inputs)
        return self.module(*inputs) if isinstance(inputs, tuple) else self.module(inputs)

    def value(self, batch: tuple[Any, Tensor]) -> Tensor:
        """J of a batch."""
        inputs, targets = batch
        return self.loss(self.outputs(inputs), targets).mean()

    def gradients(self) -> Array:
        """∇J of every batch, ``(batches, size)``."""
        return np.stack([self._flat(self.value(batch), False)[0] for batch in self.batches])

    def hessian_vector(self, vector: Array) -> Array:
        """∇²J · v over the first batches, by differentiating ∇J · v.

        Raises
        ------
        RuntimeError
            PyTorch has no second derivative of something in the module.
        """
        total, seen = np.zeros(self.size), 0
        for batch in self.batches:
            count = len(batch[1])
            total += count * self._flat(self.value(batch), True, vector)[0]
            seen += count
            if seen >= CURVED:
                break
        return total / seen

    def _flat(self, value: Tensor, second: bool, vector: Array | None = None) -> tuple[Array]:
        own = self.parameters
        options: dict[str, Any] = {"allow_unused": True, "materialize_grads": True}
        with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
            found = torch.autograd.grad(value, own, create_graph=second, **options)
            if vector is not None:
                along = torch.zeros((), dtype=torch.float64, device=own[0].device)
                parts = np.split(vector, np.cumsum([p.numel() for p in own])[:-1])
                for gradient, part in zip(found, parts, strict=True):
                    direction = torch.from_numpy(part).to(gradient).view_as(gradient)
                    along = along + (gradient * direction).sum()
                if not along.requires_grad:  # J is linear in θ
                    return (np.zeros(self.size),)
                found = torch.autograd.grad(along, own, **options)
        return (torch.cat([g.reshape(-1).double() for g in found]).cpu().numpy(),)


def refuse_unfit(module: Any, optimizer: Any) -> None:
    """Refuse what no loop can be made of.

    Raises
    ------
    InputError
        No module; no optimiser; one whose step needs a closure; one without parameters.
    """
    for given, kind, name in (
        (module, nn.Module, "module"),
        (optimizer, torch.optim.Optimizer, "optimiser"),
    ):
        if not isinstance(given, kind):
            raise InputError(
                f"The {name} is not one of PyTorch.",
                expected=f"torch.{'nn.Module' if kind is nn.Module else 'optim.Optimizer'}",
                found=type(given).__name__,
                cause="the arguments are in another order",
                do="steepest.explain(module, loss, loader, optimizer)",
            )
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InputError(
            f"{type(optimizer).__name__} evaluates J several times a step, which is not explained.",
            expected="an optimiser whose step() needs no closure",
            found=type(optimizer).__name__,
            do="explain the module with SGD or Adam",
        )
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise InputError(
            "The optimiser has no parameter that asks for a gradient.",
            expected="parameters with requires_grad",
            found="none",
            cause="all were frozen",
            do="requires_grad_(True) on those that shall learn",
        )


def taken(loader: Iterable[Any], module: nn.Module, most: int = BATCHES) -> list[Any]:
    """The first batches of a loader as (inputs, targets), on the module's device.

    Raises
    ------
    InputError
        The loader is empty, or its batches are not of (inputs, …, targets).
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    found = []
    for batch in islice(iter(loader), most):
        if not isinstance(batch, list | tuple) or len(batch) < 2:
            kind = type(batch).__name__
            raise InputError(
                "A batch of the loader is not (inputs, targets).",
                expected="a tuple or list: inputs, …, targets",
                found=f"{kind} of {len(batch)}" if hasattr(batch, "__len__") else kind,
                do="explain(…, loader=((inputs, targets) for … in loader))",
            )
        *inputs, targets = (one.to(device) if hasattr(one, "to") else one for one in batch)
        found.append((inputs[0] if len(inputs) == 1 else tuple(inputs), targets))
    if not found:
        raise InputError(
            "The loader has no batches.",
            expected="(inputs, targets), some dozens of them",
            found="none",
            cause="an iterator that was used up",
            do="give the DataLoader itself",
        )
    return found


@contextmanager
def same_random_numbers(module: nn.Module, loader: Any = None) -> Iterator[None]:
    """The random numbers of PyTorch, NumPy, Python and a loader's own generators are restored."""
    owners = (loader, getattr(loader, "sampler", None))
    own = {one for o in owners if isinstance(one := getattr(o, "generator", None), torch.Generator)}
    states = [(one, one.get_state()) for one in own]
    cuda = [p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"]
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a loader's own
    with torch.random.fork_rng(devices=sorted(set(cuda))):
        try:
            yield
        finally:
            for one, state in states:
                one.set_state(state)
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


@contextmanager
def as_it_was(module: nn.Module) -> Iterator[None]:
    """Evaluation mode; modes, gradients, buffers and random numbers are restored."""
    modes = {name: one.training for name, one in module.named_modules()}
    gradients = [p.grad for p in module.parameters()]
    buffers = {name: b.detach().clone() for name, b in module.named_buffers()}
    with same_random_numbers(module):
        module.eval()
        try:
            yield
        finally:
            for name, one in module.named_modules():
                one.training = modes[name]
            for parameter, gradient in zip(module.parameters(), gradients, strict=True):
                parameter.grad = gradient
            with torch.no_grad():
                for name, buffer in module.named_buffers():
                    buffer.copy_(buffers[name])


def copied(loop: Loop) -> Loop:
    """Module and optimiser once more, at the same θ and state, for a trial."""
    module = copy.deepcopy(loop.module)
    known = dict(zip(loop.module.parameters(), module.parameters(), strict=True))
    groups = [
        {**{k: v for k, v in group.items() if k != "params"},
         "params": [known[p] for p in group["params"]]}
        for group in loop.optimizer.param_groups
    ]  # fmt: skip
    optimizer: torch.optim.Optimizer = type(loop.optimizer)(groups)  # type: ignore[call-arg]
    optimizer.load_state_dict(copy.deepcopy(loop.optimizer.state_dict()))
    return Loop(module, loop.loss, optimizer, loop.batches, loop.forward)
