"""The losses of `steepest.losses` in PyTorch, whose derivatives it takes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from steepest.losses import Loss, WithHeads


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


def parts_of(loss: Loss, logits: Tensor, targets: Tensor) -> list[Tensor]:
    """ℓ of each event ``(events,)``, and with heads the label's part and theirs."""
    value = LOSSES[loss.name]
    if not isinstance(loss, WithHeads):
        return [value(logits, targets)]
    outputs, label = logits.shape[1] - len(loss.heads), targets[:, 0]
    label = label.long() if loss.name == "cross-entropy" else label
    of_heads = (logits[:, outputs:] - targets[:, 1:]).square().unbind(1)
    parts = [value(logits[:, :outputs], label), *of_heads]
    weighted = zip(of_heads, loss.heads, strict=True)
    return [sum((part * head.weight for part, head in weighted), parts[0]), *parts]
