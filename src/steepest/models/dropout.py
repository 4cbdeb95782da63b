"""Dropout with masks of 16 random bits each.

On a CPU PyTorch draws a mask from one random number of double precision for each entry, which takes
a seventh of a Particle Transformer's training step; four entries of one 64-bit number take a tenth
of that. The share of zeros is p to 1/65,536, and the scale of the others is that of this share, so
that the mean is right.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dropout(x: Tensor, p: float) -> Tensor:
    """Set each entry to zero with probability p, and scale the others by 1 / (1 − p).

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> kept = dropout(torch.ones(100_000), 0.25)
    >>> kept.unique(), bool((kept.mean() - 1).abs() < 0.01)
    (tensor([0.0000, 1.3333]), True)
    """
    zeros = round(p * 65_536)
    if zeros == 0 or x.device.type != "cpu" or zeros == 65_536:
        return functional.dropout(x, p)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= zeros - 32_768
    return x * kept.to(x.dtype).mul_(65_536 / (65_536 - zeros))
