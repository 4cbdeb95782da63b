"""Batch normalisation over ranks: mean and variance are those of the whole batch.

Each rank normalises its part x of a batch by the mean μ and the variance σ² over the parts of all
ranks, x̂ = (x − μ)/√(σ² + ε), so that two ranks with half a batch each compute what one does with
all of it. The sums behind them are added by one all-reduce in the forward pass. In the backward
pass, with g = ∂J/∂x̂ and N the rows of all ranks, one more adds Σ g and Σ g x̂:

    ∂J/∂x = (g − Σ g / N − x̂ Σ g x̂ / N) / √(σ² + ε).

PyTorch's own ``SyncBatchNorm`` does the same on GPUs alone. (Ioffe and Szegedy, arXiv:1502.03167.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from steepest.ranks import Ranks


@contextmanager
def synchronised(module: nn.Module, ranks: Ranks, compiled: bool = False) -> Iterator[None]:
    """Let all batch normalisations of a module take statistics over the ranks, in training mode.

    All ranks must then run the module, forward and backward, as often as each other: also one whose
    part of the batch is empty. Of a `compiled` module, the normalisations are left out.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        forward: Any = partial(_normalised, norm, ranks)
        # as an attribute of the instance; `disable` imports the compiler, which takes a second
        vars(norm)["forward"] = torch.compiler.disable(forward) if compiled else forward
    try:
        yield
    finally:
        for norm in norms:
            del vars(norm)["forward"]


def _normalised(norm: _BatchNorm, ranks: Ranks, x: Tensor) -> Tensor:
    """The output of a batch normalisation; in training mode its running values move."""
    if not norm.training and norm.running_mean is not None:
        return type(norm).forward(norm, x)
    y, mean, variance, rows = _Normalised.apply(x, norm.weight, norm.bias, norm.eps, ranks)
    if norm.training and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            share = norm.momentum
            if share is None:  # the mean over all batches
                share = 1.0 / float(norm.num_batches_tracked)
            unbiased = variance * (rows / (rows - 1).clamp(min=1))
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
    return y


class _Normalised(torch.autograd.Function):
    """x̂ γ + β, with the mean, the variance and the number of rows over all ranks."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, ranks: Ranks
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dims = [0, *range(2, x.dim())]
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        rows = x.numel() // x.shape[1]
        if rows:
            variance, mean = (v.to(wide) for v in torch.var_mean(x, dims, correction=0))
        else:
            variance = mean = x.new_zeros(x.shape[1], dtype=wide)
        count = mean.new_full((1,), rows)
        sums = torch.cat([count, rows * mean, rows * (variance + mean.square())])
        total, *both = ranks.sum_tensor(sums).split([1, x.shape[1], x.shape[1]])
        mean, square = (values / total.clamp(min=1) for values in both)
        variance = (square - mean.square()).clamp(min=0)
        inverse = torch.rsqrt(variance + eps)
        ctx.ranks, ctx.dims, ctx.total = ranks, dims, total
        shape = _beside(x)
        normal = (x - mean.to(x.dtype).view(shape)) * inverse.to(x.dtype).view(shape)
        ctx.save_for_backward(normal, inverse, weight)
        y = normal if weight is None else normal * weight.view(shape)
        y = y if bias is None else y + bias.view(shape)
        ctx.mark_non_differentiable(mean, variance, total)
        return y.to(x.dtype), mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal, inverse, weight = ctx.saved_tensors
        gradient, shape = gradients[0], _beside(normal)
        of_bias, of_weight = gradient.sum(ctx.dims), (gradient * normal).sum(ctx.dims)
        of_x = None
        if ctx.needs_input_grad[0]:
            scale = 1.0 if weight is None else weight
            own = torch.cat([of_bias * scale, of_weight * scale]).to(inverse.dtype)
            means = ctx.ranks.sum_tensor(own) / ctx.total.clamp(min=1)
            first, second = (m.to(normal.dtype).view(shape) for m in means.chunk(2))
            g = gradient if weight is None else gradient * weight.view(shape)
            of_x = (g - first - normal * second) * inverse.to(normal.dtype).view(shape)
        has_weight, has_bias = ctx.needs_input_grad[1:3]
        return of_x, of_weight if has_weight else None, of_bias if has_bias else None, None, None


def _beside(x: Tensor) -> tuple[int, ...]:
    """The shape of a number a channel, to be taken with x."""
    return (1, x.shape[1], *[1] * (x.dim() - 2))
