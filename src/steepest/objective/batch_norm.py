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
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        rows = x.numel() // x.shape[1]
        mean, variance = (moment.to(wide) for moment in _moments(values))
        count = mean.new_full((1,), rows)
        sums = torch.cat([count, rows * mean, rows * (variance + mean.square())])
        total, *both = ranks.sum_tensor(sums).split([1, x.shape[1], x.shape[1]])
        mean, square = (part / total.clamp(min=1) for part in both)
        variance = (square - mean.square()).clamp(min=0)
        inverse = torch.rsqrt(variance + eps)
        ctx.ranks, ctx.total = ranks, total
        ctx.kind = values.dtype if weight is None else weight.dtype
        ctx.save_for_backward(values, mean, inverse, weight)
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        y = torch.addcmul(_like(values, shift), values, _like(values, scale))
        ctx.mark_non_differentiable(mean, variance, total)
        return y.to(x.dtype), mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, inverse, weight = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype)
        of_bias, of_weight = _sums(gradient, x, mean, inverse)
        of_x = None
        if ctx.needs_input_grad[0]:
            scale = 1.0 if weight is None else weight.to(inverse.dtype)
            means = ctx.ranks.sum_tensor(torch.cat([of_bias * scale, of_weight * scale]))
            first, second = (means / ctx.total.clamp(min=1)).chunk(2)
            # (g γ − first − x̂ second) / σ, with x̂ = (x − mean) / σ
            slope = -inverse.square() * second
            of_x = torch.addcmul(
                _like(x, -inverse * first - slope * mean), gradient, _like(x, scale * inverse)
            ).addcmul_(x, _like(x, slope))
            of_x = of_x.to(gradients[0].dtype)
        has_weight, has_bias = ctx.needs_input_grad[1:3]
        of_parameters = (
            of_weight.to(ctx.kind) if has_weight else None,
            of_bias.to(ctx.kind) if has_bias else None,
        )
        return of_x, *of_parameters, None, None


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, by the fastest way there is; zeros of no rows."""
    if not x.numel():
        return x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
    if x.device.type == "mps":
        variance, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
        return mean, variance
    return torch.batch_norm_update_stats(x, None, None, 0.0)


def _sums(g: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Σ g and Σ g x̂ of each channel, x̂ = (x − mean) · inverse, in one pass over both.

    They are what PyTorch's own backward pass gives as derivatives by bias and weight.
    """
    if not x.numel():
        return torch.zeros_like(mean), torch.zeros_like(mean)
    saved = mean.to(x.dtype), inverse.to(x.dtype)
    _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
        g, x, None, None, None, *saved, True, 0.0, [False, True, True]
    )
    return of_bias.to(mean.dtype), of_weight.to(mean.dtype)


def _like(x: Tensor, channels: Tensor) -> Tensor:
    """Numbers of the channels in the dtype of x, to be taken with it."""
    return channels.to(x.dtype).view(_beside(x))


def _beside(x: Tensor) -> tuple[int, ...]:
    """The shape of a number a channel, to be taken with x."""
    return (1, x.shape[1], *[1] * (x.dim() - 2))
