"""How an objective of PyTorch runs: where, how exactly, and in how many pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Running:
    """What a recipe says of how its model is computed.

    Parameters
    ----------
    device
        Where; "auto" is a GPU of CUDA if there is one, else the CPU.
    precision
        "bfloat16": matrix products in bfloat16, by autocast; θ and sums keep their type.
    accumulate
        Pieces in which the gradient of a batch is computed, to need less memory.
    compile
        Whether ``torch.compile`` makes the network's code.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["bfloat16"] | None = None
    accumulate: int = 1
    compile: bool = False
